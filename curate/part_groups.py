"""Groups of samples that a split must keep whole: images of one part, of one lot, or of equal pixels."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from curate.tables import to_rows

DELIVERED = {"train": "train", "val": "calibration", "calibration": "calibration", "test": "test"}


@dataclass(frozen=True)
class Group:
    """Samples that stay together.

    Attributes:
        order: hash of the seed and the group's first sample; groups are drawn in this order.
        rows: the samples, sorted by sample_id.
    """

    order: str
    rows: tuple[dict[str, Any], ...]

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """Categories of the samples, sorted."""
        return tuple(sorted({row["category"] for row in self.rows}))

    @cached_property
    def delivered(self) -> frozenset[str]:
        """Splits its samples were delivered in, "val" as calibration; empty when none."""
        return frozenset(DELIVERED[row["split"]] for row in self.rows if row["split"] is not None)

    @cached_property
    def n_normal(self) -> int:
        """Number of normal samples."""
        return sum(row["label"] == "normal" for row in self.rows)

    @cached_property
    def n_anomalous(self) -> int:
        """Number of anomalous samples."""
        return sum(row["label"] == "anomalous" for row in self.rows)

    @property
    def weight(self) -> int:
        """What fractions are counted in: normal images, or anomalous ones where there is no normal one."""
        return self.n_normal or self.n_anomalous

    @cached_property
    def stratum(self) -> tuple[Any, ...]:
        """Equal for groups alike: the same categories, labels and defect types."""
        types = {t for row in self.rows if row["label"] == "anomalous" for t in row["defect_types"]}
        return self.categories, self.n_normal > 0, self.n_anomalous > 0, tuple(sorted(types))

    @cached_property
    def places(self) -> frozenset[tuple[str, str]]:
        """Pairs of category and label that the group holds."""
        return frozenset((row["category"], row["label"]) for row in self.rows)

    def __str__(self) -> str:
        """The part, and a file of each split it was delivered in."""
        first: dict[str, str] = {}
        for row in self.rows:
            if row["split"] is not None:
                first.setdefault(DELIVERED[row["split"]], row["relative_path"])
        files = ", ".join(f"{split}: {path}" for split, path in sorted(first.items()))
        return f'part "{self.rows[0]["part_id"]}" ({len(self.rows)} images; {files})'


def alike(table: pd.DataFrame, kept: Collection[str] = ()) -> dict[str, str]:
    """What images of equal pixels have in common, by sample_id.

    A picture that a source delivered in several splits that are kept is a fault of the source, which no split
    can mend: there only the images of one delivered split have it in common.

    Args:
        table: sample table.
        kept: categories whose delivered split is kept.
    """
    rows = to_rows(table[["sample_id", "pixel_sha256", "category", "split"]])
    delivered: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row["split"] is not None:
            delivered[row["pixel_sha256"]].add(DELIVERED[row["split"]])
    held = {row["pixel_sha256"] for row in rows if row["category"] in kept}
    leaking = {pixels for pixels, splits in delivered.items() if pixels in held and len(splits) > 1}
    return {
        row["sample_id"]: f"{row['pixel_sha256']} {DELIVERED.get(row['split'])}"
        if row["pixel_sha256"] in leaking
        else row["pixel_sha256"]
        for row in rows
    }


def grouped(
    table: pd.DataFrame, columns: Sequence[str], seed: int, same: Mapping[str, str] | None = None
) -> list[Group]:
    """Samples joined by equal values of part_id or of any of `columns`, in the order of their hash.

    Args:
        table: sample table (data_schemas/sample.json), its rows in any order.
        columns: further columns that keep samples together; missing values join nothing.
        seed: equal seeds give an equal order.
        same: by sample_id; equal values join too.

    Raises:
        ValueError: a column does not exist.
    """
    if missing := [column for column in columns if column not in table.columns]:
        raise ValueError(f"No column {', '.join(missing)} to group by. Known: {', '.join(table.columns)}.")
    rows = sorted(to_rows(table), key=lambda row: str(row["sample_id"]))
    used = tuple(dict.fromkeys(("part_id", *columns)))
    keys = [[(column, str(row[column])) for column in used if row[column] is not None] for row in rows]
    for row, own in zip(rows, keys, strict=True):
        if same is not None:
            own.append(("", same[row["sample_id"]]))
    leader = joined(keys)
    members: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row, own in zip(rows, keys, strict=True):
        members[leader[own[0]]].append(row)
    groups = [Group(_hash(f"{seed}\n{own[0]['sample_id']}"), tuple(own)) for own in members.values()]
    return sorted(groups, key=lambda group: group.order)


def clustered(groups: Sequence[Group]) -> list[list[Group]]:
    """Groups whose categories are linked by a shared group; clusters have nothing in common."""
    leader = joined([group.categories for group in groups])
    clusters: dict[str, list[Group]] = defaultdict(list)
    for group in groups:
        clusters[leader[group.categories[0]]].append(group)
    return list(clusters.values())


def joined(sets: Iterable[Sequence[Any]]) -> dict[Any, Any]:
    """For every key, one representative of all keys that ever stood together.

    >>> joined([("a", "b"), ("c",), ("b", "d")])
    {'a': 'a', 'b': 'a', 'c': 'c', 'd': 'a'}
    """
    parent: dict[Any, Any] = {}

    def find(key: Any) -> Any:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for together in sets:
        for other in together:
            first, second = sorted((find(together[0]), find(other)))
            parent[second] = first
    return {key: find(key) for key in list(parent)}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
