"""Settings of detectors, with profiles to start from."""

import dataclasses
import difflib
import numbers
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, ClassVar, Literal, Self, get_args, get_type_hints

# kinds of values that are told apart; in Python a bool is a number, too
PLAIN = {int: numbers.Integral, float: numbers.Real, bool: bool, str: str, NoneType: NoneType}


@dataclass(frozen=True)
class Config:
    """Settings that every detector has.

    Attributes:
        image_side: the model's input has about image_side * image_side pixels, in the aspect ratio of the
            normals.
        image_hw: the model's height and width in pixels, instead of image_side.
        crop_hw: centre crop after the resize, for image_hw; None sees the whole image.
        aspect: "keep" an image's aspect ratio, repeating its edge where it does not fill the input; or
            "stretch" it.
        device: "cpu", or a torch device such as "cuda".
        seed: of everything random.
        batch_size: images worked on together.
        n_threads: images in the backbone at the same time; 0 is one for each core.
        backbone, weights, runtime: see detectors.backbones; "none" where a method has no backbone.
        precision: "f32", or "bf16" for a faster and less exact backbone.
        score: how a map becomes an image score: "max", "mean", or "top_mean", the mean of the highest
            top_fraction of the values.
        top_fraction: in (0, 1].
        val_fraction: share of the normals held out for the calibration.
        time_budget_s: a fit that takes longer ends early; None for no limit.
        profile: the profile that the settings started from.
    """

    image_side: int = 256
    image_hw: tuple[int, int] | None = None
    crop_hw: tuple[int, int] | None = None
    aspect: Literal["keep", "stretch"] = "keep"
    device: str = "cpu"
    seed: int = 0
    batch_size: int = 16
    n_threads: int = 0
    backbone: str = "efficientnet_lite0"
    weights: str = "packaged"
    runtime: str = "auto"
    precision: Literal["f32", "bf16"] = "f32"
    score: Literal["max", "mean", "top_mean"] = "max"
    top_fraction: float = 0.001
    val_fraction: float = 0.1
    time_budget_s: float | None = None
    profile: str = "cpu"

    PROFILES: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": {}, "cpu": {}, "smoke": {}}

    def __post_init__(self) -> None:
        for name in ("image_hw", "crop_hw"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, _checked_hw(name, value))
        if self.image_side < 1:
            raise ValueError(f"Expected image_side in pixels, at least 1, found {self.image_side}.")
        if self.crop_hw and self.image_hw is None:
            raise ValueError("A crop_hw needs an image_hw that it is cut out of.")
        if self.crop_hw and self.image_hw and any(map(operator.gt, self.crop_hw, self.image_hw)):
            raise ValueError(f"Expected crop_hw within image_hw, found {self.crop_hw} in {self.image_hw}.")
        for name, known in (
            ("aspect", ("keep", "stretch")),
            ("precision", ("f32", "bf16")),
            ("score", ("max", "mean", "top_mean")),
        ):
            if (value := getattr(self, name)) not in known:
                raise ValueError(f'Expected {name} as one of {", ".join(known)}, found "{value}".')
        if not 0 < self.top_fraction <= 1:
            raise ValueError(f"Expected top_fraction in (0, 1], found {self.top_fraction}.")
        if self.batch_size < 1 or self.n_threads < 0:
            raise ValueError("Expected batch_size >= 1 and n_threads >= 0.")
        if not 0 < self.val_fraction < 1:
            raise ValueError(f"Expected val_fraction between 0 and 1, found {self.val_fraction}.")

    @classmethod
    def from_profile(cls, profile: str, **options: Any) -> Self:
        """A profile's settings with some of them changed.

        Raises:
            ValueError: an unknown profile or option, with the known ones; or a value of another kind.
        """
        if profile not in cls.PROFILES:
            raise ValueError(f'Unknown profile "{profile}". Known: {", ".join(cls.PROFILES)}.')
        known = [item.name for item in dataclasses.fields(cls)]
        for name in options:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f' Did you mean "{near[0]}"?' if near else ""
                raise ValueError(f'Unknown option "{name}".{hint} Known: {", ".join(known)}.')
        hints = get_type_hints(cls)
        for name, value in options.items():
            _check_kind(name, value, hints[name])
        try:
            return cls(**{**cls.PROFILES[profile], **options, "profile": profile})
        except TypeError as error:
            raise ValueError(f"A setting has a value of another kind than expected: {error}.") from error


@dataclass(frozen=True)
class TrainedConfig(Config):
    """Settings of detectors that are trained step by step.

    Attributes:
        n_steps: optimiser steps.
        learning_rate: at the first step.
        weight_decay: of the optimiser.
    """

    n_steps: int = 500
    learning_rate: float = 1e-4
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_steps < 1 or self.learning_rate <= 0 or self.weight_decay < 0:
            raise ValueError("Expected n_steps >= 1, learning_rate > 0 and weight_decay >= 0.")


def _check_kind(name: str, value: Any, hint: Any) -> None:
    """Refuse text for a number and the like, where only plain kinds are expected."""
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if not all(isinstance(kind, type) and kind in PLAIN for kind in kinds):
        return
    fits = (isinstance(value, PLAIN[kind]) for kind in kinds if bool in kinds or not isinstance(value, bool))
    if not any(fits):
        known = " or ".join("None" if kind is NoneType else kind.__name__ for kind in kinds)
        raise ValueError(f"Expected {name} as {known}, found {value!r}.")


def _checked_hw(name: str, value: Any) -> tuple[int, int]:
    whole = isinstance(value, Sequence) and all(isinstance(v, numbers.Real) and v % 1 == 0 for v in value)
    if not whole or len(value) != 2 or min(value) < 1:
        raise ValueError(f"Expected {name} as (height, width) in pixels, found {value!r}.")
    return int(value[0]), int(value[1])
