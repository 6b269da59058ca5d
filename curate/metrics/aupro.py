"""AUPRO: area under the per-region overlap against the false-positive rate, up to a limit, over the limit."""

from collections.abc import Sequence

from curate.images import Array
from curate.pixel_exact import exact
from curate.pixel_histograms import TOLERANCE, Bounded, aupro, count
from curate.pixel_items import paired

LEVEL = "pixel"
FPR_LIMIT = 0.3


def compute(predicted: Sequence[Array], truth: Sequence[Array], fpr_limit: float = FPR_LIMIT) -> float:
    """Exact AUPRO as MVTec defines it; regions are 8-connected, sizes of images may differ.

    Every pixel is kept and sorted; for large sets use `streaming`.

    Args:
        predicted: anomaly maps, each (H, W) at the image's own size, higher is more suspicious.
        truth: ground-truth masks, each bool of its map's shape, all False for a normal image.
        fpr_limit: false-positive rate, over the background pixels of all images, in (0, 1];
            0.05 for MVTec AD 2.

    Raises:
        ValueError: the numbers or shapes differ, a value is NaN, or there is no region or no background.

    Source: Bergmann et al., IJCV 2021, doi:10.1007/s11263-020-01400-4

    >>> import numpy as np
    >>> maps, masks = [np.array([[0.9, 0.8, 0.1, 0.7]])], [np.array([[True, False, False, True]])]
    >>> round(compute(maps, masks), 6)
    0.5
    """
    return exact(paired(predicted, truth), aupro(fpr_limit))


def streaming(
    predicted: Sequence[Array],
    truth: Sequence[Array],
    fpr_limit: float = FPR_LIMIT,
    tolerance: float = TOLERANCE,
) -> Bounded:
    """The same with its error bound, in memory that does not depend on the number of images.

    Args:
        predicted, truth: as for compute, float32; may be lazy sequences, which are read one at a time, two to
            four times.
        tolerance: cells are made as fine as this needs, as far as they fit.

    Raises:
        ValueError: the numbers or shapes differ, or a value is not finite.
    """
    metric = aupro(fpr_limit)
    return count(lambda: paired(predicted, truth), [metric], tolerance).all_of(metric)
