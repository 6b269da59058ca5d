"""Teachers with their students as one module: errors, disagreement and the map they make together.

Source: Bergmann et al., "Uninformed Students", CVPR 2020, arXiv:1911.02357, equations from memory.
"""

from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from detectors.blocks.patch_nets import PatchNet, normalized, own_stride, patch_borders, with_borders

SMALLEST = 1e-6  # deviation that is divided by


class Ensemble(nn.Module):
    """A teacher and the students that imitate it, for patches of one side."""

    target_mean: Tensor
    target_std: Tensor

    def __init__(self, side: int, width: float, n_descriptor: int, n_students: int) -> None:
        super().__init__()
        self.side = side
        self.teacher = PatchNet(side, width, n_descriptor)
        self.students = nn.ModuleList(PatchNet(side, width, n_descriptor) for _ in range(n_students))
        self.register_buffer("target_mean", torch.zeros(n_descriptor))
        self.register_buffer("target_std", torch.ones(n_descriptor))

    @torch.no_grad()
    def target(self, images: Tensor, stride: int) -> Tensor:
        """(N, d, gh, gw): the teacher's descriptors, standardised, without a graph."""
        found: Tensor = self.teacher(images, stride)
        return (found - self.target_mean.view(1, -1, 1, 1)) / self.target_std.view(1, -1, 1, 1)

    @torch.no_grad()
    def standardize_targets(self, windows: Iterable[Tensor]) -> None:
        """Take mean and deviation of every descriptor dimension from (N, 3, h, w) windows of normals."""
        stride = own_stride(self.side)
        found = torch.cat(
            [self.teacher(each, stride).movedim(1, 0).flatten(1).double() for each in windows], 1
        )
        self.target_mean.copy_(found.mean(dim=1))
        self.target_std.copy_(found.std(dim=1, correction=0).clamp_min(SMALLEST))

    def loss(self, images: Tensor, stride: int, learners: Iterable[nn.Module] | None = None) -> Tensor:
        """Squared distance of each student to the target, mean over positions, sum over students.

        Args:
            images: (N, 3, h, w).
            stride: see PatchNet.
            learners: what students are wrapped in while they learn.
        """
        target = self.target(images, stride)
        students = self.students if learners is None else learners
        distances = [(student(images, stride) - target).square().sum(dim=1).mean() for student in students]
        return torch.stack(distances).sum()

    def error_and_variance(self, images: Tensor, stride: int) -> Tensor:
        """(N, 2, gh, gw): squared distance of the students' mean to the target, and their variance.

        The variance, mean |s_i|^2 - |mean s_i|^2, is computed from the students' differences, so that it
        cannot become negative.
        """
        answers = [student(images, stride) for student in self.students]
        mean = torch.stack(answers).mean(dim=0)
        error = (mean - self.target(images, stride)).square().sum(dim=1)
        variance = torch.zeros_like(error)
        for index, first in enumerate(answers):
            for second in answers[index + 1 :]:
                variance = variance + (first - second).square().sum(dim=1)
        return torch.stack([error, variance / len(answers) ** 2], dim=1)


class Students(nn.Module):
    """Ensembles of several patch sides: (1, h, w, 3) uint8 pixels to a (1, gh, gw) score grid."""

    mean: Tensor
    std: Tensor

    def __init__(self, ensembles: Sequence[Ensemble], stride: int, variance_weight: float = 1.0) -> None:
        """`variance_weight`: of the variance beside the error, once both are standardised."""
        super().__init__()
        self.variance_weight = variance_weight
        self.ensembles = nn.ModuleList(ensembles)
        self.stride = stride
        self.register_buffer("mean", torch.zeros(len(ensembles), 2, 1, 1))
        self.register_buffer("std", torch.ones(len(ensembles), 2, 1, 1))

    def by_side(self) -> list[Ensemble]:
        """The ensembles, one for each patch side."""
        return cast(list[Ensemble], list(self.ensembles))

    def parts(self, pixels: Tensor) -> Tensor:
        """(1, n_ensembles, 2, gh, gw): errors and variances, as they are."""
        images = normalized(pixels)
        found = []
        for ensemble in self.by_side():
            bordered = with_borders(images, ensemble.side, self.stride)
            found.append(ensemble.error_and_variance(bordered, self.stride))
        return torch.stack(found, dim=1)

    def standardize_maps(self, parts: Sequence[np.ndarray]) -> None:
        """Take mean and deviation of errors and variances from normals.

        Args:
            parts: (1, n_ensembles, 2, ...) float32 each, at least one: all cells, or those that count.
        """
        values = np.concatenate([each.reshape(*self.mean.shape[:2], -1) for each in parts], axis=2)
        mean, std = (each(values, axis=2, dtype=np.float64) for each in (np.mean, np.std))
        self.mean.copy_(torch.from_numpy(mean)[..., None, None])
        self.std.copy_(torch.from_numpy(std)[..., None, None].clamp_min(SMALLEST))

    def combined(self, parts: Tensor) -> Tensor:
        """(1, gh, gw): the weighted sum of standardised error and variance, mean over patch sides."""
        error, variance = ((parts - self.mean) / self.std).unbind(dim=2)
        return (error + self.variance_weight * variance).mean(dim=1)

    def forward(self, pixels: Tensor) -> Tensor:
        """See the class."""
        return self.combined(self.parts(pixels))


def random_windows(
    images: Tensor, side: int, window: int, n_windows: int, generator: torch.Generator
) -> Tensor:
    """Windows of images whose edges are repeated so that every pixel is the middle of a patch.

    Args:
        images: (N, h, w, 3) uint8.
        side: of the patch.
        window: pixels along a side of a window; at most those of an image with its borders.
        n_windows: how many.
        generator: on the CPU.

    Returns:
        (n_windows, 3, wh, ww) float32 in [-1, 1].
    """
    sizes = images.shape[1:3]
    borders = [patch_borders(side, 1, n) for n in sizes]
    lengths = [min(window, n + sum(border)) for n, border in zip(sizes, borders, strict=True)]
    chosen = torch.randint(len(images), (n_windows,), generator=generator)
    index = []
    for n, (before, behind), length in zip(sizes, borders, lengths, strict=True):
        start = torch.randint(n + before + behind - length + 1, (n_windows, 1), generator=generator) - before
        index.append((start + torch.arange(length)).clamp(0, n - 1))
    return normalized(images[chosen[:, None, None], index[0][:, :, None], index[1][:, None, :]])
