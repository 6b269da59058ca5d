"""Reads what is sent with an operator; whatever cannot be meant is refused in words, before any work."""

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

LOADING = "The page is still loading. Press the key once more."
ADVICE = "Load the page anew; in a script of your own, correct it."
LONGEST = 10_000  # characters of a text
LONGEST_SHOWN = 40
LARGEST_CELL = 2**31
DOCUMENT_ID = re.compile(r"[0-9a-f]{24}")
UNUSABLE = re.compile("[\0\ud800-\udfff]")  # what neither the database nor a file can hold
Params = Mapping[str, Any]


def dataset_name(ctx: Any) -> str:
    """The dataset that a request is about.

    Raises:
        ValueError: it names none.
    """
    found = ctx.dataset_name  # ctx.dataset would be loaded first
    if found is None or found == "":
        raise ValueError(LOADING)
    if not isinstance(found, str) or UNUSABLE.search(found):
        raise wrong("dataset_name", "the name of a dataset", found)
    return found


def params(ctx: Any) -> Params:
    """The parameters of a request.

    Raises:
        ValueError: they are no object.
    """
    found = ctx.params
    if not isinstance(found, Mapping):
        raise wrong("params", "an object with the operator's parameters", found)
    return found


def text(given: Params, name: str, *, required: bool = False, longest: int = LONGEST) -> str | None:
    """A text.

    Raises:
        ValueError: it is something else, too long, or cannot be stored; or it is required and absent.
    """
    found = given.get(name)
    if found is None and not required:
        return None
    if not isinstance(found, str) or (required and not found):
        raise wrong(name, "a text", found)
    if len(found) > longest:
        raise wrong(name, f"a text of at most {longest:,} characters", found)
    if UNUSABLE.search(found):
        raise wrong(name, "a text of characters that can be stored", found)
    return found


def needed(given: Params, name: str) -> str:
    """A text that may not be absent; see text."""
    return text(given, name, required=True) or ""


def choice(given: Params, name: str, known: Collection[str]) -> str | None:
    """One of some words, or None where it is absent.

    Raises:
        ValueError: it is something else.
    """
    found = given.get(name)
    if found is not None and (not isinstance(found, str) or found not in known):
        raise wrong(name, " or ".join(f'"{each}"' for each in known), found)
    return found


def document_id(given: Params, name: str, *, required: bool = True) -> str | None:
    """The id of an image's document.

    Raises:
        ValueError: it is something else; or it is required and absent.
    """
    found = given.get(name)
    if found is None and not required:
        return None
    return _id(name, found)


def document_ids(found: Any, name: str = "ids") -> list[str]:
    """Ids of images' documents, or of labels in them.

    Raises:
        ValueError: it is something else than a list of ids.
    """
    if not isinstance(found, list | tuple):
        raise wrong(name, "a list of image ids", found)
    return [_id(f"{name}[{index}]", each) for index, each in enumerate(found)]


def number(given: Params, name: str) -> float | None:
    """A number, NaN and infinities too, or None where it is absent.

    Raises:
        ValueError: it is something else.
    """
    found = given.get(name)
    return None if found is None else _number(name, found)


def numbers(given: Params, name: str) -> dict[str, float]:
    """Numbers by name; none where they are absent.

    Raises:
        ValueError: it is something else, or a number is not finite.
    """
    found = given.get(name)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise wrong(name, 'an object such as {"CATEGORY": 0.5}', found)
    made = {str(key): _number(f"{name}.{key}", value) for key, value in found.items()}
    for key, value in made.items():
        if not math.isfinite(value):
            raise wrong(f"{name}.{key}", "a finite number", value)
    return made


def flag(given: Params, name: str) -> bool:
    """A truth value; False where it is absent.

    Raises:
        ValueError: it is something else.
    """
    found = given.get(name)
    if found is None or isinstance(found, bool):
        return bool(found)
    raise wrong(name, "true or false", found)


def cells(given: Params, name: str) -> list[int]:
    """Numbers of cells.

    Raises:
        ValueError: it is something else.
    """
    found = given.get(name)
    if not isinstance(found, list):
        raise wrong(name, "a list of cell numbers", found)
    for index, each in enumerate(found):
        if isinstance(each, bool) or not isinstance(each, int) or not 0 <= each < LARGEST_CELL:
            raise wrong(f"{name}[{index}]", "the number of a cell: a whole number from 0 on", each)
    return found


def wrong(name: str, expected: str, found: Any) -> ValueError:
    """What to raise about a parameter.

    >>> str(wrong("defect_type", "a text", 0)).removesuffix(ADVICE)
    'Expected a text for "defect_type"; found the number 0. '
    """
    return ValueError(f'Expected {expected} for "{_cut(name)}"; found {told(found)}. {ADVICE}')


def told(found: Any) -> str:
    """A value in words, short whatever it is.

    >>> told(None), told([1, 2]), told({"a": 1}), told("x" * 100)[:12]
    ('nothing', 'a list of 2', 'an object', 'the text "xx')
    """
    if found is None:
        return "nothing"
    if isinstance(found, list | tuple):
        return f"a list of {len(found)}"
    if isinstance(found, Mapping):
        return "an object"
    if isinstance(found, bool):
        return str(found).lower()
    if isinstance(found, int):
        return f"the number {found}" if abs(found) < 10**LONGEST_SHOWN else "a number that is too large"
    if isinstance(found, float):
        return f"the number {found}"
    return f'the text "{_cut(str(found))}"'


def _cut(found: str) -> str:
    shown = found if len(found) <= LONGEST_SHOWN else f"{found[:LONGEST_SHOWN]}…"
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in shown)


def _id(name: str, found: Any) -> str:
    if not isinstance(found, str) or not DOCUMENT_ID.fullmatch(found):
        raise wrong(name, "the id of an image: 24 digits of 0-9 and a-f", found)
    return found


def _number(name: str, found: Any) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise wrong(name, "a number", found)
    try:
        return float(found)
    except OverflowError:
        raise wrong(name, "a number", found) from None
