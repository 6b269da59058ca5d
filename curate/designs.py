"""What pictures of one category have in common, so that it can be taken away before they are compared.

Pictures of one product from a fixed camera resemble each other more than two copies of a random texture do.
So the common appearance, called a design here, is learned as a template; a picture is laid over it (turned,
stretched, shifted), and what is left after subtracting it is the part's own. Textures without a common
appearance have no design and are left as they are. All of this works on thumbs (curate.statistics).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy import fft

from curate.images import Array

CANVAS = 192  # holds two thumbs side by side, so that a shift does not wrap around
DETAIL_PX = 3.0  # what is smoother than this is lighting
CALM = 1.0 / 255
BORDER = 0.08
REACH = 0.4
SAME_DESIGN = 0.8
ALIKE_SMALL = 0.5
LEAST_OVERLAP, MOST_STRETCH = 0.6, 1.25
WORTH_STRETCHING = 0.01  # a design of parallel lines leaves the stretch along them open
FEW, SHARE = 12, 0.1
FEWEST, MOST_OF = 6, 0.5
MOST_DESIGNS = 6
SMALL_PX = 24


@dataclass(frozen=True)
class Placed:
    """How a thumb lies over a design.

    Attributes:
        likeness: correlation with the design's template, at most 1.
        warp: (2, 3) float32, from (x, y) in the template to (x, y) in the thumb.
        scaled: whether the thumb was first brought to the template's size.
    """

    likeness: float
    warp: Array
    scaled: bool


def local_contrast(thumb: Array) -> Array:
    """Fine structure of a thumb at equal strength everywhere, (h, w) float32; flat areas stay near 0."""
    values = thumb.astype(np.float32) / 255
    fine = values - cv2.GaussianBlur(values, (0, 0), DETAIL_PX)
    strength = cv2.GaussianBlur(fine * fine, (0, 0), 2 * DETAIL_PX)
    local: Array = np.asarray(fine / (np.sqrt(np.maximum(strength, 0)) + CALM))
    return local


def fade(image_hw: tuple[int, int]) -> Array:
    """Weights that fall to 0 at the border, where two cuts of one picture differ most, (h, w) float32."""
    ramps = []
    for side in image_hw:
        from_border = np.minimum(np.arange(side) + 0.5, side - np.arange(side) - 0.5)
        ramps.append(np.clip(from_border / (BORDER * side), 0, 1))
    weights: Array = np.outer(*ramps).astype(np.float32)
    return weights


def best_shift(fixed: Array, moved: Array) -> tuple[float, int, int]:
    """Highest correlation over shifts of up to 0.4 of a side, and that of `moved` against `fixed`.

    Args:
        fixed, moved: (h, w) float32 of at most 96 px each side, mean about 0; their products are not
            normalised here.

    Returns:
        Correlation, and shift in (x, y) pixels.
    """
    product = fft.rfft2(moved, (CANVAS, CANVAS)) * np.conj(fft.rfft2(fixed, (CANVAS, CANVAS)))
    surface = fft.irfft2(product, (CANVAS, CANVAS))
    sides = np.maximum(fixed.shape, moved.shape)
    reach_y, reach_x = (max(1, int(REACH * side)) for side in sides)
    near = np.roll(surface, (reach_y, reach_x), axis=(0, 1))[: 2 * reach_y + 1, : 2 * reach_x + 1]
    row, column = np.unravel_index(int(near.argmax()), near.shape)
    return float(near.max()), int(column) - reach_x, int(row) - reach_y


def place(template: Array, contrast: Array) -> Placed | None:
    """Lay a thumb over a template by the affine map that fits best.

    A picture of another size than the template's is tried at its own scale (a piece cut out) and at the
    template's size (scaled down or up).

    Args:
        template, contrast: (h, w) float32, see local_contrast.

    Returns:
        None when no map is found.

    Source: Evangelidis and Psarakis, IEEE TPAMI 30 (2008), doi:10.1109/TPAMI.2008.113
    """
    found = _register(template, contrast, scaled=False)
    if contrast.shape == template.shape:
        return found
    scaled = _register(template, contrast, scaled=True)
    if found is None or (scaled is not None and scaled.likeness > found.likeness + WORTH_STRETCHING):
        return scaled
    return found


def rest(template: Array, contrast: Array, placed: Placed) -> tuple[Array, tuple[float, float]]:
    """What is left of a thumb after subtracting the design it lies over.

    Returns:
        (h, w) float32 of the template's shape, 0 outside of the picture; and where the template's middle
        lies in the thumb, from the thumb's own middle, (x, y) in thumb pixels.
    """
    view = _view(template, contrast, placed.scaled)
    moved, inside = _warped(template, view, placed.warp)
    middle = np.array([(template.shape[1] - 1) / 2, (template.shape[0] - 1) / 2, 1])
    at = placed.warp @ middle - (np.array(view.shape[::-1]) - 1) / 2
    return np.where(inside, moved - template, 0).astype(np.float32), (float(at[0]), float(at[1]))


def _view(template: Array, contrast: Array, scaled: bool) -> Array:
    if not scaled:
        return contrast
    hw = (template.shape[1], template.shape[0])
    return np.asarray(cv2.resize(contrast, hw, interpolation=cv2.INTER_LINEAR))


def _warped(template: Array, view: Array, warp: Array) -> tuple[Array, Array]:
    """The view as it lies on the template, and where it covers it, (h, w) float32 and bool."""
    hw, inverse = (template.shape[1], template.shape[0]), cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(view, warp, hw, flags=cv2.INTER_CUBIC | inverse)
    inside = cv2.warpAffine(np.ones_like(view), warp, hw, flags=cv2.INTER_LINEAR | inverse) > 0.99
    return np.asarray(moved), np.asarray(inside)


def _register(template: Array, contrast: Array, scaled: bool) -> Placed | None:
    view = _view(template, contrast, scaled)
    weighted = view * fade((view.shape[0], view.shape[1]))
    _, right, down = best_shift(template * fade((template.shape[0], template.shape[1])), weighted)
    start = np.array([[1, 0, right], [0, 1, down]], dtype=np.float32)
    turned = _fit(template, view, start, cv2.MOTION_EUCLIDEAN)
    stretched = _fit(template, view, start if turned is None else turned[1], cv2.MOTION_AFFINE)
    found = turned or stretched
    if found is None:
        return None
    if stretched is not None and stretched[0] > found[0] + WORTH_STRETCHING:
        found = stretched
    likeness, warp = found
    stretch = float(np.linalg.det(warp[:, :2]))
    covered = float(_warped(template, view, warp)[1].mean())
    if covered < LEAST_OVERLAP or not 1 / MOST_STRETCH < stretch < MOST_STRETCH:
        return None
    return Placed(likeness, warp, scaled)


def _fit(template: Array, view: Array, start: Array, motion: int) -> tuple[float, Array] | None:
    """Likeness and warp (2, 3); None when it does not converge, or there is no overlap."""
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
    try:
        likeness, warp = cv2.findTransformECC(template, view, start.copy(), motion, stop, None, 3)  # type: ignore[call-overload]
    except cv2.error:
        return None
    return float(likeness), np.asarray(warp)


def find_designs(contrasts: Sequence[Array]) -> list[Array]:
    """Templates of the designs in a sample of one category.

    A design is an appearance of many pictures: half of them and at least 6, or a tenth and at least 12.
    Fewer pictures that look alike may be copies of one part, which must not become a template.

    Args:
        contrasts: see local_contrast; some hundred are enough.

    Returns:
        (h, w) float32 each, the most frequent design first. Empty for textures and for few pictures.
    """
    left = list(contrasts)
    templates: list[Array] = []
    while len(templates) < MOST_DESIGNS and len(left) >= FEWEST:
        template = left[_most_alike(left)]
        members: list[int] = []
        for _ in range(3):
            placed = [place(template, contrast) for contrast in left]
            members = [i for i, p in enumerate(placed) if p is not None and p.likeness >= SAME_DESIGN]
            if not _is_design(len(members), len(left), len(contrasts)):
                return templates
            rests = [rest(template, left[i], p)[0] for i in members if (p := placed[i]) is not None]
            template = np.asarray(template + np.mean(rests, axis=0), dtype=np.float32)
        templates.append(template)
        left = [contrast for i, contrast in enumerate(left) if i not in set(members)]
    return templates


def _is_design(n_members: int, n_left: int, n_all: int) -> bool:
    half = n_members >= max(FEWEST, MOST_OF * n_all)
    return half or n_members >= max(FEW, SHARE * n_all)


def _most_alike(contrasts: Sequence[Array]) -> int:
    """The picture that most others resemble, seen small."""
    small = [
        cv2.resize(contrast, (SMALL_PX, SMALL_PX), interpolation=cv2.INTER_AREA).ravel()
        for contrast in contrasts
    ]
    vectors: Array = np.stack(small)
    vectors = vectors - vectors.mean(axis=1, keepdims=True)
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    alike = vectors @ vectors.T
    return int((np.where(alike > ALIKE_SMALL, alike, 0)).sum(axis=1).argmax())
