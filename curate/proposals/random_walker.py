"""Random walker: each pixel goes to the seeds that a walk, held up by edges, reaches first."""

import numpy as np
from skimage.segmentation import random_walker

from curate.images import Array
from curate.proposal_seeds import core, deviation, grown, reach_px


def refine(
    image: Array,
    anomaly_map: Array,
    coarse: Array,
    *,
    core_share: float = 0.1,
    reach_share: float = 0.25,
    beta: float = 130.0,
) -> Array:
    """The pixels that a random walk from them reaches the inner seeds sooner than the outer ones.

    Args:
        image, anomaly_map, coarse: see curate.proposals.
        core_share: of the region's pixels, those with the highest map values are surely inside.
        reach_share: pixels further away than this share of the region's diameter are surely outside.
        beta: how much edges hold up the walk.

    Source: Grady, IEEE TPAMI 2006, doi:10.1109/TPAMI.2006.233
    """
    inside = core(anomaly_map, coarse, core_share)
    outside = ~grown(coarse, reach_px(coarse, reach_share))
    if not outside.any() or inside.all():
        return np.zeros_like(coarse)
    seeds = np.zeros(coarse.shape, dtype=np.int32)
    seeds[outside], seeds[inside] = 1, 2
    values = deviation(image, outside)
    spread = float(values.max() - values.min())
    if spread == 0 or (seeds != 0).all():
        return np.zeros_like(coarse)
    return np.asarray(
        random_walker(values / spread, seeds, beta=beta, mode="cg_j", tol=1e-4, prob_tol=0.1) == 2
    )
