import numpy as np
import pytest
import torch

from detectors.backbones import Backbone

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 96, 128, 3), dtype=np.uint8))


def test_stages_are_torchvisions_features_cut_before_each_convolution(pixels, tmp_path):
    from torchvision.models import alexnet

    torch.manual_seed(0)
    whole = alexnet(weights=None).eval()
    torch.save(whole.state_dict(), tmp_path / "alexnet.pth")
    net = Backbone("alexnet", str(tmp_path / "alexnet.pth"), LAYERS).net()
    with torch.inference_mode():
        maps = net(pixels)
        x = pixels.permute(0, 3, 1, 2).float() * net.scale + net.offset
        for depth, found in zip((3, 6, 8, 10, 13), maps, strict=True):
            assert torch.equal(whole.features[:depth](x), found)
    assert [each.shape[1] for each in maps] == [64, 192, 384, 256, 256]


def test_by_default_the_last_features_are_taken(pixels):
    with torch.inference_mode():
        (last,) = Backbone("alexnet", "random").net()(pixels)
    assert last.shape == (1, 256, 2, 3)


def test_random_weights_with_biases_are_the_same_every_time():
    torch.manual_seed(1)
    first = Backbone("alexnet", "random").hash()
    torch.manual_seed(2)
    assert Backbone("alexnet", "random").hash() == first


def test_weights_of_torchvision_are_looked_for_in_its_cache(tmp_path, monkeypatch):
    from torchvision.models import alexnet

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    net = alexnet(weights=None)
    torch.save(net.state_dict(), tmp_path / "checkpoints" / "alexnet-owt-7be5be79.pth")
    first = Backbone("alexnet", "torchvision").net().stages[0][0]
    assert torch.equal(first.weight, net.features[0].weight)
