"""Which column of a table feeds which of ours: by name, by a known other name, or as the user maps it."""

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from curate.errors import DataFault
from curate.tabular import Sheet

PLACE = re.compile(r"\{([^{}]+)\}")
Names = Mapping[str, Iterable[str]]


@dataclass(frozen=True)
class Columns:
    """The columns of one table, as they are used.

    Attributes:
        sources: our column -> theirs, or a text with theirs in braces: "{Lot}/{Panel}/{File}".
        unused: columns of the table that feed none of ours.
        places: our column -> index of the cell that is taken as it is.
        composed: our column -> the text that several cells go into.
        indexes: their column -> index of its cell.
    """

    sources: dict[str, str]
    unused: list[str]
    places: dict[str, int]
    composed: dict[str, str]
    indexes: dict[str, int]

    def values(self, cells: list[str]) -> dict[str, str]:
        """Our column -> the row's text; a composed text is empty where one of its cells is."""
        n_cells = len(cells)
        found = {ours: cells[at] for ours, at in self.places.items() if at < n_cells and cells[at]}
        for ours, text in self.composed.items():
            at = {name: self.indexes[name] for name in PLACE.findall(text)}
            parts = {name: cells[index] if index < n_cells else "" for name, index in at.items()}
            if all(parts.values()):
                found[ours] = PLACE.sub(lambda match, parts=parts: parts[match[1]], text)  # type: ignore[misc]
        return found

    def without(self, dropped: Collection[str]) -> "Columns":
        """The same, but without some of ours."""
        kept = {ours: text for ours, text in self.sources.items() if ours not in dropped}
        freed = [text for ours, text in self.sources.items() if ours in dropped and text in self.indexes]
        places = {ours: at for ours, at in self.places.items() if ours in kept}
        composed = {ours: text for ours, text in self.composed.items() if ours in kept}
        return Columns(kept, [*self.unused, *freed], places, composed, self.indexes)


def plain(name: str) -> str:
    """A column's name without case, blanks and signs; a unit in brackets counts.

    >>> plain("Pos. X [µm]"), plain("Lot_No")
    ('posxum', 'lotno')
    """
    folded = unicodedata.normalize("NFKC", name).casefold().replace("μ", "u")
    return "".join(sign for sign in folded if sign.isalnum())


def recognised(columns: Iterable[str], known: Names) -> dict[str, list[str]]:
    """Our column -> the columns of a table that go by its name or by one of its other names."""
    ours_of = {plain(name): ours for ours, names in known.items() for name in (ours, *names)}
    found: dict[str, list[str]] = {}
    for column in columns:
        if column and plain(column) in ours_of:
            found.setdefault(ours_of[plain(column)], []).append(column)
    return found


def check_given(given: Mapping[str, Any], known: Names, option: str = "columns") -> None:
    """Raise ValueError where a mapping names a column that we do not have."""
    for ours in given:
        if ours not in known:
            near = difflib.get_close_matches(ours, known, n=2)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise ValueError(f'{option} maps "{ours}", which is unknown.{hint} Known: {", ".join(known)}.')


def resolve(sheet: Sheet, given: Mapping[str, str], known: Names, needed: Iterable[str] = ()) -> Columns:
    """Decide for one table which columns are used.

    Args:
        given: our column -> theirs, or a text with theirs in braces; "" leaves ours without one. What is not
            given is recognised by name.
        known: our columns, with their other names.
        needed: our columns without which the table is of no use.

    Raises:
        DataFault: a column that is given or needed is not in the table, a name occurs twice, or two columns
            go by names of the same one of ours.
    """
    twice = {name for name, n in Counter(sheet.columns).items() if n > 1 and name}
    wanted = {ours: PLACE.findall(text) or [text] for ours, text in given.items() if text}
    claimed = {name for names in wanted.values() for name in names}
    if absent := sorted(claimed - set(sheet.columns)):
        raise DataFault(
            f"DataFault: {sheet.name} has no column {_quoted(absent)}, which the option columns names. "
            f"It has: {_quoted(sheet.columns[:40])}. Correct the mapping."
        )
    sources = {ours: text for ours, text in given.items() if text}
    free = [name for name in sheet.columns if name not in claimed]
    for ours, names in recognised(free, known).items():
        if ours in given:
            continue
        exact = [name for name in names if name == ours]
        if len(set(names)) > 1 and len(exact) != 1:
            raise DataFault(
                f"DataFault: {sheet.name} has several columns that could be {ours}: {_quoted(names)}. "
                f'Say which one is meant with the option columns, e.g. {{"{ours}": "{names[0]}"}}.'
            )
        sources[ours] = (exact or names)[0]
    if absent := sorted(set(needed) - set(sources)):
        raise DataFault(
            f"DataFault: no column of {sheet.name} is known as {', '.join(absent)}. "
            f"It has: {_quoted(sheet.columns[:40])}. Say which one is meant with the option columns, "
            f'e.g. {{"{absent[0]}": "{sheet.columns[0]}"}}.'
        )
    used = {name for text in sources.values() for name in PLACE.findall(text) or [text]}
    if both := sorted(used & twice):
        raise DataFault(f"DataFault: {sheet.name} has several columns named {_quoted(both)}. Rename them.")
    indexes = {name: at for at, name in enumerate(sheet.columns)}
    composed = {ours: text for ours, text in sources.items() if PLACE.search(text)}
    places = {ours: indexes[text] for ours, text in sources.items() if ours not in composed}
    unused = [name for name in sheet.columns if name and name not in used]
    return Columns(sources, unused, places, composed, indexes)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in dict.fromkeys(names))
