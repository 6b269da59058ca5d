"""PaDiM: one Gaussian per position over pretrained features; the map is the Mahalanobis distance.

Source: Defard et al., "PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and
Localization", ICPR 2021 workshops, arXiv:2011.08785

Deviations from the paper in the default profile: EfficientNet-Lite0 instead of a ResNet, no centre crop
(it hides defects near the border). A tenth of the normals is held out for the calibration, and added to the
statistics once scored, so thresholds from the calibration err on the side of fewer false alarms.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from detectors.backbones import Backbone, Runner, make_runner
from detectors.backbones.nets import estimate_batch_norm
from detectors.base import Detector, Example, MapKind, Prediction
from detectors.blocks.embedding import Embedder
from detectors.blocks.gaussian import Gaussian, StreamingGaussian
from detectors.config import Config
from detectors.geometry import Prepared
from detectors.headed import N_FOR_BATCH_NORM, backbone_facts, saved_backbone
from detectors.loop import Loop
from detectors.threads import one_torch_thread


@dataclass(frozen=True)
class PadimConfig(Config):
    """Settings of PaDiM.

    Attributes:
        n_channels: feature channels kept, chosen at random once.
        epsilon: added to the diagonal of every covariance.
        blur_sigma: of the map, in pixels of the model's input.
    """

    n_channels: int = 100
    epsilon: float = 0.01
    blur_sigma: float = 4.0

    PROFILES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "image_hw": (256, 256), "crop_hw": (224, 224), "n_channels": 550,
            "backbone": "wide_resnet50_2", "weights": "torchvision",
        },
        "cpu": {},
        "smoke": {"image_hw": (64, 64), "n_channels": 40, "batch_size": 8},
    }  # fmt: skip


class Padim(Detector):
    """See the module. Image score: the maximum of the map."""

    name: ClassVar[str] = "padim"
    map_kind: ClassVar[MapKind] = "native"
    config_class: ClassVar[type[Config]] = PadimConfig
    config: PadimConfig

    def __init__(self, config: PadimConfig, *, cache_folder: Path | None = None) -> None:
        super().__init__(config, cache_folder=cache_folder)
        self.backbone_ = Backbone(config.backbone, config.weights)
        self.channels_: Tensor | None = None  # (d,) indices into all channels, ascending
        self.gaussian_: Gaussian | None = None
        self._statistics: StreamingGaussian | None = None  # between _fit and _finish_fit
        self._grid_hw = (0, 0)
        self._runner: Runner | None = None

    # fitting

    def _fit(
        self, images: Iterable[Prepared], n_images: int, anomalies: Sequence[Example], loop: Loop
    ) -> int:
        stream = iter(images)
        self.backbone_ = Backbone(self.config.backbone, self.config.weights)
        self._runner = None
        if self.config.weights == "random":
            first = list(itertools.islice(stream, N_FOR_BATCH_NORM))
            estimate_batch_norm(self.backbone_.net(), (each.pixels for each in first))
            self.backbone_.state = self.backbone_.net().state_dict()
            stream = itertools.chain(first, stream)
        self.channels_, self.gaussian_ = None, None
        self._statistics = self._accumulate(stream, n_images, loop)
        return self._statistics.n_samples

    def _accumulate(self, images: Iterable[Prepared], n_images: int, loop: Loop) -> StreamingGaussian:
        embedder = self._embedder()
        found = StreamingGaussian(embedder.n_positions, self.config.n_channels, device=self.config.device)
        for batch, embedded in embedder.stream(images, self.config.batch_size):
            with one_torch_thread():
                found.add(embedded[:, : len(batch)])
            if loop.step("fit", found.n_samples, n_images) and found.n_samples >= 2:
                break
        return found

    def _finish_fit(self, held_out: Iterable[Prepared]) -> Iterator[Prediction]:
        statistics, self._statistics = self._statistics, None
        if statistics is None:
            raise ValueError("There is no fit to finish.")
        sizes, features = [], []
        for batch, embedded in self._embedder().stream(held_out, self.config.batch_size):
            sizes += [each.image_hw for each in batch]
            features.append(embedded[:, : len(batch)].clone())
            del embedded
        joined = torch.cat(features, dim=1) if features else None
        features.clear()
        self.gaussian_, distances = statistics.finish(self.config.epsilon, joined, self.config.n_threads)
        self.n_normals_ += len(sizes)
        for image_hw, values in zip(sizes, distances.numpy(), strict=True):
            yield self._prediction(values, image_hw)

    def _embedder(self) -> Embedder:
        runner = self._ready_runner()
        shapes: list[tuple[int, ...]] = []
        blank = np.zeros((*self.geometry.input_hw, 3), dtype=np.uint8)
        runner.run([blank], lambda _, maps: shapes.extend(each.shape for each in maps))
        n_all = sum(shape[0] for shape in shapes)
        self._grid_hw = (shapes[0][1], shapes[0][2])
        if self.channels_ is None:
            self.channels_ = choose_channels(n_all, self.config.n_channels, self.config.seed)
        return Embedder(runner, shapes, self.channels_.tolist(), self.config.batch_size)

    def _ready_runner(self) -> Runner:
        if self._runner is None:
            self._runner = make_runner(
                self.backbone_, self.geometry.input_hw, self.config.runtime, self.config.n_threads,
                self.cache_folder, self.config.device,
            )  # fmt: skip
        return self._runner

    # predicting

    def predict_prepared(self, prepared: Iterable[Prepared]) -> Iterator[Prediction]:
        """See Detector."""
        gaussian = self.gaussian_
        if gaussian is None:
            raise ValueError("This padim is not fitted. Call fit, or load a saved one.")
        embedder = self._embedder()
        for batch, embedded in embedder.stream(prepared, self.config.batch_size):
            # always a full batch, so that distances do not depend on what comes together
            with one_torch_thread():
                distances = gaussian.distances(embedded).cpu().numpy()
            for item, values in zip(batch, distances, strict=False):
                yield self._prediction(values, item.image_hw)

    def _prediction(self, distances: np.ndarray, image_hw: tuple[int, int]) -> Prediction:
        grid = distances.reshape(self._grid_hw)
        anomaly_map = self.geometry.to_image(grid, image_hw, self.config.blur_sigma)
        return Prediction(self._reduced(anomaly_map), anomaly_map)

    # saving

    def _state(self) -> dict[str, Tensor]:
        if self.gaussian_ is None or self.channels_ is None:
            raise ValueError("This padim is not fitted. Call fit, or load a saved one.")
        state = {"channels": self.channels_, **self.gaussian_.state()}
        if self.backbone_.state is not None:
            state |= {f"backbone.{key}": value for key, value in self.backbone_.state.items()}
        return state

    def _set_state(self, state: dict[str, Tensor], meta: dict[str, Any]) -> None:
        self.backbone_ = saved_backbone(self.config, (), state, meta)
        self.channels_ = state["channels"]
        self.gaussian_ = Gaussian.from_state(state).to(self.config.device)

    def _meta(self) -> dict[str, Any]:
        return backbone_facts(self.backbone_, self.config)

    def n_parameters(self) -> int:
        """Means and triangular covariance factors."""
        if self.gaussian_ is None:
            return 0
        n_positions, d = self.gaussian_.mean.shape
        return n_positions * (d + d * (d + 1) // 2)


def choose_channels(n_all: int, n_kept: int, seed: int) -> Tensor:
    """(n_kept,) int64, ascending: which feature channels are kept.

    Raises:
        ValueError: there are fewer channels than asked for.
    """
    if not 1 <= n_kept <= n_all:
        raise ValueError(f"Expected n_channels between 1 and the backbone's {n_all}, found {n_kept}.")
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(n_all, generator=generator)[:n_kept].sort().values
