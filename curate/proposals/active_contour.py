"""Morphological Chan-Vese: a contour that divides the crop into two areas, each as even as possible."""

import numpy as np
from skimage.segmentation import morphological_chan_vese

from curate.images import Array
from curate.proposal_seeds import core, deviation, grown, reach_px, touching


def refine(
    image: Array,
    anomaly_map: Array,
    coarse: Array,
    *,
    n_steps: int = 30,
    smoothing: int = 1,
    reach_share: float = 0.25,
) -> Array:
    """The inner area of a contour that starts at the coarse region.

    Args:
        image, anomaly_map, coarse: see curate.proposals.
        n_steps: of the contour.
        smoothing: how often the contour is smoothed in a step.
        reach_share: the contour goes no further outside than this share of the region's diameter.

    Source: Marquez-Neila et al., IEEE TPAMI 2014, doi:10.1109/TPAMI.2013.106
    """
    near = grown(coarse, reach_px(coarse, reach_share))
    values = deviation(image, ~near)
    if values.max() == values.min():
        return np.zeros_like(coarse)
    inner = morphological_chan_vese(
        values / values.max(), n_steps, init_level_set=coarse.astype(np.int8), smoothing=smoothing
    ).astype(bool)
    if inner.any() and not inner.all() and values[inner].mean() < values[~inner].mean():
        inner = ~inner
    return touching(inner & near, core(anomaly_map, coarse, 0.5))
