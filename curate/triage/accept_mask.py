"""The images show a defect, and the proposed mask, edited or not, is its ground truth."""

import pandas as pd

from curate.decisions import decide
from curate.defect_names import usable
from curate.schema import load
from curate.tables import from_rows, to_rows

COLUMNS = list(load("verdict")["properties"])


def run(samples: pd.DataFrame, *, by: str, at: str, defect_type: str | None = None) -> pd.DataFrame:
    """Verdict "anomalous" with a mask for every sample that has a proposal; the others give no row.

    Without a defect type, the one that the proposed regions all have is named, if they have one.

    Args:
        samples: columns sample_id, sha256, label, defect_types, verdict, mask; drawn_mask: the digest of the
            mask that is proposed, None where there is none; and, if known, drawn_type: the defect type that
            its regions have, drawn_classes: see mask_classes in data_schemas/verdict.json.
        by: who decides.
        at: when, ISO 8601 in UTC.
        defect_type: replaces the defect types; left out, those of the source stay.

    Raises:
        ValueError: the defect type is blank, or could not serve as a folder's name in an export.
    """
    masks = {row["sample_id"]: row["drawn_mask"] for row in to_rows(samples[["sample_id", "drawn_mask"]])}
    proposed = samples[samples["drawn_mask"].notna()]
    named = None if defect_type is None else usable(defect_type)
    decided = to_rows(decide(proposed, "anomalous", by=by, at=at, defect_type=named, masks=masks))
    for row, sample in zip(decided, to_rows(proposed), strict=True):
        row["defect_type"] = named or sample.get("drawn_type")
        row["mask_classes"] = sample.get("drawn_classes")
    return from_rows(decided, COLUMNS)
