"""Patch descriptors distilled from a frozen backbone.

Source: Bergmann et al., "Uninformed Students", CVPR 2020, arXiv:1911.02357: knowledge distillation and the
compactness term, from memory of the paper. There the patches come from ImageNet.

Our derivation: they come from the images at hand, enlarged, shrunk, turned, mirrored, with other colours,
and half of them joined from two patches along a random line, so that the teacher tells more apart than
these images show; they are drawn once, and steps draw from that bank. The backbone's features are
standardised over the bank.
"""

import functools
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.backbones import Runner
from detectors.blocks.patch_learning import Learner
from detectors.blocks.patch_nets import PatchNet

N_AT_ONCE = 64
SCALES = (0.5, 3.0)  # source pixels for a pixel of a crop
JOINED = 0.5  # share of the crops that are made of two


def jittered_crops(images: Tensor, n_crops: int, side: int, generator: torch.Generator) -> Tensor:
    """Random crops of random images, with other scales, angles and colours.

    Args:
        images: (N, h, w, 3) uint8.
        n_crops: how many.
        side: of a crop, in pixels.
        generator: on the CPU.

    Returns:
        (n_crops, side, side, 3) uint8.
    """
    parts = []
    for start in range(0, n_crops, N_AT_ONCE):
        n = min(N_AT_ONCE, n_crops - start)
        first, second = (_crops(images, n, side, generator) for _ in range(2))
        crops = torch.where(_half_planes(n, side, generator), second, first)
        parts.append((crops * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous())
    return torch.cat(parts)


def _crops(images: Tensor, n: int, side: int, generator: torch.Generator) -> Tensor:
    """(n, 3, side, side) float32 in [0, 1]."""

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator)

    height, width = images.shape[1:3]
    chosen = images[torch.randint(len(images), (n,), generator=generator)]
    scale = uniform(math.log(SCALES[0]), math.log(SCALES[1])).exp() * side
    angle = uniform(0, 2 * math.pi)
    mirror = torch.where(uniform(0, 1) < 0.5, 1.0, -1.0)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    centre = uniform(-0.9, 0.9, 2)
    theta = torch.stack(
        [
            torch.stack([mirror * cos / width, -sin / width, centre[:, 0]], dim=1),
            torch.stack([mirror * sin / height, cos / height, centre[:, 1]], dim=1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(theta, [n, 3, side, side], align_corners=False)
    source = chosen.permute(0, 3, 1, 2).float() / 255
    crops = functional.grid_sample(source, grid, padding_mode="reflection", align_corners=False)
    gain, offset = uniform(-0.7, 0.7, 3, 1, 1).exp(), uniform(-0.3, 0.3, 3, 1, 1)
    grey = uniform(0, 1, 1, 1, 1) < 0.3  # of these the colours change alike
    gain, offset = (torch.where(grey, each[:, :1], each) for each in (gain, offset))
    mean = crops.mean(dim=(1, 2, 3), keepdim=True)
    sign = torch.where(uniform(0, 1, 1, 1, 1) < 0.2, -1.0, 1.0)
    return ((crops - mean) * gain * sign + mean + offset).clamp(0, 1)


def _half_planes(n: int, side: int, generator: torch.Generator) -> Tensor:
    """(n, 1, side, side) bool: beyond a random line, or all False."""
    angle = torch.rand(n, generator=generator) * 2 * math.pi
    shift = (torch.rand(n, generator=generator) - 0.5) * 0.8 * side
    joined = torch.rand(n, generator=generator) < JOINED
    places = torch.arange(side) - (side - 1) / 2
    across = angle.cos().view(n, 1, 1) * places.view(1, 1, -1) + angle.sin().view(n, 1, 1) * places[:, None]
    return ((across > shift.view(n, 1, 1)) & joined.view(n, 1, 1))[:, None]


def resized(crops: Tensor, side: int) -> Tensor:
    """(n, side, side, 3) uint8: crops at a backbone's input size, bilinear."""
    planes = crops.permute(0, 3, 1, 2).float()
    found = functional.interpolate(planes, (side, side), mode="bilinear", antialias=True)
    return found.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def pooled_features(runner: Runner, crops: Tensor, side: int) -> Tensor:
    """(n, C) float32: the mean over positions of the backbone's maps, joined, standardised over the crops.

    Args:
        runner: of a backbone for images of side * side.
        crops: (n, s, s, 3) uint8.
        side: of the backbone's input.
    """
    found: list[np.ndarray] = [np.empty(0)] * len(crops)

    def take(start: int, index: int, maps: Sequence[np.ndarray]) -> None:
        found[start + index] = np.concatenate([each.mean(axis=(1, 2)) for each in maps])

    for start in range(0, len(crops), N_AT_ONCE):
        batch = resized(crops[start : start + N_AT_ONCE], side).numpy()
        runner.run(list(batch), functools.partial(take, start))
    features = torch.from_numpy(np.stack(found))
    return (features - features.mean(dim=0)) / features.std(dim=0, correction=0).clamp_min(1e-6)


def correlation_loss(descriptors: Tensor) -> Tensor:
    """Sum of squared correlations between different dimensions of descriptors, over a batch.

    Args:
        descriptors: (n, d) float32, n >= 2.

    Returns:
        A scalar in [0, d * (d - 1)].
    """
    centred = descriptors - descriptors.mean(dim=0)
    unit = centred / (centred.square().sum(dim=0) + 1e-8).sqrt()
    correlations = unit.T @ unit
    return correlations.square().sum() - correlations.diagonal().square().sum()


class Distillation(nn.Module):
    """A teacher with the linear decoder that is only needed while it learns."""

    def __init__(
        self,
        teacher: PatchNet,
        n_descriptor: int,
        n_features: int,
        compactness: float = 1.0,
        normed: bool = False,
    ) -> None:
        """`compactness` is the weight of correlation_loss; for `normed` see Learner."""
        super().__init__()
        self.compactness = compactness
        self.teacher = Learner(teacher, normed)
        self.decoder = nn.Linear(n_descriptor, n_features)

    def loss(self, windows: Tensor, features: Tensor, stride: int = 1) -> Tensor:
        """Squared distance to the backbone's features, mean over patches, plus correlation_loss.

        Args:
            windows: (n, 3, h, w) float32 in [-1, 1].
            features: (n, n_features, k, l), of their patches.
            stride: pixels between these.
        """
        descriptors = self.teacher(windows, stride).movedim(1, -1).flatten(0, 2)
        wanted = features.movedim(1, -1).flatten(0, 2)
        distance = (self.decoder(descriptors) - wanted).square().sum(dim=1).mean()
        loss: Tensor = distance + self.compactness * correlation_loss(descriptors)
        return loss
