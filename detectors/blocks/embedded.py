"""Detectors on feature vectors of grid positions: chosen channels of several layers of a frozen backbone."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from detectors import memory
from detectors.backbones import Backbone, Runner, make_runner
from detectors.backbones.nets import estimate_batch_norm
from detectors.base import Detector, Prediction
from detectors.blocks.bands import n_banded, n_triangle
from detectors.blocks.embedding import Embedder
from detectors.blocks.gaussian import StreamingGaussian
from detectors.blocks.merging import BilinearRunner, Merge, Merged, Shape, known_shapes
from detectors.config import Config
from detectors.geometry import Prepared
from detectors.headed import BACKBONE, N_FOR_BATCH_NORM, backbone_facts, saved_backbone
from detectors.loop import Loop
from detectors.memory import Forecast, gib
from detectors.threads import n_cores, one_torch_thread

FLOAT, DOUBLE = 4, 8
SIDES = range(64, 1025, 32)  # offered by a forecast


@dataclass(frozen=True)
class EmbeddedConfig(Config):
    """Settings of detectors with a Gaussian for each position.

    Attributes:
        n_channels: feature channels kept, chosen at random once.
        merge: how deeper layers come to the shallowest one's grid: "nearest" or "bilinear".
        epsilon: added to the diagonal of every covariance.
        blur_sigma: of the map, in pixels of the model's input.
    """

    n_channels: int = 100
    merge: Merge = "nearest"
    epsilon: float = 0.01
    blur_sigma: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_channels < 1 or self.epsilon <= 0 or self.blur_sigma < 0:
            raise ValueError("Expected n_channels >= 1, epsilon > 0 and blur_sigma >= 0.")
        if self.merge not in get_args(Merge):
            raise ValueError(f'Expected merge as one of nearest, bilinear, found "{self.merge}".')


class EmbeddedDetector(Detector):
    """Backbone, chosen channels, streaming statistics and memory forecast; see the module."""

    config: EmbeddedConfig

    def __init__(self, config: EmbeddedConfig, *, cache_folder: Path | None = None) -> None:
        super().__init__(config, cache_folder=cache_folder)
        self.backbone_ = Backbone(config.backbone, config.weights)
        self.channels_: Tensor | None = None  # (d,) indices into all channels, ascending
        self._runner: Runner | None = None
        self._spare: Embedder | None = None  # of the last prediction; its buffers take time to make

    @property
    def map_blur_sigma(self) -> float:  # type: ignore[override]
        """See Detector."""
        return self.config.blur_sigma

    # features

    def _begin(self, images: Iterable[Prepared]) -> Iterator[Prepared]:
        """Forget an earlier fit; returns the images after a random backbone has seen the first of them."""
        stream = iter(images)
        self.backbone_ = Backbone(self.config.backbone, self.config.weights)
        self._runner, self.channels_, self._spare = None, None, None
        if self.config.weights != "random":
            return stream
        first = list(itertools.islice(stream, N_FOR_BATCH_NORM))
        estimate_batch_norm(self.backbone_.net(), (each.pixels for each in first))
        self.backbone_.state = self.backbone_.net().state_dict()
        return itertools.chain(first, stream)

    def _shapes(self) -> list[Shape]:
        key = (self.backbone_.name, self.backbone_.layers, self.geometry.input_hw)
        return list(known_shapes(*key))

    def _channels(self, shapes: Sequence[Shape]) -> Tensor:
        if self.channels_ is None:
            n_all = sum(shape[0] for shape in shapes)
            self.channels_ = choose_channels(n_all, self.config.n_channels, self.config.seed)
        return self.channels_

    def _embedder(self) -> Embedder:
        shapes = self._shapes()
        channels = self._channels(shapes).tolist()
        runner = self._ready_runner()
        if self.config.merge == "bilinear":
            merging = BilinearRunner(runner, shapes, channels)
            return Embedder(merging, merging.shapes, range(len(channels)), self.config.batch_size)
        return Embedder(runner, shapes, channels, self.config.batch_size)

    def _embedded(self, prepared: Iterable[Prepared]) -> Iterator[tuple[list[Prepared], Tensor]]:
        """Batches to predict with their features; see Embedder.stream."""
        runner = self._ready_runner()
        embedder, self._spare = self._spare or self._embedder(), None  # two at a time have one each
        try:
            yield from embedder.stream(prepared, self.config.batch_size)
        finally:
            if self._runner is runner:  # and not fitted anew meanwhile
                self._spare = embedder

    def _ready_runner(self) -> Runner:
        if self._runner is None:
            self._runner = make_runner(
                self.backbone_, self.geometry.input_hw, self.config.runtime, self.config.n_threads,
                self.cache_folder, self.config.device, self.config.precision,
            )  # fmt: skip
        return self._runner

    def _merged(self) -> Merged:
        shapes = self._shapes()
        return Merged(self.backbone_.net(), shapes, self._channels(shapes).tolist(), self.config.merge)

    # fitting

    def _accumulate(
        self,
        images: Iterable[Prepared],
        n_images: int,
        loop: Loop,
        see: Callable[[Tensor], None] = lambda _: None,
    ) -> StreamingGaussian:
        """Statistics of all images; `see` gets every batch, (P, B, d), too."""
        embedder = self._embedder()
        found = StreamingGaussian(embedder.n_positions, self.config.n_channels, device=self.config.device)
        for batch, embedded in embedder.stream(images, self.config.batch_size):
            with one_torch_thread():
                found.add(embedded[:, : len(batch)])
                see(embedded[:, : len(batch)])
            if loop.step("fit", found.n_samples, n_images) and found.n_samples >= 2:
                break
        return found

    def _collect(self, images: Iterable[Prepared]) -> tuple[list[tuple[int, int]], list[Tensor]]:
        """Sizes and features of images; the features stay in memory, so only for the few held out."""
        sizes, features = [], []
        for batch, embedded in self._embedder().stream(images, self.config.batch_size):
            sizes += [each.image_hw for each in batch]
            features.append(embedded[:, : len(batch)].clone())
        return sizes, features

    # predicting

    def _prediction(self, values: np.ndarray, image_hw: tuple[int, int]) -> Prediction:
        """From the (P,) values of an image's grid."""
        _, height, width = self._shapes()[0]
        anomaly_map = self.geometry.to_image(values.reshape(height, width), image_hw, self.config.blur_sigma)
        return Prediction(self._reduced(anomaly_map), anomaly_map)

    # memory

    def forecast(self, n_images: int) -> Forecast:
        """See Detector; the same for any number of images."""
        needed, state = self._needs(self.geometry.input_hw, self.config.n_channels)
        free = memory.available_bytes()
        remedies = () if free is None or needed <= free else self._remedies(free)
        return Forecast(
            needed, state, "image_side squared and n_channels squared, not with the images", remedies
        )

    def _needs(self, input_hw: tuple[int, int], d: int) -> tuple[int, int]:
        """Bytes of a fit and of what it leaves, for some input and number of channels."""
        _, height, width = known_shapes(self.backbone_.name, self.backbone_.layers, input_hw)[0]
        n_positions, config = height * width, self.config
        state = n_positions * (d + n_triangle(d)) * FLOAT
        products = n_positions * d * d * FLOAT
        batches = 3 * n_positions * config.batch_size * d * FLOAT
        held_out = self._max_held_out() * n_positions * (d + 1) * FLOAT
        work = self._work_bytes((height, width), d, config.n_threads or n_cores())
        # the packed triangle is made for saving, when the features are gone
        banded = n_positions * n_banded(d) * FLOAT
        return products + max(batches + held_out + work, banded) + 2 * n_positions * d * DOUBLE, state

    def _work_bytes(self, grid_hw: tuple[int, int], d: int, n_threads: int) -> int:
        """Temporaries of finishing a fit."""
        raise NotImplementedError

    def _remedies(self, free: int) -> tuple[str, ...]:
        config, (height, width) = self.config, self.geometry.input_hw
        found = []
        for n_channels in range(config.n_channels // 10 * 10, 9, -10):
            if (needed := self._needs((height, width), n_channels)[0]) <= free:
                found.append(f"Set n_channels to {n_channels}: {gib(needed)}.")
                break
        side = round((height * width) ** 0.5)
        for smaller in [each for each in reversed(SIDES) if each < side]:
            scaled = tuple(max(32, 8 * round(length * smaller / side / 8)) for length in (height, width))
            needed = self._needs((scaled[0], scaled[1]), config.n_channels)[0]
            if needed <= free:
                what = "image_side" if config.image_hw is None else "image_hw"
                value = smaller if config.image_hw is None else f"{scaled}"
                found.append(f"Set {what} to {value}: {gib(needed)}.")
                break
        if found:
            found.append(f"Use tiled:{self.name} with such a side, which keeps small defects large.")
        return tuple(found)

    # saving

    def _features_state(self) -> dict[str, Tensor]:
        """The channels, and the backbone if it was drawn at random."""
        backbone = {BACKBONE + key: value for key, value in (self.backbone_.state or {}).items()}
        return {"channels": self._channels(self._shapes()), **backbone}

    def _set_backbone(self, state: dict[str, Tensor], meta: dict[str, Any]) -> None:
        self.backbone_ = saved_backbone(self.config, (), state, meta)
        self.channels_, self._runner, self._spare = state["channels"], None, None

    def _meta(self) -> dict[str, Any]:
        return backbone_facts(self.backbone_, self.config, self._runner)

    def _not_fitted(self) -> ValueError:
        return ValueError(f"This {self.name} is not fitted. Call fit, or load a saved one.")


def choose_channels(n_all: int, n_kept: int, seed: int) -> Tensor:
    """(n_kept,) int64, ascending: which feature channels are kept.

    Raises:
        ValueError: there are fewer channels than asked for.
    """
    if not 1 <= n_kept <= n_all:
        raise ValueError(f"Expected n_channels between 1 and the backbone's {n_all}, found {n_kept}.")
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(n_all, generator=generator)[:n_kept].sort().values
