"""Chooses what runs a frozen backbone, and keeps the runners that were made last.

"auto" takes the first of openvino, onnxruntime, torch that is installed and agrees with torch on a probe.
That order is the measured one, fastest first; it is fixed, so that equal inputs give equal results, whatever
a clock would have said.
"""

import importlib.util
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detectors.backbones.agreement import TOLERANCE, difference
from detectors.backbones.export import exported
from detectors.backbones.nets import Backbone
from detectors.backbones.runners import OnnxRuntime, OpenVino, Runner, Torch
from detectors.backbones.sharing import SharingRunner
from detectors.threads import n_cores

RUNTIMES = ("auto", "torch", "onnxruntime", "openvino")
PREFERRED = {"f32": ("openvino", "onnxruntime", "torch"), "bf16": ("openvino", "torch")}
N_KEPT = 4  # runners


def resolve_runtime(runtime: str, device: str = "cpu", precision: str = "f32") -> str:
    """The runtime that "auto" tries first here; make_runner may find that it disagrees with torch.

    Raises:
        ValueError: the name is unknown, the package is not installed, or it cannot use the device or the
            precision.
    """
    return _candidates(runtime, device, precision)[0]


def recorded_runtime(runtime: str, device: str, precision: str) -> str:
    """The runtime that a detector was fitted with if it can be used here, else "auto"."""
    try:
        return resolve_runtime(runtime, device, precision)
    except ValueError:
        return "auto"


def _candidates(runtime: str, device: str, precision: str) -> Sequence[str]:
    if runtime not in RUNTIMES:
        raise ValueError(f'Unknown runtime "{runtime}". Known: {", ".join(RUNTIMES)}.')
    if precision not in PREFERRED:
        raise ValueError(f'Unknown precision "{precision}". Known: {", ".join(PREFERRED)}.')
    if device != "cpu":
        if runtime not in ("auto", "torch"):
            raise ValueError(f"Runtime {runtime} runs on the CPU only; on {device} use torch or auto.")
        return ("torch",)
    if runtime == "auto":
        return [name for name in PREFERRED[precision] if _is_installed(name)]
    if not _is_installed(runtime):
        raise ValueError(f"Runtime {runtime} is not installed. Run: pip install {runtime}; or use auto.")
    if runtime not in PREFERRED[precision]:
        raise ValueError(
            f"Runtime {runtime} cannot run in {precision}: its CPU kernels are f32. "
            f"Use {', '.join(PREFERRED[precision])} or auto, or precision f32."
        )
    return (runtime,)


def _is_installed(runtime: str) -> bool:
    return runtime == "torch" or importlib.util.find_spec(runtime) is not None


def make_runner(
    backbone: Backbone,
    input_hw: tuple[int, int],
    runtime: str = "auto",
    n_threads: int = 0,
    cache_folder: Path | None = None,
    device: str = "cpu",
    precision: str = "f32",
) -> SharingRunner:
    """A runner for one backbone and input height and width.

    The last N_KEPT runners are kept and given again when the same is asked for, since compiling takes time
    and memory; they may be used from several threads. Inside share_features, they share what they compute.

    Args:
        backbone: network and weights.
        input_hw: pixels.
        runtime: one of RUNTIMES.
        n_threads: images that run at the same time; 0 is one for each core.
        cache_folder: where exported networks, and how far runtimes are from torch, are kept between runs;
            None exports and compares anew.
        device: "cpu", or a torch device.
        precision: "f32", or "bf16" for a faster backbone whose features are a few percent off.

    Raises:
        ValueError: see resolve_runtime.
    """
    n_threads = n_threads or n_cores()
    candidates = tuple(_candidates(runtime, device, precision))
    key = (
        backbone.name,
        backbone.layers,
        backbone.hash(),
        input_hw,
        candidates,
        n_threads,
        device,
        precision,
    )
    with _KEEPING:
        if key not in _kept:
            while len(_kept) >= N_KEPT:
                _kept.popitem(last=False)
            _kept[key] = _agreeing(backbone, input_hw, candidates, n_threads, cache_folder, device, precision)
        _kept.move_to_end(key)
        return _kept[key]


_KEEPING = threading.Lock()
_kept: OrderedDict[Any, SharingRunner] = OrderedDict()


def _agreeing(
    backbone: Backbone,
    input_hw: tuple[int, int],
    candidates: Sequence[str],
    n_threads: int,
    cache_folder: Path | None,
    device: str,
    precision: str,
) -> SharingRunner:
    """The first candidate that agrees with torch; the last one, or the only one, is not asked."""
    notes: list[str] = []
    for name in candidates:
        runner = _new_runner(backbone, input_hw, name, n_threads, cache_folder, device, precision)
        if name != candidates[-1]:
            onnx = exported(backbone, input_hw, cache_folder) if cache_folder else None
            found = difference(runner, precision, backbone, input_hw, onnx, cache_folder)
            if not found <= TOLERANCE[precision]:  # so that NaN counts as a difference
                notes.append(
                    f"Runtime {name} was not used: its features differ from torch's by {found:.1e} of the "
                    f"largest value, more than {TOLERANCE[precision]:.0e}. Install it again, or name another."
                )
                continue
        break
    key = (backbone.hash(), backbone.layers, input_hw, runner.runtime, precision, device)
    return SharingRunner(runner, key, tuple(notes))


def _new_runner(
    backbone: Backbone,
    input_hw: tuple[int, int],
    runtime: str,
    n_threads: int,
    cache_folder: Path | None,
    device: str,
    precision: str,
) -> Runner:
    match runtime:
        case "openvino":
            return OpenVino(exported(backbone, input_hw, cache_folder), n_threads, precision)
        case "onnxruntime":
            return OnnxRuntime(exported(backbone, input_hw, cache_folder), n_threads)
        case _:
            return Torch(backbone, n_threads, device, precision)
