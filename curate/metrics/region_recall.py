"""Region recall: the share of the defect regions that were found, for one threshold."""

from collections.abc import Sequence

import numpy as np

from curate.images import Array
from curate.masks import label_regions
from curate.region_table import found

LEVEL = "region"
ANY_PIXEL = 0.0
MIN_OVERLAP = 0.3


def compute(predicted: Sequence[Array], truth: Sequence[Array], min_overlap: float = ANY_PIXEL) -> float:
    """Share of the 8-connected regions of all masks that predicted masks find.

    Args:
        predicted: predicted masks, each (H, W) bool: `anomaly_map >= threshold` at the image's own size.
        truth: ground-truth masks, each bool of the same shape.
        min_overlap: share of a region's pixels that has to be predicted, in [0, 1]; 0: any pixel is enough.

    Returns:
        A number in [0, 1].

    Raises:
        ValueError: the numbers, shapes or types differ, there is no region, or min_overlap is not in [0, 1].

    >>> mask = np.array([[True, True, True, True, False, True]])
    >>> predicted = np.array([[True, False, False, False, False, True]])
    >>> compute([predicted], [mask]), compute([predicted], [mask], min_overlap=0.3)
    (1.0, 0.5)
    """
    if len(predicted) != len(truth):
        raise ValueError(f"Expected a predicted mask per mask; found {len(predicted)} and {len(truth)}.")
    shares: list[Array] = []
    for pred_mask, gt_mask in zip(predicted, truth, strict=True):
        decided, marked = np.asarray(pred_mask), np.asarray(gt_mask)
        if decided.dtype != np.bool_ or marked.dtype != np.bool_ or decided.ndim != 2:
            raise ValueError(
                f"Expected (H, W) bool masks; found {decided.shape} {decided.dtype} and {marked.dtype}. "
                "Compare the maps with a threshold first."
            )
        shares.append(found(decided, *label_regions(marked), threshold=1)[1])
    hits = is_found(np.concatenate(shares), min_overlap) if shares else np.zeros(0, bool)
    if not len(hits):
        raise ValueError(f"Region recall needs regions; found no region in {len(truth)} masks.")
    return float(hits.mean())


def is_found(overlap: Array, min_overlap: float = ANY_PIXEL) -> Array:
    """(R,) bool: which regions count as found.

    Args:
        overlap: (R,) share of each region's pixels at or above the threshold.
        min_overlap: 0: any pixel; else the smallest share that counts.

    Raises:
        ValueError: min_overlap is outside of [0, 1].
    """
    if not 0 <= min_overlap <= 1:
        raise ValueError(f"Expected min_overlap in [0, 1]; found {min_overlap}.")
    return np.asarray((overlap > 0) & (overlap >= min_overlap))
