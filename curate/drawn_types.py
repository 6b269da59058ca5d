"""Drawn regions with defect types become one mask: which type the image has, or which value stands for which.

A mask tells defect from no defect unless the regions have different types; then each type has a value of its
own, the same in all images of a dataset.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from curate.defect_names import usable
from curate.drawn_masks import DEFECT
from curate.images import Array

Region = tuple[str | None, tuple[int, int, int, int], Array]
Values = Mapping[str, int]


@dataclass(frozen=True)
class Drawn:
    """What regions come to.

    Attributes:
        mask: (H, W) bool, or uint8 where it tells types apart.
        defect_type: the one that all regions have; None: none is named, or they differ.
        classes: the values of the mask after data_schemas/verdict.json; None: it tells no types apart.
    """

    mask: Array
    defect_type: str | None
    classes: list[dict[str, Any]] | None


def combined(
    regions: Iterable[Region], image_hw: tuple[int, int], known: Callable[[], Values] = dict
) -> Drawn:
    """One mask of all regions.

    Where regions overlap, a defect type counts before none, and a later region before an earlier one.

    Args:
        regions: defect type (None: not stated), box_xyxy in pixels, half-open and inside of the image, and
            the mask in it, (y1 - y0, x1 - x0) bool.
        known: gives the values that defect types have in the dataset; asked only where it matters.

    Raises:
        ValueError: a name could not serve as a folder's name, or no value is left for another type.
    """
    found = [(None if name is None else usable(name), box, mask) for name, box, mask in regions]
    names = sorted({name for name, _, _ in found if name is not None})
    numbers: dict[str | None, int] = {name: number for number, name in enumerate(names, start=1)}
    places = np.zeros(image_hw, dtype=np.uint16)
    for name, (x0, y0, x1, y1), mask in sorted(found, key=lambda each: each[0] is not None):
        places[y0:y1, x0:x1][mask] = numbers.get(name, len(names) + 1)
    areas = np.bincount(places.ravel(), minlength=len(names) + 2)
    left = [name for name in (*names, None) if areas[numbers.get(name, len(names) + 1)]]
    if len(left) < 2:
        return Drawn(places > 0, left[0] if left else None, None)
    values = values_for([name for name in left if name is not None], known())
    table = np.zeros(len(names) + 2, dtype=np.uint8)
    classes = []
    for name in left:
        number = numbers.get(name, len(names) + 1)
        table[number] = DEFECT if name is None else values[name]
        classes.append({"value": int(table[number]), "defect_type": name, "area_px": int(areas[number])})
    return Drawn(table[places], None, sorted(classes, key=lambda each: each["value"]))


def values_for(names: Iterable[str], known: Values) -> dict[str, int]:
    """A value from 1 to 254 for each defect type: the one it has, else the lowest that none has.

    >>> values_for(["hole", "dent"], {"hole": 1})
    {'dent': 2, 'hole': 1}
    """
    out: dict[str, int] = {}
    taken = set(known.values())
    for name in sorted(names):
        free = next((value for value in range(1, DEFECT) if value not in taken), None)
        value = known.get(name, free)
        if value is None:
            raise ValueError(
                f"A mask tells at most {DEFECT - 1} defect types apart, and the dataset has as many. "
                f'Name one type for the whole image instead of "{name}".'
            )
        out[name] = value
        taken.add(value)
    return out


def known_values(verdicts: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """The values that defect types have in the masks of verdicts."""
    return {
        each["defect_type"]: each["value"]
        for row in verdicts
        for each in row.get("mask_classes") or ()
        if each["defect_type"] is not None
    }
