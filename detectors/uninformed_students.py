"""Uninformed Students: defects are where students fail to imitate a teacher's patch descriptors, or disagree.

Source: Bergmann et al., "Uninformed Students: Student-Teacher Anomaly Detection with Discriminative Latent
Embeddings", CVPR 2020, arXiv:1911.02357; layers, losses and settings from memory of the paper.

Deviations from the paper: the teacher is distilled from the normal images at hand instead of ImageNet, once
for each fit; in the default profile at every position of whole images (blocks/dense_teacher.py, our
derivation), in the paper's from crops (blocks/patch_teacher.py, likewise). Students learn from random
windows in which descriptors lie as far apart as the pools skip, or the teacher's targets do, over many steps
the same as every position. Patches of side 33 and 65 stand around the pixels that their layers look at, 32
and 60. Images are not padded with zeros, their edges are repeated. In the default profile:
EfficientNet-Lite0 instead of ResNet-18, a quarter of the channels, descriptors of 32 numbers, patches of
side 33 only, maps of one value for 4 x 4 pixels. Hundreds of steps instead of tens of thousands suffice
with batch normalisation while the networks learn (blocks/patch_learning.py) and a high learning rate that
falls along a cosine; a correlation loss of the paper's weight would then hide the backbone's features, so it
counts a twentieth. The map shows the students' error alone: with their variance, image scores
were worse on a drawn section and on photographs of tiles that were kept for choosing. An image score is the
mean of the highest 3 % of its map.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from detectors.backbones import Backbone, make_runner
from detectors.backbones.nets import estimate_batch_norm
from detectors.base import Example, MapKind, Prediction
from detectors.blocks.dense_teacher import LAYERS_SEEN, Lessons, dense_lessons, jittered_views, target_stride
from detectors.blocks.patch_learning import Learner
from detectors.blocks.patch_nets import PatchNet, normalized, own_stride, reach
from detectors.blocks.patch_teacher import Distillation, jittered_crops, pooled_features, resized
from detectors.blocks.student_config import UninformedStudentsConfig
from detectors.blocks.student_ensemble import Ensemble, Students, random_windows
from detectors.blocks.trainer import Training, step_seed, torch_threads, train, training_key
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
N_CHANNELS = {"efficientnet_lite0": 64}  # of what a teacher learns at every fourth pixel; others: N_FEATURES
N_MEASURED = 100  # normals for the map's statistics, where none are held out
TEACHER, CROPS, STUDENTS, WINDOWS = range(4)  # seeds


class UninformedStudents(HeadedDetector):
    """See the module. Image score: as config.score says, from the map.

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
        if config.n_views:
            n_channels = N_CHANNELS.get(config.backbone, N_FEATURES)
            crops = config.n_views * height * width * (3 + 3 * 4 * n_channels // 16)
        pixels = (height + reach(65)) * (width + reach(65))
        answers = int(N_ANSWERS * 4 * 256 * config.width * pixels)
        with torch.random.fork_rng(devices=[]):
            state = 4 * sum(each.numel() for each in self._new_head({}).state_dict().values())
        return Forecast(images + crops + answers, state, "the number and size of the images, and n_crops")

    def _new_head(self, facts: Mapping[str, Any]) -> Students:
        config = self.config
        sides, settings = config.patch_sides, (config.width, config.n_descriptor, config.n_students)
        return Students(
            [Ensemble(side, *settings) for side in sides], config.map_stride, config.variance_weight
        )

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
        return training_key(self.config, (self.version, backbone.hash()), [images.numpy()])

    # the teacher

    def _crops(self, images: Tensor, side: int, n_crops: int) -> Tensor:
        generator = torch.Generator().manual_seed(self._seed(side, CROPS))
        return jittered_crops(images, n_crops, reach(side), generator)

    def _teaching_backbone(self, images: Tensor) -> Backbone:
        name, dense = self.config.backbone, self.config.n_views > 0
        backbone = Backbone(name, self.config.weights, () if dense else TAUGHT_BY.get(name, ()))
        if self.config.weights == "random":
            crops = self._crops(images, self.config.patch_sides[0], N_FOR_BATCH_NORM)
            shown = images[:N_FOR_BATCH_NORM] if dense else resized(crops, self.config.backbone_side)
            estimate_batch_norm(backbone.net(), shown.numpy())
            backbone.state = backbone.net().state_dict()
        return backbone

    def _lessons(self, images: Tensor, side: int, backbone: Backbone) -> Lessons:
        """What the teacher learns from: views, or crops of one patch each."""
        config = self.config
        input_hw = self.geometry.input_hw if config.n_views else (config.backbone_side,) * 2
        runner = make_runner(
            backbone, input_hw, config.runtime, config.n_threads, self.cache_folder, config.device
        )
        if config.n_views:
            generator = torch.Generator().manual_seed(self._seed(side, CROPS))
            return dense_lessons(runner, jittered_views(images, config.n_views, generator), side)
        crops = self._crops(images, side, config.n_crops)
        return Lessons(crops, pooled_features(runner, crops, config.backbone_side)[..., None, None], side)

    def _train_teacher(
        self, ensemble: Ensemble, images: Tensor, backbone: Backbone, key: str, loop: Loop
    ) -> None:
        config, side = self.config, ensemble.side
        maps = _channels(backbone, config.backbone_side)
        n_features = sum((maps[LAYERS_SEEN[side]] or maps) if config.n_views else maps)
        pupil = Distillation(
            ensemble.teacher, config.n_descriptor, n_features, config.compactness, config.batch_norm
        ).to(config.device)
        lessons = functools.cache(
            lambda: self._lessons(images, side, backbone)
        )  # not for one that is trained

        def step(number: int, generator: torch.Generator) -> Tensor:
            if config.n_views:
                windows, features = lessons().draw(config.n_windows, config.window_margin, generator)
            else:
                chosen = torch.randint(config.n_crops, (N_TEACHER_BATCH,), generator=generator)
                windows, features = normalized(lessons().views[chosen]), lessons().features[chosen]
            stride = target_stride(side) if config.n_views else 1
            return pupil.loss(windows.to(config.device), features.to(config.device), stride)

        optimizer = torch.optim.Adam(pupil.parameters(), config.teacher_learning_rate, weight_decay=1e-5)
        self._run(
            Training(
                f"teacher-{side}", {"pupil": pupil}, optimizer, step, config.n_teacher_steps,
                self._seed(side, TEACHER), key, self._schedule(optimizer, config.n_teacher_steps),
                n_threads=config.n_threads,
            ),
            loop,
        )  # fmt: skip
        pupil.teacher.fold()

    def _schedule(self, optimizer: torch.optim.Optimizer, n_steps: int) -> CosineAnnealingLR | None:
        return CosineAnnealingLR(optimizer, n_steps) if self.config.cosine else None

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
        learners = nn.ModuleList(
            Learner(cast(PatchNet, each), config.batch_norm) for each in ensemble.students
        )
        learners.to(config.device)

        def step(number: int, generator: torch.Generator) -> Tensor:
            stride = target_stride(side) if config.n_views else own_stride(side)
            return ensemble.loss(self._windows(images, side, config.n_windows, generator), stride, learners)

        optimizer = torch.optim.Adam(
            learners.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        self._run(
            Training(
                f"students-{side}", {"students": learners}, optimizer, step, config.n_steps,
                self._seed(side, STUDENTS), key, self._schedule(optimizer, config.n_steps),
                n_threads=config.n_threads,
            ),
            loop,
        )  # fmt: skip
        for each in learners:
            cast(Learner, each).fold()

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


def _channels(backbone: Backbone, side: int) -> list[int]:
    """Channels of each of the backbone's maps."""
    net = backbone.net()
    blank = torch.zeros((1, side, side, 3), dtype=torch.uint8, device=net.scale.device)
    with torch.no_grad():
        return [each.shape[1] for each in net(blank)]
