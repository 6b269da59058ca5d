"""Labels of datasets that say nothing but masks: an image is anomalous when its mask has a defect pixel."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from typing import Any

from curate.errors import Unreadable
from curate.faults import Fault, shown
from curate.images import BadImage, read_hw
from curate.masks import read_mask, size_fault
from curate.readings import without_shared_masks

# Decoding lets other threads run; each holds one mask at a time.
N_THREADS = min(16, (cpu_count() or 1) + 2)
MASK_COLUMNS = ("gt_mask_path", "mask_rule", "mask_kind", "mask_quality")


def masks_by_name(
    masks: Iterable[str], image_name: Callable[[str], str], faults: list[Fault]
) -> dict[str, str]:
    """Mask files by the name of their image; names with several masks are reported and left out.

    Args:
        masks: relative paths.
        image_name: what a mask's path says about its image.
    """
    found: dict[str, list[str]] = {}
    for mask in masks:
        found.setdefault(image_name(mask), []).append(mask)
    for name, several in found.items():
        for mask in several[1:]:
            message = f"{mask} and {several[0]} are both the mask of {name}; neither is used."
            remedy = "Keep the one that belongs to the image."
            related = (several[0],)
            faults.append(Fault("ambiguous_mask", "error", mask, message, remedy, related))
    return {name: several[0] for name, several in found.items() if len(several) == 1}


def labelled(rows: list[dict[str, Any]], faults: list[Fault]) -> list[dict[str, Any]]:
    """Rows with the label that their mask gives; decodes every mask.

    The label is unknown without a mask, and with one that cannot be read, has another size than the image or
    is claimed by several images; those three are reported here, and such a mask is taken from the row.

    Args:
        rows: with gt_mask_path and mask_rule, where the image has a mask.
    """
    rows = without_shared_masks(rows, faults)
    pool = ThreadPoolExecutor(N_THREADS)
    try:
        outcomes = list(pool.map(_judge, rows))
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C, do not work off the queue
    judged = []
    for row, outcome in zip(rows, outcomes, strict=True):
        if isinstance(outcome, Fault):
            faults.append(outcome)
        label = "unknown" if isinstance(outcome, Fault) else outcome
        without = dict.fromkeys(MASK_COLUMNS) if label == "unknown" else {}
        judged.append(row | {"label": label} | without)
    return judged


def no_mask(relative_path: str, looked_for: str) -> Fault:
    """An image without the mask that would tell its label."""
    message = f"{relative_path} has no mask, and nothing else tells its label. Looked for {looked_for}."
    return Fault("missing_mask", "error", relative_path, message, 'Add the mask; till then it is "unknown".')


def _judge(row: dict[str, Any]) -> str | Fault:
    if row.get("gt_mask_path") is None:
        return "unknown"
    path, mask = row["relative_path"], Path(row["gt_mask_path"])
    try:
        gt_mask = read_mask(mask, row["mask_rule"])
    except BadImage as error:
        message = f"The mask {shown(mask.name)} of {path} {error.reason}; the label is unknown."
        return Fault("unreadable_mask", "error", path, message, error.remedy)
    try:
        image_hw = read_hw(Path(row["filepath"]))
    except Unreadable:
        image_hw = gt_mask.shape  # the image itself is reported when it is decoded
    if gt_mask.shape != image_hw:
        return size_fault(path, image_hw, mask, gt_mask.shape)
    return "anomalous" if gt_mask.any() else "normal"
