"""Settings of detectors, with profiles to start from."""

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self


@dataclass(frozen=True)
class Config:
    """Settings that every detector has.

    Attributes:
        image_hw: height and width that images are resized to, in pixels.
        crop_hw: centre crop after the resize; None sees the whole image.
        device: "cpu", or a torch device such as "cuda".
        seed: of everything random.
        batch_size: images worked on together.
        n_threads: images in the backbone at the same time; 0 is one for each core.
        backbone, weights, runtime: see detectors.backbones.
        val_fraction: share of the normals held out for the calibration.
        time_budget_s: a fit that takes longer ends early; None for no limit.
        profile: the profile that the settings started from.
    """

    image_hw: tuple[int, int] = (256, 256)
    crop_hw: tuple[int, int] | None = None
    device: str = "cpu"
    seed: int = 0
    batch_size: int = 16
    n_threads: int = 0
    backbone: str = "efficientnet_lite0"
    weights: str = "packaged"
    runtime: str = "auto"
    val_fraction: float = 0.1
    time_budget_s: float | None = None
    profile: str = "cpu"

    PROFILES: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": {}, "cpu": {}, "smoke": {}}

    def __post_init__(self) -> None:
        for name in ("image_hw", "crop_hw"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, _checked_hw(name, value))
        if self.crop_hw and any(a > b for a, b in zip(self.crop_hw, self.image_hw, strict=True)):
            raise ValueError(f"Expected crop_hw within image_hw, found {self.crop_hw} in {self.image_hw}.")
        if self.batch_size < 1 or self.n_threads < 0:
            raise ValueError("Expected batch_size >= 1 and n_threads >= 0.")
        if not 0 < self.val_fraction < 1:
            raise ValueError(f"Expected val_fraction between 0 and 1, found {self.val_fraction}.")

    @classmethod
    def from_profile(cls, profile: str, **options: Any) -> Self:
        """A profile's settings with some of them changed.

        Raises:
            ValueError: an unknown profile or option; the message lists the known ones.
        """
        if profile not in cls.PROFILES:
            raise ValueError(f'Unknown profile "{profile}". Known: {", ".join(cls.PROFILES)}.')
        known = [item.name for item in dataclasses.fields(cls)]
        for name in options:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f' Did you mean "{near[0]}"?' if near else ""
                raise ValueError(f'Unknown option "{name}".{hint} Known: {", ".join(known)}.')
        return cls(**{**cls.PROFILES[profile], **options, "profile": profile})


def _checked_hw(name: str, value: Any) -> tuple[int, int]:
    if not isinstance(value, Sequence) or len(value) != 2 or any(int(v) != v or v < 1 for v in value):
        raise ValueError(f"Expected {name} as (height, width) in pixels, found {value!r}.")
    return int(value[0]), int(value[1])
