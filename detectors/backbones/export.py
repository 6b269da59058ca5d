"""A backbone as ONNX, exported once and kept."""

import hashlib
import importlib.metadata
import io
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch

from detectors.backbones.nets import Backbone

EXPORT_VERSION = 1
OPSET = 17


def exported(backbone: Backbone, input_hw: tuple[int, int], cache_folder: Path | None) -> bytes:
    """The network as ONNX, from the cache or exported now (and then cached)."""
    if cache_folder is None:
        return _export(backbone, input_hw)
    parts = (backbone.hash(), backbone.layers, input_hw, EXPORT_VERSION, OPSET, _versions())
    key = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
    path = cache_folder / f"{backbone.name}-{input_hw[0]}x{input_hw[1]}-{key}.onnx"
    if path.is_file():
        return path.read_bytes()
    onnx = _export(backbone, input_hw)
    write_whole(path, onnx)
    return onnx


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that appears whole or not at all, in a folder that is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.name}.{os.getpid()}-", suffix=".partial", delete=False
    ) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)


def _versions() -> tuple[str, ...]:
    return tuple(importlib.metadata.version(name) for name in ("torch", "torchvision"))


def _export(backbone: Backbone, input_hw: tuple[int, int]) -> bytes:
    buffer: Any = io.BytesIO()
    example = torch.zeros((1, *input_hw, 3), dtype=torch.uint8)
    with torch.inference_mode(False):  # a network made in that mode could not be used outside of it
        net = backbone.net()
    with warnings.catch_warnings(), torch.inference_mode():
        # sizes become constants, which is what a fixed input size asks for
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
        warnings.filterwarnings("ignore", message="Constant folding", category=UserWarning)
        warnings.simplefilter("ignore", DeprecationWarning)  # this exporter warns that it will go one day
        names = list(backbone.layers)
        torch.onnx.export(
            net, (example,), buffer, dynamo=False, opset_version=OPSET,
            input_names=["pixels"], output_names=names,
        )  # fmt: skip
    content: bytes = buffer.getvalue()
    return content
