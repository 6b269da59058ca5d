"""Which undecided images are least like anything a person has decided, none of them a copy of another.

The greedy k-center order: each pick is the undecided image farthest from all decided and picked ones of its
category, so that ten copies of an unusual image take one place, not ten. In a category where nothing is
decided, the first pick is the image nearest to the middle of all.

Source: Gonzalez, Theoretical Computer Science 1985, doi:10.1016/0304-3975(85)90224-5 (at most twice the
distance of the best choice of that many images); as a way to choose images to label: Sener and Savarese, ICLR
2018, arXiv:1708.00489
"""

from collections.abc import Callable, Sequence

import numpy as np

from curate.images import Array

MOST = 200
BLOCK = 256


def gaps(
    vectors: Array,
    categories: Sequence[str],
    decided: Array,
    most: int = MOST,
    progress: Callable[[int], None] | None = None,
) -> tuple[Array, Array]:
    """The first images of the order, over all categories together.

    Args:
        vectors: (N, D) float32, the embedding of each image.
        categories: of the N images.
        decided: (N,) bool.
        most: as many are picked; fewer when all others are the same as a decided or picked one.
        progress: called with the number of images just compared with the decided ones.

    Returns:
        (K,) int64 indices and (K,) float32 distances to what is nearest among the decided and picked before;
        infinite for the first pick of a category without a decided image, which comes before all others.
    """
    names = np.asarray(categories, dtype=object)
    pools = [
        _Pool(vectors, np.flatnonzero(names == one), decided, progress) for one in dict.fromkeys(categories)
    ]
    picks: list[int] = []
    distances: list[float] = []
    while pools and len(picks) < most:
        pool = max(pools, key=lambda one: one.farthest)
        if pool.farthest <= 0:
            break
        distances.append(float(np.sqrt(pool.farthest)))
        picks.append(pool.pick())
    return np.array(picks, dtype=np.int64), np.array(distances, dtype=np.float32)


class _Pool:
    """The undecided images of one category, and how far each is from what is decided or picked.

    Attributes:
        farthest: largest squared distance; 0 when nothing is left.
    """

    def __init__(
        self, vectors: Array, members: Array, decided: Array, progress: Callable[[int], None] | None
    ) -> None:
        self._indices = members[~decided[members]]
        middle = vectors[members].mean(axis=0) if len(members) else 0.0
        self._vectors = vectors[self._indices] - middle  # keeps the differences of large numbers exact
        self._squares = np.einsum("nd,nd->n", self._vectors, self._vectors)
        self._left = np.full(len(self._indices), np.inf, dtype=np.float32)
        held = members[decided[members]]
        for start in range(0, len(held), BLOCK):
            self._cover(vectors[held[start : start + BLOCK]] - middle)
        if progress:
            progress(len(members))
        self._next = self._first() if not len(held) else self._last()

    @property
    def farthest(self) -> float:
        return float(self._left[self._next]) if len(self._left) else 0.0

    def pick(self) -> int:
        """Take the farthest, which then covers what is near it."""
        chosen = self._next
        self._cover(self._vectors[chosen : chosen + 1])
        self._left[chosen] = 0.0
        self._next = self._last()
        return int(self._indices[chosen])

    def _first(self) -> int:
        return int(self._squares.argmin()) if len(self._squares) else 0

    def _last(self) -> int:
        return int(self._left.argmax()) if len(self._left) else 0

    def _cover(self, centres: Array) -> None:
        squares = np.einsum("nd,nd->n", centres, centres)
        for start in range(0, len(self._vectors), 16 * BLOCK):
            part = slice(start, start + 16 * BLOCK)
            squared = self._squares[part, None] + squares - 2 * (self._vectors[part] @ centres.T)
            # what is nearer than the rounding of the two squares is the same picture
            squared[squared < 1e-5 * (self._squares[part, None] + squares)] = 0.0
            np.minimum(self._left[part], squared.min(axis=1), out=self._left[part])
