"""FCDD: a fully convolutional one-class network whose output is the heat map, trained against confetti.

Normal images should be cold everywhere; normal images with synthetic anomalies on them, and labelled ones
where there are any, should be hot, and where their mask is known, hot inside of it only.

Source: Liznerski et al., "Explainable Deep One-Class Classification", ICLR 2021, arXiv:2007.01760, with the
settings of its public code. Numbers of steps in the profiles are ours.

The default profile trains a head on frozen, joined and whitened features of EfficientNet-Lite0 at 256 px. It
deviates from the paper further, for AUPRO without labels on magnetic tiles and a rendered FPC: anomalies are
small, half of them scars (blocks.scars), in place of large soft confetti; their masks are learned from, and
every pixel in them counts alike (each_pixel); there are several outputs, whose length gets hot; the image
score is the mean of the hottest cells, since the mean of all dilutes small defects.

Deviations of all profiles: see blocks.confetti and blocks.contrast; a shift by up to 8 of 224 px, mirrored at
the edges, in place of a random crop of a larger image; no colour jitter; half of every batch is anomalous,
rather than each image with probability 0.5; labelled anomalies join the synthetic ones, not replace them;
pretrained layers see their own input normalisation after the contrast normalisation; the map is blurred
with a Gaussian after a bilinear upsampling, whose widths together equal the paper's receptive-field Gaussian.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from detectors.base import Example, MapKind, Prediction
from detectors.blocks.contrast import Contrast
from detectors.blocks.fcdd_batches import Batches, Synthetic
from detectors.blocks.fcdd_loss import GaussianUpsampling, image_losses, pixel_losses
from detectors.blocks.fcdd_net import Head, Joined, scratch_net, trained_part
from detectors.blocks.trainer import Training, train, training_key
from detectors.config import TrainedConfig
from detectors.geometry import Prepared
from detectors.headed import HeadedDetector, part_of
from detectors.loop import Loop

N_FOR_MOMENTS = 64  # normals whose features set the channels' mean and spread
# the tap below the layers of a backbone that are trained further, and those layers; others are frozen
FROZEN = {"vgg11_bn": ("relu3_2",)}
TRAINED = {"vgg11_bn": ("relu4_1", "relu4_2")}
NONE = "none"
CONTRAST = "contrast."


@dataclass(frozen=True)
class FcddConfig(TrainedConfig):
    """Settings of FCDD. A backbone "none" (with weights "none") trains a small network from scratch.

    Attributes:
        train_batch: images of a step, half of them anomalous.
        optimizer: "sgd" (Nesterov momentum 0.9) or "adam".
        decay: the learning rate at the end, as a share of that at the beginning.
        hidden: channels of the layer between frozen features and heat; 0 for none.
        contrast: normalise each image's contrast.
        n_outputs: of the last layer; a cell's heat is that of their length.
        synthetic: "confetti" as in the paper; or "small": smaller and sharper confetti and, as often, scars.
        synthetic_masks: learn from where a synthetic anomaly is, not only that there is one.
        each_pixel: every pixel of a known mask must be hot, not only all of them together.
        labelled_share: of a batch's anomalous half, once there are labelled anomalies.
        shift_fraction: of the image's side that training images are shifted by at most.
        sigma_fraction: of the Gaussian that turns cells into pixels, of the input's side.
    """

    image_side: int = 256
    score: Literal["max", "mean", "top_mean"] = "top_mean"
    top_fraction: float = 0.05
    n_steps: int = 200
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    train_batch: int = 16
    optimizer: Literal["sgd", "adam"] = "adam"
    decay: float = 0.05
    hidden: int = 64
    contrast: bool = False
    n_outputs: int = 32
    synthetic: Synthetic = "small"
    synthetic_masks: bool = True
    each_pixel: bool = True
    labelled_share: float = 0.5
    shift_fraction: float = 8 / 224
    sigma_fraction: float = 12 / 224

    PROFILES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "image_hw": (240, 240), "crop_hw": (224, 224), "aspect": "stretch", "backbone": "vgg11_bn",
            "weights": "torchvision", "train_batch": 128, "n_steps": 4000, "optimizer": "sgd", "hidden": 0,
            "n_outputs": 1, "synthetic": "confetti", "synthetic_masks": False,
            "each_pixel": False, "contrast": True, "score": "mean",
        },
        "cpu": {},
        "smoke": {
            "image_hw": (64, 64), "n_steps": 40, "train_batch": 8, "batch_size": 8, "n_threads": 1,
        },
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.optimizer not in ("sgd", "adam"):
            raise ValueError(f'Expected optimizer as one of sgd, adam, found "{self.optimizer}".')
        if self.synthetic not in get_args(Synthetic):
            raise ValueError(f'Expected synthetic as one of confetti, small, found "{self.synthetic}".')
        if self.train_batch < 2 or self.hidden < 0 or self.n_outputs < 1:
            raise ValueError("Expected train_batch >= 2, hidden >= 0 and n_outputs >= 1.")
        if not 0 < self.decay <= 1 or not 0 <= self.labelled_share <= 1:
            raise ValueError("Expected decay in (0, 1] and labelled_share in [0, 1].")
        if not 0 <= self.shift_fraction < 0.5 or self.sigma_fraction <= 0:
            raise ValueError("Expected shift_fraction in [0, 0.5) and sigma_fraction > 0.")


class Fcdd(HeadedDetector):
    """See the module. The image score is of the cells that show the image; the paper's is their mean heat."""

    name: ClassVar[str] = "fcdd"
    map_kind: ClassVar[MapKind] = "native"
    accepts_anomalies: ClassVar[bool] = True
    scores_map: ClassVar[bool] = False
    config_class: ClassVar[type[TrainedConfig]] = FcddConfig
    config: FcddConfig

    def __init__(self, config: FcddConfig, *, cache_folder: Path | None = None) -> None:
        super().__init__(config, cache_folder=cache_folder)
        self.contrast_: Contrast | None = None

    @property
    def uses_backbone(self) -> bool:  # type: ignore[override]
        """False when trained from scratch."""
        return self.config.backbone != NONE

    @property
    def map_blur_sigma(self) -> float:  # type: ignore[override]
        """So that bilinear interpolation and blur together are as wide as the receptive-field Gaussian.

        The interpolation's kernel is a triangle, whose variance is a sixth of the cell's squared width.
        """
        cell_area = math.prod(self.geometry.input_hw) / math.prod(self.facts_["grid_hw"])
        return math.sqrt(max(0.0, self._sigma() ** 2 - cell_area / 6))

    def _sigma(self) -> float:
        return self.config.sigma_fraction * math.sqrt(math.prod(self.geometry.input_hw))

    def _layers(self) -> tuple[str, ...]:
        return FROZEN.get(self.config.backbone, ())

    def _new_head(self, facts: Mapping[str, Any]) -> Head:
        config = self.config
        if not self.uses_backbone:
            return Head(*scratch_net(), config.n_outputs)
        joined = Joined(facts["channels"])
        if config.backbone in TRAINED:
            layers = self._layers() + TRAINED[config.backbone]
            # their own scale, which pretrained layers expect
            return Head(*trained_part(config.backbone, config.weights, layers), config.n_outputs)
        if not config.hidden:
            return Head(joined, joined.n_channels, config.n_outputs)
        hidden = nn.Conv2d(joined.n_channels, config.hidden, 1)
        return Head(nn.Sequential(joined, hidden, nn.LeakyReLU()), config.hidden, config.n_outputs)

    # fitting

    def _train(self, normals: Sequence[Prepared], anomalies: Sequence[Example], loop: Loop) -> Head:
        pixels = [each.pixels for each in normals]
        pixels += [each.prepared.pixels for each in anomalies if each.label == 0]
        defective = [(each.prepared.pixels, each.mask) for each in anomalies if each.label != 0]
        self.contrast_ = None
        if self.config.contrast:
            self.contrast_ = Contrast()
            self.contrast_.measure(pixels)
        head = self._measured_head(pixels[:N_FOR_MOMENTS])
        batches = Batches(pixels, defective, self.config)
        upsample = GaussianUpsampling(self.facts_["grid_hw"], self.geometry.input_hw, self._sigma())
        upsample = upsample.to(self.config.device)

        def step(_: int, generator: torch.Generator) -> Tensor:
            batch = batches.draw(np.random.default_rng(int(torch.randint(2**62, (), generator=generator))))
            heats: Tensor = head(self._inputs(batch.pixels))
            anomalous, located, masks = (
                each.to(heats.device) for each in (batch.anomalous, batch.located, batch.masks)
            )
            losses = image_losses(heats[~located], anomalous[~located])
            if located.any():
                found = pixel_losses(upsample(heats[located]), masks[located], self.config.each_pixel)
                losses = torch.cat([losses, found])
            return losses.mean()

        train(self._training(head, step, self._key(pixels, defective)), loop)
        return head

    def _training(self, head: Head, step: Any, key: str) -> Training:
        config = self.config
        parameters = [each for each in head.parameters() if each.requires_grad]
        rate, decay = config.learning_rate, config.weight_decay
        optimizer: torch.optim.Optimizer
        if config.optimizer == "sgd":
            optimizer = torch.optim.SGD(parameters, rate, momentum=0.9, nesterov=True, weight_decay=decay)
        else:
            optimizer = torch.optim.Adam(parameters, rate, weight_decay=decay)
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, config.decay ** (1 / config.n_steps))
        return Training(
            self.name, {"head": head}, optimizer, step, config.n_steps, config.seed, key, scheduler,
            n_threads=config.n_threads,
        )  # fmt: skip

    def _measured_head(self, pixels: Sequence[np.ndarray]) -> Head:
        """A new head that knows the features' moments; sets facts_."""
        images = [Prepared(each, self.geometry.input_hw) for each in pixels]
        features: list[list[np.ndarray]] = []
        if self.uses_backbone:
            features = list(self.features(map(self._normalised, images)))
            self.facts_["channels"] = [each.shape[0] for each in features[0]]
        head = self._new_head(self.facts_).to(self.config.device)
        for module in head.modules():
            if isinstance(module, Joined):
                module.measure(features)
        with torch.inference_mode():
            self.facts_["grid_hw"] = list(head.eval()(self._inputs(pixels[:1])).shape[1:])
        return head

    def _inputs(self, pixels: Sequence[np.ndarray]) -> Any:
        """What the head takes, for a batch of (h, w, 3) uint8 images."""
        images = [self._normalised(Prepared(each, (each.shape[0], each.shape[1]))) for each in pixels]
        device = self.config.device
        if not self.uses_backbone:
            return torch.from_numpy(np.stack([each.pixels for each in images])).to(device)
        layers = zip(*self._features_of(images), strict=True)
        return [torch.from_numpy(np.stack(maps)).to(device) for maps in layers]

    def _normalised(self, prepared: Prepared) -> Prepared:
        if self.contrast_ is None:
            return prepared
        pixels = self.contrast_(torch.from_numpy(prepared.pixels)[None])[0].numpy()
        return dataclasses.replace(prepared, pixels=pixels)

    def _key(
        self, pixels: Sequence[np.ndarray], defective: Sequence[tuple[np.ndarray, np.ndarray | None]]
    ) -> str:
        """Tells this training from others: settings, backbone, images and masks."""
        weights = self.backbone_.hash() if self.backbone_ else NONE
        arrays = [*pixels, *itertools.chain.from_iterable(defective)]
        return training_key(self.config, (self.version, weights, len(pixels)), arrays)

    # predicting

    def predict_prepared(self, prepared: Iterable[Prepared]) -> Iterator[Prediction]:
        """See Detector."""
        return super().predict_prepared(map(self._normalised, prepared))

    def scorer(self) -> nn.Module:
        """See Detector."""
        behind = super().scorer()
        return behind if self.contrast_ is None else nn.Sequential(self.contrast_, behind).eval()

    # saving

    def _state(self) -> dict[str, Tensor]:
        state = super()._state()
        if self.contrast_ is not None:
            state |= {CONTRAST + key: value for key, value in self.contrast_.state_dict().items()}
        return state

    def _set_state(self, state: dict[str, Tensor], meta: dict[str, Any]) -> None:
        super()._set_state(state, meta)
        if self.config.contrast:
            self.contrast_ = Contrast()
            self.contrast_.load_state_dict(part_of(state, CONTRAST))
