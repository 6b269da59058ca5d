"""Finds pictures of something else among the pictures of a category: another product, section or view."""

import numpy as np

from curate.apart import FEWEST, Apart, apart
from curate.checks import Evidence
from curate.embeddings import matrix
from curate.faults import Fault, in_order

__all__ = ["FEWEST", "run"]

CODE = "outliers"
SEVERITY = "warning"
NEEDS = ("embeddings",)
REMEDY = (
    "Look whether they show this product, taken and stored as the others are. If not, give them the category "
    "they belong to, or leave them out; if so, get more pictures like them."
)
COLUMNS = ["sample_id", "relative_path", "category"]


def run(evidence: Evidence) -> list[Fault]:
    """One fault per group of pictures that lies apart in what the network sees, be it one picture or many.

    Pictures labelled anomalous are not judged: a defect may well look like nothing else. Categories of fewer
    than 10 pictures are not judged, and no group of more than 35 % of a category.
    """
    if evidence.embeddings is None:
        return []
    judged = evidence.samples[evidence.samples["label"] != "anomalous"][COLUMNS]
    table = judged.merge(evidence.embeddings, on="sample_id").sort_values("relative_path")
    faults = []
    for category, members in table.groupby("category", sort=True):
        vectors = np.asarray(matrix(members["vector"]))
        paths = members["relative_path"].tolist()
        faults += [_fault(group, paths, str(category)) for group in apart(vectors)]
    return in_order(faults)


def _fault(group: Apart, paths: list[str], category: str) -> Fault:
    first, *others = (paths[row] for row in group.rows)
    what = f"{first} looks" if not others else f"{first} and {len(others)} more pictures look"
    message = (
        f'{what} unlike the other {len(paths) - len(group.rows)} pictures of category "{category}": the '
        f"nearest of them is {group.gap:.1f} times as far as near pictures usually are."
    )
    return Fault(CODE, "warning", first, message, REMEDY, tuple(others))
