"""What an image should look like: the normal images nearest to it by their embedding."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from curate.images import Array

WINDOW = 200  # nearest images whose labels are asked for at first; twice as many each time after
ENOUGH = 3000  # so far away an image of a better rank tells less than a near one of another


@dataclass(frozen=True)
class Facts:
    """What is known of an image that may be shown beside another.

    Attributes:
        is_normal: by the label in force.
        split: assigned; None where there is none.
    """

    is_normal: bool
    split: str | None
    part_id: str


@dataclass(frozen=True)
class Neighbour:
    """An image and its Euclidean distance by embedding."""

    sample_id: str
    distance: float


def nearest(
    place: int,
    sample_ids: Sequence[str],
    vectors: Array,
    facts_of: Callable[[Sequence[str]], dict[str, Facts]],
    part_id: str,
    k: int,
) -> list[Neighbour]:
    """The k normal images to show beside one, nearest first within each rank.

    First come images of other parts that are not in the test split (a detector learns from them or is
    calibrated on them), then other parts in the test split, then other images of the same part. Images whose
    embedding is the same to the last digit are the same picture, which tells nothing, and are left out.
    Beyond the ENOUGH nearest, images are looked for only while there are fewer than k.

    Args:
        place: index of the image itself.
        sample_ids: of the images of its category.
        vectors: (N, D) float32, one row per image.
        facts_of: tells about images by id; asked for the nearest first, and for more only as needed. Images
            that it does not know are passed over.
        part_id: of the image itself.
        k: how many are wanted.
    """
    squared = np.square(vectors - vectors[place]).sum(axis=1)
    order = [int(index) for index in np.argsort(squared, kind="stable") if squared[index] > 0]
    ranked: list[list[Neighbour]] = [[], [], []]
    window, start = WINDOW, 0
    while start < len(order) and len(ranked[0]) < k:
        if start >= ENOUGH and sum(map(len, ranked)) >= k:
            break
        asked = order[start : start + window]
        known = facts_of([sample_ids[index] for index in asked])
        for index in asked:
            found = known.get(sample_ids[index])
            if found is not None and found.is_normal:
                rank = 2 if found.part_id == part_id else int(found.split == "test")
                ranked[rank].append(Neighbour(sample_ids[index], float(np.sqrt(squared[index]))))
        start, window = start + window, 2 * window
    return [each for rank in ranked for each in rank][:k]
