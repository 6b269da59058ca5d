"""Decides which samples are exported and which are left out and why; copies nothing."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from curate import ground_truth
from curate.errors import CurateError, DataFault, MissingMask, Unreadable, listed
from curate.files import fingerprint, sha256_file
from curate.ground_truth import has_mask
from curate.images import Array, encode_png, read_stored
from curate.masks import boxes_to_mask
from curate.schema import load
from curate.tables import to_rows
from curate.truth import place

FILE, BOXES, PERSON = "file", "boxes", "person"
ABSENT = "absent"


@dataclass(frozen=True)
class Chosen:
    """A sample that will be exported.

    Attributes:
        row: the sample's row, with `assigned_split`.
        mask: the file of the mask in force; None for a normal image, and where the boxes are the mask.
    """

    row: dict[str, Any]
    mask: Path | None = None

    @property
    def mask_source(self) -> str | None:
        """What the mask is made from: "file", "boxes" or "person"; None without a mask."""
        if self.row["label"] == "normal":
            return None
        if self.mask and self.row.get("verdict_mask"):
            return PERSON
        return FILE if self.mask else BOXES

    def mask_key(self) -> str:
        """Equal for equal masks."""
        if self.mask:
            return sha256_file(self.mask)  # one that tells defect types apart gives one mask, too
        return fingerprint([self.row["boxes"], self.row["height"], self.row["width"]])

    def mask_png(self) -> bytes:
        """The mask as a PNG of its image's size, 0/255."""
        if self.mask is None:
            return encode_png(_filled(self.row))
        if not _tells_types_apart(self.row):
            return self.mask.read_bytes()
        return encode_png((read_stored(self.mask) > 0).astype(np.uint8) * 255)


@dataclass(frozen=True)
class LeftOut:
    """A sample that will not be exported, and the reason as named in data_schemas/manifest.json."""

    row: dict[str, Any]
    reason: str


def choose(samples: pd.DataFrame, masks: Path) -> tuple[list[Chosen], list[LeftOut]]:
    """Divide samples into those to export and those to leave out, both sorted by source and relative path.

    Left out: label unknown; anomalous in train; anomalous with neither mask nor boxes, or with a mask that is
    empty, unreadable, or of another size than the image.

    Args:
        samples: sample table with the column `assigned_split`.
        masks: folder of canonical masks, `<sample_id>.png`, 0/255.

    Raises:
        ValueError: a column is missing.
        MissingMask: canonical masks that the source has a good mask for are not in the folder; all listed.
        DataFault: nothing is left to export, or samples occur twice or have no split.
        CurateError: a canonical mask has other values than 0 and 255.
    """
    needed = [*load("sample")["properties"], "assigned_split"]
    if missing := [column for column in needed if column not in samples.columns]:
        raise ValueError(f"The samples to export lack the columns {', '.join(missing)}.")
    rows = sorted(to_rows(samples), key=lambda row: (row["source"], row["relative_path"], row["sample_id"]))
    _check_rows(rows)
    chosen: list[Chosen] = []
    left_out: list[LeftOut] = []
    absent: list[str] = []
    for row in rows:
        mask = place(row, masks) if _mask_wanted(row) and has_mask(row) else None
        reason = _reason(row, mask)
        if reason == ABSENT:
            absent.append(row["relative_path"])
        elif reason:
            left_out.append(LeftOut(row, reason))
        else:
            chosen.append(Chosen(row, mask))
    if absent:
        raise MissingMask(
            f"MissingMask: {len(absent)} anomalous samples have no mask in {masks}, named after their "
            f"sample_id:\n{listed(absent)}\nIngest the source again."
        )
    if not chosen:
        lines = sorted(f"{one.row['relative_path']}: {one.reason}" for one in left_out)
        raise DataFault(
            f"DataFault: none of {len(rows)} samples can be exported:\n{listed(lines)}\n"
            "Label images as normal, or give anomalous ones a mask."
        )
    return chosen, left_out


def _check_rows(rows: Sequence[dict[str, Any]]) -> None:
    wrong = [row for row in rows if row["assigned_split"] not in ("train", "calibration", "test")]
    if wrong:
        lines = [f"{row['relative_path']}: {row['assigned_split']!r}" for row in wrong]
        raise DataFault(
            f"DataFault: {len(wrong)} samples have no assigned split (train, calibration or test):\n"
            f"{listed(lines)}\nRun the split again."
        )
    times = Counter(row["sample_id"] for row in rows)
    if twice := sorted({row["relative_path"] for row in rows if times[row["sample_id"]] > 1}):
        raise DataFault(f"DataFault: samples occur twice in the table:\n{listed(twice)}\nIngest again.")


def _mask_wanted(row: dict[str, Any]) -> bool:
    return bool(row["label"] == "anomalous" and row["assigned_split"] != "train")


def _reason(row: dict[str, Any], mask: Path | None) -> str | None:
    """Why a sample is left out; None when it is exported."""
    if row["label"] == "unknown":
        return "label_unknown"
    if row["label"] == "normal":
        return None
    if row["assigned_split"] == "train":
        return "anomalous_in_train"
    if mask:
        return _mask_reason(row, mask)
    if not row["boxes"]:
        return "no_mask"
    return None if _filled(row).any() else "empty_mask"


def _mask_reason(row: dict[str, Any], mask: Path) -> str | None:
    """Why a mask file cannot be used; ABSENT when ingesting should have made it from the source's mask."""
    image_hw = (row["height"], row["width"])
    if not mask.exists():
        try:
            ground_truth.read(row)
        except Unreadable:
            return "unreadable_mask"
        except ground_truth.WrongSize:
            return "mask_size"
        return ABSENT
    values = read_stored(mask)
    plain = _tells_types_apart(row) or bool(np.isin(values, (0, 255)).all())
    if values.ndim != 2 or values.dtype != np.uint8 or not plain:
        raise CurateError(
            f"CurateError: {mask}, the mask of {row['relative_path']}, is not 8-bit grey with the values 0 "
            "and 255. Ingest the source again."
        )
    if values.shape != image_hw:
        return "mask_size"
    return None if values.any() else "empty_mask"


def _tells_types_apart(row: dict[str, Any]) -> bool:
    """Whether the mask in force was drawn by a person who gave each defect type a value of its own."""
    return bool(row.get("verdict_mask")) and row["mask_kind"] == "classes"


def _filled(row: dict[str, Any]) -> Array:
    """(H, W) bool mask of a sample's boxes."""
    boxes = [box["box_xyxy"] for box in row["boxes"]]
    return boxes_to_mask(boxes, (row["height"], row["width"]))
