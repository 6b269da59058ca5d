"""Brings images to the model's input, and score grids back to the image's own pixels."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from detectors.maps import axis_operator
from detectors.threads import one_torch_thread

Image = np.ndarray  # (H, W, 3) uint8 RGB


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
class Geometry:
    """Resize without keeping the aspect ratio, then optionally cut out the centre.

    Attributes:
        image_hw: height and width after the resize.
        crop_hw: of the centre crop that the model sees, or None for all of it. A crop hides the border.
    """

    image_hw: tuple[int, int]
    crop_hw: tuple[int, int] | None = None

    @property
    def input_hw(self) -> tuple[int, int]:
        """What the model sees."""
        return self.crop_hw or self.image_hw

    def prepare(self, image: Image) -> Prepared:
        """Resize (bilinear, antialiased) and crop.

        Raises:
            ValueError: not an (H, W, 3) uint8 array with at least one pixel.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ValueError(
                f"Expected an image of shape (H, W, 3) and type uint8, found {image.shape} {image.dtype}. "
                "Replicate a grey channel three times; scale 16-bit values to 8 bits."
            )
        height, width = image.shape[:2]
        pixels = image if image.flags.writeable else image.copy()  # torch takes no read-only arrays
        if (height, width) != self.image_hw:
            planes = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]
            resized = functional.interpolate(planes, self.image_hw, mode="bilinear", antialias=True)
            pixels = resized[0].permute(1, 2, 0).numpy()
        if self.crop_hw:
            top, left = ((a - b) // 2 for a, b in zip(self.image_hw, self.crop_hw, strict=True))
            pixels = pixels[top : top + self.crop_hw[0], left : left + self.crop_hw[1]]
        return Prepared(np.ascontiguousarray(pixels), (height, width))

    def to_image(self, grid: np.ndarray, image_hw: tuple[int, int], blur_sigma: float) -> np.ndarray:
        """A coarse score grid as a smooth map over the image.

        In this order: bilinear to the model's input, Gaussian blur there, edge values repeated outside
        of a crop, bilinear to the image. So the blur is blur_sigma pixels of the model's input, whatever
        the image's own size.

        Args:
            grid: (h, w) float32.
            image_hw: of the map.
            blur_sigma: standard deviation in pixels of the model's input; 0 for none.

        Returns:
            (H, W) float32.
        """
        rows, columns = (
            axis_operator(
                grid.shape[axis], self.input_hw[axis], self.image_hw[axis], image_hw[axis], blur_sigma
            )
            for axis in (0, 1)
        )
        with one_torch_thread():
            values = torch.from_numpy(rows) @ torch.from_numpy(grid.astype(np.float32))
            return (values @ torch.from_numpy(columns).T).numpy()
