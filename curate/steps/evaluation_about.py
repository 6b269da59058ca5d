"""What a detector is, and what it takes in time and memory, for the evaluation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from curate.errors import CurateError
from curate.files import read_json
from curate.steps.record import Context, digest
from curate.workspace import file_name

SCORED = (
    "profile", "runtime", "backbone", "n_normals", "n_parameters", "fit_seconds", "ms_per_image",
    "state_bytes", "peak_rss_bytes", "warnings",
)  # fmt: skip
MEASURED = (
    "fit_s", "fit_peak_rss_bytes", "latency_ms_p50", "latency_ms_p95", "images_per_s", "peak_rss_bytes",
    "gpu_peak_bytes", "n_normals", "category",
)  # fmt: skip


def about(context: Context, detector: str) -> dict[str, Any]:
    """Settings and cost of a detector.

    Returns:
        SCORED, of the scoring run, and measured: MEASURED, of `curate cost`, or None where it has not run.
    """
    report = read_json(context.paths.detector(detector) / "report.json")
    return {**{key: report.get(key) for key in SCORED}, "measured": _measured(context, detector)}


def cost_digests(context: Context) -> dict[str, str]:
    """Checksums of everything that `curate cost` measured."""
    return {path.name: digest(path) for path in sorted((context.paths.root / "cost").glob("*.json"))}


def _measured(context: Context, detector: str) -> dict[str, Any] | None:
    found = (context.paths.root / "cost").glob(f"{file_name(detector)}-{'[0-9a-f]' * 16}.json")
    for path in sorted(found, key=_age):
        row = _row(path)
        if row is not None:
            return {key: row.get(key) for key in MEASURED}
    return None


def _age(path: Path) -> tuple[float, str]:
    return -path.stat().st_mtime, path.name


def _row(path: Path) -> Mapping[str, Any] | None:
    try:
        row = read_json(path)
    except CurateError:
        return None
    return row if isinstance(row, dict) and "scores" in row else None
