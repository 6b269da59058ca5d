"""What a threshold of the map does to pixels: F1, precision and recall, with intervals over groups."""

import numpy as np

from curate.images import Array
from curate.intervals import LEVEL, Estimate, bootstrap, bootstrapped
from curate.pixel_items import PixelItem

NAMES = ("seg_f1", "pixel_precision", "pixel_recall")
NO_ALARM = "No pixel reaches the threshold."
NO_DEFECT = "No pixel is defect."


class Decided:
    """Counts pixels at or above a threshold; three numbers a group are kept."""

    def __init__(self, threshold: float) -> None:
        """threshold: in units of the maps; pixels >= it are predicted to be defect."""
        self._threshold = threshold
        self._counts: dict[str, Array] = {}

    def add(self, item: PixelItem) -> None:
        """Count an image."""
        alarms = item.anomaly_map >= self._threshold
        each = [np.count_nonzero(mask) for mask in (alarms & item.gt_mask, alarms, item.gt_mask)]
        known = self._counts.setdefault(item.group, np.zeros(3, dtype=np.int64))
        known += np.asarray(each)

    def estimates(self, n_replicates: int, seed: int = 0, level: float = LEVEL) -> dict[str, Estimate]:
        """seg_f1, pixel_precision and pixel_recall; groups with a defect and without are drawn apart.

        Args:
            n_replicates: of the bootstrap; 0 leaves intervals out.
        """
        groups = list(self._counts)
        counts = np.array([self._counts[group] for group in groups]).reshape(-1, 3)
        values, n_defect = _figures(counts.sum(axis=0)), int(np.count_nonzero(counts[:, 2]))
        replicates = np.zeros((0, len(NAMES)))
        if n_replicates and groups:
            strata = (counts[:, 2] > 0).tolist()
            replicates = bootstrap(
                lambda weights: _figures(weights @ counts), groups, strata, n_replicates, seed
            )
        notes = NO_DEFECT, NO_ALARM, NO_DEFECT
        return {
            name: Estimate(None, level=level, n=len(groups), note=note)
            if np.isnan(value)
            else bootstrapped(float(value), column, len(groups), level, fewest=n_defect)
            for name, value, column, note in zip(NAMES, values, replicates.T, notes, strict=True)
        }


def _figures(counts: Array) -> Array:
    """(..., 3) F1, precision and recall of (..., 3) counts; NaN where not defined, as without a defect."""
    both, alarms, truth = (counts[..., at].astype(np.float64) for at in range(3))
    pairs = ((2 * both, alarms + truth, truth), (both, alarms, alarms), (both, truth, truth))
    parts = [
        np.divide(above, below, out=np.full(np.shape(above), np.nan), where=np.asarray(needed > 0))
        for above, below, needed in pairs
    ]
    return np.stack(parts, axis=-1)
