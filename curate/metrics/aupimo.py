"""AUPIMO: recall in each anomalous image at false-positive rates that normal images alone set."""

from collections.abc import Sequence

from curate.images import Array
from curate.pixel_exact import exact
from curate.pixel_histograms import AUPIMO_RATES, TOLERANCE, Bounded, aupimo, count
from curate.pixel_items import paired

LEVEL = "pixel"
RATES = AUPIMO_RATES


def compute(predicted: Sequence[Array], truth: Sequence[Array]) -> float:
    """Exact mean of the images' AUPIMO: recall over the logarithm of the rate, 1e-5 to 1e-4.

    The rate of a threshold is the mean over normal images of the share of their pixels at or above it.
    Between two scores recall is taken as linear in the rate. With fewer than 100,000 normal pixels in all,
    the lower end lies below the first false alarm.

    Every pixel is kept and sorted; for large sets use `streaming`.

    Args:
        predicted: anomaly maps, each (H, W) at the image's own size, higher is more suspicious.
        truth: ground-truth masks, each bool of its map's shape, all False for a normal image.

    Raises:
        ValueError: the numbers or shapes differ, a value is NaN, or there is no normal or no anomalous image.

    Source: Bertoldo, Ameln, Vaidya, Akcay: AUPIMO, BMVC 2024, arXiv:2401.01984
    """
    return exact(paired(predicted, truth), aupimo(RATES))


def streaming(predicted: Sequence[Array], truth: Sequence[Array], tolerance: float = TOLERANCE) -> Bounded:
    """The same with its error bound, in memory that does not depend on the number of images.

    Args:
        predicted, truth: as for compute, float32; may be lazy sequences, which are read one at a time, two to
            four times.
        tolerance: cells are made as fine as this needs, as far as they fit.

    Raises:
        ValueError: the numbers or shapes differ, or a value is not finite.
    """
    metric = aupimo(RATES)
    return count(lambda: paired(predicted, truth), [metric], tolerance).all_of(metric)
