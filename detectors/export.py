"""A fitted detector as one graph: pixels of any size in, score, map and verdict out; ONNX and OpenVINO.

The graph holds everything: resizing as Geometry.prepare does it, backbone, statistics, the way back to the
image's size, and the threshold. Input "image": (1, H, W, 3) uint8 RGB, any H and W. Outputs: "score" (1,)
float32, "map" (1, H, W) float32, "anomalous" (1,) bool, score >= threshold.

Resizing rounds as torch does; hardly a pixel in ten thousand differs by one level. So scores agree within a
tolerance: it is checked on images whenever a graph is written, and model.json states what was found.
"""

import io
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.onnx.operators import shape_as_tensor

from detectors.backbones.runners import import_openvino, openvino_core
from detectors.base import Detector
from detectors.geometry import NEGLIGIBLE_PERCENT, Geometry, Image
from detectors.maps import bilinear_matrix, blur_matrix, edge_matrix
from detectors.saving import replacing, write_json

OPSET = 17
OUTPUTS = ("score", "map", "anomalous")
TOLERANCE = 1e-3  # of scores and map values, relative to the largest


@dataclass(frozen=True)
class Agreement:
    """How far a graph is from Python, over some images.

    Attributes:
        score: largest difference of a score, relative to the largest absolute score.
        map: largest difference of a map value, relative to the largest absolute map value.
        n_images: compared.
    """

    score: float
    map: float
    n_images: int


class DisagreesWithPython(ValueError):
    """An exported graph gives other scores than the detector."""


def export(
    detector: Detector,
    folder: Path,
    *,
    threshold: float,
    onnx: bool = True,
    openvino: bool = True,
    probe: Sequence[Image] = (),
    facts: dict[str, Any] | None = None,
) -> dict[str, Agreement]:
    """Write model.onnx, model.xml and model.bin, and model.json into a folder that appears as a whole.

    Args:
        detector: fitted.
        folder: replaced if it is there.
        threshold: scores from it on are anomalous.
        onnx, openvino: which to write.
        probe: images that the graphs are compared on; a seeded noise picture is always among them.
        facts: JSON values added to model.json.

    Returns:
        How far each written graph is from Python.

    Raises:
        NotImplementedError: the detector cannot be one graph; the message says why.
        DisagreesWithPython: a graph differs by more than TOLERANCE; nothing is written.
        ValueError: neither format is asked for, or OpenVINO is not installed.
    """
    if not onnx and not openvino:
        raise ValueError("Expected at least one of onnx and openvino.")
    content = to_onnx(Whole(detector, threshold))
    images = [*probe, _noise(detector.geometry)]
    expected = [(each.score, each.map) for each in detector.predict(images)]
    found: dict[str, Agreement] = {}
    with replacing(folder) as partial:
        if onnx:
            (partial / "model.onnx").write_bytes(content)
            found["onnx"] = _compared(_run_onnx(content, images), expected)
        if openvino:
            found["openvino"] = _compared(_run_openvino(content, partial, images), expected)
        for name, agreement in found.items():
            if not (agreement.score <= TOLERANCE and agreement.map <= TOLERANCE):  # NaN does not agree
                raise DisagreesWithPython(
                    f"The {name} graph of {detector.name} differs from Python by {agreement.score:.2g} in "
                    f"scores and {agreement.map:.2g} in maps, more than {TOLERANCE}. Nothing was written. "
                    "Choose another format or detector, and please report this."
                )
        shown = None if detector.calibration.pixel_low is None else list(detector.calibration.display_range)
        told = {
            "detector": detector.name, "threshold": threshold, "tolerance": TOLERANCE, "display_range": shown,
            "input": "image: (1, H, W, 3) uint8 RGB", "outputs": list(OUTPUTS), "opset": OPSET,
            "input_hw": list(detector.geometry.input_hw),
            "agreement": {name: vars(each) for name, each in found.items()},
        }  # fmt: skip
        write_json(partial / "model.json", told | (facts or {}))
    return found


def to_onnx(whole: "Whole") -> bytes:
    """The graph as an ONNX file."""
    buffer: Any = io.BytesIO()
    height, width = whole.geometry.image_hw
    example = torch.zeros((1, height + 3, width + 5, 3), dtype=torch.uint8)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
        warnings.filterwarnings("ignore", message="Constant folding", category=UserWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            whole, (example,), buffer, dynamo=False, opset_version=OPSET, input_names=["image"],
            output_names=list(OUTPUTS),
            dynamic_axes={"image": {1: "height", 2: "width"}, "map": {1: "height", 2: "width"}},
        )  # fmt: skip
    content: bytes = buffer.getvalue()
    return content


class Whole(nn.Module):
    """A fitted detector from an image of any size to its score, map and verdict."""

    def __init__(self, detector: Detector, threshold: float) -> None:
        super().__init__()
        self.scorer = detector.scorer()
        self.geometry, self.threshold = detector.geometry, threshold
        self.how, self.top_fraction = detector.config.score, detector.config.top_fraction
        self.scores_map = detector.scores_map
        with torch.inference_mode():
            blank = torch.zeros((1, *self.geometry.input_hw, 3), dtype=torch.uint8)
            grid_hw = tuple(self.scorer(blank).shape[-2:])
        self.rows = WayBack(grid_hw[0], self.geometry, 0, detector.map_blur_sigma)
        self.columns = WayBack(grid_hw[1], self.geometry, 1, detector.map_blur_sigma)
        self.eval()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(1, H, W, 3) uint8 to score (1,), map (1, H, W) and whether it is anomalous (1,)."""
        sizes = shape_as_tensor(image)[1:3].float()
        box = place(sizes, self.geometry)
        grid = self.scorer(prepared(image, sizes, box, self.geometry))[0]
        (top, height), (left, width) = box
        found = self.columns(self.rows(grid, top, height, sizes[0]).T, left, width, sizes[1]).T
        values = found.reshape(-1)
        if not self.scores_map:
            rows, columns = self.rows.inside(top, height), self.columns.inside(left, width)
            values = torch.masked_select(grid, rows[:, None] & columns[None, :])
        score = self.reduced(values).reshape(1)
        return score, found[None], score >= self.threshold

    def reduced(self, values: Tensor) -> Tensor:
        """The image score; see detectors.reductions."""
        if self.how == "max":
            return values.max()
        if self.how == "mean":
            return values.mean()
        n = (shape_as_tensor(values).float() * self.top_fraction).ceil().clamp(min=1).long()[0]
        return torch.topk(values, n).values.mean()  # type: ignore[arg-type]  # a traced number


Place = tuple[Tensor, Tensor]  # where the picture begins and how long it is, along one axis


def place(sizes: Tensor, geometry: Geometry) -> tuple[Place, Place]:
    """Geometry.box for sizes that are known only when the graph runs: rows, then columns.

    Args:
        sizes: (2,) float32, height and width of the image.
        geometry: of the detector.
    """
    target = torch.tensor(geometry.image_hw, dtype=torch.float32)
    least = (target / sizes).min()
    shapes = torch.tensor(geometry.image_hw) * sizes.long().flip(0)  # as whole numbers, which are exact
    inner = torch.clamp((sizes * least).round(), min=1)
    if geometry.aspect == "stretch":
        inner = target
    else:
        alike = 100 * shapes.max() <= (100 + NEGLIGIBLE_PERCENT) * shapes.min()
        inner = torch.where(alike, target, inner)
    start = ((target - inner) / 2).floor()
    return (start[0], inner[0]), (start[1], inner[1])


def prepared(image: Tensor, sizes: Tensor, box: tuple[Place, Place], geometry: Geometry) -> Tensor:
    """Geometry.prepare: (1, H, W, 3) uint8 to (1, h, w, 3) uint8 at the model's input."""
    matrices = []
    for axis, (start, inner) in enumerate(box):
        n, n_input = geometry.image_hw[axis], geometry.input_hw[axis]
        offset = (n - n_input) // 2
        places = torch.arange(offset, offset + n_input, dtype=torch.float32)
        within = torch.minimum((places - start).clamp(min=0), inner - 1)
        matrices.append(antialiased(within, sizes[axis], inner))
    rows, columns = matrices
    planes = image[0].permute(2, 0, 1).float()
    across = (planes @ columns.T + 0.5).floor().clamp(0, 255)  # torch rounds halves up, after each axis
    return (rows @ across + 0.5).floor().clamp(0, 255).permute(1, 2, 0)[None].to(torch.uint8)


def antialiased(places: Tensor, length: Tensor, inner: Tensor) -> Tensor:
    """(n, length) weights of antialiased bilinear resizing from `length` to `inner` pixels, at n places."""
    targets, sources = 2 * places + 1, 2 * torch.arange(length.long(), dtype=torch.float32) + 1  # type: ignore[call-overload]
    # twice `inner` times the distance of both centres: whole numbers, so that a single rounding remains
    away = (targets[:, None] * length - sources[None, :] * inner).abs()
    weights = (1 - away / (2 * torch.maximum(length, inner))).clamp(min=0)
    weights = weights / weights.sum(dim=1, keepdim=True)
    bits = ((2**15 - 0.5) / weights.max()).log2().floor().clamp(max=22)  # torch has them as 16-bit integers
    unit = torch.pow(torch.tensor(2.0), bits)
    found: Tensor = (weights * unit + 0.5).floor() / unit
    return found


class WayBack(nn.Module):
    """One axis of Geometry.to_image, for lengths that are known only when the graph runs."""

    matrix: Tensor
    centres: Tensor

    def __init__(self, n_grid: int, geometry: Geometry, axis: int, sigma: float) -> None:
        super().__init__()
        n_input, n_resized = geometry.input_hw[axis], geometry.image_hw[axis]
        matrix = blur_matrix(n_input, sigma) @ bilinear_matrix(n_grid, n_input)
        if n_input != n_resized:
            matrix = edge_matrix(n_input, n_resized) @ matrix
        centres = (np.arange(n_grid) + 0.5) * n_input / n_grid + (n_resized - n_input) // 2
        self.n_grid = n_grid
        self.register_buffer("matrix", torch.from_numpy(matrix).float())
        self.register_buffer("centres", torch.from_numpy(centres).float())

    def inside(self, start: Tensor, length: Tensor) -> Tensor:
        """(n_grid,) bool: cells whose centre lies on the picture; at least one is."""
        within = (self.centres >= start) & (self.centres < start + length)
        away = (self.centres - start - length / 2).abs()
        return within | (~within.any() & (away <= away.min()))

    def forward(self, grid: Tensor, start: Tensor, length: Tensor, n_image: Tensor) -> Tensor:
        """(n_grid, m) scores to (n_image, m) map values."""
        cells = torch.arange(self.n_grid, dtype=torch.float32)
        within = self.inside(start, length)
        first = torch.where(within, cells, float(self.n_grid)).min()
        last = torch.where(within, cells, -1.0).max()
        nearest = torch.minimum(torch.maximum(cells, first), last).long()
        resized = self.matrix @ grid[nearest]
        places = torch.arange(n_image.long(), dtype=torch.float32)  # type: ignore[call-overload]
        centres = ((places + 0.5) * length / n_image - 0.5).clamp(min=0)
        centres = torch.minimum(centres, length - 1)
        low = torch.minimum(centres.floor(), (length - 2).clamp(min=0))
        share = (centres - low)[:, None]
        high = torch.minimum(low + 1, length - 1)
        below, above = resized[(low + start).long()], resized[(high + start).long()]
        return below * (1 - share) + above * share


Answers = list[tuple[float, np.ndarray]]


def _run_onnx(content: bytes, images: Sequence[Image]) -> Answers:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    answers = (session.run(["score", "map"], {"image": image[None]}) for image in images)
    return [(float(score[0]), found[0]) for score, found in answers]


def _run_openvino(content: bytes, folder: Path, images: Sequence[Image]) -> Answers:
    """Convert, save into the folder and run what was saved."""
    try:
        openvino, core = import_openvino(), openvino_core()
    except ImportError as error:
        raise ValueError("openvino is not installed. Run: pip install openvino") from error
    openvino.save_model(core.read_model(content), folder / "model.xml", compress_to_fp16=False)
    compiled = core.compile_model(folder / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answers = (compiled({"image": image[None]}) for image in images)
    return [(float(each["score"][0]), each["map"][0].copy()) for each in answers]


def _compared(found: Answers, expected: Sequence[tuple[float, np.ndarray | None]]) -> Agreement:
    scores = np.array([[a[0], b[0]] for a, b in zip(found, expected, strict=True)])
    largest = max(float(np.abs(scores[:, 1]).max()), 1e-9)
    pairs = [(a[1], b[1]) for a, b in zip(found, expected, strict=True) if b[1] is not None]
    top = float(np.max([np.abs(b).max() for _, b in pairs], initial=0.0)) or 1e-9
    away = float(np.max([np.abs(a - b).max() for a, b in pairs], initial=0.0))  # NaN, if there is one
    return Agreement(float(np.abs(scores[:, 0] - scores[:, 1]).max()) / largest, away / top, len(found))


def _noise(geometry: Geometry) -> Image:
    height, width = geometry.image_hw
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (height // 4 + 2, width // 3 + 2, 3), dtype=np.uint8)
    return np.repeat(np.repeat(coarse, 4, axis=0), 3, axis=1)


def load_info(folder: Path) -> dict[str, Any]:
    """What model.json says of an exported detector."""
    found: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    return found
