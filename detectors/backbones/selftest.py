"""Tries a backbone and its runtimes, for `doctor` and for the tests, without network."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from detectors.backbones.agreement import compare, probe
from detectors.backbones.nets import BACKBONES, Backbone
from detectors.backbones.runtimes import RUNTIMES, make_runner, resolve_runtime
from detectors.backbones.weights import load_into

RESIZE, CROP = 256, 224


def name_picture(image: np.ndarray) -> tuple[str, float]:
    """The ImageNet name that EfficientNet-Lite0 gives a picture, and its probability.

    Args:
        image: (H, W, 3) uint8 RGB.
    """
    from torchvision import models

    spec = BACKBONES["efficientnet_lite0"]
    net = spec.build()
    load_into(net, "efficientnet_lite0", "packaged")
    net.eval()
    pixels = torch.tensor(image).permute(2, 0, 1)[None].float() / 255
    scale = RESIZE / min(pixels.shape[-2:])
    resized_hw = [round(side * scale) for side in pixels.shape[-2:]]
    pixels = functional.interpolate(pixels, resized_hw, mode="bicubic", antialias=True).clamp(0, 1)
    top, left = ((side - CROP) // 2 for side in resized_hw)
    mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in (spec.mean, spec.std))
    with torch.inference_mode():
        answer = net((pixels[..., top : top + CROP, left : left + CROP] - mean) / std).softmax(dim=1)[0]
    best = int(answer.argmax())
    return str(models.ResNet18_Weights.IMAGENET1K_V1.meta["categories"][best]), float(answer[best])


def name_coffee() -> tuple[str, float]:
    """Name and probability of scikit-image's picture of a cup of coffee: "espresso", over 0.9.

    Raises:
        FileNotFoundError: scikit-image, or its picture, is not installed.
    """
    from PIL import Image

    spec = importlib.util.find_spec("skimage")
    path = Path(spec.origin).parent / "data" / "coffee.png" if spec and spec.origin else None
    if path is None or not path.is_file():
        raise FileNotFoundError("scikit-image's coffee picture is missing. Run: pip install scikit-image")
    with Image.open(path) as picture:
        return name_picture(np.asarray(picture.convert("RGB")))


def compare_runtimes(names: Sequence[str] = RUNTIMES[1:]) -> dict[str, float]:
    """Largest difference of each installed runtime's features from torch's, relative to the largest value."""
    image_hw = (128, 96)
    backbone = Backbone("efficientnet_lite0", "packaged")
    reference = make_runner(backbone, image_hw, "torch")
    found = {}
    for name in ("torch", *(each for each in names if each != "torch")):
        try:
            resolve_runtime(name)
        except ValueError:
            continue
        found[name] = compare(make_runner(backbone, image_hw, name), reference, probe(image_hw))
    return found
