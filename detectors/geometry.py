"""Brings images to the model's input, and score grids back to the image's own pixels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch.nn import functional

from detectors.maps import Axis, axis_operator
from detectors.threads import one_torch_thread

Image = np.ndarray  # (H, W, 3) uint8 RGB
Aspect = Literal["keep", "stretch"]
MULTIPLE = 8  # of chosen input sides, in pixels
SIDE_MIN = 32
NEGLIGIBLE_PERCENT = 4  # an aspect ratio this little off is stretched rather than padded


@dataclass(frozen=True)
class Prepared:
    """An image at the model's input size.

    Attributes:
        pixels: (h, w, 3) uint8 RGB.
        image_hw: height and width of the image it was made from.
    """

    pixels: np.ndarray
    image_hw: tuple[int, int]


@dataclass(frozen=True)
class Box:
    """Where the picture lies in the resized image, in pixels; what is outside repeats its edge."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Geometry:
    """Resize, then optionally cut out the centre.

    Attributes:
        image_hw: height and width after the resize.
        crop_hw: of the centre crop that the model sees, or None for all of it. A crop hides the border.
        aspect: "keep" keeps an image's aspect ratio and repeats its edge where it does not fill image_hw;
            "stretch" resizes height and width each for itself.
    """

    image_hw: tuple[int, int]
    crop_hw: tuple[int, int] | None = None
    aspect: Aspect = "keep"

    def __post_init__(self) -> None:
        for name in ("image_hw", "crop_hw"):
            if (value := getattr(self, name)) is not None:  # JSON has no tuples
                object.__setattr__(self, name, (int(value[0]), int(value[1])))

    @property
    def input_hw(self) -> tuple[int, int]:
        """What the model sees."""
        return self.crop_hw or self.image_hw

    def box(self, image_hw: tuple[int, int]) -> Box:
        """Where an image of some height and width lies after the resize.

        >>> Geometry((64, 64)).box((50, 100))
        Box(top=16, left=0, height=32, width=64)
        >>> Geometry((64, 64), aspect="stretch").box((50, 100))
        Box(top=0, left=0, height=64, width=64)
        """
        (height, width), (h, w) = image_hw, self.image_hw
        shapes = h * width, w * height  # whole numbers, so that an exported graph decides alike
        alike = 100 * max(shapes) <= (100 + NEGLIGIBLE_PERCENT) * min(shapes)
        if self.aspect == "stretch" or alike:
            return Box(0, 0, h, w)
        scale = min(h / height, w / width)
        inner_h, inner_w = max(1, round(height * scale)), max(1, round(width * scale))
        return Box((h - inner_h) // 2, (w - inner_w) // 2, inner_h, inner_w)

    def prepare(self, image: Image) -> Prepared:
        """Resize (bilinear, antialiased), repeat the edge where the image does not fill it, and crop.

        Raises:
            ValueError: not an (H, W, 3) uint8 array with at least one pixel.
        """
        check_image(image)
        height, width = image.shape[:2]
        box = self.box((height, width))
        pixels = image[:, :, :1] if image.strides[2] == 0 else image  # a repeated grey is resized once
        if (height, width) != (box.height, box.width):
            pixels = _resized(pixels, (box.height, box.width))
        if pixels.shape[2] == 1:
            grey, pixels = pixels[:, :, 0], np.empty((*pixels.shape[:2], 3), np.uint8)
            for channel in range(3):  # np.repeat takes twice as long
                pixels[:, :, channel] = grey
        placed = np.ascontiguousarray(self._placed(pixels, box))
        # torch takes no read-only arrays
        return Prepared(placed if placed.flags.writeable else placed.copy(), (height, width))

    def prepare_mask(self, mask: np.ndarray) -> np.ndarray:
        """A ground-truth mask at the model's input: True where any of the pixels it stands for is.

        Args:
            mask: (H, W) bool.

        Returns:
            (h, w) bool, False outside of the picture.
        """
        box = self.box((mask.shape[0], mask.shape[1]))
        area = functional.adaptive_max_pool2d(
            torch.from_numpy(np.ascontiguousarray(mask)).float()[None, None], (box.height, box.width)
        )
        inner = area[0, 0].numpy() > 0
        whole = np.zeros(self.image_hw, bool)
        whole[box.top : box.top + box.height, box.left : box.left + box.width] = inner
        return np.ascontiguousarray(self._cropped(whole))

    def _placed(self, pixels: np.ndarray, box: Box) -> np.ndarray:
        height, width = self.image_hw
        if (box.height, box.width) != self.image_hw:
            below, right = height - box.top - box.height, width - box.left - box.width
            pixels = np.pad(pixels, ((box.top, below), (box.left, right), (0, 0)), mode="edge")
        return self._cropped(pixels)

    def _cropped(self, pixels: np.ndarray) -> np.ndarray:
        if self.crop_hw is None:
            return pixels
        top, left = ((a - b) // 2 for a, b in zip(self.image_hw, self.crop_hw, strict=True))
        return pixels[top : top + self.crop_hw[0], left : left + self.crop_hw[1]]

    def axes(self, grid_hw: tuple[int, int], image_hw: tuple[int, int]) -> tuple[Axis, Axis]:
        """Rows and columns on the way from a score grid to an image's map."""
        box = self.box(image_hw)
        places = ((box.top, box.height), (box.left, box.width))
        rows, columns = (
            Axis(grid_hw[n], self.input_hw[n], self.image_hw[n], *places[n], image_hw[n]) for n in (0, 1)
        )
        return rows, columns

    def inside(self, grid_hw: tuple[int, int], image_hw: tuple[int, int]) -> np.ndarray:
        """(h, w) bool: cells of a score grid whose centre shows the image, not a repeated edge."""
        rows, columns = self.axes(grid_hw, image_hw)
        found: np.ndarray = rows.inside()[:, None] & columns.inside()[None, :]
        return found

    def to_image(self, grid: np.ndarray, image_hw: tuple[int, int], blur_sigma: float) -> np.ndarray:
        """A coarse score grid as a smooth map over the image.

        In this order: cells beyond the picture take the value of the nearest one within, bilinear to the
        model's input, Gaussian blur there, edge values repeated outside of a crop, the picture cut out,
        bilinear to the image. So the blur is blur_sigma pixels of the model's input, whatever the image's
        own size.

        Args:
            grid: (h, w) float32.
            image_hw: of the map.
            blur_sigma: standard deviation in pixels of the model's input; 0 for none.

        Returns:
            (H, W) float32.
        """
        rows, columns = (
            axis_operator(axis, blur_sigma) for axis in self.axes((grid.shape[0], grid.shape[1]), image_hw)
        )
        with one_torch_thread():
            values = torch.from_numpy(rows) @ torch.from_numpy(grid.astype(np.float32))
            return (values @ torch.from_numpy(columns).T).numpy()


def _resized(pixels: np.ndarray, to_hw: tuple[int, int]) -> np.ndarray:
    """(h, w, C) uint8, bilinear and antialiased."""
    if not pixels.flags.writeable:
        pixels = pixels.copy()  # torch takes no read-only arrays
    planes = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]
    resized = functional.interpolate(planes, to_hw, mode="bilinear", antialias=True)
    return resized[0].permute(1, 2, 0).numpy()


def check_image(image: Image) -> None:
    """Refuse what is not an image.

    Raises:
        ValueError: not an (H, W, 3) uint8 array with at least one pixel.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(
            f"Expected an image of shape (H, W, 3) and type uint8, found {image.shape} {image.dtype}. "
            "Replicate a grey channel three times; scale 16-bit values to 8 bits."
        )


def choose_hw(sizes_hw: Sequence[tuple[int, int]], side: int) -> tuple[int, int]:
    """Input height and width for images of some sizes: their median aspect ratio, about side * side pixels.

    Multiples of 8, at least 32.

    >>> choose_hw([(500, 1250)], side=256)
    (160, 408)
    >>> choose_hw([(900, 900), (640, 640)], side=256)
    (256, 256)
    """
    stretch = math.exp(float(np.median([math.log(height / width) for height, width in sizes_hw])) / 2)
    height, width = (
        max(SIDE_MIN, MULTIPLE * round(each / MULTIPLE)) for each in (side * stretch, side / stretch)
    )
    return height, width
