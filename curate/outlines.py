"""Outlines of masks as polygons, for tools that keep no pixels."""

from typing import Any

import cv2
import numpy as np

from curate.images import Array


def outer_outlines(mask: Array) -> list[Array]:
    """The outer outline of each 8-connected region: (n, 2) float64, x and y, a sixth of a pixel inside.

    Filled so that a pixel belongs to an outline when its centre lies inside, they give the mask with its
    holes filled; rounding to two digits does not change that.

    Args:
        mask: (H, W) bool.

    >>> outer_outlines(np.array([[True, True]]))[0].round(2).tolist()
    [[0.17, 0.17], [0.17, 0.83], [1.83, 0.83], [1.83, 0.17]]
    """
    # each pixel as 3 x 3, so that an outline through pixel centres has an area
    enlarged: Any = np.kron(mask.astype(np.uint8), np.ones((3, 3), dtype=np.uint8))
    found, _ = cv2.findContours(enlarged, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [_corners(each) for each in found]


def _corners(contour: Any) -> Array:
    """The outline in pixels of the mask: without the points in the middle of straight lines."""
    points = contour.reshape(-1, 2).astype(np.float64)
    exact = (points + 0.5) / 3
    before, after = exact - np.roll(exact, 1, axis=0), np.roll(exact, -1, axis=0) - exact
    turns = ~np.isclose(before[:, 0] * after[:, 1], before[:, 1] * after[:, 0])
    return np.asarray(exact[turns] if turns.sum() >= 3 else exact)
