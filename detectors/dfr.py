"""DFR: an autoencoder over dense pretrained features; what it cannot rebuild is anomalous.

Features of several layers are brought to one grid. An autoencoder of 1x1 convolutions, that is, one small
network for every position, learns to rebuild those of normal images; the map is the squared error.

Source: Yang, Shi, Qi, "DFR: Deep Feature Reconstruction for Unsupervised Anomaly Segmentation", 2020,
arXiv:2012.07122. Layers, widths and training are those of the authors' public code.

Deviations from the paper, in all profiles: the autoencoder is trained on n_positions random positions of each
image, which are kept in memory, instead of whole maps; the latent size comes from those of all normals
instead of the first ten images; images are resized smoothly, not by their nearest pixels; the map is brought
to the image with pixel centres, not corners, aligned; the number of steps stands for 150 epochs of about 210
images. The default profile has EfficientNet-Lite0 instead of VGG-19, a tenfold learning rate, fewer and
smaller steps, channels standardised over the training normals, and an image score of its own: the mean of the
highest twentieth of the map instead of its maximum.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from detectors.backbones import BACKBONES
from detectors.base import Example, MapKind
from detectors.blocks.merging import known_shapes
from detectors.blocks.pca import moments, n_components
from detectors.blocks.trainer import Training, train, training_key
from detectors.config import Config, TrainedConfig
from detectors.geometry import Prepared
from detectors.headed import HeadedDetector
from detectors.loop import Loop
from detectors.maps import bilinear_matrix
from detectors.memory import Forecast
from detectors.threads import one_torch_thread

MIN_DEVIATION = 0.01  # of a channel, relative to the average one: a silent channel is not blown up
BATCHES_AHEAD = 3  # of feature maps, in memory at the same time

VGG_LAYERS = (
    "relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_2", "relu3_3", "relu3_4", "relu4_1",
    "relu4_2", "relu4_3", "relu4_4",
)  # fmt: skip


@dataclass(frozen=True)
class DfrConfig(TrainedConfig):
    """Settings of DFR.

    Attributes:
        layers: of the backbone, shallow first; its default ones when empty.
        stride: side of a grid cell, in pixels of the model's input.
        n_positions: of each image, for the training.
        n_vectors: positions in one training step.
        variance_share: that the principal components, as many as the latent layer is wide, hold; in (0, 1].
        standardize: bring each channel to mean 0 and deviation 1 over the training normals.
        linear: no normalisation and no ReLU between the layers: reconstruction from principal components.
    """

    layers: tuple[str, ...] = ()
    stride: int = 4
    n_positions: int = 192
    n_vectors: int = 1024
    variance_share: float = 0.9
    standardize: bool = True
    linear: bool = False
    n_steps: int = 1000
    learning_rate: float = 1e-3
    score: Literal["max", "mean", "top_mean"] = "top_mean"
    top_fraction: float = 0.05

    PROFILES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "image_hw": (256, 256), "aspect": "stretch", "backbone": "vgg19", "weights": "torchvision",
            "layers": VGG_LAYERS, "batch_size": 4, "n_positions": 256, "n_vectors": 16_384,
            "n_steps": 8000, "learning_rate": 1e-4, "standardize": False, "score": "max",
        },
        "cpu": {},
        "smoke": {"image_hw": (64, 64), "batch_size": 8, "n_vectors": 256, "n_steps": 200, "n_threads": 1},
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "layers", tuple(self.layers))  # JSON has no tuples
        if self.stride < 1 or self.n_positions < 1 or self.n_vectors < 2:
            raise ValueError("Expected stride >= 1, n_positions >= 1 and n_vectors >= 2.")
        if not 0 < self.variance_share <= 1:
            raise ValueError(f"Expected variance_share in (0, 1], found {self.variance_share}.")


class Dfr(HeadedDetector):
    """See the module. Image score: as config.score says; in the paper the maximum of the map."""

    name: ClassVar[str] = "dfr"
    map_kind: ClassVar[MapKind] = "native"
    config_class: ClassVar[type[Config]] = DfrConfig
    config: DfrConfig
    _n_seen = 0

    def _layers(self) -> tuple[str, ...]:
        return self.config.layers

    def _new_head(self, facts: Mapping[str, Any]) -> "Reconstruction":
        return Reconstruction(
            facts["shapes"], facts["input_hw"], facts["grid_hw"], facts["n_latent"], self.config.linear
        )

    def _fit(
        self, images: Iterable[Prepared], n_images: int, anomalies: Sequence[Example], loop: Loop
    ) -> int:
        super()._fit(images, n_images, anomalies, loop)
        return self._n_seen

    def _train(self, normals: Sequence[Prepared], anomalies: Sequence[Example], loop: Loop) -> nn.Module:
        height, width = self.geometry.input_hw
        grid_hw = (-(-height // self.config.stride), -(-width // self.config.stride))
        self.facts_ = {"shapes": self._shapes(), "input_hw": [height, width], "grid_hw": grid_hw}
        vectors = self._vectors(normals, loop)
        mean, covariance = moments(vectors)
        scale = torch.ones_like(mean)
        if self.config.standardize:
            deviation = covariance.diagonal().sqrt()
            scale = 1 / deviation.clamp(min=max(MIN_DEVIATION * float(deviation.mean()), 1e-12))
        else:
            mean = torch.zeros_like(mean)
        scaled = covariance * scale * scale[:, None]
        self.facts_["n_latent"] = n_components(scaled, self.config.variance_share)
        head = self._new_head(self.facts_)
        head.mean.copy_(mean)
        head.scale.copy_(scale)
        vectors.sub_(head.mean).mul_(head.scale)
        self._train_on(vectors, head, self._key(normals), loop)
        return head

    def _vectors(self, normals: Sequence[Prepared], loop: Loop) -> Tensor:
        """(M, C) float32: features at random positions of each image, never where its edge is repeated."""
        grid_hw, shapes = self.facts_["grid_hw"], self.facts_["shapes"]
        gather = Gather(shapes, self.facts_["input_hw"], grid_hw)
        kept: list[Tensor] = []
        for index, (item, maps) in enumerate(zip(normals, self.features(normals), strict=True)):
            inside = np.flatnonzero(self.geometry.inside(grid_hw, item.image_hw))
            rng = np.random.default_rng([self.config.seed, index])
            n = min(self.config.n_positions, len(inside))
            chosen = torch.from_numpy(np.sort(rng.choice(inside, n, replace=False)))
            with one_torch_thread(), torch.inference_mode():
                kept.append(gather([torch.from_numpy(each)[None] for each in maps])[chosen])
            self._n_seen = index + 1
            if loop.step("fit", index + 1, len(normals)):
                break
        return torch.cat(kept)

    def scorer(self) -> nn.Module:
        """See Detector."""
        return super().scorer().eval()  # exporters bring back the mode that they find, in every part

    def _train_on(self, vectors: Tensor, head: "Reconstruction", key: str, loop: Loop) -> None:
        config = self.config
        cae = head.cae.to(config.device)
        n = len(vectors)

        def step(number: int, generator: torch.Generator) -> Tensor:
            rows = torch.randint(n, (config.n_vectors,), generator=generator)
            batch = vectors[rows].to(config.device)
            loss: Tensor = (cae(batch) - batch).square().mean()
            return loss

        adam = torch.optim.Adam(cae.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        training = Training(
            self.name, {"cae": cae}, adam, step, config.n_steps, config.seed, key, n_threads=config.n_threads
        )
        train(training, loop)

    def _key(self, normals: Sequence[Prepared]) -> str:
        """What the training depends on: settings, backbone, shapes, images seen."""
        facts = (self.version, self.backbone_.hash() if self.backbone_ else "", self.facts_)
        return training_key(self.config, facts, (each.pixels for each in normals[: self._n_seen]))

    def _shapes(self) -> list[list[int]]:
        """[C, h, w] of each map that the backbone gives at the model's input."""
        name = self.config.backbone
        layers = tuple(self.config.layers or BACKBONES[name].layers)
        return [list(each) for each in known_shapes(name, layers, self.geometry.input_hw)]

    def forecast(self, n_images: int) -> Forecast:
        """See Detector."""
        shapes, (height, width) = self._shapes(), self.geometry.input_hw
        n_channels = sum(shape[0] for shape in shapes)
        n_cells = -(-height // self.config.stride) * -(-width // self.config.stride)
        n_kept = min(self.config.n_positions, n_cells)
        cached = n_images * n_kept * n_channels * 4
        maps = BATCHES_AHEAD * self.config.batch_size * sum(int(np.prod(shape)) for shape in shapes) * 4
        network = 4 * 4 * 4 * n_channels**2  # at most: weights, gradients and Adam's two moments
        fixed = maps + network + 2 * n_cells * n_channels * 4 + 2 * 8 * n_channels**2
        # while they are joined, the vectors are there twice
        return Forecast(
            2 * cached + n_images * height * width * 3 + fixed,
            network // 4,
            "the number of images, n_positions and the number of channels",
            (f"Set n_positions={max(1, n_kept // 4)} instead of {self.config.n_positions}.",),
        )


class Gather(nn.Module):
    """Maps of several layers as one vector for each cell of a grid.

    Each map is brought to the model's input size (bilinear) and averaged over each cell. Both are linear and
    separable, so that one small matrix for rows and one for columns does it, without the large maps.

    Input: a list of (1, C, h, w); output: (gh * gw, all C), row by row.
    """

    def __init__(
        self, shapes: Sequence[Sequence[int]], input_hw: Sequence[int], grid_hw: Sequence[int]
    ) -> None:
        super().__init__()
        self.n_channels = sum(shape[0] for shape in shapes)
        for index, (_, h, w) in enumerate(shapes):
            for name, n_map, n_input, n_grid in (
                ("rows", h, input_hw[0], grid_hw[0]),
                ("columns", w, input_hw[1], grid_hw[1]),
            ):
                matrix = area_matrix(n_input, n_grid) @ bilinear_matrix(n_map, n_input)
                self.register_buffer(f"{name}{index}", torch.from_numpy(matrix).float(), persistent=False)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """See the class."""
        found = [
            torch.matmul(torch.matmul(self.get_buffer(f"rows{index}"), each[0]), columns.T)
            for index, each in enumerate(maps)
            for columns in [self.get_buffer(f"columns{index}")]
        ]
        return torch.cat([each.flatten(1) for each in found]).T


class Reconstruction(nn.Module):
    """From the backbone's maps to the mean squared error of rebuilding each cell, (1, gh, gw)."""

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        shapes: Sequence[Sequence[int]],
        input_hw: Sequence[int],
        grid_hw: Sequence[int],
        n_latent: int,
        linear: bool,
    ) -> None:
        super().__init__()
        self.gather = Gather(shapes, input_hw, grid_hw)
        self.grid_hw = (int(grid_hw[0]), int(grid_hw[1]))
        self.register_buffer("mean", torch.zeros(self.gather.n_channels))
        self.register_buffer("scale", torch.ones(self.gather.n_channels))
        self.cae = autoencoder(self.gather.n_channels, n_latent, linear)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """See the class."""
        vectors = (self.gather(maps) - self.mean) * self.scale
        error: Tensor = (self.cae(vectors) - vectors).square().mean(dim=1)
        return error.reshape(1, *self.grid_hw)


def autoencoder(n_channels: int, n_latent: int, linear: bool = False) -> nn.Sequential:
    """(M, n_channels) to the same: seven layers wide C, (C+2d)/2, 2d, d and back.

    Hidden layers have batch normalisation and ReLU, the latent and the last one have neither; with `linear`
    none has.
    """
    half, double = (n_channels + 2 * n_latent) // 2, 2 * n_latent
    widths = (n_channels, half, double, n_latent, double, half, n_channels)
    layers: list[nn.Module] = []
    for number, (n_in, n_out) in enumerate(itertools.pairwise(widths)):
        layers.append(nn.Linear(n_in, n_out))
        if not linear and number not in (2, 5):
            layers += [nn.BatchNorm1d(n_out), nn.ReLU()]
    return nn.Sequential(*layers)


def area_matrix(n_in: int, n_out: int) -> np.ndarray:
    """(n_out, n_in) float64: averages over equal cells; a pixel on a border counts by its share.

    >>> area_matrix(4, 2)
    array([[0.5, 0.5, 0. , 0. ],
           [0. , 0. , 0.5, 0.5]])
    """
    edges = np.arange(n_out + 1) * n_in / n_out
    pixels = np.arange(n_in)
    shared = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    matrix: np.ndarray = np.clip(shared, 0, None) * n_out / n_in
    return matrix
