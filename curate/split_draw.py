"""Draws splits for groups: strata by wanted shares, then gaps filled so that no needed label is absent."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from curate.part_groups import Group

TRAIN, CALIBRATION, TEST = "train", "calibration", "test"
SPLITS = (TRAIN, CALIBRATION, TEST)
LABELS = ("normal", "anomalous")
ROUNDING = 1e-9
LOSS_OF_TRAINING = 1000  # outweighs every other gap

Shares = Mapping[str, float]


@dataclass(frozen=True)
class Stratum:
    """Groups alike that are divided together.

    Attributes:
        key: tells strata apart.
        pool: strata of one pool even out each other's rounding.
        groups: in the order they are drawn.
        shares: wanted share of each split.
        allowed: splits that a group may be moved to when one lacks a label.
    """

    key: Any
    pool: Any
    groups: Sequence[Group]
    shares: Shares
    allowed: frozenset[str]


@dataclass
class Draw:
    """Splits given so far.

    Attributes:
        split: the split of each group, by the group's `order`.
        stratum: the stratum of each drawn group, by its `order`; absent for groups with a delivered split.
        surplus: images above the wanted number, by stratum key and split.
        owed: images still wanted, by pool and split.
    """

    split: dict[str, str] = field(default_factory=dict)
    stratum: dict[str, Stratum] = field(default_factory=dict)
    surplus: defaultdict[Any, float] = field(default_factory=lambda: defaultdict(float))
    owed: defaultdict[Any, float] = field(default_factory=lambda: defaultdict(float))


def divide(draw: Draw, stratum: Stratum) -> None:
    """Give every group of a stratum its split.

    Each split ends less than one group (the largest) away from its wanted number of images. Which splits get
    the groups that rounding leaves over is decided by what the whole pool still owes them.
    """
    total = sum(group.weight for group in stratum.groups)
    wanted = {split: share * total for split, share in stratum.shares.items() if share > 0}
    for split, number in wanted.items():
        draw.owed[stratum.pool, split] += number
        draw.surplus[stratum.key, split] -= number
    for group in stratum.groups:
        fits = [split for split in wanted if wanted[split] >= group.weight - ROUNDING]
        if fits:
            chosen = max(fits, key=lambda split: wanted[split])
        else:
            lacking = [split for split in wanted if wanted[split] > ROUNDING]
            chosen = max(lacking, key=lambda split: draw.owed[stratum.pool, split])
        wanted[chosen] -= group.weight
        draw.owed[stratum.pool, chosen] -= group.weight
        draw.surplus[stratum.key, chosen] += group.weight
        draw.split[group.order] = chosen
        draw.stratum[group.order] = stratum


def fill_gaps(draw: Draw, groups: Sequence[Group]) -> None:
    """Move groups until train has normal images, and calibration and test have both labels, where possible.

    A move is made only if it closes more gaps than it opens; the group comes from where the surplus is
    largest.
    """
    categories = sorted({category for group in groups for category in group.categories})
    needed = [(category, TRAIN, "normal") for category in categories]
    needed += [(c, split, label) for c in categories for split in (CALIBRATION, TEST) for label in LABELS]
    required = frozenset(needed)
    holders = Counter((c, draw.split[g.order], label) for g in groups for c, label in g.places)
    movable = [group for group in groups if group.order in draw.stratum]
    for category, split, label in needed:
        if holders[category, split, label]:
            continue
        for group in sorted(movable, key=lambda g: (-_surplus(draw, g), g.order)):
            fits = (category, label) in group.places and split in draw.stratum[group.order].allowed
            if fits and _cost(group, draw.split[group.order], split, holders, required) < 0:
                _move(draw, group, split, holders)
                break


def normal_shares(groups: Iterable[Group], base: Shares) -> dict[Any, Shares]:
    """Shares of the strata that hold normal images: groups of normal images only go to train first.

    So anomalous images are kept for calibration and test as far as the normal ones allow.

    Args:
        groups: groups that hold normal images.
        base: wanted shares of the normal images of each set of categories.

    Returns:
        By stratum; `base` where a set of categories holds only one kind of group.
    """
    pure: Counter[Any] = Counter()
    mixed: Counter[Any] = Counter()
    strata = set()
    for group in groups:
        (mixed if group.n_anomalous else pure)[group.categories] += group.n_normal
        strata.add(group.stratum)
    shares: dict[Any, Shares] = {}
    for stratum in strata:
        n_pure, n_mixed = pure[stratum[0]], mixed[stratum[0]]
        wanted = base[TRAIN] * (n_pure + n_mixed)
        taken = min(wanted, n_pure)
        rest = base[CALIBRATION] + base[TEST]
        if not n_pure or not n_mixed or rest == 0:
            shares[stratum] = base
            continue
        train = (wanted - taken) / n_mixed if stratum[2] else taken / n_pure
        others = {split: (1 - train) * base[split] / rest for split in (CALIBRATION, TEST)}
        shares[stratum] = {TRAIN: train, **others}
    return shares


def _surplus(draw: Draw, group: Group) -> float:
    return draw.surplus[draw.stratum[group.order].key, draw.split[group.order]]


def _cost(group: Group, source: str, target: str, holders: Counter[Any], needed: Collection[Any]) -> int:
    """Gaps a move would open, less those it would close."""
    cost = 0
    for category, label in group.places:
        if (category, source, label) in needed and holders[category, source, label] == 1:
            cost += LOSS_OF_TRAINING if source == TRAIN else 1
        if (category, target, label) in needed and holders[category, target, label] == 0:
            cost -= 1
    return cost


def _move(draw: Draw, group: Group, target: str, holders: Counter[Any]) -> None:
    source, key = draw.split[group.order], draw.stratum[group.order].key
    for category, label in group.places:
        holders[category, source, label] -= 1
        holders[category, target, label] += 1
    draw.surplus[key, source] -= group.weight
    draw.surplus[key, target] += group.weight
    draw.split[group.order] = target
