"""Nearest neighbours among many vectors, by blocks of rows, so that no square matrix is held."""

import numpy as np

from curate.images import Array

BLOCK = 256


def nearest(vectors: Array, k: int) -> tuple[Array, Array]:
    """Euclidean distance and index of each row's nearest other rows.

    Args:
        vectors: (N, D) float32, N at least 2.
        k: neighbours of each row; at most N - 1 are given.

    Returns:
        (N, K) float32 distances, growing along each row, and (N, K) int64 indices.

    >>> distances, indices = nearest(np.array([[0.0], [1.0], [3.0]], dtype=np.float32), 1)
    >>> distances.ravel().tolist(), indices.ravel().tolist()
    ([1.0, 1.0, 2.0], [1, 0, 1])
    """
    n = len(vectors)
    k = min(k, n - 1)
    squares = np.einsum("nd,nd->n", vectors, vectors)
    distances, indices = np.empty((n, k), dtype=np.float32), np.empty((n, k), dtype=np.int64)
    for start in range(0, n, BLOCK):
        block = vectors[start : start + BLOCK]
        rows = np.arange(len(block))
        squared = squares[start : start + BLOCK, None] + squares - 2 * (block @ vectors.T)
        squared[rows, start + rows] = np.inf
        found = np.argpartition(squared, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(squared, found, axis=1)
        order = np.argsort(values, axis=1, kind="stable")
        indices[start + rows] = np.take_along_axis(found, order, axis=1)
        distances[start + rows] = np.sqrt(np.maximum(np.take_along_axis(values, order, axis=1), 0))
    return distances, indices


def nearest_outside(vectors: Array, inside: Array) -> tuple[float, int, int]:
    """Distance, and index of both ends, of the shortest way from some rows to the others.

    Args:
        vectors: (N, D) float32.
        inside: (N,) bool; True somewhere and False somewhere.
    """
    own, others = np.flatnonzero(inside), np.flatnonzero(~inside)
    best = (np.inf, -1, -1)
    squares = np.einsum("nd,nd->n", vectors[others], vectors[others])
    for start in range(0, len(own), BLOCK):
        block = vectors[own[start : start + BLOCK]]
        squared = np.einsum("nd,nd->n", block, block)[:, None] + squares - 2 * (block @ vectors[others].T)
        i, j = np.unravel_index(int(squared.argmin()), squared.shape)
        distance = float(np.sqrt(max(float(squared[i, j]), 0.0)))
        if distance < best[0]:
            best = (distance, int(own[start + int(i)]), int(others[int(j)]))
    return best
