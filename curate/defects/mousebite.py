"""Mousebite: a piece etched out of the edge of a trace, which stays connected."""

import numpy as np

from curate.defects.making import Layers, Range, check_range, lumpy, make, pick, region_of
from curate.defects.tracks import depth_of, inner, normal_at, remove, width_near
from curate.drawing import Array

LEAST_DEPTH_PX = 1.6


def apply(
    image: Array,
    rng: np.random.Generator,
    um_per_px: float = 10.0,
    layers: Layers | None = None,
    within: str | None = "trace",
    depth_fraction: Range = (0.35, 0.75),
    max_depth_um: float = 150.0,
) -> tuple[Array, Array]:
    """Bite into the edge of a trace.

    Args:
        image: (H, W, 3) uint8 or uint16; left unchanged.
        rng: place and shape.
        um_per_px: scale.
        layers: name to (H, W) bool.
        within: the layer that is bitten; its gaps show what lies beside it.
        depth_fraction: least and greatest depth of the bite in widths of the trace.
        max_depth_um: no bite is deeper, however wide the trace.

    Returns:
        The changed image and its mask, (H, W) bool.

    Raises:
        ValueError: an argument is out of range, no layer is named, or nothing visible fits.
    """
    check_range("depth_fraction", depth_fraction, 0.95)
    if not max_depth_um > 0:
        raise ValueError(f"max_depth_um must be positive, not {max_depth_um}.")
    if within is None:
        raise ValueError('within must name a layer such as "trace": a mousebite needs an edge.')
    layer = region_of(image, layers, within, um_per_px)
    depth = depth_of(layer)
    edge = inner(layer & (depth <= 1.5))

    def draw(picture: Array) -> Array | None:
        if not edge.any():
            return None
        point = pick(rng, edge)
        width = width_near(depth, point)
        bite = min(rng.uniform(*depth_fraction) * width, max_depth_um / um_per_px)
        normal, coherence = normal_at(layer, point, width)
        if bite < LEAST_DEPTH_PX or coherence < 0.5:
            return None
        angle = float(np.arctan2(-normal[1], normal[0])) + rng.normal(0, 0.2)
        # the middle of the blob is on the edge, so its radius is the depth of the bite
        radii = (bite, bite * rng.uniform(0.8, 1.5))
        offsets = lumpy(rng, (0.0, 0.0), radii, -angle, 0.22)
        offsets *= bite / np.abs(offsets @ normal).max()
        return remove(picture, layer, point, offsets + np.asarray(point), rng)

    return make(image, "mousebite", draw)
