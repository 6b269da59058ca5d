"""One graph that holds the whole detector gives what Python gives, at any image size."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import detectors
from detectors import export as exporting
from detectors.export import DisagreesWithPython, Whole, export, place, prepared
from detectors.geometry import Geometry
from tests.detectors import smoke_scene

TINY = {"profile": "smoke", "backbone": "tiny", "weights": "random", "runtime": "torch"}
SIZES = [(48, 64), (100, 60), (37, 91), (200, 300)]


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    coarse = [rng.integers(0, 256, (h // 8 + 1, w // 8 + 1, 3), dtype=np.uint8) for h, w in SIZES]
    return [np.kron(c, np.ones((8, 8, 1), np.uint8))[:h, :w] for c, (h, w) in zip(coarse, SIZES, strict=True)]


def fitted(name: str, **options):
    normals = [image[:48] for image in smoke_scene.normals(n=8)]
    return detectors.create(name, **TINY, n_channels=20, **options).fit(normals)


@pytest.mark.parametrize(
    "options",
    [{}, {"aspect": "stretch"}, {"image_hw": (64, 64), "crop_hw": (48, 56)},
     {"score": "top_mean", "top_fraction": 0.1}, {"score": "mean"}],
    ids=["keep", "stretch", "crop", "top_mean", "mean"],
)  # fmt: skip
def test_graphs_give_pythons_scores_and_maps_whatever_the_geometry(options, images, tmp_path):
    found = export(fitted("padim", **options), tmp_path / "model", threshold=1.0, probe=images)
    assert set(found) == {"onnx", "openvino"}
    for agreement in found.values():
        assert agreement.n_images == len(images) + 1
        assert agreement.score < 1e-4
        assert agreement.map < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["npad", "dfr", "fcdd", "patch_svdd", "uninformed_students"])
def test_every_detector_that_can_is_exported_whole(name, images, tmp_path):
    detector = detectors.create(name, profile="smoke").fit(smoke_scene.normals(n=8))
    found = export(detector, tmp_path / "model", threshold=1.0, probe=images)
    assert max(max(each.score, each.map) for each in found.values()) < 1e-3


def test_a_detector_whose_map_is_a_gradient_says_why_it_cannot(tmp_path):
    with pytest.raises(NotImplementedError, match="differnet"):
        detectors.create("differnet", profile="smoke").scorer()


def test_the_verdict_is_the_score_against_the_threshold(images, tmp_path):
    import onnxruntime

    detector = fitted("padim")
    scores = [each.score for each in detector.predict(images)]
    cut = float(np.median(scores))
    export(detector, tmp_path / "model", threshold=cut, openvino=False)
    session = onnxruntime.InferenceSession(tmp_path / "model" / "model.onnx")
    for image, score in zip(images, scores, strict=True):
        found, anomaly_map, anomalous = session.run(None, {"image": image[None]})
        assert bool(anomalous[0]) == (score >= cut)
        assert found[0] == pytest.approx(score, rel=1e-4)
        assert anomaly_map.shape == (1, *image.shape[:2])


def test_the_folder_tells_what_the_model_is(tmp_path):
    detector = fitted("padim")
    export(detector, tmp_path / "model", threshold=2.5, facts={"category": "acf"})
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "model.onnx", "model.xml", "model.bin", "model.json",
    }  # fmt: skip
    told = json.loads((tmp_path / "model" / "model.json").read_text())
    assert told["threshold"] == 2.5
    assert told["category"] == "acf"
    assert told["display_range"] == pytest.approx(detector.calibration.display_range)
    assert told["agreement"]["onnx"]["score"] < 1e-4


def test_a_graph_that_disagrees_is_not_written(tmp_path, monkeypatch):
    def other_blur(n: int, sigma: float) -> np.ndarray:
        return np.eye(n) * 1.5

    detector = fitted("padim")
    monkeypatch.setattr(exporting, "blur_matrix", other_blur)
    with pytest.raises(
        DisagreesWithPython, match=r"onnx graph of padim differs from Python by .* Nothing was"
    ):
        export(detector, tmp_path / "model", threshold=1.0)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("hw", SIZES)
@pytest.mark.parametrize("aspect", ["keep", "stretch"])
def test_resizing_in_the_graph_is_that_of_python_but_for_single_levels(hw, aspect):
    image = np.random.default_rng(0).integers(0, 256, (*hw, 3), dtype=np.uint8)
    geometry = Geometry((64, 96), aspect=aspect)
    expected = geometry.prepare(image).pixels.astype(int)
    sizes = torch.tensor(hw).float()
    found = prepared(torch.from_numpy(image)[None], sizes, place(sizes, geometry), geometry)[0].numpy()
    away = np.abs(found.astype(int) - expected)
    assert away.max() <= 1
    assert (away > 0).mean() < 1e-3


def test_neither_format_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="at least one of onnx and openvino"):
        export(fitted("padim"), tmp_path / "model", threshold=1.0, onnx=False, openvino=False)


def test_whole_is_in_evaluation_mode():
    assert not any(module.training for module in Whole(fitted("padim"), 1.0).modules())


@pytest.mark.parametrize("spoil", ["score", "map"])
def test_a_graph_that_gives_nan_is_not_written(spoil, tmp_path, monkeypatch):
    run = exporting._run_onnx

    def spoiled(*arguments):
        *others, (score, found) = run(*arguments)
        return [*others, (np.nan, found) if spoil == "score" else (score, found * np.nan)]

    monkeypatch.setattr(exporting, "_run_onnx", spoiled)
    with pytest.raises(DisagreesWithPython, match="nan"):
        export(fitted("padim"), tmp_path / "model", threshold=1.0, openvino=False)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("hw", [(1040, 1000), (500, 520), (1041, 1000), (2392, 2300)])
def test_the_graph_pads_and_stretches_what_python_does(hw):
    geometry = Geometry((64, 64))
    rows, columns = place(torch.tensor(hw).float(), geometry)
    box = geometry.box(hw)
    assert [*map(int, rows), *map(int, columns)] == [box.top, box.height, box.left, box.width]
