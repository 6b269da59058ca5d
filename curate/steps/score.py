"""Step: fits detectors on the normal training images and scores every image of the dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from curate.files import fingerprint, read_json, write_json
from curate.progress import bar, stages
from curate.score_images import by_category
from curate.score_journal import FORMAT, maps_are_there
from curate.score_report import fitted_as_scored
from curate.score_training import Choice, Lessons, check_supervision, lessons
from curate.steps.joined import with_split
from curate.steps.record import Context, digest, done_before, finish
from curate.tile_forecast import Tiles, is_tiled, seconds_per_image, tiles_of, told

Settings = Mapping[str, Any]


def run(
    context: Context,
    detector: str = "padim",
    settings: Settings | None = None,
    seed: int = 0,
    choice: Choice | None = None,
) -> dict[str, Any]:
    """Fit and score with one detector; see run_all."""
    (result,) = run_all(context, {detector: settings or {}}, seed, choice)
    return result


def run_all(
    context: Context, wanted: Mapping[str, Settings], seed: int = 0, choice: Choice | None = None
) -> list[dict[str, Any]]:
    """Fit detectors one after the other, one a category each, then write their maps and scores side by side.

    Names and settings are checked before anything runs. Interrupted at any moment, a second run goes on where
    the first stopped; detectors that are finished are not touched. Another version of curate or of a
    detector, another runtime or other backbone weights fit and score again.

    Args:
        wanted: detector -> settings, "profile" and fields of its config.
        choice: what to learn from besides the normal images of the training part.

    Returns:
        For each detector: detector, n_scored, report (cost: seconds, ms per image, memory, size; what it
        learned from), fresh.

    Raises:
        Missing: the dataset has not been split.
        ValueError: unknown detector or setting, or names that cannot be told apart in the App.
        CurateError: a category has too few images to learn from.
    """
    jobs = _jobs(context, wanted, seed, choice or Choice())
    known = {job.detector: job.done(context) for job in jobs}
    pending = [job for job in jobs if known[job.detector] is None]
    if pending:
        _work(context, pending)
    return [known[job.detector] or job.finish(context) for job in jobs]


@dataclass(frozen=True)
class _Job:
    """What one detector has to do."""

    detector: str
    config: dict[str, Any]
    folder: Path
    samples: pd.DataFrame
    learned: Lessons
    choice: Choice
    inputs: dict[str, Any]

    @property
    def outputs(self) -> list[Path]:
        return [self.folder / "predictions.parquet", self.folder / "report.json"]

    def done(self, context: Context) -> dict[str, Any] | None:
        """The result, where the work was finished before."""
        step = context.paths.score_step(self.detector)
        earlier = done_before(context.paths, step, self.inputs, self.outputs)
        whole = earlier is not None and maps_are_there(self.folder) and fitted_as_scored(self.folder)
        return earlier if whole else None

    def finish(self, context: Context) -> dict[str, Any]:
        """Note that the work is finished."""
        result = {
            "detector": self.detector,
            "n_scored": len(self.samples),
            "report": read_json(self.folder / "report.json"),
        }
        step = context.paths.score_step(self.detector)
        return finish(context.paths, step, self.inputs, self.outputs, result)


def _jobs(context: Context, wanted: Mapping[str, Settings], seed: int, choice: Choice) -> list[_Job]:
    from curate.score_settings import check_names

    check_names(list(wanted))
    _check_fields(context, list(wanted))
    learning = check_supervision(list(wanted), choice)
    samples = with_split(context)
    jobs = []
    for detector, settings in wanted.items():
        config = {"seed": seed, **settings}
        learned = lessons(samples, choice, learning[detector], seed)
        inputs = {
            "format": FORMAT,
            "detector": detector,
            "config": config,
            "made_by": _identity(detector, config),
            "images": digest(context.paths.samples),
            "split": digest(context.paths.split),
            "train": fingerprint(learned.train["sample_id"].tolist()),
            "facts": dict(learned.facts),
            "robust": choice.robust,
        }
        folder = context.paths.detector(detector)
        jobs.append(_Job(detector, config, folder, samples, learned, choice, inputs))
    return jobs


def _identity(detector: str, config: Settings) -> dict[str, Any]:
    """See score_identity.identity; says which detector refuses a setting."""
    from curate.score_identity import identity

    try:
        return identity(detector, config)
    except ValueError as error:
        raise ValueError(f"{detector}: {error}") from error


def _check_fields(context: Context, names: Sequence[str]) -> None:
    """Refuse detectors whose scores would lie in the same field of the App."""
    from curate.store.fields import detector_fields

    by_field: dict[str, str] = {}
    for name in [*names, *(each for each in context.paths.detectors() if each not in names)]:
        field = detector_fields(name)[0].lower()
        if field in by_field:
            raise ValueError(
                f'The scores of "{by_field[field]}" and "{name}" would both be the field {field} of dataset '
                f'"{context.paths.name}". Use one of the two; remove the scores of the other by deleting '
                f"{context.paths.detector(name)}."
            )
        by_field[field] = name


def _work(context: Context, jobs: Sequence[_Job]) -> None:
    from curate.score_fit import Fitting
    from curate.score_images import Pixels, shared_features, spare_bytes
    from curate.scoring import score_tables

    cache, samples = context.workspace.cache, jobs[0].samples
    several = len(jobs) > 1 or jobs[0].choice.robust is not None
    tiles = {job.detector: _tell_tiles(job, context) for job in jobs if is_tiled(job.detector)}
    with shared_features(several), stages() as tell:
        pixels = Pixels(spare_bytes() if several else 0)
        examined = [
            _fit(job, Fitting(job.detector, job.config, job.folder, cache, tell, pixels)) for job in jobs
        ]
        del pixels
    title, unit = (jobs[0].detector, "images") if len(jobs) == 1 else (f"{len(jobs)} detectors", "maps")
    with bar(f"{title} scoring", len(samples) * len(jobs), unit) as advance:
        tables = score_tables(samples, [job.folder for job in jobs], cache=cache, progress=advance)
    for job, found, predictions in zip(jobs, examined, tables, strict=True):
        _add_to_report(job, found, predictions, tiles.get(job.detector, {}))


def _tell_tiles(job: _Job, context: Context) -> dict[str, Tiles]:
    """Say how a detector on tiles will cut the images of each category, and how long that will take."""
    rows = by_category(job.learned.train)
    cut = {category: tiles_of(job.detector, job.config, own) for category, own in rows.items()}
    known = {category: tiles for category, tiles in cut.items() if tiles is not None}
    if known:
        most = max(known, key=lambda category: len(rows[category]))
        each_s = seconds_per_image(job.detector, job.config, rows[most], known[most], context.workspace.cache)
        for line in told(job.detector, known, len(job.samples), each_s):
            context.say(line)
    return known


def _fit(job: _Job, fitting: Any) -> dict[str, Any] | None:
    """Fit one detector; returns what was found out about its normals, if that was asked for."""
    from curate.score_fit import fit_detector
    from curate.score_robust import examine, without

    found, train, anomalies = None, job.learned.train, job.learned.anomalies
    if job.choice.robust is not None:
        found = examine(train, fitting, job.choice.robust, job.config["seed"], anomalies)
        train = without(train, found)
    fit_detector(
        train,
        job.detector,
        job.config,
        job.folder,
        anomalies=anomalies,
        cache=fitting.cache,
        progress=fitting.progress,
        pixels=fitting.pixels,
    )
    return found


def _add_to_report(
    job: _Job, found: dict[str, Any] | None, predictions: pd.DataFrame, tiles: Mapping[str, Tiles]
) -> None:
    """What the detector learned from beyond the usual goes into its report."""
    from curate.score_robust import with_change

    path = job.folder / "report.json"
    content = read_json(path) | {"training": dict(job.learned.facts)}
    if tiles:
        content["tiles"] = {name: asdict(each) | {"n": each.n} for name, each in tiles.items()}
    if found is not None:
        content["robust"] = with_change(found, predictions)
    write_json(path, content)
