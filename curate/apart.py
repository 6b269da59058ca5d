"""Finds vectors that lie apart from the bulk, alone or together.

A crowd of strangers has near neighbours among its own, so the distance to the nearest neighbour does not show
it. What shows it is the gap: vectors are joined where they are no further apart than neighbours usually are,
and what is not joined to the greatest cluster lies apart, whether it is one vector or many.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from curate.images import Array
from curate.neighbours import nearest, nearest_outside

FEWEST = 10
N_NEIGHBOURS = 10
FAR, LEAST_GAP = 5.0, 1.8
MOST_SHARE = 0.35


@dataclass(frozen=True)
class Apart:
    """Vectors that hang together, but not with the bulk.

    Attributes:
        rows: their indices, growing.
        gap: distance to the nearest other vector; 1 is how far the tenth neighbour of a vector usually is
            (with fewer than 100 vectors, an earlier one).
    """

    rows: tuple[int, ...]
    gap: float


def standardised(vectors: Array) -> Array:
    """Each column with median 0 and robust deviation 1, (N, D) float32."""
    middle = np.median(vectors, axis=0)
    spread = 1.4826 * np.median(np.abs(vectors - middle), axis=0)
    least = 0.05 * float(np.median(spread)) + 1e-6
    return np.asarray((vectors - middle) / np.maximum(spread, least), dtype=np.float32)


def apart(vectors: Array) -> list[Apart]:
    """Groups of at most 35 % of the vectors that a gap parts from the others.

    A gap is wider than usual distances by 5 of their deviations (of their logarithm), and by a factor of 1.8.

    Args:
        vectors: (N, D) float32. Fewer than 10 are not judged.
    """
    n = len(vectors)
    if n < FEWEST:
        return []
    values = standardised(vectors)
    distances, indices = nearest(values, min(N_NEIGHBOURS, max(2, n // 10)))
    usual = np.log(np.maximum(distances[:, -1], 1e-6))
    middle = float(np.median(usual))
    spread = 1.4826 * float(np.median(np.abs(usual - middle)))
    reach = float(np.exp(middle + max(FAR * spread, np.log(LEAST_GAP))))
    joined = distances <= reach
    a, b = np.nonzero(joined)[0], indices[joined]
    labels = _joined(values, a, b, reach)
    sizes = np.bincount(labels)
    found = []
    for label in np.flatnonzero(sizes <= MOST_SHARE * n):
        inside = labels == label
        if label != sizes.argmax():
            gap = nearest_outside(values, inside)[0] / np.exp(middle)
            found.append(Apart(tuple(np.flatnonzero(inside).tolist()), float(gap)))
    return sorted(found, key=lambda group: group.rows)


def _joined(values: Array, a: Array, b: Array, reach: float) -> Array:
    """Cluster number of each row; clusters whose shortest way to others is within reach are joined."""
    n = len(values)
    while True:
        edges = coo_array((np.ones(len(a)), (a, b)), shape=(n, n))
        n_clusters, labels = connected_components(edges, directed=False)
        greatest = int(np.bincount(labels).argmax())
        ways = [
            nearest_outside(values, labels == label)
            for label in range(n_clusters)
            if label != greatest and n_clusters > 1
        ]
        new = [(i, j) for distance, i, j in ways if distance <= reach]
        if not new:
            return np.asarray(labels)
        a = np.concatenate([a, [i for i, _ in new]])
        b = np.concatenate([b, [j for _, j in new]])
