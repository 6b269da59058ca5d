"""Whether a runtime's features are torch's: both run a seeded probe once, and the verdict is kept."""

import hashlib
import importlib.metadata
import json
from pathlib import Path
from typing import Any

import numpy as np

from detectors.backbones.export import write_whole
from detectors.backbones.nets import Backbone
from detectors.backbones.runners import Maps, Runner, Torch

TOLERANCE = {"f32": 1e-4, "bf16": 5e-2}  # relative to the largest value
PROBE_VERSION = 1
PROBE_CELL = 8  # pixels of a side of the second probe image's squares


def difference(
    runner: Runner,
    precision: str,
    backbone: Backbone,
    input_hw: tuple[int, int],
    onnx: bytes | None,
    cache_folder: Path | None,
) -> float:
    """Largest difference of a runner's features from torch's in f32, relative to the largest value.

    Args:
        runner: of the backbone.
        precision: that the runner works in.
        input_hw: pixels.
        onnx: what the runner was made of, which the kept verdict holds for; None if it is not kept.
        cache_folder: where the verdict is kept; None compares anew.
    """
    if cache_folder is None or onnx is None:
        return compare(runner, Torch(backbone, 1, "cpu", "f32"), probe(input_hw))
    facts = {
        "backbone": backbone.name,
        "backbone_hash": backbone.hash(),
        "input_hw": list(input_hw),
        "layers": list(backbone.layers),
        "onnx_sha256": hashlib.sha256(onnx).hexdigest(),
        "precision": precision,
        "probe_version": PROBE_VERSION,
        "versions": {name: importlib.metadata.version(name) for name in ("torch", runner.runtime)},
    }
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    path = cache_folder / f"{backbone.name}-{runner.runtime}-{key}.json"
    known = _read(path)
    if known is None or known.get("facts") != facts:
        known = {"facts": facts, "difference": difference(runner, precision, backbone, input_hw, None, None)}
        write_whole(path, json.dumps(known, indent=2, sort_keys=True).encode())
    return float(known["difference"])


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # absent, or damaged: then it is made again
        return None
    return found


def probe(input_hw: tuple[int, int]) -> list[np.ndarray]:
    """Two (h, w, 3) uint8 images that are always the same: noise, and noise in squares."""
    height, width = input_hw
    rng = np.random.default_rng(0)
    fine = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    cells = rng.integers(0, 256, (-(-height // PROBE_CELL), -(-width // PROBE_CELL), 3), dtype=np.uint8)
    coarse = cells.repeat(PROBE_CELL, axis=0).repeat(PROBE_CELL, axis=1)[:height, :width]
    return [fine, np.ascontiguousarray(coarse)]


def compare(runner: Runner, reference: Runner, images: list[np.ndarray]) -> float:
    """Largest difference of features of two runners, relative to the reference's largest value."""
    found, expected = (_features(each, images) for each in (runner, reference))
    pairs = [
        (a, b) for one, other in zip(found, expected, strict=True) for a, b in zip(one, other, strict=True)
    ]
    largest = max(float(np.abs(b).max()) for _, b in pairs)
    return float(np.max([np.abs(a - b).max() for a, b in pairs])) / largest if largest else 0.0


def _features(runner: Runner, images: list[np.ndarray]) -> list[Maps]:
    found: dict[int, Maps] = {}
    runner.run(images, lambda index, maps: found.update({index: [each.copy() for each in maps]}))
    return [found[index] for index in range(len(images))]
