"""Outlines, coverage maps and noise textures, shared by the scenes and the synthetic defects.

Points are (row, column) in continuous pixels: pixel (r, c) covers r to r+1 and c to c+1.
"""

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
ImageHW = tuple[int, int]

SUPERSAMPLE = 4
SUBPIXEL_BITS = 4  # cv2 takes vertices in fixed point: 1/16 of a fine pixel


def rectangle(centre_rc: tuple[float, float], extent_hw: tuple[float, float], radius: float = 0.0) -> Array:
    """Outline of a rectangle with rounded corners.

    Args:
        centre_rc: of the rectangle.
        extent_hw: full height and width.
        radius: of the corners; cut to half of the shorter side.

    Returns:
        (V, 2) float64 outline in the unit of the arguments.
    """
    half = np.asarray(extent_hw, dtype=np.float64) / 2
    radius = min(radius, float(half.min()))
    angles = np.linspace(0, np.pi / 2, 7 if radius > 0 else 1)
    arc = radius * np.stack([1 - np.sin(angles), 1 - np.cos(angles)], axis=1)
    quarter = half - arc  # from the middle of a side, round the corner at (+, +)
    corners = [quarter, quarter[::-1] * (1, -1), quarter * (-1, -1), quarter[::-1] * (-1, 1)]
    return np.concatenate(corners) + np.asarray(centre_rc, dtype=np.float64)


def ellipse(centre_rc: tuple[float, float], radii_rc: tuple[float, float], angle_rad: float = 0.0) -> Array:
    """Outline of an ellipse, (48, 2) float64, turned by an angle."""
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    outline = np.stack([radii_rc[0] * np.sin(turn), radii_rc[1] * np.cos(turn)], axis=1)
    return rotate(outline, angle_rad) + np.asarray(centre_rc, dtype=np.float64)


def rotate(points_rc: Array, angle_rad: float) -> Array:
    """Points turned about the origin."""
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    return np.asarray(points_rc @ np.array([[cosine, sine], [-sine, cosine]]))


def stroke(points_rc: Array, width: float | Array) -> Array:
    """Outline of a line with mitred bends.

    Args:
        points_rc: (P, 2) centre line, P >= 2, no point twice in a row.
        width: full width, one number or one per point.

    Returns:
        (2P, 2) float64 outline.
    """
    steps = np.diff(points_rc, axis=0)
    steps = steps / np.linalg.norm(steps, axis=1, keepdims=True)
    normals = np.stack([-steps[:, 1], steps[:, 0]], axis=1)
    before, after = np.vstack([normals[:1], normals]), np.vstack([normals, normals[-1:]])
    mitre = before + after
    # a mitre grows without bound at a hairpin; 0.3 keeps its tip within about 3 widths
    mitre = mitre / np.maximum(np.sum(mitre * before, axis=1, keepdims=True), 0.3)
    offset = mitre * (np.broadcast_to(np.asarray(width, dtype=np.float64), len(points_rc))[:, None] / 2)
    return np.concatenate([points_rc + offset, (points_rc - offset)[::-1]])


def fine_coverage(outlines: Iterable[Array], image_hw: ImageHW, supersample: int = SUPERSAMPLE) -> Array:
    """Filled outlines on a grid `supersample` times finer: uint8, 0 or 255."""
    fine = np.zeros((image_hw[0] * supersample, image_hw[1] * supersample), dtype=np.uint8)
    for outline in outlines:
        # cv2 puts integer coordinates on pixel centres and wants (x, y)
        vertices = (outline[:, ::-1] * supersample - 0.5) * (1 << SUBPIXEL_BITS)
        fixed = np.round(vertices).astype(np.int32)
        cv2.fillPoly(fine, [fixed], 255, lineType=cv2.LINE_8, shift=SUBPIXEL_BITS)
    return fine


def shrink(fine: Array, image_hw: ImageHW) -> Array:
    """A finer grid averaged down to pixels, (H, W), same dtype."""
    return np.asarray(cv2.resize(fine, image_hw[::-1], interpolation=cv2.INTER_AREA))


def coverage(outlines: Iterable[Array], image_hw: ImageHW) -> Array:
    """Share of each pixel that lies inside any outline, (H, W) float32 in [0, 1]."""
    return shrink(fine_coverage(outlines, image_hw), image_hw).astype(np.float32) / np.float32(255)


def soften(array: Array, sigma_px: float) -> Array:
    """Gaussian blur, the border mirrored."""
    return np.asarray(cv2.GaussianBlur(array, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT_101))


def grain(rng: np.random.Generator, image_hw: ImageHW) -> Array:
    """White noise of unit deviation, (H, W) float32."""
    return rng.standard_normal(image_hw, dtype=np.float32)


def smooth_noise(rng: np.random.Generator, image_hw: ImageHW, scale_px: float | tuple[float, float]) -> Array:
    """Cloudy noise of about unit deviation, (H, W) float32.

    Args:
        rng: source of the noise.
        image_hw: of the result.
        scale_px: size of the clouds, one number or (down, across).
    """
    down, across = (scale_px, scale_px) if isinstance(scale_px, int | float) else scale_px
    rows, columns = (
        int(np.ceil(n / max(scale, 1.0))) + 3 for n, scale in zip(image_hw, (down, across), strict=True)
    )
    knots = rng.standard_normal((rows, columns), dtype=np.float32)
    # the clouds keep their size: more knots than fit are drawn and the rest is cut off
    stretched = (int(np.ceil(rows * max(down, 1.0))), int(np.ceil(columns * max(across, 1.0))))
    large = cv2.resize(knots, stretched[::-1], interpolation=cv2.INTER_CUBIC)
    top, left = int(down), int(across)
    return np.asarray(large[top : top + image_hw[0], left : left + image_hw[1]] * np.float32(1.17))


def streaks(rng: np.random.Generator, image_hw: ImageHW, length_px: float) -> Array:
    """Noise drawn out along the rows, as brushing leaves it: unit deviation, (H, W) float32."""
    reach = max(round(length_px), 1)
    noise = rng.standard_normal((image_hw[0], image_hw[1] + reach), dtype=np.float32)
    drawn = cv2.blur(noise, (reach, 1))[:, reach // 2 : reach // 2 + image_hw[1]]
    return np.asarray(drawn * np.float32(np.sqrt(reach)))


def relief(height_map: Array, light_rad: float) -> Array:
    """Slope of a surface toward the light: bright on one flank, dark on the other.

    Args:
        height_map: (H, W) float32.
        light_rad: where the light comes from; 0 is from the left, pi/2 from above.

    Returns:
        (H, W) float32, in height per pixel.
    """
    across = cv2.Sobel(height_map, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    down = cv2.Sobel(height_map, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    return np.asarray(np.float32(np.cos(light_rad)) * across + np.float32(np.sin(light_rad)) * down)


def cover(picture: Array, colour: Array | tuple[float, ...], alpha: Array) -> None:
    """Paint over a picture in place.

    Args:
        picture: (H, W, 3) float32, changed.
        colour: (3,) or (H, W, 3), in the unit of the picture.
        alpha: (H, W) opacity in [0, 1].
    """
    change = np.asarray(colour, dtype=np.float32) - picture
    change *= alpha[..., None]
    picture += change
