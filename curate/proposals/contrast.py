"""Contrast: the pixels near a region that differ most from its surroundings, cut by Otsu's rule."""

import numpy as np
from skimage.filters import threshold_otsu

from curate.images import Array
from curate.proposal_seeds import core, deviation, grown, reach_px, smoothed, touching


def refine(
    image: Array,
    anomaly_map: Array,
    coarse: Array,
    *,
    core_share: float = 0.5,
    reach_share: float = 0.25,
    sigma_px: float = 1.0,
) -> Array:
    """The components of deviating pixels that touch the region's core.

    Args:
        image, anomaly_map, coarse: see curate.proposals.
        core_share: of the region's pixels, those with the highest map values.
        reach_share: no further outside than this share of the region's diameter.
        sigma_px: blur before cutting.

    Source: Otsu, IEEE TSMC 1979, doi:10.1109/TSMC.1979.4310076
    """
    near = grown(coarse, reach_px(coarse, reach_share))
    values = deviation(smoothed(image, sigma_px), ~near)
    if values[near].max() == values[near].min():
        return np.zeros_like(coarse)
    deviating = near & (values > threshold_otsu(values[near]))
    return touching(deviating, core(anomaly_map, coarse, core_share))
