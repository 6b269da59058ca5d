"""Backbone networks by name, cut behind the deepest layer asked for, with normalisation inside."""

import hashlib
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from detectors.backbones import weights as weight_files
from detectors.backbones.lite0 import EfficientNetLite0

Stages = list[tuple[str, nn.Module]]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RANDOM_SEED = 20_190_607


@dataclass(frozen=True)
class Spec:
    """How a backbone is built.

    Attributes:
        build: makes the whole network, without trained weights.
        stages: splits it into named stages that run one after another.
        layers: default stages whose output is a feature map, shallow first.
        mean, std: input normalisation that the weights were trained with, for RGB in [0, 1].
    """

    build: Callable[[], nn.Module]
    stages: Callable[[Any], Stages]
    layers: tuple[str, ...]
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


def _lite0_stages(net: Any) -> Stages:
    blocks = [(f"blocks.{index}", block) for index, block in enumerate(net.blocks)]
    return [("stem", nn.Sequential(net.conv_stem, net.bn1)), *blocks]


def _torchvision(name: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        from torchvision import models

        net: nn.Module = models.get_model(name, weights=None)
        return net

    return build


def _resnet_stages(net: Any) -> Stages:
    stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
    return [("stem", stem), *((f"layer{i}", getattr(net, f"layer{i}")) for i in (1, 2, 3, 4))]


def _vgg_stages(net: Any) -> Stages:
    """Each ends with a ReLU; pooling, which begins a new block, is the beginning of the next."""
    stages: Stages = []
    block, number, layers = 1, 1, []
    for layer in net.features:
        layers.append(layer)
        if isinstance(layer, nn.MaxPool2d):
            block, number = block + 1, 1
        if isinstance(layer, nn.ReLU):
            stages.append((f"relu{block}_{number}", nn.Sequential(*layers)))
            number, layers = number + 1, []
    return stages


def _alexnet_stages(net: Any) -> Stages:
    """Each is a convolution with what follows it: a ReLU, and pooling behind the first, second and last."""
    starts = [index for index, layer in enumerate(net.features) if isinstance(layer, nn.Conv2d)]
    parts = itertools.pairwise([*starts, len(net.features)])
    return [(f"conv{number}", net.features[a:b]) for number, (a, b) in enumerate(parts, start=1)]


def _tiny() -> nn.Module:
    def stage(n_in: int, n_out: int) -> nn.Module:
        conv = nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(n_out), nn.ReLU())

    widths = (3, 8, 12, 16, 20)
    return nn.Sequential(*(stage(*pair) for pair in itertools.pairwise(widths)))


def _tiny_stages(net: Any) -> Stages:
    return [(f"stage{index}", stage) for index, stage in enumerate(net)]


_RESNET_LAYERS = ("layer1", "layer2", "layer3")
BACKBONES: dict[str, Spec] = {
    "efficientnet_lite0": Spec(
        EfficientNetLite0,
        _lite0_stages,
        ("blocks.1", "blocks.2", "blocks.4"),
        (0.5, 0.5, 0.5),
        (0.5, 0.5, 0.5),
    ),
    "resnet18": Spec(_torchvision("resnet18"), _resnet_stages, _RESNET_LAYERS),
    "wide_resnet50_2": Spec(_torchvision("wide_resnet50_2"), _resnet_stages, _RESNET_LAYERS),
    "vgg11_bn": Spec(_torchvision("vgg11_bn"), _vgg_stages, ("relu2_1", "relu3_2", "relu4_2")),
    "vgg19": Spec(_torchvision("vgg19"), _vgg_stages, ("relu2_2", "relu3_4", "relu4_4")),
    "alexnet": Spec(_torchvision("alexnet"), _alexnet_stages, ("conv5",)),
    "tiny": Spec(_tiny, _tiny_stages, ("stage1", "stage2", "stage3")),  # random weights only; for tests
}


class Features(nn.Module):
    """A frozen network from pixels to feature maps.

    Input (N, H, W, 3) uint8 RGB; output one (N, C, h, w) float32 tensor for each layer.
    """

    scale: Tensor
    offset: Tensor

    def __init__(self, stages: Stages, layers: Sequence[str], spec: Spec) -> None:
        super().__init__()
        names = [name for name, _ in stages]
        if unknown := [layer for layer in layers if layer not in names]:
            raise ValueError(f"Unknown layers {unknown}: the network has {names}.")
        used = stages[: max(names.index(layer) for layer in layers) + 1]
        self.stages = nn.ModuleList(stage for _, stage in used)
        self.taps = [index for index, (name, _) in enumerate(used) if name in layers]
        mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in (spec.mean, spec.std))
        self.register_buffer("scale", 1 / (255 * std))
        self.register_buffer("offset", -mean / std)
        self.eval()
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature maps of a batch; see the class."""
        x = images.permute(0, 3, 1, 2).to(torch.float32) * self.scale + self.offset
        maps = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in self.taps:
                maps.append(x)
        return maps


@dataclass
class Backbone:
    """A named network with named weights; built only when it is needed.

    Attributes:
        name: key of BACKBONES.
        weights: "packaged" (inside an installed package), "torchvision" (downloaded once), "random",
            or the path of a state dict.
        layers: stages to tap, shallow first; the backbone's default when empty.
        state: tensors that replace the weights: a saved random network with its estimated statistics.
    """

    name: str
    weights: str
    layers: tuple[str, ...] = ()
    state: dict[str, Tensor] | None = None
    _net: Features | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.name not in BACKBONES:
            raise ValueError(f'Unknown backbone "{self.name}". Known: {", ".join(BACKBONES)}.')
        self.layers = tuple(self.layers) or BACKBONES[self.name].layers

    @property
    def tag(self) -> str:
        """Where the weights come from, for reports: "random", "torchvision", or a package or file name."""
        return weight_files.tag(self.name, self.weights)

    def net(self) -> Features:
        """The network, built and loaded on first use.

        Raises:
            ValueError: the weights do not exist for this backbone, or do not fit it.
            FileNotFoundError: the weights file is missing, or cannot be downloaded.
        """
        if self._net is None:
            spec = BACKBONES[self.name]
            with torch.random.fork_rng(devices=[]):
                whole = spec.build()
            if self.weights == "random":
                _he_init(whole, RANDOM_SEED)
            else:
                weight_files.load_into(whole, self.name, self.weights)
            self._net = Features(spec.stages(whole), self.layers, spec)
            if self.state is not None:
                self._net.load_state_dict(self.state)
        return self._net

    def hash(self) -> str:
        """SHA-256 of the weights: of their file, or of the tensors of a random network."""
        if self.weights != "random":
            return weight_files.file_hash(self.name, self.weights)
        digest = hashlib.sha256()
        for key, tensor in sorted(self.net().state_dict().items()):
            digest.update(key.encode() + tensor.contiguous().cpu().numpy().tobytes())
        return digest.hexdigest()


def _he_init(net: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            fan_in = module.weight[0].numel()
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_in), generator=generator)
            if module.bias is not None:  # torch draws it from its own generator
                nn.init.zeros_(module.bias)


def estimate_batch_norm(net: Features, pixels: Iterable[np.ndarray]) -> None:
    """Set the running statistics of every batch normalisation to those of some images.

    A random network needs it: without it, deep features all but vanish or explode.

    Args:
        net: changed in place.
        pixels: (H, W, 3) uint8 each, at the network's input size; all of one batch.
    """
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    with torch.inference_mode():
        net(torch.from_numpy(np.stack(list(pixels))))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    net.eval()
