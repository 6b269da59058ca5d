import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

import detectors
from detectors.backbones import Backbone, agreement, make_runner, recorded_runtime, resolve_runtime
from detectors.backbones.agreement import compare
from detectors.backbones.export import exported
from detectors.backbones.runners import Torch, openvino_core
from detectors.backbones.runtimes import N_KEPT, _kept
from tests.detectors import smoke_scene
from tests.helpers.places import REPOSITORY

INPUT_HW = (48, 64)


@pytest.fixture(autouse=True)
def nothing_kept():
    _kept.clear()
    yield
    _kept.clear()


@pytest.fixture
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*INPUT_HW, 3), dtype=np.uint8) for _ in range(5)]


def perturbed(onnx: bytes) -> bytes:
    """The network with its first weights changed."""
    import onnx as format_

    model = format_.load_from_string(onnx)
    weights = next(each for each in model.graph.initializer if len(each.dims) == 4)
    values = format_.numpy_helper.to_array(weights) * 1.5
    weights.CopyFrom(format_.numpy_helper.from_array(values, weights.name))
    return model.SerializeToString()


def test_auto_takes_the_fastest_runtime_that_agrees_and_keeps_the_verdict(tmp_path, monkeypatch):
    backbone = Backbone("tiny", "random")
    assert make_runner(backbone, INPUT_HW, cache_folder=tmp_path).runtime == "openvino"
    (file,) = tmp_path.glob("*.json")
    assert json.loads(file.read_text())["difference"] < 1e-4
    _kept.clear()
    monkeypatch.setattr(agreement, "compare", None)  # a second comparison would call it
    again = make_runner(backbone, INPUT_HW, cache_folder=tmp_path)
    assert (again.runtime, again.notes) == ("openvino", ())


def test_auto_passes_over_a_runtime_that_disagrees_with_torch_and_says_so(tmp_path, images):
    backbone = Backbone("tiny", "random")
    onnx = exported(backbone, INPUT_HW, tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(perturbed(onnx))
    chosen = make_runner(backbone, INPUT_HW, cache_folder=tmp_path)
    assert chosen.runtime == "torch"
    assert [note.split(" was not used")[0] for note in chosen.notes] == [
        "Runtime openvino", "Runtime onnxruntime",
    ]  # fmt: skip
    _kept.clear()
    file.write_bytes(onnx)  # the verdict was about the other file
    assert make_runner(backbone, INPUT_HW, cache_folder=tmp_path).runtime == "openvino"


def test_a_fit_reports_a_runtime_that_was_passed_over_and_records_the_one_it_used(tmp_path):
    detector = detectors.create("padim", cache_folder=tmp_path / "cache", profile="smoke")
    backbone = Backbone("efficientnet_lite0", "packaged")
    onnx = exported(backbone, (64, 64), tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(perturbed(onnx))
    detector.fit(smoke_scene.normals(n=4))
    assert detector.runtime == "torch"
    assert any("Runtime openvino was not used" in text for text in detector.report.warnings)
    detector.save(tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / "meta.json").read_text())["runtime"] == "torch"
    loaded = detectors.load(tmp_path / "saved", cache_folder=tmp_path / "cache")
    assert loaded.config.runtime == "torch"
    assert detectors.load(tmp_path / "saved", runtime="onnxruntime").config.runtime == "onnxruntime"


def test_a_recorded_runtime_that_cannot_be_used_here_becomes_auto(monkeypatch):
    assert recorded_runtime("openvino", "cpu", "f32") == "openvino"
    assert recorded_runtime("openvino", "cuda", "f32") == "auto"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert recorded_runtime("openvino", "cpu", "f32") == "auto"
    assert resolve_runtime("auto") == "torch"


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_bf16_features_are_float32_a_few_percent_off(images, runtime):
    backbone = Backbone("efficientnet_lite0", "packaged")
    exact = make_runner(backbone, INPUT_HW, "torch")
    reduced = make_runner(backbone, INPUT_HW, runtime, precision="bf16")
    reduced.run(images[:1], lambda _, maps: [check(each) for each in maps])
    has_bf16 = runtime == "torch" or "BF16" in capabilities()
    assert (1e-3 if has_bf16 else 0) < compare(reduced, exact, images) < 0.05
    assert all(each.dtype == torch.float32 for each in backbone.net().parameters())


def capabilities() -> list[str]:
    """What OpenVINO says of this processor; without BF16 it works in f32."""
    return openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def check(features: np.ndarray) -> None:
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


def test_bf16_goes_to_a_runtime_that_has_it():
    assert resolve_runtime("auto", precision="bf16") == "openvino"
    with pytest.raises(ValueError, match="onnxruntime cannot run in bf16"):
        resolve_runtime("onnxruntime", precision="bf16")
    with pytest.raises(ValueError, match='Unknown precision "fp8"'):
        resolve_runtime("auto", precision="fp8")


def test_a_batch_on_a_device_gives_the_features_of_single_images(images):
    backbone = Backbone("tiny", "random")
    single, batched = Torch(backbone, 2, "cpu", "f32"), Torch(backbone, 2, "cpu", "f32")
    batched.n_batch = 2  # what other devices do, with an odd number of images
    assert compare(batched, single, images) < 1e-5
    found = []
    batched.run(images, lambda index, maps: found.append(index))
    assert found == [0, 1, 2, 3, 4]


def test_the_last_runners_are_kept():
    sides = [(32 + 8 * n, 40) for n in range(N_KEPT + 1)]
    made = [make_runner(Backbone("tiny", "random"), hw, "torch") for hw in sides[:-1]]
    assert make_runner(Backbone("tiny", "random"), sides[0], "torch") is made[0]
    make_runner(Backbone("tiny", "random"), sides[-1], "torch")
    assert make_runner(Backbone("tiny", "random"), sides[0], "torch") is made[0]
    assert make_runner(Backbone("tiny", "random"), sides[1], "torch") is not made[1]
    assert len(_kept) == N_KEPT


def test_an_exported_network_runs_in_torch_too(images):
    backbone = Backbone("efficientnet_lite0", "packaged")  # not built before the export
    compared = [make_runner(backbone, INPUT_HW, name) for name in ("onnxruntime", "torch")]
    assert compare(*compared, images) < 1e-4


def test_signals_keep_their_stack_when_runners_come_and_go():
    """OpenVINO gives signals a stack that belongs to its Core; a signal on a freed one ends the process."""
    program = """
import ctypes, gc, os, signal
import numpy as np
from detectors.backbones import Backbone, make_runner
from detectors.backbones.runtimes import N_KEPT
class Stack(ctypes.Structure):
    _fields_ = [("place", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]
def stack():
    found = Stack()
    assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found)) == 0
    return found.place, found.flags, found.size
backbone, seen = Backbone("tiny", "random"), set()
for side in range(32, 32 + 8 * (N_KEPT + 4), 8):
    blank = np.zeros((side, side, 3), np.uint8)
    make_runner(backbone, (side, side), "openvino").run([blank], lambda index, maps: None)
    gc.collect()
    seen.add(stack())
assert len(seen) == 1, seen
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr)
