"""What all synthetic defects share: where they may lie, what counts as changed, when to try again."""

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from curate.drawing import Array, soften

LEAST_CHANGE = 4.0  # 8-bit grey levels, in the channel that changes most
LEAST_PIXELS = 5
N_TRIES = 25
MARGIN_DIVISOR = 12  # of the shorter side: closer to the border, most of a defect would be cut off
LENS_PX = 0.55  # a defect is as sharp as the photograph that it lies on
THINNEST_PX = 0.5  # thinner lines are drawn this wide and paler
LIGHT_RAD = 0.9  # from above left

Layers = Mapping[str, Array]
Range = tuple[float, float]
Draw = Callable[[Array], Array | None]


def region_of(image: Array, layers: Layers | None, within: str | None, um_per_px: float) -> Array:
    """Where the defect may lie, (H, W) bool: the layer `within`, or everywhere for None.

    Raises:
        ValueError: the image is not (H, W, 3) of 8 or 16 bits, the scale is not positive, or the layer
            is not given, is of another size, or is empty.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"image must be (H, W, 3) uint8 or uint16, not {image.shape} {image.dtype}.")
    if not um_per_px > 0:
        raise ValueError(f"um_per_px must be positive, not {um_per_px}.")
    if within is None:
        return np.ones(image.shape[:2], dtype=bool)
    if layers is None or within not in layers:
        known = ", ".join(sorted(layers)) if layers else "none"
        raise ValueError(f'layers must hold "{within}", where the defect lies. Given: {known}.')
    region = layers[within]
    if region.shape != image.shape[:2]:
        raise ValueError(f'The layer "{within}" is {region.shape}, the image {image.shape[:2]}.')
    if not region.any():
        raise ValueError(f'The layer "{within}" is empty on this image: choose another layer.')
    return region.astype(bool)


def check_range(name: str, limits: Range, highest: float = np.inf) -> None:
    """Raise ValueError unless 0 < low <= high <= highest."""
    if len(limits) != 2 or not 0 < limits[0] <= limits[1] <= highest:
        raise ValueError(f"{name} must be (low, high) with 0 < low <= high <= {highest}, not {limits}.")


def make(image: Array, name: str, draw: Draw) -> tuple[Array, Array]:
    """Draw until the defect is visible, then settle image and mask.

    Args:
        image: (H, W, 3) uint8 or uint16; left unchanged.
        name: of the defect, for the message.
        draw: takes the image as float32 in [0, 1], gives the changed one, or None for a bad place.

    Returns:
        The changed image and its mask, (H, W) bool.

    Raises:
        ValueError: nothing visible came out of N_TRIES draws.
    """
    full = float(np.iinfo(image.dtype).max)
    picture = image.astype(np.float32) / np.float32(full)
    for _ in range(N_TRIES):
        changed = draw(picture)
        if changed is None:
            continue
        result = np.clip(np.rint(changed * full), 0, full).astype(image.dtype)
        gt_mask = changed_pixels(image, result)
        if np.count_nonzero(gt_mask) >= LEAST_PIXELS:
            return np.where(gt_mask[..., None], result, image), gt_mask
    raise ValueError(
        f"{name}: no visible defect in {N_TRIES} tries. The sizes are too small for um_per_px, "
        "or the layer leaves no room: give larger sizes, a finer scale or another layer."
    )


def changed_pixels(before: Array, after: Array) -> Array:
    """Pixels whose neighbourhood visibly changed and that changed themselves, (H, W) bool.

    Noise makes a soft defect cross LEAST_CHANGE pixel by pixel; the mean over the close neighbours decides.
    """
    full = float(np.iinfo(before.dtype).max)
    change = np.abs(after.astype(np.float32) - before.astype(np.float32)).max(axis=2) * np.float32(255 / full)
    return np.asarray((soften(change, 0.7) >= LEAST_CHANGE) & (change > 0))


def pick(rng: np.random.Generator, region: Array) -> tuple[float, float]:
    """Middle of a random pixel of the region, off the image's border where possible, (row, column)."""
    margin_px = max(3, min(region.shape) // MARGIN_DIVISOR)
    inner = np.zeros_like(region)
    inner[margin_px:-margin_px, margin_px:-margin_px] = region[margin_px:-margin_px, margin_px:-margin_px]
    candidates = np.flatnonzero(inner if inner.any() else region)
    row, column = np.unravel_index(int(rng.choice(candidates)), region.shape)
    return float(row) + 0.5, float(column) + 0.5


def lumpy(
    rng: np.random.Generator,
    centre_rc: tuple[float, float],
    radii_rc: tuple[float, float],
    angle_rad: float,
    roughness: float,
) -> Array:
    """Outline of an irregular blob, (64, 2) float64: an ellipse whose radius wavers by `roughness`."""
    turn = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    waver = np.ones_like(turn)
    for order in range(2, 7):
        waver += rng.normal(0, roughness / order) * np.cos(order * turn + rng.uniform(0, 2 * np.pi))
    waver = np.clip(waver, 0.4, 1.8)
    down, across = radii_rc[0] * waver * np.sin(turn), radii_rc[1] * waver * np.cos(turn)
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    turned = np.stack([cosine * down - sine * across, sine * down + cosine * across], axis=1)
    return np.asarray(turned + np.asarray(centre_rc))


def brightness_at(picture: Array, alpha: Array) -> float:
    """Mean brightness of the picture below a coverage map, in [0, 1]."""
    weight = float(alpha.sum())
    return float((picture.mean(axis=2) * alpha).sum() / weight) if weight > 0 else 0.0


def background_for(picture: Array, layer: Array, clear_px: int = 2) -> Array:
    """The picture with a layer painted over by what lies beside it.

    Args:
        picture: (H, W, 3) float32.
        layer: (H, W) bool.
        clear_px: pixels this close to the layer carry its shaded flank and are not taken.

    Returns:
        (H, W, 3) float32; outside the grown layer equal to the picture.

    Raises:
        ValueError: the layer leaves no background.
    """
    kernel = np.ones((2 * clear_px + 1, 2 * clear_px + 1), dtype=np.uint8)
    grown = cv2.dilate(layer.astype(np.uint8), kernel)
    if grown.all():
        grown = layer.astype(np.uint8)
    if grown.all():
        raise ValueError("The layer covers the whole image: there is no background to show in a gap.")
    _, labels = cv2.distanceTransformWithLabels(grown, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    place_of = np.zeros(int(labels.max()) + 1, dtype=np.int64)
    clear = np.flatnonzero(grown == 0)
    place_of[labels.reshape(-1)[clear]] = clear
    nearest = picture.reshape(-1, 3)[place_of[labels]]
    return np.where(grown[..., None] > 0, nearest, picture)
