"""Neighbours by blocks are those that all pairs give."""

import numpy as np

from curate.neighbours import BLOCK, nearest, nearest_outside


def test_nearest_agrees_with_all_pairs_over_several_blocks() -> None:
    vectors = np.random.default_rng(0).normal(size=(2 * BLOCK + 17, 5)).astype(np.float32)
    distances, indices = nearest(vectors, 4)
    square = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    np.fill_diagonal(square, np.inf)
    np.testing.assert_allclose(distances, np.sort(square, axis=1)[:, :4], atol=2e-3)
    np.testing.assert_allclose(np.take_along_axis(square, indices, axis=1), distances, atol=2e-3)


def test_no_more_neighbours_than_there_are() -> None:
    distances, indices = nearest(np.zeros((3, 2), np.float32), 9)
    assert distances.shape == indices.shape == (3, 2)


def test_the_shortest_way_out_is_found_over_several_blocks() -> None:
    vectors = np.random.default_rng(1).normal(size=(2 * BLOCK + 9, 3)).astype(np.float32)
    inside = np.arange(len(vectors)) % 2 == 0
    distance, one, other = nearest_outside(vectors, inside)
    square = np.linalg.norm(vectors[inside][:, None] - vectors[~inside][None], axis=2)
    assert abs(distance - square.min()) < 2e-3
    assert inside[one] and not inside[other]
