import numpy as np
import pytest
import torch

from detectors.blocks.gaussian import StreamingGaussian
from detectors.blocks.pooling import (
    Pool,
    cross,
    finish_pooled,
    least_distances,
    neighbours,
    pooled_distances,
    square,
)

GRID_HW, N_SAMPLES, N_CHANNELS, EPSILON = (19, 5), 8, 4, 0.01
N_POSITIONS = GRID_HW[0] * GRID_HW[1]


@pytest.fixture
def samples() -> torch.Tensor:
    """(P, N, d), with another mean at every position."""
    rng = np.random.default_rng(0)
    middles = rng.normal(3, 2, (N_POSITIONS, 1, N_CHANNELS))
    spread = rng.uniform(0.5, 2, (N_POSITIONS, 1, N_CHANNELS))
    values = middles + spread * rng.normal(size=(N_POSITIONS, N_SAMPLES, N_CHANNELS))
    return torch.from_numpy(values.astype(np.float32))


def streamed(samples: torch.Tensor) -> StreamingGaussian:
    statistics = StreamingGaussian(samples.shape[0], samples.shape[2])
    for batch in samples.split(3, dim=1):
        statistics.add(batch)
    return statistics


def moments(statistics: StreamingGaussian, window: int, n_threads: int = 2) -> tuple[np.ndarray, np.ndarray]:
    means, covariances = np.zeros((N_POSITIONS, N_CHANNELS)), np.zeros((N_POSITIONS, N_CHANNELS, N_CHANNELS))

    def work(at: slice, mean: torch.Tensor, covariance: torch.Tensor) -> None:
        means[at], covariances[at] = mean, covariance
        statistics.products[at] = torch.nan  # a row may be overwritten once it is done

    Pool(statistics, GRID_HW, window).each_row(work, n_threads)
    return means, covariances


def window_of(position: int, window: int) -> list[int]:
    (height, width), reach = GRID_HW, window // 2
    row, column = divmod(position, width)
    return [
        r * width + c
        for r in range(max(0, row - reach), min(height, row + reach + 1))
        for c in range(max(0, column - reach), min(width, column + reach + 1))
    ]


@pytest.mark.parametrize("window", [1, 3, 5, 7])
def test_box_filtered_moments_equal_pooling_the_samples(samples, window):
    means, covariances = moments(streamed(samples), window)
    for position in range(N_POSITIONS):
        pooled = samples[window_of(position, window)].double().reshape(-1, N_CHANNELS).numpy()
        np.testing.assert_allclose(means[position], pooled.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(covariances[position], np.cov(pooled, rowvar=False), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_moments_do_not_depend_on_the_number_of_threads(samples, n_threads):
    alone, together = moments(streamed(samples), 3, 1), moments(streamed(samples), 3, n_threads)
    assert np.array_equal(alone[1], together[1])


def test_a_window_of_one_gives_the_gaussians_of_each_position(samples):
    plain = streamed(samples).finish(EPSILON)[0]
    pooled = finish_pooled(Pool(streamed(samples), GRID_HW, 1), EPSILON)
    np.testing.assert_allclose(pooled.mean, plain.mean, rtol=1e-6)
    np.testing.assert_allclose(pooled.whitener, plain.whitener, rtol=1e-3, atol=1e-4)


def test_pooled_covariances_are_positive_definite_with_few_samples(samples):
    _, covariances = moments(streamed(samples[:, :2]), 3)
    assert np.linalg.eigvalsh(covariances + EPSILON * np.eye(N_CHANNELS)).min() >= 0.9 * EPSILON


@pytest.mark.parametrize("around", [None, neighbours(GRID_HW, square(3)), neighbours(GRID_HW, cross(5))])
def test_held_out_distances_equal_those_of_the_fitted_gaussians(samples, around):
    train, held_out = samples[:, :5], samples[:, 5:]
    pool = Pool(streamed(train), GRID_HW, 3)
    split = [held_out[:, :2], held_out[:, 2:]]
    distances = pooled_distances(pool, EPSILON, split, around)
    gaussian = finish_pooled(Pool(streamed(train), GRID_HW, 3), EPSILON)
    expected = least_distances(gaussian, held_out.contiguous(), around)
    np.testing.assert_allclose(distances, expected, rtol=1e-3)


@pytest.mark.parametrize("offsets", [square(3), cross(5)])
def test_the_least_distance_is_the_minimum_over_the_neighbours(samples, offsets):
    (height, width), batch = GRID_HW, samples[:, :3].contiguous()
    gaussian = streamed(samples).finish(EPSILON)[0]
    found = least_distances(gaussian, batch, neighbours(GRID_HW, offsets))
    for position in range(N_POSITIONS):
        row, column = divmod(position, width)
        around = [(row + down, column + right) for down, right in offsets]
        places = [r * width + c for r, c in around if 0 <= r < height and 0 <= c < width]
        each = [
            torch.linalg.vector_norm((batch[position] - gaussian.mean[q]) @ gaussian.whitener[q], dim=1)
            for q in places
        ]
        np.testing.assert_allclose(found[:, position], torch.stack(each).amin(dim=0), rtol=1e-4)
    assert (found <= gaussian.distances(batch) * (1 + 1e-5)).all()


def test_pooling_needs_two_samples(samples):
    with pytest.raises(ValueError, match="at least 2 samples, found 1"):
        Pool(streamed(samples[:, :1]), GRID_HW, 3)
