"""Divides samples into train, calibration and test: seeded, stratified, and never through a part.

Groups (parts, or lots and the like) stay whole. They are drawn in the order of a hash of the seed and their
first sample, so neither the order of the rows nor other categories change the result.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from curate.errors import DataFault, listed
from curate.part_groups import Group, alike, clustered, grouped
from curate.split_draw import (
    CALIBRATION,
    LABELS,
    ROUNDING,
    SPLITS,
    TEST,
    TRAIN,
    Draw,
    Stratum,
    divide,
    fill_gaps,
    normal_shares,
)
from curate.tables import from_rows, to_rows

POLICIES = ("auto", "delivered", "random")


@dataclass(frozen=True)
class Fractions:
    """Wanted shares of the images.

    Attributes:
        train, calibration, test: of the normal images; they sum to 1. A group's anomalous images go where its
            normal ones go.
        anomalous_calibration: of the anomalous images in groups without a normal one; the rest is test.
        delivered_calibration: of a delivered test part, when the source delivers no calibration part.
    """

    train: float = 0.6
    calibration: float = 0.15
    test: float = 0.25
    anomalous_calibration: float = 0.35
    delivered_calibration: float = 0.3

    def __post_init__(self) -> None:
        """Refuse shares outside of [0, 1], and a sum other than 1."""
        outside = [value for value in vars(self).values() if not 0 <= value <= 1]
        total = self.train + self.calibration + self.test
        if outside or abs(total - 1) > ROUNDING or self.train == 0:
            raise ValueError(
                "Expected fractions in [0, 1], train above 0, and train + calibration + test = 1; "
                f"found {vars(self)}."
            )


def assign(
    table: pd.DataFrame,
    seed: int = 0,
    fractions: Fractions | None = None,
    group: str | Sequence[str] = "part_id",
    policy: str = "auto",
) -> pd.DataFrame:
    """Assign every sample to train, calibration or test.

    Policy "delivered": what the source delivered is kept, "val" becomes calibration, and the delivered test
    part gives a share to calibration for each label that the delivered calibration part lacks. Policy
    "random": normal images are divided by the fractions, groups without a normal image go to calibration and
    test, and where a category also has groups of normal images only, those fill train first. Policy "auto":
    delivered in every category that delivers train and test, else random. Groups that nobody has looked at go
    to test. Groups delivered without a split are divided as by "random".

    Args:
        table: sample table (data_schemas/sample.json).
        seed: equal seeds give equal splits.
        fractions: wanted shares; None means the defaults.
        group: column or columns whose equal values keep samples together; `part_id` always does, and so do
            equal pixels, except in images that a kept split was delivered with on both sides.
        policy: "auto", "delivered" or "random".

    Returns:
        Columns sample_id and assigned_split ("train", "calibration" or "test"), sorted by sample_id.

    Raises:
        ValueError: unknown policy or column.
        DataFault: a group was delivered in two splits; a category delivers no split though the policy is
            "delivered"; a category is left without a normal image to train on; the table is empty.
    """
    if policy not in POLICIES:
        raise ValueError(f'Unknown policy "{policy}". Known: {", ".join(POLICIES)}.')
    if table.empty:
        raise DataFault("DataFault: there are no samples to split. Ingest a source with images first.")
    kept = _delivered_categories(table, policy)
    groups = grouped(table, [group] if isinstance(group, str) else group, seed, alike(table, kept))
    _refuse_divided(groups, kept)
    chosen: dict[str, str] = {}
    for cluster in clustered(groups):
        chosen |= _assign_linked(cluster, fractions or Fractions(), kept)
    rows = [
        {"sample_id": row["sample_id"], "assigned_split": chosen[g.order]} for g in groups for row in g.rows
    ]
    assigned = from_rows(sorted(rows, key=lambda row: str(row["sample_id"])), ["sample_id", "assigned_split"])
    _need_training(_counts(table, assigned))
    return assigned


def shortages(table: pd.DataFrame, assigned: pd.DataFrame) -> list[str]:
    """What each category's calibration and test parts lack, one line each; empty when nothing does."""
    counts = _counts(table, assigned)
    lines = []
    for category in sorted({place[0] for place in counts}):
        for split in (CALIBRATION, TEST):
            for label in LABELS:
                if counts[category, split, label] == 0:
                    total = sum(counts[category, other, label] for other in SPLITS)
                    lines.append(f'category "{category}" has no {label} image in {split} (of {total} in all)')
    return lines


def leaks(table: pd.DataFrame, group: str | Sequence[str] = "part_id") -> list[str]:
    """Groups that the source delivered in more than one split, one line each with a file of each."""
    groups = grouped(table, [group] if isinstance(group, str) else group, 0)
    return sorted(str(found) for found in groups if len(found.delivered) > 1)


def _counts(table: pd.DataFrame, assigned: pd.DataFrame) -> Counter[tuple[str, str, str]]:
    """Images by category, assigned split and label."""
    split = dict(zip(assigned["sample_id"], assigned["assigned_split"], strict=True))
    columns = (table["category"], table["sample_id"].map(split), table["label"])
    return Counter(zip(*columns, strict=True))


def _need_training(counts: Counter[tuple[str, str, str]]) -> None:
    categories = sorted({place[0] for place in counts})
    if untrained := [category for category in categories if not counts[category, TRAIN, "normal"]]:
        raise DataFault(
            f"DataFault: {len(untrained)} categories have no normal image left to train on:\n"
            f"{listed(untrained)}\nAdd normal images of parts of their own, accept unlabelled ones as normal "
            "with curate triage, or leave these categories out."
        )


def _delivered_categories(table: pd.DataFrame, policy: str) -> frozenset[str]:
    """Categories whose delivered split is kept."""
    if policy == "random":
        return frozenset()
    found: dict[str, set[str | None]] = defaultdict(set)
    for row in to_rows(table[["category", "split"]]):
        found[row["category"]].add(row["split"])
    kept = frozenset(category for category, splits in found.items() if splits >= {"train", "test"})
    if policy == "delivered" and (absent := sorted(set(found) - kept)):
        raise DataFault(
            'DataFault: the policy "delivered" needs a delivered train and test part; '
            f'these categories lack one:\n{listed(absent)}\nUse the policy "auto" or "random".'
        )
    return kept


def _refuse_divided(groups: Sequence[Group], kept: frozenset[str]) -> None:
    """Raise when a part was delivered in several splits, of which one is kept."""
    if broken := sorted(str(g) for g in groups if len(g.delivered) > 1 and kept.intersection(g.categories)):
        raise DataFault(
            f"DataFault: {len(broken)} parts were delivered in more than one split, so that a test would not "
            f'be honest:\n{listed(broken)}\nCorrect the source, or use the policy "random".'
        )


def _assign_linked(groups: Sequence[Group], shares: Fractions, kept: Collection[str]) -> dict[str, str]:
    """Splits of groups whose categories are linked, by the groups' `order`."""
    draw = Draw()
    trusted = {group.order for group in groups if any(category in kept for category in group.categories)}
    ready = {
        place
        for group in groups
        if group.order in trusted and group.delivered == {CALIBRATION}
        for place in group.places
    }
    pools: dict[str, list[Group]] = defaultdict(list)
    for group in groups:
        delivered = next(iter(group.delivered)) if group.order in trusted and group.delivered else None
        lacking = any(label in LABELS and (category, label) not in ready for category, label in group.places)
        if not group.weight or delivered in (TRAIN, CALIBRATION) or (delivered == TEST and not lacking):
            draw.split[group.order] = delivered or TEST
        else:
            pools["delivered" if delivered else "normal" if group.n_normal else "anomalous"].append(group)
    for stratum in _strata(pools, shares):
        divide(draw, stratum)
    fill_gaps(draw, groups)
    return draw.split


def _strata(pools: dict[str, list[Group]], shares: Fractions) -> list[Stratum]:
    """Groups alike of each pool with their wanted shares, in the order of their first groups."""
    base = {TRAIN: shares.train, CALIBRATION: shares.calibration, TEST: shares.test}
    wanted = {
        "delivered": {CALIBRATION: shares.delivered_calibration, TEST: 1 - shares.delivered_calibration},
        "normal": base,
        "anomalous": {CALIBRATION: shares.anomalous_calibration, TEST: 1 - shares.anomalous_calibration},
    }
    filled = normal_shares(pools.get("normal", ()), base)
    strata = []
    for pool, members in pools.items():
        alike: dict[Any, list[Group]] = defaultdict(list)
        for group in members:
            alike[group.stratum].append(group)
        allowed = frozenset(split for split, share in wanted[pool].items() if share > 0)
        for key, own in alike.items():
            own_shares = filled[key] if pool == "normal" else wanted[pool]
            strata.append(Stratum((pool, key), (pool, *key[:2]), own, own_shares, allowed))
    return sorted(strata, key=lambda stratum: stratum.groups[0].order)
