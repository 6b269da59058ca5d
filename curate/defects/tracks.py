"""Width, edges and direction of traces, read off a layer mask."""

import cv2
import numpy as np

from curate.defects.making import LENS_PX, background_for
from curate.drawing import Array, coverage, grain, soften

BORDER_PX = 5
GRAIN = 0.006


def depth_of(layer: Array) -> Array:
    """Distance of each pixel to the outside of the layer, (H, W) float32 pixels.

    The image's border is no edge: a trace that leaves the view goes on.
    """
    padded = cv2.copyMakeBorder(layer.astype(np.uint8), 8, 8, 8, 8, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 5)[8:-8, 8:-8])


def inner(layer: Array) -> Array:
    """The layer without a band along the image's border, (H, W) bool."""
    kept = np.zeros(layer.shape, dtype=bool)
    band = slice(BORDER_PX, -BORDER_PX)
    kept[band, band] = layer[band, band]
    return kept


def width_near(depth: Array, point_rc: tuple[float, float]) -> float:
    """Width in pixels of the trace at a point in it or on its edge."""
    row, column = int(point_rc[0]), int(point_rc[1])
    half = 1.0
    for _ in range(4):  # the window grows to the middle of the trace, not to its neighbour
        reach = int(np.ceil(half)) + 1
        window = depth[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1]
        half = max(half, float(window.max()))
    return 2 * half


def normal_at(layer: Array, point_rc: tuple[float, float], reach_px: float) -> tuple[Array, float]:
    """Direction across the trace and how clear it is.

    Args:
        layer: (H, W) bool.
        point_rc: where.
        reach_px: edges up to about this far away count.

    Returns:
        Unit vector (row, column), and the coherence in [0, 1]: 1 on a straight trace, 0 on a blob.
    """
    soft = soften(layer.astype(np.float32), 0.8)
    across = cv2.Sobel(soft, cv2.CV_32F, 1, 0, ksize=3)
    down = cv2.Sobel(soft, cv2.CV_32F, 0, 1, ksize=3)
    rows = np.arange(layer.shape[0])[:, None] + 0.5 - point_rc[0]
    columns = np.arange(layer.shape[1])[None, :] + 0.5 - point_rc[1]
    weight = np.exp(-(rows**2 + columns**2) / (2 * (0.6 * reach_px) ** 2))
    mixed = float((weight * down * across).sum())
    tensor = np.array([[float((weight * down**2).sum()), mixed], [mixed, float((weight * across**2).sum())]])
    values, vectors = np.linalg.eigh(tensor)
    coherence = float((values[1] - values[0]) / max(values.sum(), 1e-9))
    return vectors[:, 1], coherence


def remove(
    picture: Array, layer: Array, point_rc: tuple[float, float], outline: Array, rng: np.random.Generator
) -> Array:
    """The picture with one trace replaced inside an outline by the background beside it.

    Args:
        picture: (H, W, 3) float32.
        layer: (H, W) bool.
        point_rc: on the trace that is meant; its neighbours stay whole.
        outline: (V, 2) pixels.
        rng: grain of the filled place.

    Returns:
        (H, W, 3) float32.
    """
    image_hw = (layer.shape[0], layer.shape[1])
    filled = soften(background_for(picture, layer), 0.9)
    filled = filled + (GRAIN * grain(rng, image_hw))[..., None]
    _, parts = cv2.connectedComponents(layer.astype(np.uint8))
    meant = np.asarray(parts == parts[int(point_rc[0]), int(point_rc[1])])
    near = cv2.dilate(meant.astype(np.uint8), np.ones((5, 5), dtype=np.uint8))
    near[layer & ~meant] = 0
    alpha = soften(coverage([outline], image_hw), LENS_PX) * near
    return np.asarray(picture + alpha[..., None] * (filled - picture))
