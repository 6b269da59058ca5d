"""Uninformed Students: defects are where students fail to imitate a teacher's patch descriptors, or disagree.

Source: Bergmann et al., "Uninformed Students: Student-Teacher Anomaly Detection with Discriminative Latent
Embeddings", CVPR 2020, arXiv:1911.02357; layers, losses and settings from memory of the paper.

Deviations from the paper: the teacher is distilled from crops of the normal images at hand instead of
ImageNet (blocks/patch_teacher.py says how, our derivation), once for each fit. Students learn from random
windows in which descriptors lie as far apart as the pools skip, over many steps the same as every position.
Patches of side 33 and 65 stand around the pixels that their layers look at, 32 and 60. Images are not
padded with zeros, their edges are repeated. In the default profile: EfficientNet-Lite0 instead of ResNet-18,
a quarter of the channels, descriptors of 32 numbers, no patches of side 65, maps of one value for 4 x 4
pixels, hundreds of steps instead of tens of thousands, at a higher learning rate.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from detectors.backbones import Backbone, make_runner
from detectors.backbones.nets import estimate_batch_norm
from detectors.base import Example, MapKind, Prediction
from detectors.blocks.patch_nets import PATCH_LAYERS, STRIDES, own_stride, reach
from detectors.blocks.patch_teacher import Distillation, jittered_crops, pooled_features, resized
from detectors.blocks.student_ensemble import Ensemble, Students, random_windows
from detectors.blocks.trainer import Training, step_seed, torch_threads, train
from detectors.config import TrainedConfig
from detectors.geometry import Prepared
from detectors.headed import N_FOR_BATCH_NORM, HeadedDetector, backbone_facts
from detectors.loop import Loop
from detectors.memory import Forecast

TAUGHT_BY = {"resnet18": ("layer4",), "efficientnet_lite0": ("blocks.6",)}  # others: their default layers
N_TARGET_WINDOWS = 256  # that the teacher's statistics come from
N_TEACHER_BATCH = 64
N_ANSWERS = 12  # wide layers of networks that a step keeps, about
N_FEATURES = 512  # of a crop, about
N_MEASURED = 100  # normals for the map's statistics, where none are held out
TEACHER, CROPS, STUDENTS, WINDOWS = range(4)  # seeds


@dataclass(frozen=True)
class UninformedStudentsConfig(TrainedConfig):
    """Settings of Uninformed Students; n_steps, learning_rate and weight_decay are the students'.

    Attributes:
        patch_sides: of the ensembles whose maps are averaged, each 17, 33 or 65.
        width: share of the paper's channels.
        n_descriptor: numbers in a descriptor.
        n_students: of an ensemble.
        n_teacher_steps: optimiser steps of a teacher, of 64 crops each.
        teacher_learning_rate: of these.
        n_crops: that a teacher learns from.
        backbone_side: pixels along a side that the backbone sees a crop at.
        n_windows: in a step of the students.
        window_margin: pixels that a window is wider than a patch; at most the whole image is used.
        map_stride: pixels of the model's input for a value of the map: 1, 2, 4 or 8.
    """

    patch_sides: tuple[int, ...] = (17, 33)
    width: float = 0.25
    n_descriptor: int = 32
    n_students: int = 3
    n_teacher_steps: int = 600
    teacher_learning_rate: float = 3e-3
    n_crops: int = 4096
    backbone_side: int = 64
    n_windows: int = 16
    window_margin: int = 12
    map_stride: int = 4

    PROFILES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "image_hw": (256, 256), "backbone": "resnet18", "weights": "torchvision",
            "patch_sides": (17, 33, 65), "width": 1.0, "n_descriptor": 128, "n_teacher_steps": 50_000,
            "teacher_learning_rate": 2e-4, "n_crops": 200_000, "backbone_side": 224, "n_steps": 25_000,
            "learning_rate": 1e-4, "weight_decay": 1e-5, "n_windows": 1, "window_margin": 256,
            "map_stride": 1,
        },
        "cpu": {"image_side": 128, "n_steps": 300, "learning_rate": 1e-3, "weight_decay": 1e-5},
        "smoke": {
            "image_hw": (64, 64), "batch_size": 8, "n_threads": 1, "patch_sides": (17,), "width": 1 / 16,
            "n_descriptor": 8, "n_students": 2, "n_teacher_steps": 40, "n_crops": 128, "backbone_side": 32,
            "n_steps": 60, "learning_rate": 3e-3, "weight_decay": 1e-5, "n_windows": 8,
        },
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "patch_sides", tuple(self.patch_sides))
        known = self.patch_sides and all(side in PATCH_LAYERS for side in self.patch_sides)
        if not known or len(set(self.patch_sides)) < len(self.patch_sides):
            raise ValueError(
                f"Expected patch_sides out of 17, 33 and 65, each once, found {self.patch_sides}."
            )
        if self.map_stride not in STRIDES:
            raise ValueError(f"Expected map_stride as 1, 2, 4 or 8 pixels, found {self.map_stride}.")
        if not 0 < self.width <= 1 or self.teacher_learning_rate <= 0 or self.window_margin < 0:
            raise ValueError(
                "Expected width in (0, 1], teacher_learning_rate above 0, and window_margin at least 0."
            )
        if self.n_students < 2 or self.n_descriptor < 2:
            raise ValueError("Expected at least 2 students, and at least 2 numbers in a descriptor.")
        if min(self.n_teacher_steps, self.n_windows, self.backbone_side) < 1 or self.n_crops < 2:
            raise ValueError("Expected n_teacher_steps, n_windows, backbone_side >= 1 and n_crops >= 2.")


class UninformedStudents(HeadedDetector):
    """See the module. Image score: the maximum of the map.

    The backbone teaches during the fit only; what is saved holds the teachers and needs no backbone.
    """

    name: ClassVar[str] = "uninformed_students"
    map_kind: ClassVar[MapKind] = "native"
    uses_backbone: ClassVar[bool] = False
    config_class: ClassVar[type[TrainedConfig]] = UninformedStudentsConfig
    config: UninformedStudentsConfig
    _measured: Sequence[Prepared] = ()  # normals for the map's statistics, where none are held out

    def forecast(self, n_images: int) -> Forecast:
        """Images twice, the crops, and the widest layer's answers; see Detector."""
        config, (height, width) = self.config, self.geometry.input_hw
        crop_bytes = 3 * reach(max(config.patch_sides)) ** 2 + 4 * N_FEATURES
        images, crops = 2 * 3 * height * width * n_images, config.n_crops * crop_bytes
        pixels = (height + reach(65)) * (width + reach(65))
        answers = int(N_ANSWERS * 4 * 256 * config.width * pixels)
        with torch.device("meta"):  # neither memory nor random numbers
            state = 4 * sum(each.numel() for each in self._new_head({}).state_dict().values())
        return Forecast(images + crops + answers, state, "the number and size of the images, and n_crops")

    def _new_head(self, facts: Mapping[str, Any]) -> Students:
        config = self.config
        sides, settings = config.patch_sides, (config.width, config.n_descriptor, config.n_students)
        return Students([Ensemble(side, *settings) for side in sides], config.map_stride)

    def _train(self, normals: Sequence[Prepared], anomalies: Sequence[Example], loop: Loop) -> nn.Module:
        self._measured = normals[:N_MEASURED]
        images = torch.from_numpy(np.stack([each.pixels for each in normals]))
        head = self._new_head({}).to(self.config.device)
        backbone = self._teaching_backbone(images)
        self.facts_["taught_by"] = backbone_facts(backbone, self.config)
        key = self._key(images, backbone)
        for ensemble in head.by_side():
            self._train_teacher(ensemble, images, backbone, key, loop)
            ensemble.teacher.requires_grad_(False)
            ensemble.standardize_targets(self._target_windows(images, ensemble.side))
            self._train_students(ensemble, images, key, loop)
        return head

    def _seed(self, side: int, purpose: int) -> int:
        return step_seed(self.config.seed, 10 * side + purpose)

    def _key(self, images: Tensor, backbone: Backbone) -> str:
        """Of everything that a training depends on."""
        settings = dataclasses.replace(self.config, time_budget_s=None, profile="", n_threads=0)
        digest = hashlib.sha256(repr((self.version, settings, tuple(images.shape), backbone.hash())).encode())
        digest.update(images.numpy().data)
        return digest.hexdigest()

    # the teacher

    def _crops(self, images: Tensor, side: int, n_crops: int) -> Tensor:
        generator = torch.Generator().manual_seed(self._seed(side, CROPS))
        return jittered_crops(images, n_crops, reach(side), generator)

    def _teaching_backbone(self, images: Tensor) -> Backbone:
        name = self.config.backbone
        backbone = Backbone(name, self.config.weights, TAUGHT_BY.get(name, ()))
        if self.config.weights == "random":
            crops = self._crops(images, self.config.patch_sides[0], N_FOR_BATCH_NORM)
            estimate_batch_norm(backbone.net(), resized(crops, self.config.backbone_side).numpy())
            backbone.state = backbone.net().state_dict()
        return backbone

    def _bank(self, images: Tensor, side: int, backbone: Backbone) -> tuple[Tensor, Tensor]:
        """(n_crops, s, s, 3) uint8 and (n_crops, C) float32: crops, and what the backbone says of them."""
        config, input_side = self.config, self.config.backbone_side
        runner = make_runner(
            backbone, (input_side, input_side), config.runtime, config.n_threads, self.cache_folder,
            config.device,
        )  # fmt: skip
        crops = self._crops(images, side, config.n_crops)
        return crops, pooled_features(runner, crops, input_side)

    def _train_teacher(
        self, ensemble: Ensemble, images: Tensor, backbone: Backbone, key: str, loop: Loop
    ) -> None:
        config, side = self.config, ensemble.side
        n_features = _n_features(backbone, config.backbone_side)
        pupil = Distillation(ensemble.teacher, config.n_descriptor, n_features).to(config.device)
        bank = functools.cache(lambda: self._bank(images, side, backbone))  # not for one that is trained

        def step(number: int, generator: torch.Generator) -> Tensor:
            crops, features = bank()
            chosen = torch.randint(len(crops), (N_TEACHER_BATCH,), generator=generator)
            return pupil.loss(crops[chosen].to(config.device), features[chosen].to(config.device))

        optimizer = torch.optim.Adam(pupil.parameters(), config.teacher_learning_rate, weight_decay=1e-5)
        self._run(
            Training(
                f"teacher-{side}", {"pupil": pupil}, optimizer, step, config.n_teacher_steps,
                self._seed(side, TEACHER), key, n_threads=config.n_threads,
            ),
            loop,
        )  # fmt: skip

    def _run(self, training: Training, loop: Loop) -> None:
        """Train, unless the fit was asked to end: what is not begun then stays as it is."""
        if not loop.stopped:
            train(training, loop)

    # the students

    def _windows(self, images: Tensor, side: int, n: int, generator: torch.Generator) -> Tensor:
        window = reach(side) + self.config.window_margin
        return random_windows(images, side, window, n, generator).to(self.config.device)

    def _target_windows(self, images: Tensor, side: int) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(self._seed(side, WINDOWS))
        for _ in range(0, N_TARGET_WINDOWS, self.config.n_windows):
            yield self._windows(images, side, self.config.n_windows, generator)

    def _train_students(self, ensemble: Ensemble, images: Tensor, key: str, loop: Loop) -> None:
        config, side = self.config, ensemble.side

        def step(number: int, generator: torch.Generator) -> Tensor:
            return ensemble.loss(self._windows(images, side, config.n_windows, generator), own_stride(side))

        optimizer = torch.optim.Adam(
            ensemble.students.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        self._run(
            Training(
                f"students-{side}", {"students": ensemble.students}, optimizer, step, config.n_steps,
                self._seed(side, STUDENTS), key, n_threads=config.n_threads,
            ),
            loop,
        )  # fmt: skip

    # the map's statistics

    def _finish_fit(self, held_out: Iterable[Prepared]) -> Iterator[Prediction]:
        head = cast(Students, self._ready_head())
        sizes, parts = self._parts_of(head, held_out)
        measured = (sizes, parts) if parts else self._parts_of(head, self._measured)
        self._measured = ()
        inside = self.geometry.inside
        shown = [part[..., inside(part.shape[-2:], size)] for size, part in zip(*measured, strict=True)]
        head.standardize_maps(shown)
        for size, part in zip(sizes, parts, strict=True):
            with torch.inference_mode():
                grid = head.combined(torch.from_numpy(part).to(self.config.device))[0].cpu().numpy()
            yield self._prediction(grid, size)

    def _parts_of(
        self, head: Students, images: Iterable[Prepared]
    ) -> tuple[list[tuple[int, int]], list[np.ndarray]]:
        """Heights and widths of images, and their errors and variances."""
        sizes, parts = [], []
        for each in images:
            with torch_threads(self.config.n_threads), torch.inference_mode():
                found = head.parts(torch.from_numpy(each.pixels)[None].to(self.config.device))
            sizes.append(each.image_hw)
            parts.append(found.cpu().numpy())
        return sizes, parts

    def _meta(self) -> dict[str, Any]:
        taught_by: dict[str, Any] = self.facts_["taught_by"]
        return super()._meta() | taught_by


def _n_features(backbone: Backbone, side: int) -> int:
    """Channels of the backbone's maps together."""
    net = backbone.net()
    blank = torch.zeros((1, side, side, 3), dtype=torch.uint8, device=net.scale.device)
    with torch.no_grad():
        return sum(each.shape[1] for each in net(blank))
