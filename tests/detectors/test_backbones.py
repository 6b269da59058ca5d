import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from detectors.backbones import Backbone, compare_runtimes, make_runner, name_coffee, resolve_runtime
from detectors.backbones.export import exported
from detectors.backbones.lite0 import EfficientNetLite0
from detectors.backbones.nets import estimate_batch_norm
from detectors.backbones.weights import lite0_to_timm, locate
from tests.helpers.places import REPOSITORY

INPUT_HW = (48, 64)


@pytest.fixture
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*INPUT_HW, 3), dtype=np.uint8) for _ in range(5)]


def features(runtime: str, images: list[np.ndarray], backbone: Backbone) -> list[list[np.ndarray]]:
    found: dict[int, list[np.ndarray]] = {}
    runner = make_runner(backbone, INPUT_HW, runtime, n_threads=2)
    runner.run(images, lambda index, maps: found.update({index: [each.copy() for each in maps]}))
    return [found[index] for index in range(len(images))]


def test_packaged_weights_name_the_coffee_picture_espresso():
    name, probability = name_coffee()
    assert name == "espresso"
    assert probability > 0.9


def test_runtimes_agree_on_the_real_backbone():
    differences = compare_runtimes()
    assert differences.keys() >= {"torch", "onnxruntime"}
    assert max(differences.values()) < 1e-4


def test_features_have_the_strides_of_their_layers(images):
    shapes = [
        each.shape for each in features("torch", images[:1], Backbone("efficientnet_lite0", "packaged"))[0]
    ]
    assert shapes == [(24, 12, 16), (40, 6, 8), (112, 3, 4)]


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime", "openvino"])
def test_features_do_not_depend_on_the_other_images(images, runtime):
    backbone = Backbone("tiny", "random")
    together, turned = features(runtime, images, backbone), features(runtime, images[::-1], backbone)[::-1]
    for a, b in zip(together, turned, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_an_error_while_taking_features_is_raised_once(images):
    def take(index: int, maps: list[np.ndarray]) -> None:
        raise RuntimeError("taking failed")

    runner = make_runner(Backbone("tiny", "random"), INPUT_HW, "openvino")
    with pytest.raises(RuntimeError, match="taking failed"):
        runner.run(images, take)


def test_exported_network_is_kept_in_the_cache(tmp_path, images):
    backbone = Backbone("tiny", "random")
    first = exported(backbone, INPUT_HW, tmp_path)
    (file,) = tmp_path.iterdir()
    assert file.read_bytes() == first
    before = file.stat().st_mtime_ns
    assert exported(backbone, INPUT_HW, tmp_path) == first
    assert file.stat().st_mtime_ns == before
    exported(backbone, (32, 32), tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_random_weights_are_the_same_every_time_and_leave_torchs_generator_alone():
    torch.manual_seed(1)
    first = Backbone("tiny", "random").hash()
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    assert Backbone("tiny", "random").hash() == first
    assert torch.equal(torch.random.get_rng_state(), state)


def test_estimated_batch_norm_makes_features_of_unit_variance(images):
    net = Backbone("tiny", "random").net()
    estimate_batch_norm(net, images)
    assert not any(module.training for module in net.modules())
    before_relu = []
    handle = net.stages[0][1].register_forward_hook(lambda _, __, output: before_relu.append(output))
    net(torch.from_numpy(np.stack(images)))
    handle.remove()
    assert before_relu[0].std(dim=(0, 2, 3)).numpy() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("image_hw", [(64, 96), (75, 61)])
def test_lite0_is_the_network_of_timm(image_hw):
    import timm

    ours, theirs = (
        EfficientNetLite0().eval(),
        timm.create_model("tf_efficientnet_lite0", pretrained=False).eval(),
    )
    state = lite0_to_timm(torch.load(locate("efficientnet_lite0", "packaged"), weights_only=True))
    for net in (ours, theirs):
        net.load_state_dict(state)
    noise = torch.randn(2, 3, *image_hw, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.allclose(ours(noise), theirs(noise), atol=1e-5)


def test_weights_can_be_a_file(tmp_path):
    net = EfficientNetLite0()
    path = tmp_path / "weights.pth"
    torch.save(net.state_dict(), path)
    backbone = Backbone("efficientnet_lite0", str(path))
    assert backbone.tag == "file weights.pth"
    expected = net.state_dict()["conv_stem.weight"]
    assert torch.equal(backbone.net().state_dict()["stages.0.0.weight"], expected)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"conv.weight": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="does not hold the weights of resnet18"):
        Backbone("resnet18", str(path)).net()


def test_a_missing_weights_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"found no file .*absent\.pth"):
        Backbone("resnet18", str(tmp_path / "absent.pth")).net()


def test_backbone_without_packaged_weights_says_which_has_them():
    with pytest.raises(ValueError, match="only efficientnet_lite0 has"):
        Backbone("resnet18", "packaged").net()


def test_torchvision_weights_without_network_say_what_to_do(tmp_path, monkeypatch):
    def no_network(*_: object, **__: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    with pytest.raises(
        FileNotFoundError, match=r"Copy https://.*resnet18.* there from a machine with internet"
    ):
        Backbone("resnet18", "torchvision").net()


def test_random_resnet_runs_with_the_layers_of_the_paper(images):
    shapes = [each.shape for each in features("torch", images[:1], Backbone("resnet18", "random"))[0]]
    assert shapes == [(64, 12, 16), (128, 6, 8), (256, 3, 4)]


def test_vgg19_is_tapped_behind_the_relus_of_torchvisions_network(images):
    from torchvision.models import vgg19

    layers = ("relu1_1", "relu2_2", "relu3_4", "relu4_1", "relu4_4", "relu5_4")
    backbone = Backbone("vgg19", "random", layers)
    x = torch.from_numpy(images[0])[None]
    whole, net = vgg19(weights=None, init_weights=False).features.eval(), backbone.net()
    renamed = zip(whole.state_dict(), [v for k, v in net.state_dict().items() if "stages" in k], strict=True)
    whole.load_state_dict(dict(renamed))
    with torch.inference_mode():
        maps = net(x)
        y = x.permute(0, 3, 1, 2).float() * net.scale + net.offset
        for depth, found in zip((2, 9, 18, 21, 27, 36), maps, strict=True):
            assert torch.equal(whole[:depth](y), found)
    assert [tuple(each.shape[1:]) for each in maps[:2]] == [(64, 48, 64), (128, 24, 32)]


def test_vgg11_bn_ends_with_batch_norm_and_relu_of_torchvisions_network(images):
    from torchvision.models import vgg11_bn

    backbone = Backbone("vgg11_bn", "random", ("relu1_1", "relu3_2", "relu4_2"))
    net = backbone.net()
    whole = vgg11_bn(weights=None, init_weights=False).features[:21].eval()
    renamed = zip(whole.state_dict(), [v for k, v in net.state_dict().items() if "stages" in k], strict=True)
    whole.load_state_dict(dict(renamed))
    x = torch.from_numpy(images[0])[None]
    with torch.inference_mode():
        y = x.permute(0, 3, 1, 2).float() * net.scale + net.offset
        for depth, found in zip((3, 14, 21), net(x), strict=True):
            assert torch.equal(whole[:depth](y), found)
            assert found.std() > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Backbone("resnet19", "random"), 'Unknown backbone "resnet19"'),
        (lambda: resolve_runtime("tensorrt"), 'Unknown runtime "tensorrt"'),
        (lambda: resolve_runtime("openvino", "cuda"), "runs on the CPU only"),
        (lambda: Backbone("tiny", "random", ("stage9",)).net(), "Unknown layers"),
    ],
)
def test_unknown_names_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_no_runtime_looks_for_a_network(tmp_path):
    program = """
import os, sys, threading
def guard(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "urllib.Request"):
        print("tried", event, args, file=sys.stderr, flush=True)
        os._exit(3)
import numpy as np, onnxruntime, torch
from detectors.backbones import Backbone, make_runner
sys.addaudithook(guard)
for runtime in ("openvino", "torch", "onnxruntime"):
    runner = make_runner(Backbone("tiny", "random"), (48, 64), runtime)
    runner.run([np.zeros((48, 64, 3), np.uint8)], lambda index, maps: None)
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join(5)
"""
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("intel*")) == []  # where OpenVINO's telemetry leaves its identity
