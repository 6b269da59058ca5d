"""Detectors made of a frozen backbone, if any, and a torch module behind it, the head, that scores a grid."""

import itertools
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from detectors.backbones import Backbone, Runner, make_runner, resolve_runtime
from detectors.backbones.nets import estimate_batch_norm
from detectors.backbones.weights import OtherWeights
from detectors.base import Detector, Example, Prediction
from detectors.blocks.trainer import torch_threads
from detectors.config import Config
from detectors.geometry import Prepared
from detectors.loop import Loop
from detectors.memory import Forecast
from detectors.prefetch import batches, prefetch
from detectors.threads import one_torch_thread

N_FOR_BATCH_NORM = 32
N_AT_ONCE = 512  # channels at full size that a training holds at a time, about
HEAD, BACKBONE = "head.", "backbone."
Maps = list[np.ndarray]


class HeadedDetector(Detector):
    """A backbone, if uses_backbone, and a head.

    The head's forward takes what the backbone gives, a list of (1, C, h, w) float32 maps, shallow first;
    without a backbone it takes pixels, (1, h, w, 3) uint8. It returns a score grid, (1, gh, gw) float32, and
    never depends on other images. A subclass provides `_new_head` and `_train`, and perhaps `_layers`.
    """

    uses_backbone: ClassVar[bool] = True

    def __init__(self, config: Config, *, cache_folder: Path | None = None) -> None:
        super().__init__(config, cache_folder=cache_folder)
        self.backbone_: Backbone | None = self._new_backbone()
        self.head_: nn.Module | None = None
        self.facts_: dict[str, Any] = {}  # JSON values that _new_head needs
        self._runner: Runner | None = None

    # what a detector provides

    @abstractmethod
    def _new_head(self, facts: Mapping[str, Any]) -> nn.Module:
        """An untrained head with tensors of the right shapes; called before a saved state is loaded into it.

        Args:
            facts: what _train put into facts_: JSON values such as the latent size.
        """

    @abstractmethod
    def _train(self, normals: Sequence[Prepared], anomalies: Sequence[Example], loop: Loop) -> nn.Module:
        """The trained head, made with _new_head(self.facts_). Everything random comes from config.seed."""

    def _layers(self) -> tuple[str, ...]:
        """Stages of the backbone to tap; its default ones when empty."""
        return ()

    # fitting

    def _fit(
        self, images: Iterable[Prepared], n_images: int, anomalies: Sequence[Example], loop: Loop
    ) -> int:
        normals = list(images)
        self.facts_, self._runner = {}, None
        self.backbone_ = self._new_backbone()
        if self.backbone_ is not None and self.config.weights == "random":
            first = itertools.islice(normals, N_FOR_BATCH_NORM)
            estimate_batch_norm(self.backbone_.net(), (each.pixels for each in first))
            self.backbone_.state = self.backbone_.net().state_dict()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            head = self._train(normals, anomalies, loop)
        self.head_ = head.requires_grad_(False).eval()
        return len(normals)

    def _new_backbone(self) -> Backbone | None:
        if not self.uses_backbone:
            return None
        return Backbone(self.config.backbone, self.config.weights, self._layers())

    def forecast(self, n_images: int) -> Forecast:
        """See Detector: the prepared images, which stay in memory, and what one of them becomes."""
        height, width = self.geometry.input_hw
        images, one = n_images * height * width * 3, N_AT_ONCE * height * width * 4
        return Forecast(images + one, 0, "the number of images and image_side squared")

    def features(self, prepared: Iterable[Prepared]) -> Iterator[Maps]:
        """The backbone's maps of each image, (C, h, w) float32 each, in order; a batch is made ahead."""
        for maps in prefetch(
            self._features_of, batches(prepared, self.config.batch_size), n_workers=1, n_ahead=2
        ):
            yield from maps

    def _features_of(self, batch: Sequence[Prepared]) -> list[Maps]:
        found: list[Maps] = [[] for _ in batch]

        def take(index: int, maps: Maps) -> None:
            found[index] = [each.copy() for each in maps]

        self._ready_runner().run([each.pixels for each in batch], take)
        return found

    def _ready_runner(self) -> Runner:
        if self.backbone_ is None:
            raise ValueError(f"{self.name} has no backbone.")
        if self._runner is None:
            self._runner = make_runner(
                self.backbone_, self.geometry.input_hw, self.config.runtime, self.config.n_threads,
                self.cache_folder, self.config.device, self.config.precision,
            )  # fmt: skip
        return self._runner

    # predicting

    def predict_prepared(self, prepared: Iterable[Prepared]) -> Iterator[Prediction]:
        """See Detector."""
        head = self._ready_head()
        for batch in batches(prepared, self.config.batch_size):
            for item, grid in zip(batch, self._grids(head, batch), strict=True):
                yield self._prediction(grid, item.image_hw)

    def _grids(self, head: nn.Module, batch: Sequence[Prepared]) -> Iterator[np.ndarray]:
        device, alone = self.config.device, self.backbone_ is None

        def grid(inputs: Any) -> np.ndarray:
            # left before the grid is handed out: threads are set for all of the process
            threads = torch_threads(self.config.n_threads) if alone else one_torch_thread()
            with threads, torch.inference_mode():
                found: np.ndarray = head(inputs)[0].float().cpu().numpy()
            return found

        if alone:
            for each in batch:
                yield grid(torch.from_numpy(each.pixels)[None].to(device))
            return
        for maps in self._features_of(batch):
            yield grid([torch.from_numpy(each)[None].to(device) for each in maps])

    def _prediction(self, grid: np.ndarray, image_hw: tuple[int, int]) -> Prediction:
        anomaly_map = self.geometry.to_image(grid, image_hw, self.map_blur_sigma)
        values = anomaly_map
        if not self.scores_map:  # but from the cells that show the image
            values = grid[self.geometry.inside((grid.shape[0], grid.shape[1]), image_hw)]
        return Prediction(self._reduced(values), anomaly_map)

    def _ready_head(self) -> nn.Module:
        if self.head_ is None:
            raise ValueError(f"This {self.name} is not fitted. Call fit, or load a saved one.")
        return self.head_.to(self.config.device)

    def scorer(self) -> nn.Module:
        """See Detector."""
        return Scorer(self.backbone_.net() if self.backbone_ else None, self._ready_head())

    # saving

    def _state(self) -> dict[str, Tensor]:
        state = {HEAD + key: value.cpu() for key, value in self._ready_head().state_dict().items()}
        if self.backbone_ is not None and self.backbone_.state is not None:
            state |= {BACKBONE + key: value.cpu() for key, value in self.backbone_.state.items()}
        return state

    def _set_state(self, state: dict[str, Tensor], meta: dict[str, Any]) -> None:
        self.facts_ = meta["facts"]
        if self.uses_backbone:
            self.backbone_ = saved_backbone(self.config, self._layers(), state, meta)
        head = self._new_head(self.facts_)
        head.load_state_dict(part_of(state, HEAD))
        self.head_ = head.requires_grad_(False).eval()

    def _meta(self) -> dict[str, Any]:
        meta: dict[str, Any] = {"facts": self.facts_}
        if self.backbone_ is not None:
            meta |= backbone_facts(self.backbone_, self.config, self._runner)
        return meta

    def n_parameters(self) -> int:
        """Numbers in the head."""
        return 0 if self.head_ is None else sum(each.numel() for each in self.head_.state_dict().values())


class Scorer(nn.Module):
    """Backbone and head as one module: (1, h, w, 3) uint8 pixels to a (1, gh, gw) float32 score grid."""

    def __init__(self, backbone: nn.Module | None, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head
        self.eval()  # exporters put every part back into the mode that the whole was in

    def forward(self, pixels: Tensor) -> Tensor:
        """See the class."""
        found: Tensor = self.head(pixels if self.backbone is None else self.backbone(pixels))
        return found


def backbone_facts(backbone: Backbone, config: Config, runner: Runner | None = None) -> dict[str, Any]:
    """What meta.json says of a backbone.

    Args:
        runner: what was used; None where nothing ran, as after loading.
    """
    wanted = config.runtime, config.device, config.precision
    return {
        "backbone": backbone.name,
        "backbone_weights": backbone.tag,
        "backbone_hash": backbone.hash(),
        "layers": list(backbone.layers),
        "runtime": runner.runtime if runner else resolve_runtime(*wanted),
    }


def saved_backbone(
    config: Config, layers: tuple[str, ...], state: Mapping[str, Tensor], meta: Mapping[str, Any]
) -> Backbone:
    """The backbone that a detector was fitted with.

    Raises:
        OtherWeights: the weights found here are not those.
    """
    backbone = Backbone(config.backbone, config.weights, layers, state=part_of(state, BACKBONE) or None)
    if (found := backbone.hash()) != meta["backbone_hash"]:
        raise OtherWeights(
            f"Expected {meta['backbone_weights']} weights, SHA-256 {meta['backbone_hash'][:16]}, "
            f"found {found[:16]}. Give the weights that the detector was fitted with, or fit it again."
        )
    return backbone


def part_of(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Tensors whose name begins with a prefix, without it."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
