"""Pixel AUROC: the chance that a defect pixel scores higher than a background pixel."""

from collections.abc import Sequence

from curate.images import Array
from curate.pixel_exact import exact
from curate.pixel_histograms import TOLERANCE, Bounded, auroc, count
from curate.pixel_items import paired

LEVEL = "pixel"


def compute(predicted: Sequence[Array], truth: Sequence[Array]) -> float:
    """Exact pixel AUROC over the pixels of all images; equal scores count half.

    Every pixel is kept and sorted; for large sets use `streaming`.

    Args:
        predicted: anomaly maps, each (H, W) at the image's own size, higher is more suspicious.
        truth: ground-truth masks, each bool of its map's shape, all False for a normal image.

    Raises:
        ValueError: the numbers or shapes differ, a value is NaN, or all pixels have one label.

    Source: Mann and Whitney 1947, doi:10.1214/aoms/1177730491

    >>> import numpy as np
    >>> maps, masks = [np.array([[0.9, 0.8, 0.1, 0.7]])], [np.array([[True, False, False, True]])]
    >>> compute(maps, masks)
    0.75
    """
    return exact(paired(predicted, truth), auroc())


def streaming(predicted: Sequence[Array], truth: Sequence[Array], tolerance: float = TOLERANCE) -> Bounded:
    """The same with its error bound, in memory that does not depend on the number of images.

    Args:
        predicted, truth: as for compute, float32; may be lazy sequences, which are read one at a time, two to
            four times.
        tolerance: cells are made as fine as this needs, as far as they fit.

    Raises:
        ValueError: the numbers or shapes differ, or a value is not finite.
    """
    metric = auroc()
    return count(lambda: paired(predicted, truth), [metric], tolerance).all_of(metric)
