"""Measures one detector in a process of its own: `python -m curate.cost_worker REQUEST.json ANSWER.json`.

Nothing heavy is imported before the clock runs. The parent, curate.cost_process, starts one process for each
fit and one for the predictions, so that no measurement sees memory or warm caches of another.
"""

import ctypes
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import CurateError, DataFault
from curate.files import read_json, write_json

if TYPE_CHECKING:
    from curate.images import Array
    from detectors.base import Detector

EXPORTED = "the fit also exported the backbone, which is kept now: --again tells what fits cost from now on"
PR_SET_PDEATHSIG = 1  # from Linux's prctl.h


def main(request: Path, answer: Path) -> None:
    """Do what a request says and write what was measured, or what went wrong."""
    _end_with_parent()
    asked = read_json(request)
    try:
        found = TASKS[asked["task"]](asked)
    except Exception as error:
        foreseen = isinstance(error, CurateError | ValueError | MemoryError | OSError)
        trace = None if foreseen else traceback.format_exc()
        told = str(error) or "It says no more."
        found = {"error": {"kind": type(error).__name__, "message": told, "trace": trace}}
    write_json(answer, found)


def fit(asked: dict[str, Any]) -> dict[str, Any]:
    """Fit on images and save.

    Args:
        asked: detector, config, cache, folder (for the state), rows (sample_id, filepath, height, width).

    Returns:
        fit_s, fit_cpu_s, fit_peak_rss_bytes, fit_base_rss_bytes, fit_gpu_peak_bytes, state_bytes,
        n_parameters, input_hw, settings, warnings and forecast.
    """
    from dataclasses import asdict

    import detectors
    from curate.progress import Stage, stages
    from curate.score_images import Images, Pixels
    from curate.score_report import STATE_FILES, peak_rss_bytes
    from detectors.memory import forecast_fit, gpu_peak_bytes

    def created() -> "Detector":
        return detectors.create(asked["detector"], cache_folder=Path(asked["cache"]), **asked["config"])

    images = Images(asked["rows"], Pixels())
    sizes = images.sizes_hw or [images[0].shape[:2]]
    made, forecast = created(), forecast_fit(created(), len(images), sizes)
    cache = Path(asked["cache"])
    known, before = set(cache.rglob("*")), rss_bytes()
    with stages() as tell:
        wall, cpu = time.perf_counter(), time.process_time()
        made.fit(
            images,
            progress=lambda at: tell(Stage(asked["detector"], at.stage, at.step, at.total, at.loss)),
        )
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    folder = Path(asked["folder"])
    made.save(folder)
    return {
        "fit_s": wall,
        "fit_cpu_s": cpu,
        "fit_peak_rss_bytes": peak_rss_bytes(),
        "fit_base_rss_bytes": before,
        "fit_gpu_peak_bytes": gpu_peak_bytes(made.config.device),
        "state_bytes": sum((folder / name).stat().st_size for name in STATE_FILES),
        "n_parameters": made.n_parameters(),
        "input_hw": list(made.geometry.input_hw),
        "settings": asdict(made.config),
        "warnings": [*made.report.warnings, *([EXPORTED] if set(cache.rglob("*")) - known else [])],
        "forecast": None if forecast is None else asdict(forecast),
    }


def predict(asked: dict[str, Any]) -> dict[str, Any]:
    """Load a fitted detector and time it: the first image, single images, then a stream from files.

    Args:
        asked: state (folder), device, cache, rows, n_timed (single images; rows are gone through again where
            there are fewer).

    Returns:
        import_s, load_s, runtime, latency_ms_cold, latencies_ms, images_per_s, n_streamed, peak_rss_bytes,
        base_rss_bytes, gpu_peak_bytes, and scores by sample_id.
    """
    began = time.perf_counter()
    import detectors
    from curate.score_images import Pixels
    from curate.score_report import peak_rss_bytes
    from detectors.memory import gpu_peak_bytes

    detectors.detector_class(read_json(Path(asked["state"]) / "config.json")["detector"])
    imported, base = time.perf_counter(), rss_bytes()
    loaded = detectors.load(Path(asked["state"]), asked["device"], cache_folder=Path(asked["cache"]))
    ready = time.perf_counter()
    rows, pixels = asked["rows"], Pixels()
    cold, *warm = _latencies_ms(loaded, pixels, rows, 1 + asked["n_timed"])
    scores, seconds = _streamed(loaded, pixels, rows)
    return {
        "import_s": imported - began,
        "load_s": ready - imported,
        "runtime": loaded.runtime,
        "latency_ms_cold": cold,
        "latencies_ms": warm,
        "images_per_s": len(rows) / seconds,
        "n_streamed": len(rows),
        "peak_rss_bytes": peak_rss_bytes(),
        "base_rss_bytes": base,
        "gpu_peak_bytes": gpu_peak_bytes(loaded.config.device),
        "scores": scores,
    }


TASKS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {"fit": fit, "predict": predict}


def _latencies_ms(
    loaded: "Detector", pixels: "Callable[[dict[str, Any]], Array]", rows: Sequence[dict[str, Any]], n: int
) -> list[float]:
    """Milliseconds from decoded pixels to score and map, one image at a time."""
    found = []
    for index in range(n):
        image = pixels(rows[index % len(rows)])
        mark = time.perf_counter()
        next(loaded.predict([image]))
        found.append(1000 * (time.perf_counter() - mark))
    return found


def _streamed(
    loaded: "Detector", pixels: "Callable[[dict[str, Any]], Array]", rows: Sequence[dict[str, Any]]
) -> tuple[dict[str, float], float]:
    """Scores by sample_id, and the seconds from the first file to the last map; nothing is stored."""
    import math

    from detectors.prefetch import prefetch

    scores: dict[str, float] = {}
    mark = time.perf_counter()
    prepared: Iterator[Any] = prefetch(loaded.prepare, prefetch(pixels, rows, n_workers=1))
    for row, prediction in zip(rows, loaded.predict_prepared(prepared), strict=True):
        if not math.isfinite(prediction.score):
            raise DataFault(
                f"DataFault: the detector gave {row['filepath']} a score that is not finite. Look at the "
                "image, or choose other settings of the detector."
            )
        scores[row["sample_id"]] = prediction.score
    return scores, time.perf_counter() - mark


def rss_bytes() -> int | None:
    """Resident memory of this process now; None where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def _end_with_parent() -> None:
    """Die when the parent does, however it dies: an orphan would falsify the next measurement."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
