"""DifferNet: a normalising flow over features pooled from the whole image, at several scales and rotations.

What the flow finds unlikely, on average over some rotations, is anomalous. The image score is the mean of
z^2, without the log-determinant. The map is derived: the gradient of that score with respect to the image.
It shows where a change of the image would change the score, and is for looking at, not for measuring.

Source: Rudolph et al., "Same Same But DifferNet: Semi-Supervised Defect Detection with Normalizing Flows",
WACV 2021, arXiv:2008.12577. Sizes and optimiser settings as published with it; the map from memory of the
paper.

Deviations from the paper: each training image is seen in a pool of rotations drawn once, not in new ones at
every step, so that frozen features are computed only once; those and the test rotations are drawn one from
each of equal parts of the turn; the number of steps is given, not of epochs; a scale is the mean of 2 by 2
pixels of the one before; the map is the gradient of the score rather than of the training loss, and in it a
pixel counts only the rotations that show it; a loss that diverges ends the fit, where the published code
clips the flow's outputs. In the default profile also: EfficientNet-Lite0 for AlexNet, smaller images, a small
flow, standardised features, and no rotations, which saves their time; that it finds more so is not shown. For
parts that lie any way set rotations=8, rotations_per_step=4 and n_steps=600; corners then repeat the edge.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from detectors.backbones import Backbone
from detectors.backbones.nets import estimate_batch_norm
from detectors.base import Detector, Example, MapKind, Prediction
from detectors.blocks.flow import Flow, flow_loss, n_weights
from detectors.blocks.pooled import Pooler, repeated
from detectors.blocks.rotations import Fill, drawn, evenly_spaced, rotate
from detectors.blocks.trainer import Training, torch_threads, train, training_key
from detectors.config import TrainedConfig
from detectors.geometry import Prepared
from detectors.headed import BACKBONE, HEAD, N_FOR_BATCH_NORM, backbone_facts, part_of, saved_backbone
from detectors.loop import Loop
from detectors.maps import blur_matrix
from detectors.memory import Forecast, gib
from detectors.threads import one_torch_thread

FLOAT_BYTES = 4
SMALLEST_SPREAD = 1e-6
_COUNTS = ("n_scales", "test_rotations", "map_rotations", "n_blocks", "hidden", "rotations_per_step")


@dataclass(frozen=True)
class DiffernetConfig(TrainedConfig):
    """Settings of DifferNet. The image score is its own; score and top_fraction have no effect.

    Attributes:
        n_scales: the image, and that many less one halvings of it.
        rotations: of each training image, in equal parts of the turn. 0 turns none, neither in training nor
            later: for parts that always lie the same way, and where the direction matters.
        max_degrees: furthest turn to either side; 180 is any direction.
        test_rotations: over which an image's score is averaged.
        map_rotations: over which its map is averaged; it takes most of the time.
        fill: what is seen in the corners of a turned image: its nearest "edge" pixel, or "black".
        standardise: bring features to mean 0 and variance 1 over the training images.
        n_blocks, hidden, clamp: of the flow.
        rotations_per_step: of each of batch_size images, in one training step.
        blur_sigma: of each gradient, in pixels of the model's input.
    """

    n_steps: int = 600
    learning_rate: float = 2e-4
    weight_decay: float = 1e-5
    image_side: int = 128
    batch_size: int = 24
    n_scales: int = 3
    rotations: int = 8
    max_degrees: float = 180.0
    test_rotations: int = 8
    map_rotations: int = 4
    fill: Fill = "edge"
    standardise: bool = True
    n_blocks: int = 4
    hidden: int = 256
    clamp: float = 3.0
    rotations_per_step: int = 4
    blur_sigma: float = 3.0

    PROFILES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "image_hw": (448, 448), "aspect": "stretch", "backbone": "alexnet", "weights": "torchvision",
            "n_steps": 2000, "rotations": 64, "test_rotations": 64, "map_rotations": 64, "fill": "black",
            "standardise": False, "n_blocks": 8, "hidden": 2048,
        },
        "cpu": {"image_side": 256, "rotations": 0, "rotations_per_step": 1, "n_steps": 100},
        "smoke": {
            "image_hw": (64, 64), "runtime": "torch", "n_threads": 1, "n_steps": 40, "learning_rate": 1e-3,
            "n_scales": 2, "rotations": 4, "test_rotations": 2, "map_rotations": 2, "n_blocks": 2,
            "hidden": 32,
        },
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise ValueError(f"Expected {name} of at least 1, found {getattr(self, name)}.")
        if self.rotations < 0 or not 0 <= self.max_degrees <= 180:
            found = f"{self.rotations} and {self.max_degrees}"
            raise ValueError(f"Expected rotations >= 0 and max_degrees between 0 and 180, found {found}.")
        if self.fill not in ("edge", "black"):
            raise ValueError(f'Expected fill as one of edge, black, found "{self.fill}".')
        if self.clamp <= 0 or self.blur_sigma < 0:
            raise ValueError("Expected clamp > 0 and blur_sigma >= 0.")

    @property
    def turn(self) -> float:
        """Furthest turn to either side, 0 when rotations are off."""
        return self.max_degrees if self.rotations else 0.0


class Density(nn.Module):
    """What is fitted: the standardisation, the flow, and the angles of later images.

    Attributes:
        centre, spread: (D,) of the training features.
        test_degrees, map_degrees: (R,).
    """

    centre: Tensor
    spread: Tensor
    test_degrees: Tensor
    map_degrees: Tensor

    def __init__(self, config: DiffernetConfig, n_features: int) -> None:
        super().__init__()
        self.flow = Flow(n_features, config.n_blocks, config.hidden, config.clamp, config.seed)
        self.register_buffer("centre", torch.zeros(n_features))
        self.register_buffer("spread", torch.ones(n_features))
        generator = torch.Generator().manual_seed(config.seed)
        self.register_buffer("test_degrees", drawn(config.test_rotations, config.turn, generator))
        self.register_buffer("map_degrees", evenly_spaced(config.map_rotations, config.turn))

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """(N, D) pooled features to (N, D) z, and (N,) log-determinants of the flow alone."""
        return cast(tuple[Tensor, Tensor], self.flow((pooled - self.centre) / self.spread))


class Differnet(Detector):
    """See the module."""

    name: ClassVar[str] = "differnet"
    map_kind: ClassVar[MapKind] = "derived"
    scores_map: ClassVar[bool] = False
    config_class: ClassVar[type[TrainedConfig]] = DiffernetConfig
    config: DiffernetConfig

    def __init__(self, config: DiffernetConfig, *, cache_folder: Path | None = None) -> None:
        super().__init__(config, cache_folder=cache_folder)
        self.backbone_ = Backbone(config.backbone, config.weights)
        self.density_: Density | None = None
        self._pooler: Pooler | None = None

    def forecast(self, n_images: int) -> Forecast:
        """See Detector: pooled features of all rotations are kept during the fit."""
        config, n_features = self.config, self._new_pooler().n_features()
        state = FLOAT_BYTES * n_weights(n_features, config.n_blocks, config.hidden)
        held = 2 * FLOAT_BYTES * n_images * n_features  # for each rotation
        remedy = f"Set rotations to 1, which needs {gib(held + 4 * state)}."
        needed = held * max(1, config.rotations) + 4 * state  # with gradients and Adam's moments
        return Forecast(needed, state, "the number of images and of rotations", (remedy,))

    def _new_pooler(self) -> Pooler:
        config = self.config
        return Pooler(
            self.backbone_, self.geometry.input_hw, config.n_scales, config.fill, config, self.cache_folder
        )

    def _ready_pooler(self) -> Pooler:
        if self._pooler is None:
            self._pooler = self._new_pooler()
            self._runner = self._pooler.runners()[0]
        return self._pooler

    def _fit(
        self, images: Iterable[Prepared], n_images: int, anomalies: Sequence[Example], loop: Loop
    ) -> int:
        stream = iter(images)
        self.backbone_ = Backbone(self.config.backbone, self.config.weights)
        self._pooler, self._runner = None, None
        if self.config.weights == "random":
            first = list(itertools.islice(stream, N_FOR_BATCH_NORM))
            estimate_batch_norm(self.backbone_.net(), (each.pixels for each in first))
            self.backbone_.state = self.backbone_.net().state_dict()
            stream = itertools.chain(first, stream)
        features = self._training_features(stream, n_images, loop)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            density = Density(self.config, features.shape[2])
        if self.config.standardise:
            spread, centre = torch.std_mean(features, dim=(0, 1))
            density.centre, density.spread = centre, spread.clamp_min(SMALLEST_SPREAD)
        self._train(density.to(self.config.device), features, loop)
        self.density_ = density.requires_grad_(False).eval()
        return len(features)

    def _training_features(self, images: Iterable[Prepared], n_images: int, loop: Loop) -> Tensor:
        """(N, R, D) float32: features of every image in rotations of its own."""
        generator = torch.Generator().manual_seed(self.config.seed)
        found: list[Tensor] = []
        for each in images:
            degrees = drawn(self.config.rotations, self.config.turn, generator)
            found.append(self._ready_pooler().rows(each.pixels, degrees))
            if loop.step("fit", len(found), n_images) and len(found) >= 2:
                break
        return torch.stack(found)

    def _train(self, density: Density, features: Tensor, loop: Loop) -> None:
        config = self.config
        n_images, n_rotations = features.shape[:2]
        per_step = (config.batch_size, config.rotations_per_step)

        def step(_: int, generator: torch.Generator) -> Tensor:
            chosen = torch.randint(n_images, (config.batch_size, 1), generator=generator)
            turns = torch.randint(n_rotations, per_step, generator=generator)
            return flow_loss(*density(features[chosen, turns].flatten(0, 1).to(config.device)))

        optimizer = torch.optim.Adam(
            density.parameters(), config.learning_rate, betas=(0.8, 0.8), eps=1e-4,
            weight_decay=config.weight_decay,
        )  # fmt: skip
        key = training_key(config, self.version, [features.numpy()])
        train(Training(self.name, {"density": density}, optimizer, step, config.n_steps, config.seed, key,
                       n_threads=config.n_threads), loop)  # fmt: skip

    # predicting

    def predict_prepared(self, prepared: Iterable[Prepared]) -> Iterator[Prediction]:
        """See Detector."""
        density = self._ready_density()
        for each in prepared:
            pooled = self._ready_pooler().rows(each.pixels, density.test_degrees)
            with one_torch_thread(), torch.inference_mode():
                z, _ = density(pooled.to(self.config.device))
                score = float(z.double().square().mean())
            grid = self._sensitivity(each.pixels, density)
            yield Prediction(score, self.geometry.to_image(grid, each.image_hw, 0.0))

    def _sensitivity(self, pixels: np.ndarray, density: Density) -> np.ndarray:
        """(h, w) float32: how much the score answers to each pixel, over evenly spaced rotations."""
        degrees, sigma = density.map_degrees.cpu(), self.config.blur_sigma
        with torch_threads(self.config.n_threads), torch.inference_mode(False), torch.enable_grad():
            turned = rotate(repeated(pixels, len(degrees)), degrees, self.config.fill)
            turned = turned.to(self.config.device).requires_grad_()
            z, _ = density(self._ready_pooler().differentiable(turned))
            (gradient,) = torch.autograd.grad(z.square().mean(dim=1).sum(), turned)
        with one_torch_thread(), torch.inference_mode():
            gradient = 255 * gradient.cpu()  # of an image in [0, 1]
            back = rotate(gradient, -degrees, "black")
            shown = rotate(torch.ones_like(back[:, :1]), -degrees, "black").sum(dim=0)
            rows, columns = (torch.from_numpy(blur_matrix(side, sigma)).float() for side in pixels.shape[:2])
            blurred = (rows @ back @ columns.T).abs().mean(dim=1).sum(dim=0) / shown[0].clamp_min(1)
            squared: np.ndarray = blurred.square().numpy()
        return squared

    def _ready_density(self) -> Density:
        if self.density_ is None:
            raise ValueError("This differnet is not fitted. Call fit, or load a saved one.")
        return self.density_.to(self.config.device)

    def scorer(self) -> nn.Module:
        """See Detector."""
        raise NotImplementedError(
            "differnet cannot be exported as one graph: its map is the gradient of its score, which needs a "
            "backward pass. Use predict."
        )

    # saving

    def _state(self) -> dict[str, Tensor]:
        state = {HEAD + key: value.cpu() for key, value in self._ready_density().state_dict().items()}
        if self.backbone_.state is not None:
            state |= {BACKBONE + key: value.cpu() for key, value in self.backbone_.state.items()}
        return state

    def _set_state(self, state: dict[str, Tensor], meta: dict[str, Any]) -> None:
        self.backbone_ = saved_backbone(self.config, (), state, meta)
        head = part_of(state, HEAD)
        density = Density(self.config, len(head["centre"]))
        density.load_state_dict(head)
        self.density_ = density.requires_grad_(False).eval()

    def _meta(self) -> dict[str, Any]:
        return backbone_facts(self.backbone_, self.config, self._runner)

    def n_parameters(self) -> int:
        """Numbers of the flow and the standardisation."""
        return sum(each.numel() for each in self._ready_density().state_dict().values())
