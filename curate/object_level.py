"""Object level: one score per part, the highest of its views."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from curate.images import Array
from curate.scores import checked


class Objects(NamedTuple):
    """Parts in the order of their names.

    Attributes:
        scores: (M,) the highest score of each part's views.
        anomalous: (M,) bool, whether any view is.
        part_ids: (M,) their names.
    """

    scores: Array
    anomalous: Array
    part_ids: tuple[str, ...]


def to_objects(scores: Array, anomalous: Array, part_ids: Sequence[str]) -> Objects:
    """Gather the views of each part: a part is anomalous where any view is, and scores as its highest view.

    Scores must be comparable, so views come from one detector and one category. To bootstrap parts by lot,
    look the lot up by part.

    Args:
        scores: (N,) no NaN; infinite is allowed.
        anomalous: (N,) bool.
        part_ids: (N,) the part that each image shows.

    Raises:
        ValueError: the lengths differ, a score is NaN, or an image names no part.

    Source: Wang et al., Real-IAD, CVPR 2024, arXiv:2403.12580, sample level.

    >>> to_objects(np.array([0.1, 0.9, 0.3]), np.array([False, True, False]), ["a", "a", "b"])
    Objects(scores=array([0.9, 0.3]), anomalous=array([ True, False]), part_ids=('a', 'b'))
    """
    values, labels = checked(scores, anomalous, finite=False)
    if len(part_ids) != len(values):
        raise ValueError(f"Expected a part per score; found {len(part_ids)} for {len(values)} scores.")
    nameless = [position for position, part in enumerate(part_ids) if not isinstance(part, str) or not part]
    if nameless:
        raise ValueError(
            f"Expected the part of each image; found none at position {nameless[0]} "
            f"({len(nameless)} in all). Give each a part_id."
        )
    names = sorted(set(part_ids))
    number = {name: place for place, name in enumerate(names)}
    member = np.array([number[part] for part in part_ids], dtype=np.int64)
    highest, defective = np.full(len(names), -np.inf), np.zeros(len(names), dtype=bool)
    np.maximum.at(highest, member, values)
    np.logical_or.at(defective, member, labels)
    return Objects(highest, defective, tuple(str(name) for name in names))
