"""PaDiM: one Gaussian per position over pretrained features; the map is the Mahalanobis distance.

Source: Defard et al., "PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and
Localization", ICPR 2021 workshops, arXiv:2011.08785

Deviations from the paper in the default profile: EfficientNet-Lite0 instead of a ResNet, no centre crop
(it hides defects near the border). A tenth of the normals is held out for the calibration, and added to the
statistics once scored, so thresholds from the calibration err on the side of fewer false alarms.
"""

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from detectors.backbones import Backbone, Runner, make_runner, resolve_runtime
from detectors.backbones.nets import estimate_batch_norm
from detectors.backbones.weights import OtherWeights
from detectors.base import Detector, MapKind, Prediction
from detectors.blocks.gaussian import Gaussian, StreamingGaussian
from detectors.config import Config
from detectors.geometry import Prepared
from detectors.loop import Loop
from detectors.prefetch import prefetch
from detectors.threads import one_torch_thread

N_FOR_BATCH_NORM = 32


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

    def _fit(self, images: Iterable[Prepared], n_images: int, loop: Loop) -> int:
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

    def _embedder(self) -> "_Embedder":
        runner = self._ready_runner()
        shapes: list[tuple[int, ...]] = []
        blank = np.zeros((*self.geometry.input_hw, 3), dtype=np.uint8)
        runner.run([blank], lambda _, maps: shapes.extend(each.shape for each in maps))
        n_all = sum(shape[0] for shape in shapes)
        self._grid_hw = (shapes[0][1], shapes[0][2])
        if self.channels_ is None:
            self.channels_ = choose_channels(n_all, self.config.n_channels, self.config.seed)
        return _Embedder(runner, shapes, self.channels_.tolist(), self.config.batch_size)

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
        return Prediction(float(anomaly_map.max()), anomaly_map)

    # saving

    def _state(self) -> dict[str, Tensor]:
        if self.gaussian_ is None or self.channels_ is None:
            raise ValueError("This padim is not fitted. Call fit, or load a saved one.")
        state = {"channels": self.channels_, **self.gaussian_.state()}
        if self.backbone_.state is not None:
            state |= {f"backbone.{key}": value for key, value in self.backbone_.state.items()}
        return state

    def _set_state(self, state: dict[str, Tensor], meta: dict[str, Any]) -> None:
        prefix = "backbone."
        saved = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        self.backbone_ = Backbone(self.config.backbone, self.config.weights, state=saved or None)
        if (found := self.backbone_.hash()) != meta["backbone_hash"]:
            raise OtherWeights(
                f"Expected {meta['backbone_weights']} weights, SHA-256 {meta['backbone_hash'][:16]}, "
                f"found {found[:16]}. Give the weights that the detector was fitted with, or fit it again."
            )
        self.channels_ = state["channels"]
        self.gaussian_ = Gaussian.from_state(state).to(self.config.device)

    def _meta(self) -> dict[str, Any]:
        return {
            "backbone": self.config.backbone,
            "backbone_weights": self.backbone_.tag,
            "backbone_hash": self.backbone_.hash(),
            "layers": list(self.backbone_.layers),
            "runtime": resolve_runtime(self.config.runtime, self.config.device),
        }

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


class _Embedder:
    """Chosen channels of all layers on the shallowest layer's grid (nearest), position by position."""

    def __init__(
        self, runner: Runner, shapes: Sequence[tuple[int, ...]], channels: Sequence[int], batch_size: int
    ) -> None:
        self.runner = runner
        _, height, width = shapes[0]
        self.grid_hw = (height, width)
        self.n_positions = height * width
        shape = (self.n_positions, batch_size, len(channels))
        self.buffers = [np.zeros(shape, dtype=np.float32) for _ in range(2)]
        self.parts: list[tuple[list[int], slice, np.ndarray, np.ndarray]] = []
        first, place = 0, 0
        for n_channels, h, w in shapes:
            chosen = [channel - first for channel in channels if first <= channel < first + n_channels]
            rows, columns = np.arange(height) * h // height, np.arange(width) * w // width
            self.parts.append((chosen, slice(place, place + len(chosen)), rows, columns))
            first, place = first + n_channels, place + len(chosen)

    def stream(self, images: Iterable[Prepared], batch_size: int) -> Iterator[tuple[list[Prepared], Tensor]]:
        """Batches with their features, (P, batch_size, d) float32; the next batch is made meanwhile.

        Places beyond the end of a batch hold old values. A tensor is overwritten when the next one is taken.
        """

        def embed(numbered: tuple[int, list[Prepared]]) -> tuple[list[Prepared], Tensor]:
            number, batch = numbered
            buffer = self.buffers[number % 2]
            target = buffer.reshape(*self.grid_hw, *buffer.shape[1:])
            self.runner.run([each.pixels for each in batch], functools.partial(self._take, target))
            return batch, torch.from_numpy(buffer)

        return prefetch(embed, enumerate(_batches(images, batch_size)), n_workers=1, n_ahead=2)

    def _take(self, target: np.ndarray, index: int, maps: Sequence[np.ndarray]) -> None:
        for (chosen, place, rows, columns), each in zip(self.parts, maps, strict=True):
            deep_last = np.ascontiguousarray(each[chosen].transpose(1, 2, 0))
            target[:, :, index, place] = deep_last[rows[:, None], columns]


def _batches(items: Iterable[Prepared], n: int) -> Iterator[list[Prepared]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, n)):
        yield batch
