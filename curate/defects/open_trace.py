"""Open: a gap across a trace, from side to side."""

import numpy as np

from curate.defects.making import Layers, Range, check_range, make, pick, region_of
from curate.defects.tracks import depth_of, inner, normal_at, remove
from curate.drawing import Array

LEAST_GAP_PX = 2.0
LEAST_HALF_WIDTH_PX = 1.0
STRAIGHT = 0.85


def apply(
    image: Array,
    rng: np.random.Generator,
    um_per_px: float = 10.0,
    layers: Layers | None = None,
    within: str | None = "trace",
    gap_um: Range = (30.0, 130.0),
    max_width_um: float = 150.0,
) -> tuple[Array, Array]:
    """Cut a trace.

    Args:
        image: (H, W, 3) uint8 or uint16; left unchanged.
        rng: place and shape.
        um_per_px: scale.
        layers: name to (H, W) bool.
        within: the layer that is cut; the gap shows what lies beside it.
        gap_um: narrowest and widest gap, along the trace.
        max_width_um: wider copper, such as pads, is left alone.

    Returns:
        The changed image and its mask, (H, W) bool.

    Raises:
        ValueError: an argument is out of range, no layer is named, or no trace can be cut.
    """
    check_range("gap_um", gap_um)
    if not max_width_um > 0:
        raise ValueError(f"max_width_um must be positive, not {max_width_um}.")
    if within is None:
        raise ValueError('within must name a layer such as "trace": a gap needs something to cut.')
    layer = region_of(image, layers, within, um_per_px)
    depth = depth_of(layer)
    ridge = inner(_ridge(depth) & (2 * depth * um_per_px <= max_width_um + um_per_px))

    def draw(picture: Array) -> Array | None:
        if not ridge.any():
            return None
        point = pick(rng, ridge)
        half = float(depth[int(point[0]), int(point[1])])
        normal, coherence = normal_at(layer, point, half + 2)
        if coherence < STRAIGHT:
            return None
        gap = max(rng.uniform(*gap_um) / um_per_px, LEAST_GAP_PX)
        return remove(picture, layer, point, _gap(rng, point, normal, gap, half + 2.5), rng)

    return make(image, "open", draw)


def _ridge(depth: Array) -> Array:
    """Middle line of the traces: pixels no shallower than their neighbours, (H, W) bool."""
    padded = np.pad(depth, 1, mode="edge")
    rows, columns = depth.shape
    ridge = depth >= LEAST_HALF_WIDTH_PX
    for down in range(3):
        for across in range(3):
            ridge &= depth >= padded[down : down + rows, across : across + columns] - 1e-3
    return ridge


def _gap(
    rng: np.random.Generator, point_rc: tuple[float, float], normal: Array, gap: float, reach: float
) -> Array:
    """Outline of the gap in pixels: two uneven fronts across the trace."""
    along = np.array([-normal[1], normal[0]])
    across = np.linspace(-reach, reach, 9)
    waver = rng.normal(0, 0.10 * gap, size=(2, 9))
    first = across[:, None] * normal + (-gap / 2 + waver[0])[:, None] * along
    second = across[::-1, None] * normal + (gap / 2 + waver[1])[:, None] * along
    return np.asarray(np.concatenate([first, second]) + np.asarray(point_rc))
