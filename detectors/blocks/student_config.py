"""Settings of Uninformed Students."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from detectors.blocks.patch_nets import PATCH_LAYERS, STRIDES
from detectors.config import TrainedConfig


@dataclass(frozen=True)
class UninformedStudentsConfig(TrainedConfig):
    """Settings of Uninformed Students; n_steps, learning_rate and weight_decay are the students'.

    Attributes:
        patch_sides: of the ensembles whose maps are averaged, each 17, 33 or 65.
        width: share of the paper's channels.
        n_descriptor: numbers in a descriptor.
        n_students: of an ensemble.
        n_teacher_steps: optimiser steps of a teacher; one that learns from crops sees 64 in each.
        teacher_learning_rate: of these.
        n_crops: that a teacher learns from.
        backbone_side: pixels along a side that the backbone sees a crop at.
        n_views: jittered images that a teacher learns from at every position, instead of crops; 0 for crops.
        compactness: weight of the teacher's correlation loss.
        batch_norm: networks learn with batch normalisation, which is folded into their weights.
        cosine: learning rates fall to 0 along a cosine.
        variance_weight: of the students' variance beside their error in the map, both standardised.
        n_windows: in a step of the students, and of a teacher that learns from views.
        window_margin: pixels that a window is wider than a patch; at most the whole image is used.
        map_stride: pixels of the model's input for a value of the map: 1, 2, 4 or 8.
    """

    patch_sides: tuple[int, ...] = (33,)
    width: float = 0.25
    n_descriptor: int = 32
    n_students: int = 3
    n_teacher_steps: int = 400
    teacher_learning_rate: float = 1e-2
    n_crops: int = 4096
    backbone_side: int = 64
    n_views: int = 300
    compactness: float = 0.05
    batch_norm: bool = True
    cosine: bool = True
    variance_weight: float = 0.0
    n_windows: int = 4
    window_margin: int = 60
    map_stride: int = 4

    PROFILES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "image_hw": (256, 256), "backbone": "resnet18", "weights": "torchvision",
            "patch_sides": (17, 33, 65), "width": 1.0, "n_descriptor": 128, "n_teacher_steps": 50_000,
            "teacher_learning_rate": 2e-4, "n_crops": 200_000, "backbone_side": 224, "n_steps": 25_000,
            "n_views": 0, "compactness": 1.0, "batch_norm": False, "cosine": False,
            "variance_weight": 1.0,
            "learning_rate": 1e-4, "weight_decay": 1e-5, "n_windows": 1, "window_margin": 256,
            "map_stride": 1,
        },
        "cpu": {
            "image_side": 128, "n_steps": 250, "learning_rate": 5e-3, "weight_decay": 1e-5,
            "score": "top_mean", "top_fraction": 0.03,
        },
        "smoke": {
            "image_hw": (64, 64), "batch_size": 8, "n_threads": 1, "patch_sides": (17,), "width": 1 / 16,
            "n_descriptor": 8, "n_students": 2, "n_teacher_steps": 40, "n_crops": 128, "backbone_side": 32,
            "n_views": 48, "variance_weight": 1.0, "window_margin": 12,
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
        if min(self.n_views, self.compactness, self.variance_weight) < 0:
            raise ValueError("Expected n_views, compactness and variance_weight at least 0.")
        if self.batch_norm and self.n_windows < 2 and self.window_margin < 8:
            raise ValueError("A batch_norm needs several patches in a step: n_windows or window_margin.")
