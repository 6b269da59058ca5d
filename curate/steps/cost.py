"""Step: measures what detectors cost on the images of a dataset, each in fresh processes."""

import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate import schema
from curate.cost_forecast import at_side, forecast
from curate.cost_images import Chosen, choose
from curate.cost_measure import Measure
from curate.cost_process import NotMeasured
from curate.errors import CurateError
from curate.files import fingerprint, read_json, write_json, write_text
from curate.runs import versions
from curate.score_identity import identity
from curate.score_settings import check_names
from curate.steps.cost_accuracy import accuracy
from curate.steps.joined import with_split
from curate.steps.record import Context
from curate.tables import to_rows
from curate.workspace import file_name

Settings = Mapping[str, Any]
FORMAT = 1  # of the kept measurements; a new number measures everything again
COLUMNS = ("sample_id", "sha256", "filepath", "height", "width")


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        category: None takes the one with most normal training images.
        n_images: most images to fit on, and most to predict on; None for all.
        n_timed: images predicted one by one.
        measure_growth: by further fits, also where the detector can forecast.
        again: also what was measured before.
    """

    category: str | None = None
    n_images: int | None = None
    n_timed: int = 30
    measure_growth: bool = False
    again: bool = False

    def __post_init__(self) -> None:
        if (self.n_images is not None and self.n_images < 2) or self.n_timed < 1:
            raise ValueError(
                f"Expected at least 2 images and 1 timed run, found {self.n_images} and {self.n_timed}."
            )


def run(
    context: Context, wanted: Mapping[str, Settings], seed: int = 0, plan: Plan | None = None
) -> dict[str, Any]:
    """Measure detectors one after the other; what was measured before with equal inputs is kept.

    Args:
        wanted: detector -> settings, "profile" and fields of its config.

    Returns:
        category, n_normals, machine, and detectors: rows after data_schemas/cost.json, in the order of
        wanted. A detector that fails has an `error`; the others go on.

    Raises:
        Missing: the dataset has not been split.
        DataFault: the category is unknown or has too few normal training images.
        ValueError: unknown detector or setting.
    """
    plan = plan or Plan()
    configs = _checked(wanted, seed)
    images = choose(with_split(context), context.paths.name, plan.category, plan.n_images, seed)
    made_by = {detector: _identity(detector, config) for detector, config in configs.items()}
    shutil.rmtree(context.paths.root / "cost" / "work", ignore_errors=True)  # of a run that was killed
    rows = [
        _row(context, detector, configs[detector], made_by[detector], images, plan) for detector in made_by
    ]
    schema.check_rows(rows, "cost")
    return {
        "category": images.category,
        "n_normals": len(images.train),
        "machine": machine(),
        "detectors": rows,
    }


def forecasts(
    context: Context,
    wanted: Mapping[str, Settings],
    seed: int = 0,
    n_images: int | None = None,
    side: int | None = None,
    category: str | None = None,
) -> dict[str, Any]:
    """What fits on the images of a dataset would need, without fitting; see curate.cost_forecast.forecast.

    Args:
        n_images: None for the normal training images that there are.
        side: of the model's input, in pixels; None as the settings say.

    Raises:
        see run.
    """
    configs = _checked(wanted, seed)
    images = choose(with_split(context), context.paths.name, category, None, seed)
    sizes = images.sizes_hw
    return {
        "category": images.category,
        "forecast": [
            forecast(detector, at_side(config, side), n_images or len(images.train), sizes)
            for detector, config in configs.items()
        ],
    }


def _checked(wanted: Mapping[str, Settings], seed: int) -> dict[str, dict[str, Any]]:
    """Settings with the seed; names are checked, and that detectors need normals only."""
    from detectors import detector_class

    check_names(list(wanted))
    needing = [name for name in wanted if detector_class(name).supervision != "normal"]
    if needing:
        raise ValueError(
            f"{', '.join(needing)} cannot be fitted on normal images alone, and curate cost measures fits on "
            "normal images. Leave it out."
        )
    return {name: {"seed": seed, **settings} for name, settings in wanted.items()}


def _row(
    context: Context,
    detector: str,
    config: dict[str, Any],
    made_by: dict[str, Any],
    images: Chosen,
    plan: Plan,
) -> dict[str, Any]:
    """One detector's row; measured now, or kept from before."""
    facts = {"name": detector, "category": images.category, "n_normals": len(images.train)}
    train, shown = (to_rows(part[list(COLUMNS)]) for part in (images.train, images.shown))
    key = {
        "format": FORMAT, "made_by": made_by, "machine": machine(), "versions": versions(),
        "train": [row["sha256"] for row in train], "shown": [row["sha256"] for row in shown],
        "n_timed": plan.n_timed, "measure_growth": plan.measure_growth,
    }  # fmt: skip
    folder = context.paths.root / "cost"
    path = folder / f"{file_name(detector)}-{fingerprint(key)}.json"
    known = None if plan.again else _kept(path)
    if known is None:
        measure = Measure(
            detector, config, train, shown, plan.n_timed, plan.measure_growth, context.workspace.cache,
            folder / "work", machine()["n_cores"],
        )  # fmt: skip
        try:
            measured = measure.run(context.say)
        except NotMeasured as error:
            told = _told(error, folder / f"{file_name(detector)}-error.txt")
            needed = _needed(detector, config, images)
            return {**facts, "error": told, "forecast": needed, "fresh": True}
        write_json(path, measured)
    else:
        measured = known
    scores = measured.pop("scores")
    found = accuracy(context, detector, made_by, images, scores)
    return {**facts, **measured, **found, "fresh": known is None}


def _identity(detector: str, config: Settings) -> dict[str, Any]:
    try:
        return identity(detector, config)
    except ValueError as error:
        raise ValueError(f"{detector}: {error}") from error


def _told(error: NotMeasured, path: Path) -> str:
    """What went wrong; the traceback of an error nobody foresaw is kept beside the measurements."""
    if error.trace is None:
        return str(error)
    write_text(path, error.trace)
    return f"{error} This may be a fault of curate: please report {path}."


def _needed(detector: str, config: Settings, images: Chosen) -> dict[str, Any] | None:
    """The forecast of a fit that failed."""
    found = forecast(detector, config, len(images.train), images.sizes_hw)
    keys = ("fit_bytes", "state_bytes", "grows_with", "remedies")
    return None if found.get("fit_bytes") is None else {key: found[key] for key in keys}


def _kept(path: Path) -> dict[str, Any] | None:
    try:
        found = read_json(path)
    except CurateError:
        return None
    return found if isinstance(found, dict) and "scores" in found else None


def machine() -> dict[str, Any]:
    """What the figures depend on besides the software."""
    import psutil

    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"processor": model, "n_cores": n_cores, "memory_bytes": psutil.virtual_memory().total}
