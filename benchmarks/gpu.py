"""What a GPU changes: fit and prediction of every detector on the GPU beside the CPU of the same computer.

    python benchmarks/gpu.py IMAGES OUT.json [--images 160] [--methods padim npad] [--fit-s 60]

IMAGES is a folder with any images; half of them are fitted on, the others predicted, profile "cpu" of each
detector, torch as the runtime on both. Wall seconds, the second of two predictions (the first warms up); the
GPU has run another detector before. A fit ends after --fit-s seconds on any device, and the row then says
how far it came.

score_correlation_with_cpu compares two fits, one on each device; a training that rounds otherwise ends
elsewhere. same_state_correlation compares predictions of one fit, the CPU's, on both devices (f32 only).
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import detectors
from detectors.memory import gpu_peak_bytes

Images = Sequence[np.ndarray]


def measure(method: str, options: dict[str, Any], fit: Images, test: Images, saved: Path) -> dict[str, Any]:
    """Times, memory and scores of one detector on one device; `saved` keeps what the CPU fitted."""
    device, precision = options["device"], options["precision"]
    if device != "cpu":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    with tempfile.TemporaryDirectory() as cache:
        detector = detectors.create(method, cache_folder=Path(cache), runtime="torch", **options)
        if precision == "bf16" and not getattr(detector, "uses_backbone", True):
            raise ValueError(f"{method} predicts without a backbone: precision changes nothing.")
        started = time.perf_counter()
        detector.fit(fit)
        fit_s = time.perf_counter() - started
        scores: list[float] = []
        for _ in range(2):
            started = time.perf_counter()
            scores = [each.score for each in detector.predict(test)]
            predict_s = time.perf_counter() - started
        one = []
        for image in test[:20]:
            started = time.perf_counter()
            list(detector.predict([image]))
            one.append(time.perf_counter() - started)
        peak = gpu_peak_bytes(device)
        row = {
            "method": method, "device": device, "precision": precision, "fit_s": round(fit_s, 3),
            "images_per_s": round(len(test) / predict_s, 1),
            "latency_p50_s": round(float(np.median(one)), 5),
            "gpu_peak_mib": None if peak is None else round(peak / 2**20), "scores": scores,
        }  # fmt: skip
        if detector.report.stopped:
            row["fit_ended_early"] = next(note for note in detector.report.warnings if "early" in note)
        if device == "cpu":
            detector.save(saved)
        elif precision == "f32" and saved.is_dir():
            moved = detectors.load(saved, device, cache_folder=Path(cache))
            row["same_state_scores"] = [each.score for each in moved.predict(test)]
    return row


def images_of(folder: Path, n: int) -> list[np.ndarray]:
    """The first n images of a folder in the order of their paths, RGB."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".png"))[:n]
    return [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in files]


def warmed_up(places: Sequence[str], images: Images) -> float | None:
    """Seconds until the GPU has run a first, small detector; None without one."""
    if all(place == "cpu" for place in places):
        return None
    started = time.perf_counter()
    detector = detectors.create("padim", profile="smoke", device="cuda").fit(images[:8])
    list(detector.predict(images[:8]))
    return round(time.perf_counter() - started, 3)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", dest="n", type=int, default=160)
    parser.add_argument("--methods", nargs="+", default=list(detectors.DETECTORS))
    parser.add_argument("--fit-s", type=float, default=60.0, help="a fit ends early after so many seconds")
    parser.add_argument(
        "--on", nargs="+", default=["cpu", "cuda", "cuda:bf16"], help="devices, with a precision"
    )
    given = parser.parse_args()
    read = images_of(given.images, given.n)
    fit, test = read[::2], read[1::2]
    content: dict[str, Any] = {
        "card": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "cpu_cores": len(os.sched_getaffinity(0)),
        "torch": torch.__version__,
        "n_fit": len(fit),
        "n_test": len(test),
        "time_budget_s": given.fit_s,
        "first_use_of_the_gpu_s": warmed_up(given.on, read),
        "rows": [],
    }
    for method in given.methods:
        reference: list[float] = []
        with tempfile.TemporaryDirectory() as folder:
            for place in given.on:
                device, _, precision = place.partition(":")
                options = {"device": device, "precision": precision or "f32", "time_budget_s": given.fit_s}
                try:
                    row = measure(method, options, fit, test, Path(folder) / "saved")
                except ValueError as error:
                    row = {"method": method, **options, "not_measured": str(error)}
                scores = row.pop("scores", [])
                reference = reference or scores
                if scores:
                    row["score_correlation_with_cpu"] = correlation(scores, reference)
                if (moved := row.pop("same_state_scores", None)) is not None:
                    row["same_state_correlation"] = correlation(moved, reference)
                content["rows"].append(row)
                print(json.dumps(row), flush=True)
                given.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def correlation(scores: Sequence[float], others: Sequence[float]) -> float:
    """Pearson's, rounded."""
    return round(float(np.corrcoef(scores, others)[0, 1]), 5)


if __name__ == "__main__":
    main()
