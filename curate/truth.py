"""Which ground truth is in force for a sample: a person's, where a verdict says so, else the source's.

Every part of the program that wants a ground-truth mask asks here. A table with the verdicts applied (see
curate.verdicts.apply) tells the mask in force in the same columns as that of a source, so what reads those
(curate.ground_truth) needs to know of no verdict.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate import drawn_masks
from curate.files import fingerprint, sha256_file

if TYPE_CHECKING:
    from curate.opinions import Standing

Row = Mapping[str, Any]
TRUTH = (
    "gt_mask_path", "mask_channels", "shapes", "mask_kind", "mask_quality", "mask_classes", "mask_rule",
)  # fmt: skip


def place(row: Row, masks: Path) -> Path:
    """Where the mask of a sample lies, if it has one.

    Args:
        row: of a sample table with the verdicts applied; without them, the source's mask counts.
        masks: folder of the masks that ingest made, <sample_id>.png.
    """
    if row.get("verdict_mask"):
        return Path(row["gt_mask_path"])
    return masks / f"{row['sample_id']}.png"


def in_force(row: Row, masks: Path) -> Path | None:
    """The mask file that counts for a sample, pixels above 0 are defect; None: it is normal, or has none."""
    path = place(row, masks)
    return path if row["label"] != "normal" and path.exists() else None


def key(row: Row, masks: Path) -> str | None:
    """What tells the ground truth in force of a sample from any other; None: nothing says where a defect is.

    Args:
        row, masks: see place; label and boxes are looked at, too.
    """
    if row["label"] == "normal":
        return None
    if row.get("verdict_mask"):
        return str(row["verdict_mask"])
    if (path := in_force(row, masks)) is not None:
        return sha256_file(path)
    return fingerprint(row["boxes"]) if row["boxes"] else None


def replaced(row: Row, label: str, held: "Standing", drawn: Path) -> dict[str, Any]:
    """The columns about ground truth that are others than the source's, because of verdicts.

    Args:
        row: sample_id and label as the source delivered them.
        label: as the verdicts have it.
        drawn: folder of the masks that people accepted or drew.
    """
    if label == "normal":
        return dict.fromkeys((*TRUTH, "boxes"))
    if held.mask:
        classes = classes_of(held)
        # The person saw the source's boxes and outlines: what they left out is no defect.
        return dict.fromkeys((*TRUTH, "boxes")) | {
            "gt_mask_path": str(drawn_masks.path_of(drawn, row["sample_id"], held.mask)),
            "mask_kind": "classes" if classes else "binary",
            "mask_quality": "exact",
            "mask_classes": list(classes) or None,
            "mask_rule": "> 0",
        }
    if label == "anomalous" != row["label"]:
        # Ingesting made no mask of it, and what goes with a label that was wrong proves nothing.
        return dict.fromkeys(TRUTH)
    return {}


def shown(
    row: Row, label: str, held: "Standing | None", made: Path | None, drawn: Path | None
) -> Path | None:
    """The mask in force as in_force, of a sample and its verdicts where there is no table.

    Args:
        row, label: see replaced.
        made: the mask that ingest made for this sample; None: there is none.
        drawn: see replaced; None: there are none.
    """
    if label == "normal":
        return None
    if held is not None and held.mask:
        path = drawn and drawn_masks.path_of(drawn, row["sample_id"], held.mask)
        return path if path and path.exists() else None
    if held is not None and label == "anomalous" != row["label"]:
        return None
    return made


def classes_of(held: "Standing | None") -> Sequence[Row]:
    """The values of the mask in force and their defect types, as in the sample table; empty: it has none."""
    if held is None or held.mask is None:
        return ()
    told = [row.get("mask_classes") for row in held.decisions.values() if row.get("mask") == held.mask]
    return next((classes for classes in told if classes), ())


def types_drawn(classes: Sequence[Row], of_source: Sequence[str]) -> list[str]:
    """The defect types of an image whose mask tells them; those of the source count where a value has none.

    >>> types_drawn([{"value": 2, "defect_type": "dent"}, {"value": 255, "defect_type": None}], ["hole"])
    ['dent', 'hole']
    """
    named = {row["defect_type"] for row in classes if row["defect_type"]}
    open_ = any(row["defect_type"] is None for row in classes)
    return sorted(named | set(of_source)) if open_ else sorted(named)
