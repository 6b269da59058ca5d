"""Turns unusual measurements into faults: one per picture, one per lot or camera that is off as a whole."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pandas as pd

from curate.faults import Fault, in_order
from curate.images import Array
from curate.usual import Odd, odd_groups, odd_pictures

Reasons: TypeAlias = dict[str, list[str]]


@dataclass(frozen=True)
class Measure:
    """One number of a picture, and what it means when it is unusual.

    Attributes:
        name: in words: "median brightness".
        values: from the table of curate.usual.measured to (N,) numbers in which distances are alike.
        shown: such a number as people read it.
        least: a deviation below this does not matter.
        below, above: what a picture is called that is far below or above; None: that is no fault.
    """

    name: str
    values: Callable[[pd.DataFrame], Array]
    shown: Callable[[float], str]
    least: float
    below: str | None = None
    above: str | None = None

    def verdict(self, odd: Odd) -> str | None:
        """What to call it, or None when it is no fault."""
        return self.below if odd.distance < 0 else self.above

    def told(self, odd: Odd) -> str:
        """The value and what is usual, in words."""
        low, high = (self.shown(value) for value in odd.usual.reach())
        span = low if low == high else f"{low} to {high}"
        return f"{self.name} {self.shown(odd.value)}, for {odd.usual.among} usually {span}"


def reported(table: pd.DataFrame, measures: Sequence[Measure], code: str, remedy: str) -> list[Fault]:
    """Faults of all measures: groups first found, then pictures that no faulty group explains.

    Args:
        table: see curate.usual.measured.
        measures: what to judge.
        code: of the faults; they are warnings.
        remedy: of the faults.
    """
    groups: dict[tuple[str, str, tuple[int, ...]], Reasons] = {}
    pictures: dict[int, Reasons] = {}
    for measure in measures:
        if table.empty:
            break
        values = measure.values(table)
        explained: set[tuple[int, str]] = set()
        for odd in odd_groups(table, values, measure.least):
            if (verdict := measure.verdict(odd)) and odd.group:
                groups.setdefault((*odd.group, odd.rows), {}).setdefault(verdict, []).append(
                    measure.told(odd)
                )
                explained |= {(row, verdict) for row in odd.rows}
        for odd in odd_pictures(table, values, measure.least):
            verdict = measure.verdict(odd)
            if verdict and (odd.rows[0], verdict) not in explained:
                pictures.setdefault(odd.rows[0], {}).setdefault(verdict, []).append(measure.told(odd))
    paths = table["relative_path"].tolist()
    faults = [
        Fault(code, "warning", paths[row], f"{paths[row]} is {_told(reasons)}.", remedy)
        for row, reasons in pictures.items()
    ]
    faults += [_of_group(column, name, [paths[row] for row in rows], reasons, code, remedy)
               for (column, name, rows), reasons in groups.items()]  # fmt: skip
    return in_order(faults)


def _told(reasons: Reasons) -> str:
    return " and ".join(f"{verdict} ({'; '.join(values)})" for verdict, values in reasons.items())


def _of_group(
    column: str, name: str, paths: Sequence[str], reasons: Reasons, code: str, remedy: str
) -> Fault:
    first, *others = sorted(paths)
    message = f"The {len(paths)} pictures of {column} {name} are {_told(reasons)}; the first is {first}."
    return Fault(code, "warning", first, message, remedy, tuple(others))
