import threading

import numpy as np
import pytest

import detectors
from detectors.backbones import Backbone, make_runner, share_features
from detectors.backbones.runners import OnnxRuntime
from tests.helpers.tiny import normal_image

INPUT_HW = (48, 64)
TINY = {
    "backbone": "tiny",
    "weights": "random",
    "image_hw": INPUT_HW,
    "batch_size": 4,
    "runtime": "onnxruntime",
}


@pytest.fixture
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [normal_image(rng) for _ in range(6)]


@pytest.fixture
def computed(monkeypatch) -> list[int]:
    """How many images the real runner computed, call by call."""
    counts: list[int] = []
    run = OnnxRuntime.run

    def counting(self, images, take):
        counts.append(len(images))
        run(self, images, take)

    monkeypatch.setattr(OnnxRuntime, "run", counting)
    return counts


def runner(layers=(), runtime="onnxruntime"):
    return make_runner(Backbone("tiny", "random", layers), INPUT_HW, runtime)


def features(of, images) -> list[list[np.ndarray]]:
    found: dict[int, list[np.ndarray]] = {}
    of.run(images, lambda index, maps: found.update({index: [each.copy() for each in maps]}))
    return [found[index] for index in range(len(images))]


def equal(one, other) -> bool:
    return all(
        np.array_equal(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True)
    )


def test_the_second_detector_computes_nothing_and_its_answers_are_the_same_bits(images, computed):
    first, second = (
        detectors.create("padim", **TINY, n_channels=n_channels).fit(images[:3]) for n_channels in (20, 12)
    )
    alone = [list(each.predict(images)) for each in (first, second)]
    computed.clear()
    with share_features() as shared:
        together = [list(first.predict(images))]
        n_computed = sum(computed)
        together.append(list(second.predict(images)))
    assert n_computed == len(images)
    assert sum(computed) == n_computed
    assert (shared.n_misses, shared.n_hits) == (len(images), len(images))
    for one, other in zip(alone, together, strict=True):
        assert equal([[each.map] for each in one], [[each.map] for each in other])
        assert [each.score for each in one] == [each.score for each in other]


def test_features_are_shared_between_runners_and_whatever_else_comes_in_a_batch(images, computed):
    expected = features(runner(), images)
    computed.clear()
    with share_features():
        assert equal(features(runner(), images[:4]), expected[:4])
        assert equal(features(runner(), images), expected)
        assert equal(features(runner(), images[::-1]), expected[::-1])
    assert computed == [4, 2]


def test_maps_that_a_runtime_overwrites_are_copied(images):
    expected = features(runner(runtime="openvino"), images)
    with share_features() as shared:
        assert all(equal(features(runner(runtime="openvino"), images), expected) for _ in range(2))
    assert shared.n_hits == len(images)


def test_nothing_is_shared_outside_of_the_block(images, computed):
    for _ in range(2):
        with share_features():
            features(runner(), images)
    features(runner(), images)
    assert computed == [6, 6, 6]


def test_other_layers_or_pixels_are_computed(images, computed):
    with share_features() as shared:
        features(runner(), images)
        shapes = [each.shape for each in features(runner(("stage1",)), images)[0]]
        changed = images[0].copy()
        changed[5, 7, 1] ^= 1
        features(runner(), [changed])
    assert shapes == [(12, 12, 16)]
    assert shared.n_hits == 0
    assert computed == [6, 6, 1]


def test_what_came_first_is_kept_within_the_limit(images, computed):
    n_bytes = sum(each.nbytes for each in features(runner(), images[:1])[0])
    computed.clear()
    with share_features(limit_bytes=4 * n_bytes + 1) as shared:
        features(runner(), images)
        assert shared.n_bytes == 4 * n_bytes
        features(runner(), images)
    assert computed == [6, 2]
    assert shared.n_hits == 4


def test_threads_share_without_a_mix_up(images):
    expected = features(runner(), images)
    found: dict[int, list[list[np.ndarray]]] = {}
    with share_features() as shared:
        threads = [
            threading.Thread(target=lambda n=n: found.update({n: features(runner(), images)}))
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert shared.n_hits + shared.n_misses == 4 * len(images)
    assert all(equal(each, expected) for each in found.values())
    assert len(found) == 4


def test_an_inner_block_shares_for_itself(images, computed):
    with share_features():
        features(runner(), images)
        with share_features():
            features(runner(), images)
        features(runner(), images)
    assert computed == [6, 6]
