"""JSON that is well formed and wrong: a value becomes another one, is lost, or comes again."""

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from random import Random
from typing import Any

from tests.fuzz.mutations import N_REPEATED, TEXT, Mutation
from tests.fuzz.paths import HOSTILE_PATHS

DEEP = 100_000
RAW = "@raw@"
WRONG: tuple[Any, ...] = (
    None, -1, 0, 1.5, True, False, "", [], {}, [[]], {"": {}}, [None], "x" * 100_000, 10**400, -(10**30),
    1e308, 2**63, "nan", "\ud800", "\u202e", [1, "a", None, {}], {"id": 1, "name": "x"}, [[0] * 7] * 3, "0",
    -0.0, f"{RAW}1e999", f"{RAW}-1e999", f"{RAW}NaN", f"{RAW}Infinity", f"{RAW}" + "9" * 5000,
    list(range(5000)),
)  # fmt: skip
Place = tuple[Any, Any]


def _places(value: Any) -> Iterator[Place]:
    """Every value below the root: its container, and its key there."""
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(item, dict | list):
            yield from _places(item)


def _edited(content: bytes, rng: Random, edit: Callable[[Any, list[Place], Random], None]) -> bytes:
    value = json.loads(content)
    edit(value, list(_places(value)), rng)
    return re.sub(rf'"{RAW}([^"]*)"', r"\1", json.dumps(value)).encode()


def _one(edit: Callable[[Any, Any, Random], None]) -> Mutation:
    """A mutation of JSON that edits the value at one place."""

    def mutation(content: bytes, rng: Random) -> bytes:
        def at_one(root: Any, places: list[Place], rng: Random) -> None:
            if places:
                edit(*rng.choice(places), rng)

        return _edited(content, rng, at_one)

    mutation.__name__ = edit.__name__.strip("_")
    return mutation


def _replaced(holder: Any, key: Any, rng: Random) -> None:
    holder[key] = deepcopy(rng.choice(WRONG))


def _removed(holder: Any, key: Any, rng: Random) -> None:
    del holder[key]


def _repeated(holder: Any, key: Any, rng: Random) -> None:
    """An entry of a list comes thousands of times."""
    if isinstance(holder, list):
        holder.extend(
            deepcopy(holder[key]) for _ in range(min(N_REPEATED, 60_000 // (len(str(holder[key])) + 1)))
        )
    else:
        holder[key] = [holder[key]] * 3


def _wrapped(holder: Any, key: Any, rng: Random) -> None:
    holder[key] = rng.choice(([holder[key]], {"value": holder[key]}, str(holder[key])))


def _doubled(holder: Any, key: Any, rng: Random) -> None:
    if isinstance(holder[key], int | float):
        holder[key] *= rng.choice((-1, 2, 1000, 1e9, 0.5))
    elif isinstance(holder[key], list | str):
        holder[key] = holder[key] * 2


def replaced_everywhere(content: bytes, rng: Random) -> bytes:
    """Every value of one kind becomes the same wrong one."""
    wrong = rng.choice(WRONG)
    kinds = rng.choice(((int, float), (str,), (list,), (dict,), (type(None), bool)))

    def edit(root: Any, places: list[Place], rng: Random) -> None:
        for holder, key in places:
            if isinstance(holder[key], kinds):
                holder[key] = deepcopy(wrong) if len(places) < 200 else None

    return _edited(content, rng, edit)


def exchanged_values(content: bytes, rng: Random) -> bytes:
    """Two values change places, so that entries contradict each other."""

    def edit(root: Any, places: list[Place], rng: Random) -> None:
        (one, a), (other, b) = rng.choice(places), rng.choice(places)
        one[a], other[b] = deepcopy(other[b]), deepcopy(one[a])

    return _edited(content, rng, edit)


def _hostile(holder: Any, key: Any, rng: Random) -> None:
    holder[key] = rng.choice(HOSTILE_PATHS)


def hostile_everywhere(content: bytes, rng: Random) -> bytes:
    """Every text that looks like a file's name leads out of the dataset."""
    hostile = rng.choice(HOSTILE_PATHS)

    def edit(root: Any, places: list[Place], rng: Random) -> None:
        for holder, key in places:
            if isinstance(holder[key], str) and ("." in holder[key] or "/" in holder[key]):
                holder[key] = hostile

    return _edited(content, rng, edit)


def other_root(content: bytes, rng: Random) -> bytes:
    return rng.choice(
        (b"null", b"[]", b"{}", b'"x"', b"1", b"true", b"[" + content + b"]", b"", b"\x00", b"NaN")
    )


def deep(content: bytes, rng: Random) -> bytes:
    """Nested 100,000 levels deep, alone or in the place of a value."""
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'[{"shapes":', b"}]")))
    nested = opening * DEEP + b"1" + closing * DEEP
    at = content.find(b":", rng.randrange(len(content) or 1))
    return nested if at < 0 or rng.random() < 0.3 else content[: at + 1] + nested + content[at + 1 :]


def same_keys(content: bytes, rng: Random) -> bytes:
    """The object's members once more, emptied: JSON allows a key twice."""
    return content.rstrip()[:-1] + b',"images":[],"shapes":[],"train":[],"names":{}}'


_EDITS = (*[_replaced] * 12, *[_removed] * 2, _repeated, _wrapped, _doubled, *[_hostile] * 5)
JSON: tuple[Mutation, ...] = (
    *TEXT, *(_one(edit) for edit in _EDITS), *[replaced_everywhere] * 3, *[exchanged_values] * 2,
    *[hostile_everywhere] * 8, other_root, *[deep] * 2, same_keys,
)  # fmt: skip
