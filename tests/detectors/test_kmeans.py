import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from detectors.blocks.kmeans import Centres, Reservoir, inertia, least, mini_batch_kmeans, nearest, seeds


def blobs(n_blobs: int = 12, n_each: int = 500, d: int = 6) -> torch.Tensor:
    rng = np.random.default_rng(0)
    middles = rng.uniform(-10, 10, (n_blobs, 1, d))
    points = (middles + rng.normal(0, 1, (n_blobs, n_each, d))).reshape(-1, d)
    return torch.from_numpy(rng.permutation(points).astype(np.float32))


@pytest.fixture(scope="module")
def points() -> torch.Tensor:
    return blobs()


def test_nearest_equals_all_distances_written_out(points):
    centres = points[:7]
    expected = torch.cdist(points.double(), centres.double())
    squared, numbers = nearest(points, centres)
    np.testing.assert_allclose(squared, expected.amin(dim=1).square(), atol=1e-3)
    assert torch.equal(numbers[7:], expected.argmin(dim=1)[7:])
    assert torch.equal(least(points, centres), squared)


@pytest.mark.parametrize("n_clusters", [5, 12, 40])
def test_clusters_are_about_as_tight_as_scikit_learns(points, n_clusters):
    few = points[::3]
    ours = [inertia(few, mini_batch_kmeans(few, n_clusters, seed)) for seed in range(8)]
    theirs = [
        KMeans(n_clusters, n_init=1, random_state=seed).fit(few.numpy()).inertia_ / len(few)
        for seed in range(8)
    ]
    assert np.mean(ours) <= 1.05 * np.mean(theirs)


def test_training_tightens_the_first_centres(points):
    first = seeds(points, 40, torch.Generator().manual_seed(0))
    assert inertia(points, mini_batch_kmeans(points, 40, seed=0)) < 0.9 * inertia(points, first)


def test_more_clusters_are_tighter(points):
    found = [inertia(points, mini_batch_kmeans(points, n, seed=0)) for n in (2, 12, 60)]
    assert found == sorted(found, reverse=True)


def test_a_seed_gives_equal_bits_and_another_seed_others(points):
    one, same, other = (mini_batch_kmeans(points, 20, seed) for seed in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_equal_vectors_make_one_centre():
    one = torch.from_numpy(np.random.default_rng(0).normal(2, 3, (1, 37)).astype(np.float32))
    found = mini_batch_kmeans(one.repeat(3000, 1), 5, seed=0)
    assert found.shape == (1, 37)
    np.testing.assert_allclose(found, one, rtol=1e-5)


def test_as_many_clusters_as_vectors_leave_nothing_over():
    few = blobs(3, 4)
    assert inertia(few, mini_batch_kmeans(few, 50, seed=0)) == pytest.approx(0, abs=1e-4)


def test_no_vectors_or_no_clusters_are_refused(points):
    for vectors, n in ((points[:0], 3), (points, 0)):
        with pytest.raises(ValueError, match="Expected vectors and at least one cluster"):
            mini_batch_kmeans(vectors, n, seed=0)


def filled(images: list[np.ndarray], n_kept: int, seed: int = 0) -> Reservoir:
    reservoir = Reservoir(n_kept, seed)
    for image in images:
        reservoir.add(image)
    return reservoir


def test_a_reservoir_holds_everything_until_it_is_full():
    images = [np.full((4, 2), n, np.float32) for n in range(3)]
    vectors, places = filled(images, 20).sample()
    assert sorted(vectors[:, 0].tolist()) == [0] * 4 + [1] * 4 + [2] * 4
    assert sorted(places.tolist()) == sorted([0, 1, 2, 3] * 3)


def test_a_reservoir_never_grows_and_draws_from_all_images_alike():
    images = [np.full((50, 2), n, np.float32) for n in range(200)]
    reservoir = filled(images, 1000)
    vectors, places = reservoir.sample()
    assert vectors.shape == (1000, 2)
    assert len(reservoir.numbers) == 1000
    early = (vectors[:, 0] < 100).float().mean()
    assert 0.44 < early < 0.56  # three deviations
    assert np.bincount(places, minlength=50).min() >= 5


def test_a_reservoir_keeps_each_vector_with_its_place():
    rng = np.random.default_rng(0)
    images = [np.stack([np.arange(30), rng.random(30)], axis=1).astype(np.float32) for _ in range(20)]
    vectors, places = filled(images, 50).sample()
    assert torch.equal(vectors[:, 0].long(), places)


def test_an_empty_reservoir_says_so():
    with pytest.raises(ValueError, match="No vectors were added"):
        Reservoir(5, 0).sample()


def test_standardised_distances_do_not_depend_on_a_channels_unit(points):
    stretched = points * torch.tensor([1.0, 50.0, 1.0, 0.1, 1.0, 1.0])
    plain = Centres.of(points, 12, seed=0, standardise=True).distances(points)
    np.testing.assert_allclose(
        Centres.of(stretched, 12, seed=0, standardise=True).distances(stretched), plain, rtol=1e-2, atol=1e-2
    )
    raw = Centres.of(stretched, 12, seed=0, standardise=False).distances(stretched)
    assert not np.allclose(raw, plain, rtol=0.1)


def test_a_channel_that_never_changes_does_no_harm(points):
    flat = torch.cat([points, torch.full((len(points), 1), 3.0)], dim=1)
    found = Centres.of(flat, 12, seed=0, standardise=True)
    assert torch.isfinite(found.distances(flat)).all()
    assert found.scale[-1] == 1
