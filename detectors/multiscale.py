"""Several scales: any detector at several sizes of the image, their maps averaged.

Each scale has an inner detector of its own. Its map counts in units of what held-out normals show at that
scale (95th percentile of their pixels: 0, 1.5 times the 99.9th: 1), so that no scale drowns the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from detectors.base import Prediction
from detectors.calibration import Calibration
from detectors.config import Config
from detectors.geometry import MULTIPLE, Image
from detectors.wrapping import Wrapper


@dataclass(frozen=True)
class ScaleOptions:
    """Settings of several scales, beside those of the inner detector.

    Attributes:
        scales: times the inner detector's image_side (or image_hw).
    """

    scales: tuple[float, ...] = (0.75, 1.0, 1.5)

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[misc]  # of the inner detector's settings
        if not isinstance(self.scales, (list, tuple)) or len(self.scales) < 2 or min(self.scales) <= 0:
            raise ValueError(f"Expected scales as two or more positive numbers, found {self.scales!r}.")
        object.__setattr__(self, "scales", tuple(float(scale) for scale in self.scales))


class MultiScale(Wrapper):
    """See the module. Image score: of the joined map, or else the mean of the standardised scores."""

    prefix: ClassVar[str] = "multiscale"
    options_class: ClassVar[type] = ScaleOptions
    config: Any  # the inner detector's settings with ScaleOptions

    def _settle(self, sizes_hw: Sequence[tuple[int, int]]) -> None:
        self._settle_inner([list(sizes_hw)] * self._n_parts())

    def _n_parts(self) -> int:
        return len(self.config.scales)

    def _part(self, image: Image, number: int) -> Image:
        return image

    def _inner_config(self, number: int) -> Config:
        config, scale = super()._inner_config(number), self.config.scales[number]
        if config.image_hw is None:
            return replace(config, image_side=round(config.image_side * scale))
        image_hw, crop_hw = (
            None if hw is None else (_scaled(hw[0], scale), _scaled(hw[1], scale))
            for hw in (config.image_hw, config.crop_hw)
        )
        return replace(config, image_hw=image_hw, crop_hw=crop_hw)

    def _joined(self, answers: Sequence[Prediction], image_hw: tuple[int, int]) -> Prediction:
        known = [inner.calibration for inner in self.inner_]
        pairs = list(zip(answers, known, strict=True))
        score = float(np.mean([standardised(each.score, calibration) for each, calibration in pairs]))
        joined = np.zeros(image_hw, np.float32)
        for each, calibration in pairs:
            if each.map is None:
                return Prediction(score, None)
            lo, hi = calibration.display_range
            joined += (each.map - np.float32(lo)) / np.float32((hi - lo) * len(answers))
        return Prediction(self._reduced(joined) if self.scores_map else score, joined)


def _scaled(length: int, scale: float) -> int:
    return max(MULTIPLE, MULTIPLE * round(length * scale / MULTIPLE))


def standardised(score: float, calibration: Calibration) -> float:
    """A score in standard deviations of held-out normals above their mean."""
    known = np.asarray(calibration.scores)
    spread = float(known.std()) or max(1e-6, abs(float(known.mean())) * 1e-6)
    return (score - float(known.mean())) / spread
