"""anomalib's models behind our interface: raw scores, saved without pickle, no downloads unless asked for."""

import numpy as np
import pytest
import torch

import detectors
from tests.detectors import smoke_scene

pytestmark = [pytest.mark.peers, pytest.mark.slow]


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    return [image for image, _ in smoke_scene.tests()[:3]]


@pytest.fixture(scope="module")
def padim():
    return detectors.create("anomalib:Padim", profile="smoke").fit(smoke_scene.normals(n=8))


def test_scores_and_maps_are_those_of_anomalibs_torch_model(padim, images):
    pixels = torch.from_numpy(images[0]).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        expected = padim.module_.model(padim.module_.pre_processor.transform(pixels))
    found = next(iter(padim.predict(images)))
    assert found.score == pytest.approx(float(expected.pred_score), rel=1e-5)
    assert found.score > 1  # a distance: neither squeezed into [0, 1] nor cut
    np.testing.assert_allclose(found.map, expected.anomaly_map[0, 0].numpy(), rtol=1e-4, atol=1e-3)


def test_its_backbone_holds_the_packaged_weights(padim):
    from detectors.backbones.weights import lite0_to_timm, locate

    packaged = lite0_to_timm(torch.load(locate("efficientnet_lite0", "packaged"), weights_only=True))
    own = padim.module_.model.state_dict()
    key = next(key for key in own if key.endswith("conv_stem.weight"))
    assert torch.equal(own[key], packaged["conv_stem.weight"])


def test_saved_state_is_plain_tensors_and_predicts_the_same(padim, images, tmp_path):
    padim.save(tmp_path / "saved")
    state = torch.load(tmp_path / "saved" / "state.pt", weights_only=True)
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    loaded = detectors.load(tmp_path / "saved")
    assert loaded.name == "anomalib:Padim"
    assert [each.score for each in loaded.predict(images)] == [each.score for each in padim.predict(images)]


def test_a_trained_model_stops_and_reports_its_steps(images):
    seen = []
    stfpm = detectors.create("anomalib:Stfpm", profile="smoke", max_steps=3)
    stfpm.fit(smoke_scene.normals(n=10), progress=seen.append)
    steps = [event.step for event in seen if event.stage == "train"]
    assert steps == [1, 2, 3]
    assert all(np.isfinite(each.map).all() for each in stfpm.predict(images))


def test_unknown_models_list_the_known_ones():
    with pytest.raises(ValueError, match=r'no model "Padym"\. Known: .*Padim, Patchcore'):
        detectors.create("anomalib:Padym", profile="smoke").fit(smoke_scene.normals(n=3))


def test_a_model_with_weights_of_its_own_is_not_downloaded_unasked():
    with pytest.raises(ValueError, match=r'Ganomaly has no backbone that can be exchanged .* to "none"'):
        detectors.create("anomalib:Ganomaly", profile="smoke").fit(smoke_scene.normals(n=3))


def test_a_model_that_too_few_images_leave_empty_says_so():
    images = smoke_scene.normals(n=3)
    with pytest.raises(ValueError, match=r"Dfkde could not score an image.* fit on more"):
        detectors.create("anomalib:Dfkde", profile="smoke").fit(images)
