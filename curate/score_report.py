"""What a scoring run leaves besides maps: the table of predictions, and what the detector is and cost."""

import resource
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from curate import schema, tables
from curate.errors import CurateError
from curate.files import read_json, write_json
from curate.map_reductions import in_order, own_reduction
from curate.score_journal import Line

STATE_FILES = ("config.json", "calibration.json", "meta.json", "state.pt")


def note_fit(folder: Path, category: str, facts: Mapping[str, Any]) -> None:
    """Keep what a fit cost, apart from the state, whose bytes must not depend on it."""
    path = folder / "fits.json"
    known = read_json(path) if path.exists() else {}
    write_json(path, known | {category: dict(facts)})


def report(
    folder: Path,
    states: Mapping[str, Path],
    runtimes: Mapping[str, str],
    n_images: int,
    n_scored: int,
    seconds: float,
    shown: tuple[float, float] | None,
) -> dict[str, Any]:
    """What the detector is and what it cost; ms_per_image is wall time from file to stored maps."""
    first = next(iter(states.values()))
    config, meta = read_json(first / "config.json"), read_json(first / "meta.json")
    fits = read_json(folder / "fits.json") if (folder / "fits.json").exists() else {}
    known = [fits[category] for category in states if category in fits]
    before = read_json(folder / "report.json") if (folder / "report.json").exists() else {}
    return {
        "detector": config["detector"],
        "profile": config["profile"],
        "runtime": ", ".join(sorted(set(runtimes.values()))),
        "backbone": meta.get("backbone"),
        "backbone_weights": meta.get("backbone_weights"),
        "n_categories": len(states),
        "fits": {state.name: read_json(state / "meta.json").get("inputs") for state in states.values()},
        "n_normals": sum(each["n_normals"] for each in known),
        "n_calibration": sum(each["n_calibration"] for each in known),
        "n_parameters": sum(each["n_parameters"] for each in known),
        "warnings": sorted({text for each in known for text in each["warnings"]}),
        "fit_seconds": round(sum(each["seconds"] for each in known), 3),
        "n_images": n_images,
        "ms_per_image": round(1000 * seconds / n_scored, 3) if n_scored else before.get("ms_per_image"),
        "state_bytes": sum(
            (state / name).stat().st_size for state in states.values() for name in STATE_FILES
        ),
        "peak_rss_bytes": peak_rss_bytes(),
        "display_range": list(shown) if shown else None,
    }


def fitted_as_scored(folder: Path) -> bool:
    """Whether the states in a detector's folder are those that its report tells of."""
    try:
        told = read_json(folder / "report.json").get("fits", {})
        states = {name: folder / "state" / name / "meta.json" for name in told}
        return all(read_json(states[name]).get("inputs") == told[name] for name in told)
    except CurateError:
        return False


def display_range(states: Iterable[Path]) -> tuple[float, float] | None:
    """One range for all display maps of a dataset: the largest lo and the largest hi of its categories.

    Categories share it, so that colours mean the same on every picture; the noisiest category sets it.
    None when a detector gives no maps.
    """
    from detectors.calibration import Calibration

    found = [Calibration.from_json(read_json(state / "calibration.json")) for state in states]
    if any(each.pixel_low is None for each in found):
        return None
    ranges = [each.display_range for each in found]
    return max(lo for lo, _ in ranges), max(hi for _, hi in ranges)


def reduction_of(states: Mapping[str, Path]) -> str:
    """Which reduction of the map the image scores are; all states of a detector have the same settings."""
    from detectors import detector_class

    settings = read_json(next(iter(states.values())) / "config.json")
    return own_reduction(settings, detector_class(settings["detector"]).scores_map)


def predictions_table(lines: Iterable[Line], detector: str, reduction: str) -> pd.DataFrame:
    """Finished images as a table after data_schemas/prediction.json, sorted by sample_id.

    Args:
        reduction: that the scores are; see curate.map_reductions.
    """
    columns = list(schema.load("prediction")["properties"])
    rows = [
        {
            "sample_id": line.sample_id,
            "detector": detector,
            "anomaly_score": line.anomaly_score,
            "reduction": reduction,
            "reductions": in_order(line.reductions) if line.reductions else None,
            "raw_map": line.raw.path if line.raw else None,
            "display_map": line.display.path if line.display else None,
        }
        for line in sorted(lines, key=lambda line: line.sample_id)
    ]
    predictions = tables.from_rows(rows, columns)
    schema.check_table(predictions, "prediction")
    return predictions


def peak_rss_bytes() -> int:
    """Largest resident memory of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would also count what the parent process had when it started this one
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
