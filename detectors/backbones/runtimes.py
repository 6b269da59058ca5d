"""Runs a frozen backbone image by image: torch, onnxruntime or OpenVINO.

Every image is a batch of its own, so its features never depend on its neighbours.
"""

import hashlib
import importlib.metadata
import importlib.util
import io
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from detectors.backbones.nets import Backbone
from detectors.threads import n_cores

RUNTIMES = ("auto", "torch", "onnxruntime", "openvino")
EXPORT_VERSION = 1
OPSET = 17
Maps = list[np.ndarray]
Take = Callable[[int, Maps], None]


class Runner(Protocol):
    """Computes features of several images."""

    runtime: str

    def run(self, images: Sequence[np.ndarray], take: Take) -> None:
        """Call `take(index, maps)` once for each image, in any order, never two at a time.

        Args:
            images: (H, W, 3) uint8 each, at the input size that the runner was made for.
            take: gets (C, h, w) float32 maps that are valid only during the call.
        """


def resolve_runtime(runtime: str, device: str = "cpu") -> str:
    """The runtime that "auto" stands for here: OpenVINO if installed, else onnxruntime, else torch.

    Raises:
        ValueError: the name is unknown, the package is not installed, or it cannot use the device.
    """
    if runtime not in RUNTIMES:
        raise ValueError(f'Unknown runtime "{runtime}". Known: {", ".join(RUNTIMES)}.')
    if device != "cpu":
        if runtime not in ("auto", "torch"):
            raise ValueError(f"Runtime {runtime} runs on the CPU only; on {device} use torch or auto.")
        return "torch"
    installed = [name for name in ("openvino", "onnxruntime") if importlib.util.find_spec(name)]
    if runtime == "auto":
        return installed[0] if installed else "torch"
    if runtime != "torch" and runtime not in installed:
        raise ValueError(f"Runtime {runtime} is not installed. Run: pip install {runtime}; or use auto.")
    return runtime


def make_runner(
    backbone: Backbone,
    input_hw: tuple[int, int],
    runtime: str = "auto",
    n_threads: int = 0,
    cache_folder: Path | None = None,
    device: str = "cpu",
) -> Runner:
    """A runner for one backbone and input height and width.

    The runner made last is kept and given again when the same is asked for, since compiling takes time and
    memory; it may be used from several threads.

    Args:
        backbone: network and weights.
        input_hw: pixels.
        runtime: one of RUNTIMES.
        n_threads: images that run at the same time; 0 is one for each core.
        cache_folder: where exported networks are kept between runs; None exports anew.
        device: "cpu", or a torch device.
    """
    n_threads = n_threads or n_cores()
    chosen = resolve_runtime(runtime, device)
    key = (backbone.name, backbone.layers, backbone.hash(), input_hw, chosen, n_threads, device)
    with _KEEPING:
        if key not in _kept:
            _kept.clear()
            _kept[key] = _new_runner(backbone, input_hw, chosen, n_threads, cache_folder, device)
        return _kept[key]


_KEEPING = threading.Lock()
_kept: dict[Any, Runner] = {}


def _new_runner(
    backbone: Backbone,
    input_hw: tuple[int, int],
    runtime: str,
    n_threads: int,
    cache_folder: Path | None,
    device: str,
) -> Runner:
    match runtime:
        case "openvino":
            return _OpenVino(exported(backbone, input_hw, cache_folder), n_threads)
        case "onnxruntime":
            return _OnnxRuntime(exported(backbone, input_hw, cache_folder), n_threads)
        case _:
            return _Torch(backbone, device)


class _Torch:
    runtime = "torch"

    def __init__(self, backbone: Backbone, device: str) -> None:
        net: torch.nn.Module = backbone.net()
        self.net = net.to(device=torch.device(device), memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.device = torch.device(device)
        self.busy = threading.Lock()

    def run(self, images: Sequence[np.ndarray], take: Take) -> None:
        with self.busy, torch.inference_mode():
            for index, image in enumerate(images):
                maps = self.net(torch.from_numpy(image)[None].to(self.device))
                take(index, [each[0].contiguous().cpu().numpy() for each in maps])


class _OnnxRuntime:
    runtime = "onnxruntime"

    def __init__(self, onnx: bytes, n_threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # one image per thread: no idle spinning, same sums on any machine
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        self.name = self.session.get_inputs()[0].name
        self.n_threads = n_threads
        self.busy = threading.Lock()

    def run(self, images: Sequence[np.ndarray], take: Take) -> None:
        def features(image: np.ndarray) -> Any:
            return self.session.run(None, {self.name: image[None]})

        with self.busy, ThreadPoolExecutor(self.n_threads) as pool:
            for index, maps in enumerate(pool.map(features, images)):
                take(index, [each[0] for each in maps])


def import_openvino() -> Any:
    """Import OpenVINO without its telemetry.

    Its import also imports its converter, which reports usage over the network and leaves an identity in
    the home folder. Where openvino_telemetry cannot be imported, the converter uses its own empty stand-in.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


class _OpenVino:
    runtime = "openvino"

    def __init__(self, onnx: bytes, n_threads: int) -> None:
        openvino = import_openvino()
        core = openvino.Core()
        model = core.read_model(onnx)
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",  # the default rounds to bfloat16 on CPUs that have it
            "NUM_STREAMS": str(n_threads),
            "INFERENCE_NUM_THREADS": str(n_threads),
        }
        self.compiled = core.compile_model(model, "CPU", settings)
        self.queue = openvino.AsyncInferQueue(self.compiled, n_threads)
        self.busy = threading.Lock()

    def run(self, images: Sequence[np.ndarray], take: Take) -> None:
        failed: list[BaseException] = []

        def done(request: Any, index: int) -> None:
            try:
                take(index, [tensor.data[0] for tensor in request.output_tensors])
            except BaseException as error:  # a raise inside the callback would end the process
                failed.append(error)

        with self.busy:
            self.queue.set_callback(done)
            for index, image in enumerate(images):
                self.queue.start_async({0: image[None]}, index)
            self.queue.wait_all()
        if failed:
            raise failed[0]


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
    cache_folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        dir=cache_folder, prefix=f".{path.name}.{os.getpid()}-", suffix=".partial", delete=False
    ) as file:
        file.write(onnx)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)
    return onnx


def _versions() -> tuple[str, ...]:
    return tuple(importlib.metadata.version(name) for name in ("torch", "torchvision"))


def _export(backbone: Backbone, input_hw: tuple[int, int]) -> bytes:
    buffer: Any = io.BytesIO()
    example = torch.zeros((1, *input_hw, 3), dtype=torch.uint8)
    with warnings.catch_warnings(), torch.inference_mode():
        # sizes become constants, which is what a fixed input size asks for
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
        warnings.filterwarnings("ignore", message="Constant folding", category=UserWarning)
        warnings.simplefilter("ignore", DeprecationWarning)  # this exporter warns that it will go one day
        names = list(backbone.layers)
        torch.onnx.export(
            backbone.net(), (example,), buffer, dynamo=False, opset_version=OPSET,
            input_names=["pixels"], output_names=names,
        )  # fmt: skip
    content: bytes = buffer.getvalue()
    return content
