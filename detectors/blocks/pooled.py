"""Features of a frozen backbone, averaged over the image, at several scales and rotations of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from detectors.backbones import Backbone, Features, Runner, make_runner
from detectors.blocks.rotations import Fill, halved_hw, halvings, rotate
from detectors.config import Config
from detectors.threads import one_torch_thread


@dataclass
class Pooler:
    """From an image to one row of features for each rotation.

    Attributes:
        backbone: frozen.
        input_hw: of the images, in pixels.
        n_scales: the image itself, and that many less one halvings of it.
        fill: what is seen in the corners of a turned image.
        config: runtime, n_threads, device and precision.
        cache_folder: where exported networks are kept.
    """

    backbone: Backbone
    input_hw: tuple[int, int]
    n_scales: int
    fill: Fill
    config: Config
    cache_folder: Path | None = None
    _runners: list[Runner] = field(default_factory=list, repr=False)

    def n_features(self) -> int:
        """Length of a row.

        Raises:
            ValueError: the smallest scale is too small for the backbone.
        """
        smallest = halved_hw(self.input_hw, self.n_scales - 1)
        blank = torch.zeros((1, *smallest, 3), dtype=torch.uint8, device=self.config.device)
        net = self._net()
        try:
            with torch.inference_mode():
                maps = net(blank)
        except RuntimeError as error:
            raise ValueError(
                f"The smallest of {self.n_scales} scales has {smallest[0]} x {smallest[1]} pixels, too few "
                f"for {self.backbone.name}. Set fewer n_scales or a larger image_side. ({error})"
            ) from error
        return self.n_scales * sum(int(each.shape[1]) for each in maps)

    def rows(self, pixels: np.ndarray, degrees: Tensor) -> Tensor:
        """Features by the fast runtime; pixels are rounded after each rotation and halving.

        Args:
            pixels: (h, w, 3) uint8.
            degrees: (R,).

        Returns:
            (R, D) float32 on the CPU: the largest scale first, in it the shallowest layer first.
        """
        with one_torch_thread(), torch.inference_mode():
            turned = rotate(repeated(pixels, len(degrees)), degrees.cpu(), self.fill)
            scales = [
                each.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
                for each in halvings(turned, self.n_scales)
            ]
        parts = [_means(runner, images) for runner, images in zip(self.runners(), scales, strict=True)]
        return torch.from_numpy(np.concatenate(parts, axis=1, dtype=np.float32))

    def differentiable(self, turned: Tensor) -> Tensor:
        """The same features by torch, with a graph, of images that are turned already.

        Args:
            turned: (R, 3, h, w) float32 in [0, 255].

        Returns:
            (R, D) float32, as `rows` but for the rounding.
        """
        net = self._net()
        found = [
            each.mean(dim=(2, 3))
            for scaled in halvings(turned, self.n_scales)
            for each in net(scaled.permute(0, 2, 3, 1))
        ]
        return torch.cat(found, dim=1)

    def runners(self) -> Sequence[Runner]:
        """What computes rows, one for each scale, the largest first."""
        config = self.config
        if not self._runners:
            self._net()  # built here, since an export would build it in inference mode
            sizes = [halved_hw(self.input_hw, n) for n in range(self.n_scales)]
            self._runners = [
                make_runner(
                    self.backbone,
                    hw,
                    config.runtime,
                    config.n_threads,
                    self.cache_folder,
                    config.device,
                    config.precision,
                )
                for hw in sizes
            ]
        return self._runners

    def _net(self) -> Features:
        with torch.inference_mode(False):  # tensors made in that mode can have no gradients pass
            net: nn.Module = self.backbone.net()
        net = net.to(device=torch.device(self.config.device), memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cast(Features, net)


def _means(runner: Runner, images: np.ndarray) -> np.ndarray:
    """(R, C): each channel's mean over its map, for (R, h, w, 3) uint8 images."""
    found: list[np.ndarray] = [np.empty(0)] * len(images)

    def take(index: int, maps: list[np.ndarray]) -> None:
        found[index] = np.concatenate([each.mean(axis=(1, 2)) for each in maps])

    runner.run(list(images), take)
    return np.stack(found)


def repeated(pixels: np.ndarray, n: int) -> Tensor:
    """(n, 3, h, w) float32 in [0, 255]: one (h, w, 3) uint8 image n times."""
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float().repeat(n, 1, 1, 1)
