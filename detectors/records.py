"""What goes into detectors and what comes out of them."""

from dataclasses import dataclass, field

import numpy as np

from detectors.geometry import Image, Prepared


@dataclass(frozen=True)
class Labeled:
    """An image with what is known about it: label 1 is anomalous; mask is (H, W) bool or None."""

    image: Image
    label: int
    mask: np.ndarray | None = None


@dataclass(frozen=True)
class Example:
    """A labelled image at the model's input.

    Attributes:
        prepared: the image.
        label: 1 is anomalous.
        mask: (h, w) bool at the model's input; None when only the label is known.
    """

    prepared: Prepared
    label: int
    mask: np.ndarray | None


@dataclass
class Prediction:
    """The answer for one image.

    Attributes:
        score: higher is more anomalous; raw scale, finite.
        map: (H, W) float32 at the image's own size, higher is more anomalous; None without maps.
        extras: further arrays by name.
    """

    score: float
    map: np.ndarray | None
    extras: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class FitReport:
    """What a fit did.

    Attributes:
        n_normals: images that the statistics were fitted on.
        n_calibration: held-out images that the calibration was made of.
        seconds: wall time.
        n_parameters: fitted numbers.
        stopped: the fit was ended early, by should_stop or the time budget.
        warnings: what the user should know.
    """

    n_normals: int
    n_calibration: int
    seconds: float
    n_parameters: int
    stopped: bool
    warnings: tuple[str, ...]
