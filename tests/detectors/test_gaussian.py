import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis

from detectors.blocks import bands
from detectors.blocks.gaussian import Gaussian, StreamingGaussian

N_POSITIONS, N_SAMPLES, N_CHANNELS = 6, 23, 5
EPSILON = 0.01


@pytest.fixture
def samples() -> torch.Tensor:
    """(P, N, d) float32, far from zero as features behind a ReLU are."""
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.normal(3, 1, (N_POSITIONS, N_SAMPLES, N_CHANNELS)).astype(np.float32))


def fitted(samples: torch.Tensor, *batch_sizes: int) -> StreamingGaussian:
    statistics = StreamingGaussian(samples.shape[0], samples.shape[2])
    for batch in samples.split(list(batch_sizes) or samples.shape[1], dim=1):
        statistics.add(batch)
    return statistics


def test_covariance_equals_numpys(samples):
    covariance = fitted(samples, 8, 8, 7).covariance()
    expected = [np.cov(samples[position].double().numpy(), rowvar=False) for position in range(N_POSITIONS)]
    np.testing.assert_allclose(covariance, expected, rtol=1e-5, atol=1e-6)


def test_mean_equals_numpys(samples):
    np.testing.assert_allclose(fitted(samples, 3, 20).mean(), samples.double().mean(dim=1), rtol=1e-7)


@pytest.mark.parametrize("small", [0, 1 << 18], ids=["large matrices", "small ones"])
def test_distances_equal_scipys(samples, small, monkeypatch):
    monkeypatch.setattr(bands, "SMALL_PRODUCT", small)  # where numpy takes over from torch
    statistics = fitted(samples, 10, 13)
    mean, covariance = statistics.mean().numpy(), statistics.covariance().numpy()
    distances = statistics.finish(EPSILON)[0].distances(samples).numpy()
    for position in range(N_POSITIONS):
        inverse = np.linalg.inv(covariance[position] + EPSILON * np.eye(N_CHANNELS))
        for index in range(N_SAMPLES):
            expected = mahalanobis(samples[position, index].numpy(), mean[position], inverse)
            assert distances[index, position] == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize("sizes", [(23,), (1,) * 23, (16, 7), (2, 20, 1)])
def test_statistics_do_not_depend_on_the_batch_split(samples, sizes):
    whole, split = fitted(samples), fitted(samples, *sizes)
    np.testing.assert_allclose(split.mean(), whole.mean(), rtol=1e-6)
    np.testing.assert_allclose(split.covariance(), whole.covariance(), rtol=1e-4, atol=1e-5)


def test_a_large_common_offset_does_not_spoil_the_covariance(samples):
    near, far = fitted(samples, 5, 18).covariance(), fitted(samples + 1000, 5, 18).covariance()
    np.testing.assert_allclose(far, near, atol=2e-3)


@pytest.mark.parametrize(("d", "n"), [(100, 16), (100, 400), (150, 48), (400, 16)])
def test_many_channels_lie_in_several_bands_and_are_whitened_alike(d, n):
    """Few rows are one product, many are several, and large matrices are torch's."""
    many = torch.from_numpy(np.random.default_rng(5).normal(size=(3, 420, d)).astype(np.float32))
    statistics = fitted(many)
    mean, covariance = statistics.mean().numpy(), statistics.covariance().numpy()
    found = statistics.finish(EPSILON)[0].distances(many[:, :n].contiguous())
    for position in range(3):
        inverse = np.linalg.inv(covariance[position] + EPSILON * np.eye(d))
        delta = many[position, :n].double().numpy() - mean[position]
        expected = np.sqrt(np.einsum("nc,cd,nd->n", delta, inverse, delta))
        np.testing.assert_allclose(found[:, position], expected, rtol=1e-3)


def test_the_training_mean_is_at_distance_zero(samples):
    gaussian = fitted(samples).finish(EPSILON)[0]
    assert torch.all(gaussian.distances(gaussian.mean[:, None].contiguous()) == 0)


def test_covariance_with_fewer_samples_than_channels_can_be_inverted():
    rng = np.random.default_rng(1)
    few = torch.from_numpy(rng.normal(size=(4, 3, 30)).astype(np.float32))
    statistics = fitted(few)
    regular = statistics.covariance() + EPSILON * torch.eye(30, dtype=torch.float64)
    assert torch.linalg.eigvalsh(regular).min() > 0.9 * EPSILON
    assert torch.isfinite(statistics.finish(EPSILON)[0].distances(few)).all()


def test_covariance_needs_two_samples(samples):
    with pytest.raises(ValueError, match="at least 2 samples, found 1"):
        fitted(samples[:, :1]).covariance()


@pytest.mark.parametrize("n_batch", [2, 8, 16])
def test_distances_do_not_depend_on_the_neighbours_in_a_batch(n_batch):
    rng = np.random.default_rng(2)
    many = torch.from_numpy(rng.normal(size=(300, 40, 64)).astype(np.float32))
    gaussian = fitted(many).finish(EPSILON)[0]
    batch = many[:, :n_batch].contiguous()
    first = gaussian.distances(batch)
    order = torch.from_numpy(rng.permutation(n_batch))
    shuffled = gaussian.distances(batch[:, order].contiguous())
    assert torch.equal(shuffled, first[order])
    others = batch.clone()
    others[:, 1:] = 7.5
    assert torch.equal(gaussian.distances(others)[0], first[0])


@pytest.mark.parametrize("d", [5, 33, 70, 150])
def test_saved_tensors_give_the_same_gaussian_back(d):
    many = torch.from_numpy(np.random.default_rng(4).normal(size=(300, 40, d)).astype(np.float32))
    gaussian = fitted(many).finish(EPSILON)[0]
    again = Gaussian.from_state(gaussian.state())
    assert torch.equal(again.mean, gaussian.mean)
    assert torch.equal(again.whitener, gaussian.whitener)
    rows, columns = torch.triu_indices(d, d)
    assert torch.equal(gaussian.state()["whitener"], gaussian.whitener[:, rows, columns])
    assert not gaussian.whitener.tril(-1).any()


def test_held_out_samples_are_scored_without_themselves_and_then_learned(samples):
    train, held_out = samples[:, :17], samples[:, 17:]
    gaussian, distances = fitted(train, 9, 8).finish(EPSILON, [held_out[:, :2], held_out[:, 2:]])
    without = fitted(train).finish(EPSILON)[0].distances(held_out.contiguous())
    np.testing.assert_allclose(distances, without, rtol=1e-4)
    everything = fitted(samples).finish(EPSILON)[0]
    np.testing.assert_allclose(gaussian.mean, everything.mean, rtol=1e-6)
    np.testing.assert_allclose(gaussian.whitener, everything.whitener, rtol=1e-3, atol=1e-3)
