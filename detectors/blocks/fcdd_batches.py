"""Batches that FCDD learns from: normal images, synthetic and labelled anomalies."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from detectors.blocks.confetti import Confetti, add_confetti
from detectors.blocks.scars import add_scars

Defective = tuple[np.ndarray, np.ndarray | None]  # (h, w, 3) uint8, and its (h, w) bool mask if it is known
Synthetic = Literal["confetti", "small"]
# squares of "small": smaller, sharper and more of them than the paper's
SMALL = Confetti(
    n_coloured=1.2, n_dark=1.0, side_fractions=(3 / 224, 40 / 224), blur_fraction=1.2 / 224, least_change=10
)


class Settings(Protocol):
    """The settings of FCDD that say how batches are made."""

    @property
    def train_batch(self) -> int: ...
    @property
    def labelled_share(self) -> float: ...
    @property
    def shift_fraction(self) -> float: ...
    @property
    def synthetic(self) -> Synthetic: ...
    @property
    def synthetic_masks(self) -> bool: ...


@dataclass(frozen=True)
class Batch:
    """Images of one step.

    Attributes:
        pixels: (h, w, 3) uint8 each.
        anomalous: (N,) bool.
        located: (N,) bool: the mask says where it is anomalous.
        masks: (N, h, w) bool; False where not located.
    """

    pixels: list[np.ndarray]
    anomalous: Tensor
    located: Tensor
    masks: Tensor


class Batches:
    """Draws batches; every labelled anomaly comes equally often."""

    def __init__(
        self, normals: Sequence[np.ndarray], defective: Sequence[Defective], settings: Settings
    ) -> None:
        """
        Args:
            normals: (h, w, 3) uint8 each.
            defective: labelled anomalies. An empty mask says nothing: a defect is somewhere.
            settings: of FCDD.
        """
        self.normals, self.defective, self.settings = normals, defective, settings

    def draw(self, rng: np.random.Generator) -> Batch:
        """One batch: half of it normal, the rest synthetic and labelled anomalies, in this order."""
        settings = self.settings
        n_anomalous = settings.train_batch // 2
        n_labelled = 0
        if self.defective and settings.labelled_share:
            n_labelled = max(1, round(n_anomalous * settings.labelled_share))
        n_drawn = settings.train_batch - n_labelled
        chosen = _some(len(self.normals), n_drawn, rng)
        drawn = [self._shifted((self.normals[index], None), rng) for index in chosen]
        images = [image for image, _ in drawn]
        masks: list[np.ndarray | None] = [None] * len(images)
        for place in range(settings.train_batch - n_anomalous, n_drawn):
            images[place], mask = self._spoilt(images[place], place, rng)
            masks[place] = mask if settings.synthetic_masks else None
        for index in _some(len(self.defective), n_labelled, rng):
            image, known = self._shifted(self.defective[index], rng)
            images.append(image)
            masks.append(known)
        anomalous = torch.arange(settings.train_batch) >= settings.train_batch - n_anomalous
        located = torch.tensor([mask is not None for mask in masks])
        blank = np.zeros(images[0].shape[:2], bool)
        joined = torch.from_numpy(np.stack([blank if mask is None else mask for mask in masks]))
        return Batch(images, anomalous, located, joined)

    def _spoilt(
        self, image: np.ndarray, place: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """An anomaly made of a normal image, and its mask; of "small" ones every other one has scars."""
        if self.settings.synthetic == "confetti":
            return add_confetti(image, rng)
        if place % 2:
            return add_scars(image, self.normals[int(rng.integers(len(self.normals)))], rng)
        return add_confetti(image, rng, SMALL)

    def _shifted(self, item: Defective, rng: np.random.Generator) -> Defective:
        """Image and mask moved by some pixels, mirrored at the edges."""
        image, mask = item
        height, width = image.shape[:2]
        most = round(self.settings.shift_fraction * float(np.sqrt(height * width)))
        most = min(most, height - 1, width - 1)
        top, left = rng.integers(0, 2 * most + 1, size=2)
        rows, columns = (_mirrored(start - most, n) for start, n in ((top, height), (left, width)))
        moved = np.ascontiguousarray(image[rows][:, columns])
        if mask is None or not mask.any():
            return moved, None
        return moved, np.ascontiguousarray(mask[rows][:, columns])


def _mirrored(start: int, n: int) -> np.ndarray:
    """(n,) indices start, start + 1, ... into n items, mirrored at both ends."""
    places = np.abs(np.arange(start, start + n))
    return np.where(places < n, places, 2 * (n - 1) - places)


def _some(n: int, n_drawn: int, rng: np.random.Generator) -> np.ndarray:
    """(n_drawn,) indices below n, each again only after all others."""
    if n_drawn == 0:
        return np.zeros(0, np.int64)
    rounds = [rng.permutation(n) for _ in range(-(-n_drawn // n))]
    return np.concatenate(rounds)[:n_drawn]
