"""What runs a frozen backbone: torch, onnxruntime or OpenVINO.

On the CPU every image is a batch of its own, so its features never depend on its neighbours.
"""

import copy
import functools
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch

from detectors.backbones.nets import Backbone, Features

Maps = list[np.ndarray]
Take = Callable[[int, Maps], None]
DEVICE_BATCH = 16  # images that a device other than the CPU gets at once


class Runner(Protocol):
    """Computes features of several images.

    Attributes:
        runtime: "torch", "onnxruntime" or "openvino".
    """

    runtime: str

    def run(self, images: Sequence[np.ndarray], take: Take) -> None:
        """Call `take(index, maps)` once for each image, in any order, never two at a time.

        Args:
            images: (H, W, 3) uint8 each, at the input size that the runner was made for.
            take: gets (C, h, w) float32 maps that are valid only during the call and are not to be changed.
        """


class Torch:
    """See Runner.

    On a device other than the CPU, images go through the network in batches of DEVICE_BATCH: the last bits of
    an image's features may then depend on how many images come together.
    """

    runtime = "torch"

    def __init__(self, backbone: Backbone, n_threads: int, device: str, precision: str) -> None:
        self.device, self.precision = torch.device(device), precision
        with torch.inference_mode(False):
            net = backbone.net()
        if precision == "bf16" or self.device.type != "cpu":
            net = copy.deepcopy(net)  # the backbone's own stays exact, and where it is
        if precision == "bf16":
            for module in net.modules():
                if isinstance(module, torch.nn.Conv2d):
                    module.to(torch.bfloat16)
        self.net: Features = net.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        on_cpu = self.device.type == "cpu"
        self.n_batch, self.n_threads = (1, n_threads) if on_cpu else (DEVICE_BATCH, 1)
        self.busy = threading.Lock()

    def run(self, images: Sequence[np.ndarray], take: Take) -> None:
        """See Runner."""
        starts = range(0, len(images), self.n_batch)
        with self.busy, self._threads() as pool:
            features = pool.map(lambda start: self._features(images[start : start + self.n_batch]), starts)
            for start, maps in zip(starts, features, strict=True):
                for index in range(len(maps[0])):
                    take(start + index, [each[index] for each in maps])

    @contextmanager
    def _threads(self) -> Iterator[ThreadPoolExecutor]:
        if self.device.type != "cpu":
            yield _device_thread()
            return
        # torch's own threads would spin while they wait for each other, and change the order of sums
        with ThreadPoolExecutor(self.n_threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool

    def _features(self, images: Sequence[np.ndarray]) -> Maps:
        pixels = torch.from_numpy(np.stack(images)).to(self.device)
        reduced = torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")
        with torch.inference_mode(), reduced:
            return [each.float().contiguous().cpu().numpy() for each in self.net(pixels)]


@functools.cache
def _device_thread() -> ThreadPoolExecutor:
    """One thread for the life of the process: cuDNN plans anew in every new one, which takes seconds."""
    return ThreadPoolExecutor(1, thread_name_prefix="gpu", initializer=torch.set_num_threads, initargs=(1,))


class OnnxRuntime:
    """See Runner."""

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
        """See Runner."""

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


_ONE_CORE = threading.Lock()
_core: list[Any] = []


def openvino_core() -> Any:
    """OpenVINO's Core; one for the whole process, which is never given up.

    A Core gives the signals of its thread a stack that is freed with it, and puts back the one that it had
    found: with several of them, a later signal (Ctrl-C, a timer) meets freed memory and ends the process.
    """
    with _ONE_CORE:
        if not _core:
            _core.append(import_openvino().Core())
        return _core[0]


class OpenVino:
    """See Runner."""

    runtime = "openvino"

    def __init__(self, onnx: bytes, n_threads: int, precision: str) -> None:
        openvino, core = import_openvino(), openvino_core()
        model = core.read_model(onnx)
        settings = {
            "INFERENCE_PRECISION_HINT": precision,  # the default rounds to bfloat16 on CPUs that have it
            "NUM_STREAMS": str(n_threads),
            "INFERENCE_NUM_THREADS": str(n_threads),
        }
        self.compiled = core.compile_model(model, "CPU", settings)
        self.queue = openvino.AsyncInferQueue(self.compiled, n_threads)
        self.busy = threading.Lock()

    def run(self, images: Sequence[np.ndarray], take: Take) -> None:
        """See Runner."""
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
