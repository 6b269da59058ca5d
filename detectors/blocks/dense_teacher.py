"""What a teacher learns from, at every position of whole images: the backbone's features there.

Our derivation, for fits of minutes. Where the paper takes one pooled feature vector for each patch, enlarged
to the backbone's input (blocks/patch_teacher.py), here the backbone sees whole images once at their own
scale, and its maps, of layers that look at regions about as wide as a patch, are resized to the grid that
the teacher answers on. One pass then gives hundreds of targets. The images are normals, enlarged, shrunk,
turned, mirrored, with other colours, and half of them with blots of another, so that a teacher tells more
apart than the normals show.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from detectors.backbones import Runner
from detectors.blocks.patch_nets import normalized, own_stride, patch_borders, reach

N_AT_ONCE = 32
ZOOM, GAIN, OFFSET = 1.5, 0.3, 0.1
BLOTTED, BLOT_CELLS = 0.5, 6  # share of the images with blots, and how many fit beside each other
FINEST = 4  # pixels between targets, at least: what usual backbones give
LAYERS_SEEN = {17: slice(0, 1), 33: slice(0, 2), 65: slice(1, 3)}  # of the backbone's, by patch side


def target_stride(side: int) -> int:
    """Pixels between the targets of a teacher for patches of some side.

    >>> [target_stride(side) for side in (17, 33, 65)]
    [4, 4, 8]
    """
    return max(FINEST, own_stride(side))


def jittered_views(images: Tensor, n_views: int, generator: torch.Generator) -> Tensor:
    """(n_views, h, w, 3) uint8 views of random ones of (N, h, w, 3) uint8 images; see the module."""
    parts = []
    for start in range(0, n_views, N_AT_ONCE):
        n = min(N_AT_ONCE, n_views - start)
        first, second = (_views(images, n, generator) for _ in range(2))
        noise = torch.randn(n, 1, BLOT_CELLS, BLOT_CELLS, generator=generator)
        level, blotted = (torch.rand(n, 1, 1, 1, generator=generator) for _ in range(2))
        smooth = functional.interpolate(noise, first.shape[2:], mode="bicubic")
        views = torch.where((smooth > 0.2 + 1.3 * level) & (blotted < BLOTTED), second, first)
        parts.append((views * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous())
    return torch.cat(parts)


def _views(images: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """(n, 3, h, w) float32 in [0, 1]."""

    def uniform(limit: float, *shape: int) -> Tensor:
        return limit * (2 * torch.rand(n, *shape, generator=generator) - 1)

    height, width = images.shape[1:3]
    chosen = images[torch.randint(len(images), (n,), generator=generator)].permute(0, 3, 1, 2).float() / 255
    scale, angle = uniform(math.log(ZOOM)).exp(), uniform(math.pi)
    mirror = torch.where(uniform(1.0) < 0, 1.0, -1.0)
    cos, sin, centre = angle.cos() * scale, angle.sin() * scale, uniform(0.3, 2)
    rows = [
        torch.stack([mirror * cos, -sin * height / width, centre[:, 0]], dim=1),
        torch.stack([mirror * sin * width / height, cos, centre[:, 1]], dim=1),
    ]
    grid = functional.affine_grid(torch.stack(rows, dim=1), list(chosen.shape), align_corners=False)
    views = functional.grid_sample(chosen, grid, padding_mode="reflection", align_corners=False)
    gain = uniform(GAIN, 1, 1, 1).exp() * uniform(GAIN / 3, 3, 1, 1).exp()
    mean = views.mean(dim=(1, 2, 3), keepdim=True)
    return ((views - mean) * gain + mean + uniform(OFFSET, 1, 1, 1)).clamp(0, 1)


@dataclass(frozen=True)
class Lessons:
    """Images with what the backbone says of them.

    Attributes:
        views: (N, h, w, 3) uint8.
        features: (N, C, gh, gw) float32, one vector for stride * stride pixels, standardised over all.
        side: of the patch.
    """

    views: Tensor
    features: Tensor
    side: int

    def draw(self, n: int, margin: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Random windows and the features around the middles of their patches.

        Args:
            n: windows.
            margin: pixels that a window is wider than a patch, rounded down to cells; at most the whole view.
            generator: on the CPU.

        Returns:
            (n, 3, wh, ww) float32 in [-1, 1], and (n, C, k, l) float32.
        """
        stride, chosen = target_stride(self.side), torch.randint(len(self.views), (n,), generator=generator)
        pixels, cells = [], []
        for n_pixels, n_cells in zip(self.views.shape[1:3], self.features.shape[2:], strict=True):
            length = min(n_cells, margin // stride + 1)
            first = torch.randint(n_cells - length + 1, (n, 1), generator=generator)
            before, _ = patch_borders(self.side, stride, n_pixels)
            reached = torch.arange((length - 1) * stride + reach(self.side))
            pixels.append((first * stride - before + reached).clamp(0, n_pixels - 1))
            cells.append(first + torch.arange(length))
        at = chosen[:, None, None]
        windows = self.views[at, pixels[0][:, :, None], pixels[1][:, None, :]]
        features = self.features[at, :, cells[0][:, :, None], cells[1][:, None, :]]
        return normalized(windows), features.movedim(-1, 1)


def dense_lessons(runner: Runner, views: Tensor, side: int) -> Lessons:
    """Ask a backbone about whole images; see Lessons.

    Args:
        runner: of a backbone for images of the views' size, whose layers are its default ones.
        views: (N, h, w, 3) uint8.
        side: of the patch.
    """
    stride = target_stride(side)
    grid_hw = [max(1, int(n / stride + 0.5)) for n in views.shape[1:3]]
    found: list[Tensor] = [torch.empty(0)] * len(views)

    def take(index: int, maps: Sequence[np.ndarray]) -> None:
        seen = maps[LAYERS_SEEN[side]] or maps
        planes = [torch.from_numpy(each.copy())[None] for each in seen]
        resized = [functional.interpolate(each, grid_hw, mode="bilinear") for each in planes]
        found[index] = torch.cat(resized, dim=1)[0]

    runner.run(list(views.numpy()), take)
    features = torch.stack(found)
    mean = features.mean(dim=(0, 2, 3), keepdim=True)
    std = features.std(dim=(0, 2, 3), correction=0, keepdim=True).clamp_min(1e-6)
    return Lessons(views, (features - mean) / std, side)
