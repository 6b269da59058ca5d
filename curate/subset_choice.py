"""Chooses the images of a subset of small defects, and normal images that match them."""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curate.errors import CurateError, DataFault, listed

Row = Mapping[str, Any]
MEASURES = ("diameter_um", "diameter_px", "area_px", "area_fraction")
MATCHED = ("lot", "camera", "lighting", "site")
EVALUATED = ("calibration", "test")


@dataclass(frozen=True)
class Limit:
    """Up to which size a region counts as small.

    Attributes:
        measure: column of data_schemas/region.json.
        at_most: the largest size that still does.
    """

    measure: str
    at_most: float


def limit_of(**given: float | None) -> Limit:
    """The one limit that was given.

    Args:
        given: by measure.

    Raises:
        ValueError: none or several were given, or the limit is not above 0 (a fraction: not in (0, 1]).

    >>> limit_of(diameter_px=12.0, area_px=None)
    Limit(measure='diameter_px', at_most=12.0)
    """
    stated = {name: value for name, value in given.items() if value is not None}
    options = {name: f"--max-{name.replace('_', '-')}" for name in given}
    if len(stated) != 1:
        found = " and ".join(f"{options[name]} {value:g}" for name, value in stated.items()) or "none"
        raise ValueError(f"Expected one limit of size, of {', '.join(options.values())}; found {found}.")
    ((measure, at_most),) = stated.items()
    if not (math.isfinite(at_most) and at_most > 0) or (measure == "area_fraction" and at_most > 1):
        bounds = "in (0, 1]" if measure == "area_fraction" else "above 0"
        raise ValueError(f"Expected {options[measure]} {bounds}; found {at_most:g}.")
    return Limit(measure, float(at_most))


@dataclass(frozen=True)
class Small:
    """Images with small regions.

    Attributes:
        members: sample_id -> (small regions, all regions) of each image that belongs.
        n_small: small regions of the dataset.
        n_beside_larger, n_images_beside_larger: small regions that lie in images with larger ones, too.
        n_in_train: images that would belong, but are in train, where no defect is evaluated.
        n_crossing: images that would belong, but show a part that is in another part of the split, too.
    """

    members: dict[str, tuple[int, int]]
    n_small: int
    n_beside_larger: int
    n_images_beside_larger: int
    n_in_train: int
    n_crossing: int


def choose_small(
    rows: Sequence[Row], regions: Sequence[Row], limit: Limit, any_region: bool = False
) -> Small:
    """Images whose regions are small.

    An image belongs when all its regions are: one that has a larger defect, too, is found by that one, and
    its score then tells nothing about small defects.

    Args:
        rows: sample table with assigned_split.
        regions: after data_schemas/region.json.
        any_region: one small region is enough; for figures of regions, not of images.

    Raises:
        DataFault: the limit is in um, and images with regions have no um_per_px; all are listed.
        CurateError: no region is small; says how large the smallest is.
    """
    by_id = {row["sample_id"]: row for row in rows}
    own = [region for region in regions if region["sample_id"] in by_id]
    if lacking := sorted({by_id[r["sample_id"]]["relative_path"] for r in own if r[limit.measure] is None}):
        raise DataFault(
            f"DataFault: the limit is in um, but {len(lacking)} images with defects have no um_per_px:\n"
            f"{listed(lacking)}\nState um_per_px when ingesting, or give the limit in px."
        )
    n_all = Counter(region["sample_id"] for region in own)
    n_small = Counter(region["sample_id"] for region in own if region[limit.measure] <= limit.at_most)
    if not n_small:
        smallest = min((region[limit.measure] for region in own), default=None)
        told = "there is no region at all" if smallest is None else f"the smallest has {smallest:.4g}"
        raise CurateError(
            f"CurateError: no region has {limit.measure} of at most {limit.at_most:g}; {told}. See the sizes "
            "with curate sizes, and choose another limit."
        )
    beside = {name for name, n in n_small.items() if n < n_all[name]}
    wanted = sorted(name for name in n_small if any_region or name not in beside)
    crossing = parts_that_cross(rows)
    in_train = [name for name in wanted if by_id[name]["assigned_split"] not in EVALUATED]
    evaluated = [name for name in wanted if by_id[name]["assigned_split"] in EVALUATED]
    kept = [name for name in evaluated if by_id[name]["part_id"] not in crossing]
    return Small(
        {name: (n_small[name], n_all[name]) for name in kept},
        sum(n_small.values()), sum(n_small[name] for name in beside), len(beside),
        len(in_train), len(evaluated) - len(kept),
    )  # fmt: skip


def parts_that_cross(rows: Sequence[Row]) -> set[str]:
    """Parts with images in several parts of the split: none of them gives an honest figure."""
    places: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        places[row["part_id"]].add(row["assigned_split"])
    return {part for part, splits in places.items() if len(splits) > 1}


@dataclass(frozen=True)
class Matched:
    """Normal images chosen for a subset.

    Attributes:
        sample_ids: sorted.
        wanted: number that the ratio asks for, by category and part of the split.
        short: how many there are too few, by the same; only where there are.
        n_unlike: chosen ones of another lot, camera, lighting or site than asked for, since those ran out.
    """

    sample_ids: list[str]
    wanted: dict[tuple[str, str], int]
    short: dict[tuple[str, str], int]
    n_unlike: int


def match_normals(
    rows: Sequence[Row], members: Sequence[str], per_anomalous: float | None = None, seed: int = 0
) -> Matched:
    """Normal images to evaluate a subset with: of the same category and part of the split, and alike.

    Within each category and part, normals are drawn from lots, cameras, lightings and sites in the shares
    that the subset's anomalous images have; where one runs out, the others fill in. The draw goes by a hash
    of seed and sample, so other images do not change it.

    Args:
        rows: sample table with assigned_split.
        members: sample ids of the anomalous images.
        per_anomalous: normal images for each anomalous one; None keeps the ratio of the category and part.

    Raises:
        ValueError: per_anomalous is not above 0.
    """
    if per_anomalous is not None and not (math.isfinite(per_anomalous) and per_anomalous > 0):
        raise ValueError(
            f"Expected more than 0 normal images for each anomalous one; found {per_anomalous:g}."
        )
    chosen_ids, crossing = set(members), parts_that_cross(rows)
    pools: dict[Any, list[Row]] = defaultdict(list)
    defects: dict[Any, list[Row]] = defaultdict(list)
    n_anomalous: Counter[Any] = Counter()
    for row in rows:
        place = row["category"], row["assigned_split"]
        n_anomalous[place] += row["label"] == "anomalous"
        if row["sample_id"] in chosen_ids:
            defects[place].append(row)
        elif row["label"] == "normal" and row["part_id"] not in crossing:
            pools[place].append(row)
    found: list[str] = []
    wanted, short, n_unlike = {}, {}, 0
    for place in sorted(defects):
        pool, own = pools[place], defects[place]
        ratio = len(pool) / n_anomalous[place] if per_anomalous is None else per_anomalous
        wanted[place] = math.ceil(ratio * len(own) - 1e-9)
        drawn, unlike = _draw(pool, own, wanted[place], seed)
        found += drawn
        n_unlike += unlike
        if len(drawn) < wanted[place]:
            short[place] = wanted[place] - len(drawn)
    return Matched(sorted(found), wanted, short, n_unlike)


def _draw(pool: Sequence[Row], defects: Sequence[Row], n_wanted: int, seed: int) -> tuple[list[str], int]:
    """Sample ids of normals in the shares of the defects' strata, and how many of them had to fill in."""
    strata: dict[str, list[str]] = defaultdict(list)
    for row in sorted(pool, key=lambda row: _rank(seed, row["sample_id"])):
        strata[_stratum(row)].append(row["sample_id"])
    counts = Counter(map(_stratum, defects))
    exact = {stratum: n_wanted * n / len(defects) for stratum, n in counts.items()}
    quota = {stratum: math.floor(share) for stratum, share in exact.items()}
    order = sorted(exact, key=lambda stratum: (quota[stratum] - exact[stratum], stratum))
    for stratum in order[: n_wanted - sum(quota.values())]:  # the largest remainders first
        quota[stratum] += 1
    drawn = [name for stratum, n in quota.items() for name in strata[stratum][:n]]
    rest = [name for stratum, names in strata.items() for name in names[quota.get(stratum, 0) :]]
    filling = sorted(rest, key=lambda name: _rank(seed, name))[: n_wanted - len(drawn)]
    return drawn + filling, len(filling)


def _stratum(row: Row) -> str:
    return repr([row[name] for name in MATCHED])


def _rank(seed: int, sample_id: str) -> str:
    return hashlib.sha256(f"{seed} {sample_id}".encode()).hexdigest()
