"""Patch-SVDD: learned patch embeddings; the map is the distance to the nearest normal patch, at two sizes.

The embeddings of patches almost at the same place are drawn together, and from those of neighbours a
classifier learns to tell the direction from one to the other.

Source: Yi, Yoon, "Patch SVDD: Patch-level SVDD for Anomaly Detection and Segmentation", ACCV 2020,
arXiv:2006.16067; details that the paper leaves open as in the authors' published code.

Deviations from the paper: the last layer of the position classifiers learns (see blocks/hierarchy.py);
patches near a border are drawn where they fit rather than moved inside with a direction that no longer
holds; jitter is at least a pixel, also for patches so small that 1/32 of their side is none; steps are
counted instead of epochs; initial weights are He's. In the default profile: about 128 pixels, patches of 32
and 16 pixels with an encoder of our own widths, 32 dimensions, fewer steps at a higher learning rate, and a
coreset in place of all patches.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.base import Example, MapKind
from detectors.blocks.bank import greedy_coreset, sampled_rows
from detectors.blocks.hierarchy import WIDTHS, HierarchicalEncoder, position_classifier
from detectors.blocks.patch_scorer import PatchScorer, Scales
from detectors.blocks.patches import (
    cut,
    grid_hw,
    jittered_corners,
    mean_image,
    neighbour_corners,
)
from detectors.blocks.trainer import Training, step_seed, torch_threads, train, training_key
from detectors.config import Config, TrainedConfig
from detectors.geometry import Prepared
from detectors.headed import HeadedDetector
from detectors.loop import Loop
from detectors.memory import Forecast, gib

NOISE = 0.02  # standard deviation of the colour shift and of the noise of pixels in [0, 1]
JITTER_PART = 32  # of the side
OF_THE_BANK = ("bank_size", "n_candidates", "n_projected")  # settings that no training depends on


@dataclass(frozen=True)
class PatchSvddConfig(TrainedConfig):
    """Settings of Patch-SVDD.

    Attributes:
        patch_side: of large patches, in pixels of the model's input: 16, 32 or 64; half of it for small ones.
        n_dimensions: of an embedding.
        stride_small, stride_large: between the patches that are compared, in pixels; even, the small one
            divides both half the patch_side and the large one.
        svdd_weight: of the losses that draw neighbours together, against those of the directions (lambda).
            The paper tunes it for each category; 1 is the default of the authors' published code.
        n_pairs: of patches, for each loss in each step.
        bank_size: embeddings of normal patches kept at each size; None keeps all.
        n_candidates: embeddings that the kept ones are chosen from, at most, at each size.
        n_projected: dimensions in which they are chosen.
    """

    patch_side: int = 32
    n_dimensions: int = 32
    stride_small: int = 4
    stride_large: int = 8
    svdd_weight: float = 1.0
    n_pairs: int = 32
    bank_size: int | None = 5_000
    n_candidates: int = 50_000
    n_projected: int = 16
    backbone: str = "none"
    weights: str = "none"
    image_side: int = 128
    learning_rate: float = 1e-3

    PROFILES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "image_hw": (256, 256), "aspect": "stretch", "patch_side": 64, "n_dimensions": 64,
            "stride_small": 4, "stride_large": 16, "bank_size": None, "n_pairs": 64,
            "learning_rate": 1e-4,
            "n_steps": 120_000,  # 300 epochs of 250 images, 100 patches each, 64 pairs a step
        },
        "cpu": {},
        "smoke": {
            "image_hw": (64, 64), "patch_side": 16, "n_dimensions": 16, "stride_small": 4, "n_steps": 60,
            "n_pairs": 16, "bank_size": 500, "n_candidates": 3_000, "n_threads": 1,
        },
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        sides = [2 * side for side in WIDTHS]
        if self.patch_side not in sides:
            raise ValueError(f"Expected patch_side as one of {sides}, found {self.patch_side}.")
        small, large = self.stride_small, self.stride_large
        if small < 2 or small % 2 or (self.patch_side // 2) % small or large % small or large < small:
            raise ValueError(
                f"Expected an even stride_small that divides {self.patch_side // 2} (half the patch_side) "
                f"and stride_large, found {small} and {large}."
            )
        for name in ("n_dimensions", "n_pairs", "n_candidates", "n_projected", "bank_size"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"Expected {name} of at least 1, found {value}.")
        if self.svdd_weight < 0:
            raise ValueError(f"Expected svdd_weight of at least 0, found {self.svdd_weight}.")

    def scales(self) -> Scales:
        """Side and stride of small and of large patches."""
        return (self.patch_side // 2, self.stride_small), (self.patch_side, self.stride_large)


class PatchSvdd(HeadedDetector):
    """See the module. Image score: the maximum of the map."""

    name: ClassVar[str] = "patch_svdd"
    map_kind: ClassVar[MapKind] = "native"
    config_class: ClassVar[type[Config]] = PatchSvddConfig
    uses_backbone: ClassVar[bool] = False
    config: PatchSvddConfig

    def _new_head(self, facts: Mapping[str, Any]) -> PatchScorer:
        config = self.config
        return PatchScorer(config.scales(), config.n_dimensions, self.geometry.input_hw, facts["n_kept"])

    def _train(self, normals: Sequence[Prepared], anomalies: Sequence[Example], loop: Loop) -> nn.Module:
        config = self.config
        self._check_room()
        n_all = [self._n_vectors(len(normals), scale) for scale in (0, 1)]
        self.facts_ = {"n_kept": [min(config.bank_size or n, n) for n in n_all]}
        head = self._new_head(self.facts_).to(config.device)
        stacked = torch.from_numpy(np.stack([each.pixels for each in normals]))
        head.mean.copy_(mean_image(stacked))
        images = stacked.permute(0, 3, 1, 2).to(config.device)
        losses = Losses(config, head.encoder).to(config.device)
        training = Training(
            self.name, {"losses": losses}, _adam(losses, config), losses.step_on(images, head.mean),
            config.n_steps, config.seed, self._key(stacked), n_threads=config.n_threads,
        )  # fmt: skip
        train(training, loop)
        with torch_threads(config.n_threads), torch.inference_mode():
            self._fill(head, stacked, n_all, loop)
        return head

    def _check_room(self) -> None:
        if min(self.geometry.input_hw) < self.config.patch_side:
            raise ValueError(
                f"Expected an input of at least {self.config.patch_side} pixels (patch_side) each way, found "
                f"{self.geometry.input_hw}. Choose a larger image_side or image_hw, or a smaller patch_side."
            )

    def _n_each(self, n_images: int, scale: int) -> int:
        """Embeddings taken of each image."""
        rows, columns = grid_hw(self.geometry.input_hw, *self.config.scales()[scale])
        if self.config.bank_size is None:
            return rows * columns
        return min(rows * columns, max(1, self.config.n_candidates // n_images))

    def _n_vectors(self, n_images: int, scale: int) -> int:
        return n_images * self._n_each(n_images, scale)

    def _fill(self, head: PatchScorer, images: Tensor, n_all: Sequence[int], loop: Loop) -> None:
        """Embed the images one by one, keep some vectors of each, and of those a coreset."""
        config, n_images = self.config, len(images)
        n_each = [n // n_images for n in n_all]
        found = [torch.empty(n, config.n_dimensions, device=config.device) for n in n_all]
        for index, pixels in enumerate(images):
            for scale, vectors in enumerate(head.vectors(pixels[None].to(config.device))):
                rows = sampled_rows(len(vectors), n_each[scale], step_seed(config.seed, 2 * index + scale))
                start = index * n_each[scale]
                found[scale][start : start + n_each[scale]] = vectors[rows.to(vectors.device)]
            loop.step("embed", index + 1, n_images)
        for scale, bank in enumerate(head.banks()):
            chosen = greedy_coreset(
                found[scale], len(bank), seed=config.seed, n_projected=config.n_projected,
                stop=lambda done, total: loop.step("bank", done, total),
            )  # fmt: skip
            bank.copy_(found[scale][chosen.to(bank.device)])

    def _key(self, images: Tensor) -> str:
        """What the training depends on: settings and images."""
        return training_key(self.config, self.version, [images.numpy()], OF_THE_BANK)

    def forecast(self, n_images: int) -> Forecast:
        """See Detector: images and the embeddings that the bank is chosen from, then the bank."""
        self._check_room()
        config, n_pixels = self.config, int(np.prod(self.geometry.input_hw))
        n_all = [self._n_vectors(n_images, scale) for scale in (0, 1)]
        n_kept = [min(config.bank_size or n, n) for n in n_all]
        state_bytes = 4 * config.n_dimensions * sum(n_kept)
        n_projected = min(config.n_projected, config.n_dimensions)
        choosing = 0 if n_all == n_kept else 4 * max(n_all) * (n_projected + 3)
        embedding = n_pixels * sum(sorted(WIDTHS[config.patch_side // 2])[-2:])  # two layers at half the size
        fit_bytes = 6 * n_images * n_pixels + 4 * config.n_dimensions * sum(n_all) + state_bytes
        remedies = ["Choose a smaller image_side or fewer images."]
        if config.bank_size is None:
            remedies.insert(0, f"Choose a bank_size: 10000 would need {gib(80_000 * config.n_dimensions)}.")
        return Forecast(
            fit_bytes + max(choosing, embedding), state_bytes, "images and patches kept", tuple(remedies)
        )


def _adam(losses: nn.Module, config: TrainedConfig) -> torch.optim.Optimizer:
    return torch.optim.Adam(losses.parameters(), config.learning_rate, weight_decay=config.weight_decay)


class Losses(nn.Module):
    """What the encoder learns from: the directions of neighbours, and that near patches are alike."""

    def __init__(self, config: PatchSvddConfig, encoder: HierarchicalEncoder) -> None:
        super().__init__()
        self.config, self.encoder = config, encoder
        self.classifiers = nn.ModuleList(position_classifier(config.n_dimensions) for _ in config.scales())

    def step_on(self, images: Tensor, mean: Tensor) -> Callable[[int, torch.Generator], Tensor]:
        """The step of a training on (N, 3, h, w) uint8 images with a (3, h, w) mean."""

        def step(number: int, generator: torch.Generator) -> Tensor:
            loss: Tensor = self(images, mean, generator)
            return loss

        return step

    def forward(self, images: Tensor, mean: Tensor, generator: torch.Generator) -> Tensor:
        """The loss of a step, a scalar."""
        return torch.stack([self._of_scale(n, images, mean, generator) for n in (0, 1)]).sum()

    def _of_scale(self, scale: int, images: Tensor, mean: Tensor, generator: torch.Generator) -> Tensor:
        side, n = self.config.scales()[scale][0], self.config.n_pairs
        image_hw = (images.shape[2], images.shape[3])
        first, second, direction = neighbour_corners(image_hw, side, n, generator)
        near, nearer = jittered_corners(image_hw, side, max(1, side // JITTER_PART), n, generator)
        index = torch.randint(len(images), (2, n), generator=generator)
        corners = torch.cat([first, second, near, nearer]).to(images.device)
        which = torch.cat([index[0], index[0], index[1], index[1]]).to(images.device)
        patches = cut(images, which, corners, side).float() / 255
        patches = patches - cut(mean[None], torch.zeros_like(which), corners, side)
        noise = _noise(2 * n, side, generator).to(images.device)
        patches = torch.cat([patches[: 2 * n] + noise, patches[2 * n :]])
        embed = self.encoder.large if scale else self.encoder.small
        a, b, c, d = embed(patches).chunk(4)
        directions = functional.cross_entropy(self.classifiers[scale](a - b), direction.to(images.device))
        apart = torch.linalg.vector_norm(c - d, dim=1).mean()
        loss: Tensor = directions + self.config.svdd_weight * apart
        return loss


def _noise(n: int, side: int, generator: torch.Generator) -> Tensor:
    """(n, 3, side, side): a shift of each colour and noise of each pixel, other ones for each patch."""
    shift = torch.randn(n, 3, 1, 1, generator=generator)
    return NOISE * (shift + torch.randn(n, 3, side, side, generator=generator))
