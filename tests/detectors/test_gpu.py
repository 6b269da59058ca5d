"""Every detector on a real GPU answers as on the CPU; skipped where torch finds none."""

import numpy as np
import pytest
import torch

import detectors
from detectors import DETECTORS
from tests.detectors import smoke_scene

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU"),
]
NAMES = [*DETECTORS, "tiled:padim", "multiscale:padim"]


@pytest.fixture(scope="module", params=NAMES)
def fitted(request, tmp_path_factory):
    cache = tmp_path_factory.getbasetemp() / "exports"
    detector = detectors.create(request.param, profile="smoke", device="cuda", cache_folder=cache)
    return detector.fit(smoke_scene.normals())


@pytest.fixture(scope="module")
def images():
    return [image for image, _ in smoke_scene.tests()]


def test_a_detector_fitted_on_the_gpu_answers_alike_on_the_cpu(fitted, images, tmp_path):
    fitted.save(tmp_path / "saved")
    on_cpu = detectors.load(tmp_path / "saved")
    spread = np.ptp([each.score for each in on_cpu.predict(images)])
    for gpu, cpu in zip(fitted.predict(images), on_cpu.predict(images), strict=True):
        assert gpu.score == pytest.approx(cpu.score, rel=0.01, abs=0.01 * spread)
        if gpu.map is not None:
            assert gpu.map.dtype == np.float32
            assert np.corrcoef(gpu.map.ravel(), cpu.map.ravel())[0, 1] > 0.99


def test_a_detector_fitted_on_the_cpu_answers_alike_on_the_gpu(fitted, images, tmp_path):
    on_cpu = detectors.create(fitted.name, profile="smoke").fit(smoke_scene.normals())
    on_cpu.save(tmp_path / "saved")
    on_gpu = detectors.load(tmp_path / "saved", "cuda")
    expected = [each.score for each in on_cpu.predict(images)]
    found = [each.score for each in on_gpu.predict(images)]
    np.testing.assert_allclose(found, expected, rtol=0.01, atol=0.01 * np.ptp(expected))


def test_an_image_alone_on_the_gpu_scores_as_among_others(fitted, images):
    together = [each.score for each in fitted.predict(images)]
    alone = [next(fitted.predict([image])).score for image in images]
    np.testing.assert_allclose(alone, together, rtol=1e-3, atol=1e-3 * np.ptp(together))


def test_the_gpu_is_used_and_its_memory_is_told(fitted, images):
    from detectors.memory import gpu_peak_bytes

    torch.cuda.reset_peak_memory_stats()
    list(fitted.predict(images))
    assert gpu_peak_bytes("cuda") > 0


def test_the_map_of_the_gpu_finds_the_defects(fitted):
    if fitted.map_kind != "native":
        return
    images, masks = zip(*smoke_scene.tests(), strict=True)
    maps = [each.map for each in fitted.predict(images)]
    inside = np.concatenate([each[mask] for each, mask in zip(maps, masks, strict=True)])
    outside = np.concatenate([each[~mask] for each, mask in zip(maps, masks, strict=True)])
    assert np.searchsorted(np.sort(outside), inside).mean() / len(outside) > 0.7


@pytest.mark.parametrize("name", ["padim", "npad"])
def test_bf16_on_the_gpu_ranks_images_alike(name, images):
    scores = {
        precision: [
            each.score
            for each in detectors.create(name, profile="smoke", device="cuda", precision=precision)
            .fit(smoke_scene.normals())
            .predict(images)
        ]
        for precision in ("f32", "bf16")
    }
    assert np.corrcoef(scores["f32"], scores["bf16"])[0, 1] > 0.95
