"""SegF1: F1 of predicted masks, over the pixels of all images."""

from collections.abc import Iterable

import numpy as np

from curate.images import Array

LEVEL = "decision"


def compute(predicted: Iterable[Array], truth: Iterable[Array]) -> float:
    """F1 = 2 TP / (2 TP + FP + FN) of pixels, pooled over all images. Reads one image at a time.

    Args:
        predicted: masks, each bool (H, W), True where `anomaly_map >= threshold`; sizes may differ.
        truth: ground-truth masks, each bool of the predicted mask's shape.

    Raises:
        ValueError: the numbers, shapes or types differ, or no pixel of the truth is defect.

    >>> compute([np.array([[True, True, False]])], [np.array([[True, False, True]])])
    0.5
    """
    n_both = n_either = n_truth = n_pixels = 0
    for number, (alarms, gt_mask) in enumerate(zip(predicted, truth, strict=True)):
        found, wanted = np.asarray(alarms), np.asarray(gt_mask)
        if found.shape != wanted.shape or found.dtype != np.bool_ or wanted.dtype != np.bool_:
            raise ValueError(
                f"Expected bool masks of one shape; found {found.shape} {found.dtype} and {wanted.shape} "
                f"{wanted.dtype} at position {number}. Compare the map with a threshold first."
            )
        n_both += int(np.count_nonzero(found & wanted))
        n_truth += int(np.count_nonzero(wanted))
        n_either += int(np.count_nonzero(found)) + int(np.count_nonzero(wanted))
        n_pixels += found.size
    if not n_truth:
        raise ValueError(f"SegF1 needs defect pixels; found none among {n_pixels}. Add anomalous images.")
    return 2 * n_both / n_either
