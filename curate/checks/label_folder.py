"""Finds images whose label contradicts the name of a folder they lie in.

Labels often come from a table, folders from whoever sorted the images; where they disagree, one is wrong.
The innermost folder that says anything counts.
"""

import re
from collections import defaultdict
from collections.abc import Collection
from pathlib import PurePosixPath

from curate.checks import Evidence
from curate.faults import Fault, in_order
from curate.tables import to_rows

CODE = "label_folder"
SEVERITY = "warning"
NORMAL = frozenset({"normal", "good", "ok", "nominal", "pass", "passed"})
ANOMALOUS = frozenset(
    {"anomalous", "anomaly", "abnormal", "bad", "ng", "ko", "nok", "defect", "defects", "defective", "fail"}
)
NEGATION = frozenset({"no", "not", "non", "without", "free", "un"})


def run(evidence: Evidence) -> list[Fault]:
    """One warning per image with a contradicting label, one note per image that a person judged otherwise."""
    rows = to_rows(evidence.samples)
    types: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        types[row["category"]] |= {name.lower() for name in row["defect_types"]}
    faults = []
    for row in rows:
        path, label = row["relative_path"], row["label"]
        folder, told = _told(path, types[row["category"]] - {row["category"].lower()})
        judged = evidence.verdicts.get(row["sample_id"], label)
        if told is None or judged in (told, "unknown"):
            continue
        if judged != label:
            message = f"{path} lies in the folder {folder}, but a person judged it {judged}."
            remedy = "Nothing here: the verdict counts. Tell whoever keeps the source."
            faults.append(Fault(CODE, "note", path, message, remedy))
        else:
            message = f"{path} is labelled {label}, but lies in the folder {folder}, which says {told}."
            faults.append(Fault(CODE, "warning", path, message, "Correct the label, or move the image."))
    return in_order(faults)


def _told(path: str, defect_types: Collection[str]) -> tuple[str, str | None]:
    """The innermost folder whose name says normal or anomalous, and what it says."""
    for folder in reversed(PurePosixPath(path).parent.parts):
        if told := _meaning(folder, defect_types):
            return folder, told
    return "", None


def _meaning(folder: str, defect_types: Collection[str]) -> str | None:
    """The label that a folder's name says, if it says one.

    >>> _meaning("NG-2024", ()), _meaning("ok", ()), _meaning("Scratch", ("scratch",))
    ('anomalous', 'normal', 'anomalous')
    >>> _meaning("not_ok", ()), _meaning("defect free", ()), _meaning("camera 2", ())
    (None, None, None)
    """
    words = set(re.split(r"[^a-z0-9]+", folder.lower()))
    if words & NEGATION:
        return None
    if folder.lower() in defect_types:
        return "anomalous"
    told = {label for label, names in (("normal", NORMAL), ("anomalous", ANOMALOUS)) if words & names}
    return told.pop() if len(told) == 1 else None
