"""Tests whether groups of pictures differ in some measures by more than chance, and by enough to matter.

Ranks are compared, so no distribution is assumed. Chance is what permuting the groups over the parts gives:
the pictures of one part are alike and count once in each group. The greatest difference over all groups and
measures is compared with its own distribution, so that many comparisons raise no false alarm.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from curate.images import Array

FEWEST = 10
ALPHA = 0.05
LEAST_EFFECT = 0.5
MOST_UNITS = 4000
N_PERMUTATIONS = (999, 9999)


@dataclass(frozen=True)
class Moved:
    """A group that differs from the others.

    Attributes:
        name: of the group.
        effects: measure to Cliff's delta against the other groups' parts: -1 to 1, how much more often the
            group is above than below; only measures beyond chance and of at least 0.5.
        others: the groups it was compared with.
        p: probability of so great a difference by chance, over all groups and measures of the test.
    """

    name: str
    effects: dict[str, float]
    others: tuple[str, ...]
    p: float


def moved(
    values: pd.DataFrame, groups: Sequence[str], parts: Sequence[str], n_tests: int, rng: np.random.Generator
) -> list[Moved]:
    """Groups that differ, the most different first; each is taken away before the next is sought.

    Of two groups that are left, the smaller is named, since nobody knows which is right.

    Args:
        values: one row per picture, one numeric column per measure.
        groups, parts: of each picture.
        n_tests: how many such tests are made, to correct for.
        rng: permutes.

    Groups of fewer than 10 parts are left out.
    """
    units = _units(values, groups, parts, rng)
    found: list[Moved] = []
    while True:
        counts = units["group"].value_counts()
        units = units[units["group"].isin(counts.index[counts >= FEWEST])]
        if units["group"].nunique() < 2:
            return found
        strongest = _strongest(units, list(values.columns), ALPHA / n_tests, rng)
        if strongest is None:
            return found
        found.append(strongest)
        units = units[units["group"] != strongest.name]


def _units(
    values: pd.DataFrame, groups: Sequence[str], parts: Sequence[str], rng: np.random.Generator
) -> pd.DataFrame:
    """Means over the pictures of each part in each group, in an order that the rows do not decide."""
    keyed = values.reset_index(drop=True).assign(group=list(groups), part=list(parts))
    units = keyed.groupby(["group", "part"], sort=True).mean().reset_index()
    if len(units) > MOST_UNITS:
        units = units.iloc[np.sort(rng.choice(len(units), MOST_UNITS, replace=False))]
    return units


def _strongest(
    units: pd.DataFrame, measures: list[str], alpha: float, rng: np.random.Generator
) -> Moved | None:
    ranks = np.column_stack([rankdata(units[name].to_numpy(dtype=float)) for name in measures])
    names = sorted(units["group"].unique())
    belongs = np.column_stack([(units["group"] == name).to_numpy() for name in names]).astype(float)
    n, sizes = len(units), belongs.sum(axis=0)
    spread = ranks.std(axis=0)
    ranks = (ranks - ranks.mean(axis=0)) / np.where(spread > 0, spread, 1)
    norm = np.sqrt(sizes * (n - sizes) / n)[:, None]

    def differences(order: Array) -> Array:
        return np.asarray(np.abs(belongs.T @ ranks[order]) / norm)

    low, high = N_PERMUTATIONS
    n_permutations = int(np.clip(np.ceil(10 / alpha), low, high))
    greatest = np.array([differences(rng.permutation(n)).max() for _ in range(n_permutations)])
    observed = differences(np.arange(n))
    limit = float(np.quantile(greatest, 1 - alpha, method="higher"))
    # of the mean difference in ranks, (n / 2) is where every unit of the group is above every other
    delta = (belongs.T @ ranks) * spread / sizes[:, None] * n / (n - sizes)[:, None] / (n / 2)
    matters = (observed > limit) & (np.abs(delta) >= LEAST_EFFECT)
    if not matters.any():
        return None
    strength = np.where(matters, observed, 0).max(axis=1)
    # the greatest difference; of equal ones, as between two groups, the smaller group
    chosen = min(range(len(names)), key=lambda i: (-round(float(strength[i]), 9), sizes[i], names[i]))
    effects = {
        name: float(delta[chosen, column]) for column, name in enumerate(measures) if matters[chosen, column]
    }
    p = (1 + int((greatest >= strength[chosen]).sum())) / (1 + n_permutations)
    others = tuple(name for name in names if name != names[chosen])
    return Moved(names[chosen], effects, others, p)
