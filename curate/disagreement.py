"""How differently several detectors judge the same image, whatever the scales of their scores.

Each score is first told as its rarity among the detector's scores of the same category: -log10 of the share
of images that score at least as high. 0 is the lowest score of all, 1 is reached by one image in ten, 2 by
one in a hundred. The disagreement of an image is the largest difference between two detectors' rarities: at
1, one of them finds the image ten times as rare as the other. Plain ranks would not do: two detectors rank
faultless images in unrelated orders, and that is noise; the logarithm weighs the upper end, which matters.
No label is used, so that wrong labels do no harm.
"""

from collections.abc import Sequence

import numpy as np

from curate.images import Array


def rarity(scores: Array) -> Array:
    """-log10 of the share of the scores that are at least as high; NaN stays NaN and does not count.

    Args:
        scores: (N,) float, higher is more suspicious.

    Returns:
        (N,) float64, at least 0; equal scores have equal rarity.

    >>> rarity(np.array([5.0, 1.0, np.nan, 7.0, 3.0, 4.0, 2.0, 0.0, 6.0, 8.0, 9.0])).round(3)[[0, 2, 10]]
    array([0.301,   nan, 1.   ])
    """
    found = np.full(len(scores), np.nan)
    known = ~np.isnan(scores)
    values = np.sort(scores[known])
    n_at_least = len(values) - np.searchsorted(values, scores[known], side="left")
    found[known] = -np.log10(n_at_least / max(1, len(values))) + 0.0  # no -0.0
    return found


def disagreement(scores: Array, categories: Sequence[str]) -> Array:
    """The largest difference of rarity between two detectors, for each image.

    Args:
        scores: (N, K) float, one column per detector; NaN = not scored.
        categories: of the N images; rarities are told within a category.

    Returns:
        (N,) float64, at least 0; NaN where fewer than two detectors scored the image.
    """
    names = np.asarray(categories, dtype=object)
    rarities = np.full(scores.shape, np.nan)
    for category in dict.fromkeys(categories):
        members = names == category
        for column in range(scores.shape[1]):
            rarities[members, column] = rarity(scores[members, column])
    found = np.full(len(scores), np.nan)
    several = (~np.isnan(rarities)).sum(axis=1) >= 2
    if several.any():
        found[several] = np.nanmax(rarities[several], axis=1) - np.nanmin(rarities[several], axis=1)
    return found
