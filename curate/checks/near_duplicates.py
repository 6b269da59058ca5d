"""Finds copies of a picture that are shifted, re-exposed, compressed or cut, under another part's name.

Several pictures of one part are expected and no finding; `pairs` has them too. What is the same pixel for
pixel is left to the check "exact_duplicates".
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from curate import near_copies
from curate.checks import Evidence
from curate.faults import Fault, in_order
from curate.tables import to_rows

CODE = "near_duplicates"
SEVERITY = "warning"
FEWEST = near_copies.FEWEST
NEEDS = ("statistics",)
COLUMNS = [*near_copies.COLUMNS, "category", "same_part", "same_pixels"]
KNOWN = ["sample_id", "category", "relative_path", "part_id", "label", "pixel_sha256"]


def pairs(evidence: Evidence) -> pd.DataFrame:
    """Every pair of near copies within a category.

    Returns:
        a, b (sample ids), similarity, dx, dy (see curate.near_copies.pairs), category, same_part (both have
        one part_id), same_pixels; by category, the most similar first.
    """
    if evidence.statistics is None:
        return pd.DataFrame(columns=COLUMNS)
    table = evidence.samples[KNOWN].merge(evidence.statistics, on="sample_id")
    known = table.set_index("sample_id")
    found = []
    for category, members in table.groupby("category", sort=True):
        rows = near_copies.pairs(members).assign(category=category)
        for name, column in (("same_part", "part_id"), ("same_pixels", "pixel_sha256")):
            values = known[column]
            rows[name] = values[rows["a"]].to_numpy() == values[rows["b"]].to_numpy()
        found.append(rows)
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=COLUMNS)


def run(evidence: Evidence) -> list[Fault]:
    """One fault per group of near copies that lie in different parts.

    A defect on one of two otherwise equal pictures is what a dataset of anomalies is made of, so labels that
    differ are said and are no error.
    """
    table = pairs(evidence)
    across = table[~table["same_part"].astype(bool) & ~table["same_pixels"].astype(bool)]
    known = evidence.samples.set_index("sample_id")[["relative_path", "part_id", "label"]]
    return in_order(_fault(group, known) for group in _groups(across))


def _groups(table: pd.DataFrame) -> Iterable[pd.DataFrame]:
    """Rows of pairs that are connected with each other."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names = sorted({*table["a"], *table["b"]})
    place = {name: number for number, name in enumerate(names)}
    if not names:
        return
    a, b = (table[column].map(place).to_numpy() for column in ("a", "b"))
    edges = coo_array((np.ones(len(table)), (a, b)), shape=(len(names), len(names)))
    _, component = connected_components(edges, directed=False)
    for _, group in table.groupby(component[a], sort=True):
        yield group


def _fault(group: pd.DataFrame, known: pd.DataFrame) -> Fault:
    members = known.loc[sorted({*group["a"], *group["b"]})].sort_values("relative_path")
    first = members["relative_path"].iloc[0]
    conflict = {"normal", "anomalous"} <= set(members["label"])
    rows = to_rows(group.sort_values(["similarity", "a", "b"], ascending=[False, True, True]))
    one, other = sorted(
        (known.loc[rows[0][name]] for name in ("a", "b")), key=lambda row: row["relative_path"]
    )
    message = (
        f"{_named(one)} and {_named(other)} are near copies: similarity {rows[0]['similarity']:.2f} after "
        f"removing what the category has in common, shifted by {abs(rows[0]['dx']):.0f} x "
        f"{abs(rows[0]['dy']):.0f} px"
    )
    if len(members) > 2:
        message += (
            f"; {len(members)} pictures of {members['part_id'].nunique()} parts hang together, {first} first"
        )
    if conflict:
        message += ". Some are labelled normal, others anomalous"
    remedy = (
        "Look at them: pictures of one part get one part_id, so that a split keeps them together; of copies, "
        "keep one. Repeating layouts may look alike and still be different places."
    )
    told = [one["relative_path"], other["relative_path"]]  # first, so that their pictures are shown
    others = [path for path in members["relative_path"] if path not in told]
    return Fault(CODE, "warning", told[0], f"{message}.", remedy, (told[1], *others))


def _named(row: "pd.Series[str]") -> str:
    """The path, with the part unless the path itself stands for it."""
    own = row["part_id"].endswith(row["relative_path"])
    return row["relative_path"] + ("" if own else f" (part {row['part_id']})")
