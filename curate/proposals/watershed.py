"""Watershed: the border between inner and outer seeds runs along the strongest edges."""

import numpy as np
from skimage.filters import sobel
from skimage.segmentation import watershed

from curate.images import Array
from curate.proposal_seeds import core, deviation, grown, reach_px, smoothed


def refine(
    image: Array,
    anomaly_map: Array,
    coarse: Array,
    *,
    core_share: float = 0.05,
    reach_share: float = 0.5,
    sigma_px: float = 1.5,
) -> Array:
    """The basin of the inner seeds.

    Args:
        image, anomaly_map, coarse: see curate.proposals.
        core_share: of the region's pixels, those with the highest map values are surely inside.
        reach_share: pixels further away than this share of the region's diameter are surely outside.
        sigma_px: blur before edges are sought.

    Source: Meyer, Signal Processing 1994, doi:10.1016/0165-1684(94)90060-4
    """
    outside = ~grown(coarse, reach_px(coarse, reach_share))
    if not outside.any():
        return np.zeros_like(coarse)
    seeds = np.zeros(coarse.shape, dtype=np.int32)
    seeds[outside] = 1
    seeds[core(anomaly_map, coarse, core_share)] = 2
    edges = sobel(deviation(smoothed(image, sigma_px), outside).astype(np.float64))
    return np.asarray(watershed(edges, seeds) == 2)
