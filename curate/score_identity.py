"""What scores depend on besides the images: settings, code, runtime and the backbone's weights."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate import __version__
from curate.files import read_json

if TYPE_CHECKING:
    from detectors.base import Detector


def resolved(detector: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Options for detectors.create, with the runtime that the wanted one stands for on this machine.

    Args:
        detector: key of detectors.DETECTORS.
        config: "profile" and fields of the detector's config.

    Raises:
        ValueError: unknown detector, or unknown or unsuitable setting.
    """
    import detectors
    from detectors.backbones.runtimes import resolve_runtime

    asked = detectors.create(detector, **config).config
    return {**config, "runtime": resolve_runtime(asked.runtime, asked.device, asked.precision)}


def identity(detector: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """JSON values that are equal only when the same images give the same detector and scores.

    Raises:
        ValueError: see resolved.
        FileNotFoundError: the backbone's weights are missing.
    """
    import detectors
    from detectors.backbones.weights import fingerprint_of

    made = detectors.create(detector, **resolved(detector, config))
    return {
        "detector": detector,
        "settings": asdict(made.config),
        "weights": fingerprint_of(made.config.backbone, made.config.weights),
        **_code(type(made)),
    }


def of_state(state: Path) -> dict[str, Any]:
    """What the scores of a fitted detector depend on besides its state: code and runtime.

    Raises:
        ValueError: its runtime is not installed here.
    """
    import detectors

    saved = read_json(state / "config.json")
    runtime = _runtime(saved, read_json(state / "meta.json").get("runtime"))
    return {"runtime": runtime, **_code(detectors.detector_class(saved["detector"]))}


def _runtime(saved: Mapping[str, Any], recorded: str | None) -> str:
    """The runtime that Detector.load chooses; methods without a backbone run in torch."""
    from detectors.backbones.runtimes import recorded_runtime, resolve_runtime
    from detectors.backbones.weights import NONE

    if saved["backbone"] == NONE:
        return "torch"
    device, precision = saved["device"], saved["precision"]
    chosen = recorded_runtime(recorded, device, precision) if recorded else saved["runtime"]
    return resolve_runtime(chosen, device, precision)


def _code(found: "type[Detector]") -> dict[str, Any]:
    inner = getattr(found, "inner_class", None)  # of a wrapper such as "tiled:padim"
    versions = {"inner": _code(inner)} if inner is not None else {}
    return {"curate": __version__, "detector_version": found.version, **versions}
