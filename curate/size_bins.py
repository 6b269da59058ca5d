"""Bins of region sizes that follow from a stated rule, or from the user."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from curate.images import Array

OCTAVES, QUANTILES, GIVEN = "octaves", "quantiles", "given"
N_EACH = 20  # so many trials leave an exact interval of at most 0.23 to either side
KNOWN = f'"{OCTAVES}", "{QUANTILES}", "{QUANTILES}:N", or edges such as "2,5,10"'


@dataclass(frozen=True)
class Bins:
    """Bins of diameters, half-open, [low, high); the last one includes its end.

    Attributes:
        rule: "octaves", "quantiles" or "given".
        about: the rule in words.
        edges: ascending; one more than there are bins.
    """

    rule: str
    about: str
    edges: tuple[float, ...]

    def of(self, diameters: Array) -> Array:
        """(R,) number of each diameter's bin, from 0 on; -1 outside of all."""
        if len(self.edges) < 2:
            return np.full(len(diameters), -1)
        inner = np.searchsorted(self.edges, diameters, side="right") - 1
        inner[diameters == self.edges[-1]] = len(self.edges) - 2
        return np.where(inner >= len(self.edges) - 1, -1, inner)


def bins_by(rule: str | Sequence[float], diameters: Array) -> Bins:
    """Bins after a rule.

    Args:
        rule: "octaves": each bin ends at twice its begin, at powers of 2, so that bins of several datasets
            and detectors are the same; "quantiles" or "quantiles:N": the narrowest bins from the smallest
            region on that hold N regions each at least (20 unless told); or ascending edges, as numbers or
            as text "2,5,10".
        diameters: (R,) above 0.

    Raises:
        ValueError: no such rule, or edges that do not ascend from 0 or more.

    >>> bins_by("octaves", np.array([3.0, 9.0])).edges
    (2.0, 4.0, 8.0, 16.0)
    >>> bins_by("quantiles:2", np.array([5.0, 1.0, 2.0, 4.0, 3.0])).edges
    (1.0, 3.0, 5.0)
    """
    if isinstance(rule, str) and rule == OCTAVES:
        return Bins(OCTAVES, "each bin ends at twice its begin, at powers of 2", _octaves(diameters))
    if isinstance(rule, str) and rule.partition(":")[0] == QUANTILES:
        n_each = _n_each(rule)
        about = f"the narrowest bins from the smallest region on with at least {n_each} regions each"
        return Bins(QUANTILES, about, _filled(diameters, n_each))
    return Bins(GIVEN, "edges given by the user", _given(rule))


def _octaves(diameters: Array) -> tuple[float, ...]:
    if not len(diameters):
        return ()
    first, last = (int(np.floor(np.log2(value))) for value in (diameters.min(), diameters.max()))
    return tuple(2.0**power for power in range(first, last + 2))


def _n_each(rule: str) -> int:
    number = rule.partition(":")[2]
    if rule == QUANTILES:
        return N_EACH
    if not number.isascii() or not number.isdigit() or int(number) < 1:
        raise ValueError(f'Expected bins as {KNOWN}; found "{rule}".')
    return int(number)


def _filled(diameters: Array, n_each: int) -> tuple[float, ...]:
    """Edges of the narrowest bins with enough regions; what is left over belongs to the last one."""
    values, counts = np.unique(diameters, return_counts=True)
    if not len(values):
        return ()
    edges, held, left = [float(values[0])], 0, int(counts.sum())
    for value, count in zip(values, counts, strict=True):
        if held >= n_each and left >= n_each:
            edges.append(float(value))
            held = 0
        held, left = held + int(count), left - int(count)
    top = float(values[-1])
    return (*edges, top if top > edges[-1] else float(np.nextafter(top, np.inf)))


def _given(rule: str | Sequence[float]) -> tuple[float, ...]:
    try:
        edges = tuple(float(each) for each in (rule.split(",") if isinstance(rule, str) else rule))
    except ValueError as error:
        raise ValueError(f'Expected bins as {KNOWN}; found "{rule}".') from error
    rising = all(low < high for low, high in pairwise(edges))
    if len(edges) < 2 or not rising or edges[0] < 0 or not np.isfinite(edges).all():
        raise ValueError(f"Expected two or more ascending edges from 0 on; found {rule}.")
    return edges
