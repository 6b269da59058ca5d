"""GrabCut: models of the colours inside and outside, and a smooth border along edges."""

import cv2
import numpy as np

from curate.images import Array
from curate.proposal_seeds import core, grown, reach_px

SEED = 0


def refine(
    image: Array,
    anomaly_map: Array,
    coarse: Array,
    *,
    core_share: float = 0.1,
    reach_share: float = 0.25,
    n_steps: int = 4,
) -> Array:
    """What the colour models call inside.

    Args:
        image, anomaly_map, coarse: see curate.proposals.
        core_share: of the region's pixels, those with the highest map values are surely inside.
        reach_share: pixels further away than this share of the region's diameter are surely outside.
        n_steps: rounds of fitting and cutting.

    Source: Rother et al., ACM TOG 2004, doi:10.1145/1015706.1015720
    """
    near = grown(coarse, reach_px(coarse, reach_share))
    marks = np.where(near, np.uint8(cv2.GC_PR_BGD), np.uint8(cv2.GC_BGD))
    marks[coarse] = cv2.GC_PR_FGD
    marks[core(anomaly_map, coarse, core_share)] = cv2.GC_FGD
    if near.all() or np.ptp(image.reshape(-1, 3), axis=0).max() == 0:
        return np.zeros_like(coarse)
    cv2.setRNGSeed(SEED)  # the models start from clusters that are drawn at random
    models = np.zeros((1, 65)), np.zeros((1, 65))
    nowhere = (0, 0, 1, 1)  # a rectangle is not looked at when there are marks
    cv2.grabCut(np.ascontiguousarray(image), marks, nowhere, *models, n_steps, cv2.GC_INIT_WITH_MASK)
    return np.asarray((marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD))
