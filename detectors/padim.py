"""PaDiM: one Gaussian per position over pretrained features; the map is the Mahalanobis distance.

Source: Defard et al., "PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and
Localization", ICPR 2021 workshops, arXiv:2011.08785

Deviations from the paper in the default profile: EfficientNet-Lite0 instead of a ResNet, no centre crop
(it hides defects near the border). A tenth of the normals is held out for the calibration, and added to the
statistics once scored, so thresholds from the calibration err on the side of fewer false alarms.

Memory of a fit does not grow with the number of images: the covariances, P * d * d numbers for P positions
and d channels, and the features of the held-out normals, at most 100 of them (both 164 MB at 256 px and 100
channels). The ResNet-18 variant is {"backbone": "resnet18", "weights": "torchvision", "n_channels": 100} on
top of the paper's profile.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from detectors.base import Example, MapKind, Prediction
from detectors.blocks.embedded import EmbeddedConfig, EmbeddedDetector, choose_channels
from detectors.blocks.gaussian import SMALL_BYTES, Gaussian, StreamingGaussian
from detectors.blocks.merging import Merged
from detectors.config import Config
from detectors.geometry import Prepared
from detectors.loop import Loop
from detectors.threads import one_torch_thread

__all__ = ["Padim", "PadimConfig", "choose_channels"]


@dataclass(frozen=True)
class PadimConfig(EmbeddedConfig):
    """Settings of PaDiM; see EmbeddedConfig."""

    PROFILES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "image_hw": (256, 256), "crop_hw": (224, 224), "n_channels": 550, "merge": "nearest",
            "backbone": "wide_resnet50_2", "weights": "torchvision",
            "epsilon": 0.01, "blur_sigma": 4.0, "score": "max",
        },
        "cpu": {},
        "smoke": {"image_hw": (64, 64), "n_channels": 40, "batch_size": 8},
    }  # fmt: skip


class Padim(EmbeddedDetector):
    """See the module. Image score: the maximum of the map."""

    name: ClassVar[str] = "padim"
    map_kind: ClassVar[MapKind] = "native"
    config_class: ClassVar[type[Config]] = PadimConfig
    config: PadimConfig

    def __init__(self, config: PadimConfig, *, cache_folder: Path | None = None) -> None:
        super().__init__(config, cache_folder=cache_folder)
        self.gaussian_: Gaussian | None = None
        self._statistics: StreamingGaussian | None = None  # between _fit and _finish_fit

    # fitting

    def _fit(
        self, images: Iterable[Prepared], n_images: int, anomalies: Sequence[Example], loop: Loop
    ) -> int:
        self.gaussian_ = None
        self._statistics = self._accumulate(self._begin(images), n_images, loop)
        return self._statistics.n_samples

    def _finish_fit(self, held_out: Iterable[Prepared]) -> Iterator[Prediction]:
        statistics, self._statistics = self._statistics, None
        if statistics is None:
            raise ValueError("There is no fit to finish.")
        sizes, features = self._collect(held_out)
        self.gaussian_, distances = statistics.finish(self.config.epsilon, features, self.config.n_threads)
        self.n_normals_ += len(sizes)
        for image_hw, values in zip(sizes, distances.numpy(), strict=True):
            yield self._prediction(values, image_hw)

    def _work_bytes(self, grid_hw: tuple[int, int], d: int, n_threads: int) -> int:
        return n_threads * 6 * max(SMALL_BYTES, 8 * d * d)

    # predicting

    def predict_prepared(self, prepared: Iterable[Prepared]) -> Iterator[Prediction]:
        """See Detector."""
        gaussian = self._ready()
        for batch, embedded in self._embedded(prepared):
            # always a full batch, so that distances do not depend on what comes together
            with one_torch_thread():
                distances = gaussian.distances(embedded).cpu().numpy()
            for item, values in zip(batch, distances, strict=False):
                yield self._prediction(values, item.image_hw)

    def _ready(self) -> Gaussian:
        if self.gaussian_ is None:
            raise self._not_fitted()
        return self.gaussian_

    def scorer(self) -> nn.Module:
        """See Detector."""
        gaussian = self._ready()
        _, height, width = self._shapes()[0]
        return PadimScorer(self._merged(), gaussian, (height, width)).requires_grad_(False).eval()

    # saving

    def _state(self) -> dict[str, Tensor]:
        return {**self._ready().state(), **self._features_state()}

    def _set_state(self, state: dict[str, Tensor], meta: dict[str, Any]) -> None:
        self._set_backbone(state, meta)
        self.gaussian_ = Gaussian.from_state(state).to(self.config.device)

    def n_parameters(self) -> int:
        """Means and triangular covariance factors."""
        return 0 if self.gaussian_ is None else self.gaussian_.n_parameters()


class PadimScorer(nn.Module):
    """(1, h, w, 3) uint8 pixels to the (1, gh, gw) grid of Mahalanobis distances."""

    mean: Tensor
    whitener: Tensor

    def __init__(self, merged: Merged, gaussian: Gaussian, grid_hw: tuple[int, int]) -> None:
        super().__init__()
        self.merged, self.grid_hw = merged, grid_hw
        self.register_buffer("mean", gaussian.mean)
        self.register_buffer("whitener", gaussian.whitener)

    def forward(self, pixels: Tensor) -> Tensor:
        """See the class."""
        delta = self.merged(pixels) - self.mean
        whitened = torch.matmul(delta[:, None, :], self.whitener)[:, 0]
        return whitened.square().sum(dim=1).sqrt().reshape(1, *self.grid_hw)
