"""The normal images of a fit: which are held out, and how they are gone through."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from detectors.geometry import Image, Prepared, check_image
from detectors.prefetch import prefetch

N_SIZES = 32  # images looked at for the aspect ratio
MAX_HELD_OUT = 100  # enough for thresholds at a hundredth of false alarms


@dataclass(frozen=True)
class Stream:
    """Some of the images, prepared in threads, few at a time; can be gone through more than once."""

    images: Sequence[Image]
    indices: Sequence[int]
    prepare: Callable[[Image], Prepared]

    def __iter__(self) -> Iterator[Prepared]:
        return prefetch(lambda index: self.prepare(self.images[index]), self.indices)


def split_normals(
    n_images: int, val_fraction: float, seed: int, n_most: int = MAX_HELD_OUT
) -> tuple[list[int], list[int]]:
    """Indices to fit on and to hold out, both ascending.

    At least one image and at most n_most are held out, and at least two are left to fit on; of two images
    none is held out.

    Raises:
        ValueError: fewer than two images.

    >>> [len(part) for part in split_normals(25, 0.1, seed=0)]
    [23, 2]
    >>> split_normals(2, 0.1, seed=0)
    ([0, 1], [])
    """
    check_enough(n_images)
    n_held_out = min(max(1, round(val_fraction * n_images)), n_images - 2, n_most)
    order = np.random.default_rng(seed).permutation(n_images).tolist()
    return sorted(order[n_held_out:]), sorted(order[:n_held_out])


def check_enough(n_images: int) -> None:
    """Refuse fewer than two normals.

    Raises:
        ValueError: there are fewer.
    """
    if n_images < 2:
        raise ValueError(f"Expected at least 2 normal images to fit on, found {n_images}. Add normal images.")


def sizes_of(normals: Sequence[Image]) -> list[tuple[int, int]]:
    """Heights and widths of the normals: of all if they have an attribute sizes_hw, else of a few."""
    if (told := getattr(normals, "sizes_hw", None)) is not None:
        return list(told)
    chosen = np.unique(np.linspace(0, len(normals) - 1, N_SIZES).round().astype(int)).tolist()
    images = [normals[index] for index in chosen]
    for image in images:
        check_image(image)
    return [(image.shape[0], image.shape[1]) for image in images]
