"""AUC-sPRO: area under the saturated per-region overlap of MVTec LOCO AD, up to a false-positive rate."""

from collections.abc import Sequence

import numpy as np

from curate.images import Array
from curate.pixel_exact import exact
from curate.pixel_histograms import TOLERANCE, Bounded, auc_spro, count
from curate.pixel_items import Channel, channelled

LEVEL = "pixel"
FPR_LIMIT = 0.05
FPR_LIMITS = 0.01, 0.05, 0.1, 0.3, 1.0
Channels = Sequence[Channel] | Array


def compute(predicted: Sequence[Array], truth: Sequence[Channels], fpr_limit: float = FPR_LIMIT) -> float:
    """Exact AUC-sPRO: min(found pixels / saturation area, 1), averaged over all channels of all images.

    A channel is one annotated defect, whether its pixels are connected or not, and channels may overlap. The
    false-positive rate is over the pixels outside of all channels of their image. A threshold finds the
    pixels above it; since all thresholds are passed, the curve is that of the pixels at it or above.

    Args:
        predicted: anomaly maps, each (H, W) at the image's own size.
        truth: of each image its channels, none for a normal image; or one bool mask, which saturates with its
            whole area.
        fpr_limit: in (0, 1]; usual are FPR_LIMITS.

    Raises:
        ValueError: the numbers or shapes differ, a value is NaN, or there is no channel or no background.

    Source: Bergmann et al., IJCV 2022, doi:10.1007/s11263-022-01578-9

    >>> channel = Channel(np.array([[True, True, True, False, False]]), saturation_px=2)
    >>> compute([np.array([[0.9, 0.7, 0.2, 0.8, 0.1]])], [[channel]], fpr_limit=0.5)
    0.5
    """
    return exact(channelled(predicted, _channels(truth)), auc_spro(fpr_limit))


def streaming(
    predicted: Sequence[Array],
    truth: Sequence[Channels],
    fpr_limit: float = FPR_LIMIT,
    tolerance: float = TOLERANCE,
) -> Bounded:
    """The same with its error bound, in memory that does not depend on the number of images.

    Args:
        predicted: as for compute, float32; may be a lazy sequence, which is read one at a time, two to four
            times.

    Raises:
        ValueError: the numbers or shapes differ, or a value is not finite.
    """
    metric, channels = auc_spro(fpr_limit), _channels(truth)
    return count(lambda: channelled(predicted, channels), [metric], tolerance).all_of(metric)


def _channels(truth: Sequence[Channels]) -> list[Sequence[Channel]]:
    found: list[Sequence[Channel]] = []
    for each in truth:
        if isinstance(each, np.ndarray):
            area = int(np.count_nonzero(each))
            found.append([Channel(each, area)] if area else [])
        else:
            found.append(each)
    return found
