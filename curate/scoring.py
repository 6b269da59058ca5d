"""From image files to a fitted detector for each category, and to a score and anomaly map for each image."""

import hashlib
import itertools
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from curate import tables
from curate.anomaly_maps import encode_display, encode_raw
from curate.errors import CurateError, DataFault, Missing, listed
from curate.files import fingerprint, read_json, sha256_file, write_json, writing
from curate.images import Array, read_image
from curate.score_identity import identity, of_state, resolved
from curate.score_journal import JOURNAL, Journal, Line, Written, sweep_maps
from curate.score_report import STATE_FILES, display_range, note_fit, predictions_table, report

if TYPE_CHECKING:
    from detectors.base import Detector, Prediction
    from detectors.loop import Progress

__all__ = ["category_folder", "display_range", "fit_detector", "score_table", "sweep_maps", "to_uint8"]

Row = dict[str, Any]
Advance = Callable[[int], None]
BATCH = 16  # images for each journal entry
MAPS_AHEAD = 4  # maps being encoded and written at the same time
FORMAT = 1  # of the stored maps; a new number scores everything again


def fit_detector(
    train: pd.DataFrame,
    detector: str,
    config: Mapping[str, Any],
    folder: Path,
    *,
    cache: Path | None = None,
    progress: Advance | None = None,
) -> None:
    """Fit and calibrate one detector for each category, into folder/state/<category>.

    A category whose detector was fitted on the same images with the same settings, code, runtime and backbone
    weights is not fitted again.

    Args:
        train: sample table rows to fit on: normal images of the training part.
        detector: key of detectors.DETECTORS.
        config: "profile" and fields of the detector's config.
        folder: of the detector in the workspace.
        cache: where exported backbones are kept between runs.
        progress: called with the number of images just finished.

    Raises:
        ValueError: unknown detector, or unknown or unsuitable setting.
        DataFault: a category has fewer than two normal training images, or gets scores that are not finite.
        Unreadable: an image cannot be read.
    """
    import detectors

    categories = _by_category(train)
    few = [f"{name}: {len(rows)}" for name, rows in categories.items() if len(rows) < 2]
    if few or not categories:
        raise DataFault(
            f"DataFault: {detector} needs at least 2 normal training images in each category; found\n"
            f"{listed(few or ['no normal training image at all'])}\nAdd normal images, or change the split."
        )
    state = folder / "state"
    options, made_by = resolved(detector, config), identity(detector, config)
    for category, rows in categories.items():
        key = fingerprint([made_by, [(row["sample_id"], row["sha256"]) for row in rows]])
        target = state / category_folder(category)
        if _fitted_on(target) == key:
            _tell(progress, len(rows))
            continue
        fitting = detectors.create(detector, cache_folder=cache, **options)
        fitting.fit(_Images(rows), progress=_increments(progress, len(rows)))
        _check_calibration(category, asdict(fitting.calibration))
        note_fit(folder, category, asdict(fitting.report))
        with writing(target):
            fitting.save(target, inputs=key, category=category)
        del fitting
    wanted = {category_folder(category) for category in categories}
    for left_over in state.iterdir():
        if left_over.name in wanted:
            continue
        if left_over.is_dir() and not left_over.is_symlink():
            shutil.rmtree(left_over)
        else:
            left_over.unlink()


def score_table(
    table: pd.DataFrame, folder: Path, *, cache: Path | None = None, progress: Advance | None = None
) -> pd.DataFrame:
    """Score every image with its category's detector and store the maps.

    Writes raw/<sample_id>.png, display/<sample_id>-<hash>.png, predictions.parquet and report.json. Killed at
    any instant and started again, it goes on after the last finished batch and ends with the same bytes
    (except for report.json, which holds measured times). Maps of earlier runs stay until sweep_maps.

    Args:
        table: sample table rows, in any order.
        folder: of the detector in the workspace, with the state that fit_detector made.
        cache, progress: see fit_detector.

    Returns:
        The predictions, after data_schemas/prediction.json, sorted by sample_id.

    Raises:
        Missing: the detector is not fitted, or not for one of the categories, or with other weights.
        DataFault: the detector gave an image a score or map that is not finite.
        Unreadable: an image cannot be read; what was scored before is kept.
        StorageFull: no space is left; what was scored before is kept.
    """
    states = {category: folder / "state" / category_folder(category) for category in _by_category(table)}
    if absent := [category for category, state in states.items() if not (state / "meta.json").exists()]:
        raise Missing(
            f"Missing: no detector in {folder / 'state'} is fitted for {len(absent)} categories:\n"
            f"{listed(absent)}\nFit one on normal training images of each category."
        )
    run = _Run.of(table, folder, states, cache)
    order = [row["sample_id"] for rows in run.rows.values() for row in rows]
    run.journal.lines = {key: line for key, line in run.journal.lines.items() if key in set(order)}
    _tell(progress, len(run.journal.lines))
    started, n_before = time.perf_counter(), len(run.journal.lines)
    for category, state in states.items():
        run.score(category, state, progress)
    seconds, n_scored = time.perf_counter() - started, len(order) - n_before
    run.journal.close(order)
    detector = read_json(next(iter(states.values())) / "config.json")["detector"]
    predictions = predictions_table(run.journal.lines.values(), detector)
    tables.write(predictions, folder / "predictions.parquet")
    write_json(
        folder / "report.json", report(folder, states, run.runtimes, len(order), n_scored, seconds, run.range)
    )
    return predictions


def category_folder(category: str) -> str:
    """A folder name for a category, whatever characters it has.

    >>> category_folder("shield film/top")
    'shield film%2Ftop'
    """
    return quote(category, safe=" ").replace(".", "%2E")


def to_uint8(image: Array) -> Array:
    """8 bits of a channel: 16-bit values are divided by 257, so that 0 to 65535 becomes 0 to 255.

    The full range of 16 bits is assumed: 12-bit data in a 16-bit file (0 to 4095) ends up dark, in 0 to 16.
    """
    if image.dtype == np.uint8:
        return image
    eight: Array = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return eight


class _Images(Sequence[Array]):
    """Images of rows, decoded when asked for; safe to use from several threads."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Array:  # type: ignore[override]
        return _image(self.rows[index])


def _image(row: Row) -> Array:
    return to_uint8(read_image(Path(row["filepath"])))


@dataclass
class _Run:
    """One scoring run: what is to be scored, and what already is."""

    folder: Path
    rows: dict[str, list[Row]]
    range: tuple[float, float] | None  # of the display maps
    journal: Journal
    cache: Path | None
    runtimes: dict[str, str]  # category -> runtime that its images are scored with

    @classmethod
    def of(cls, table: pd.DataFrame, folder: Path, states: Mapping[str, Path], cache: Path | None) -> "_Run":
        rows = _by_category(table)
        digests = [sha256_file(state / name) for state in states.values() for name in STATE_FILES]
        images = [
            (row["sample_id"], row["sha256"], row["category"]) for part in rows.values() for row in part
        ]
        shown = display_range(states.values())
        made_by = {category: of_state(state) for category, state in states.items()}
        key = fingerprint(
            {"format": FORMAT, "states": digests, "images": images, "range": shown, "made_by": made_by}
        )
        runtimes = {category: each["runtime"] for category, each in made_by.items()}
        return cls(folder, rows, shown, Journal(folder / JOURNAL, key), cache, runtimes)

    def score(self, category: str, state: Path, progress: Advance | None) -> None:
        """Score the images of one category that are not in the journal yet."""
        left = [row for row in self.rows[category] if row["sample_id"] not in self.journal.lines]
        if not left:
            return
        from detectors.prefetch import prefetch

        detector = self._load(category, state)
        prepared = prefetch(lambda row: detector.prepare(_image(row)), left)
        answers = zip(left, detector.predict_prepared(prepared), strict=True)
        lines = prefetch(lambda pair: self._store(*pair), answers, n_ahead=MAPS_AHEAD)
        while batch := list(itertools.islice(lines, BATCH)):
            self.journal.append(batch)
            _tell(progress, len(batch))

    def _load(self, category: str, state: Path) -> "Detector":
        import detectors
        from detectors.backbones.weights import OtherWeights

        device = read_json(state / "config.json")["device"]
        try:
            return detectors.load(state, device, cache_folder=self.cache, runtime=self.runtimes[category])
        except OtherWeights as error:
            raise Missing(
                f"Missing: the backbone weights that the detector of {category} was fitted with. {error} "
                "Run curate score again: it fits the detector to the weights that are there now."
            ) from error

    def _store(self, row: Row, prediction: "Prediction") -> Line:
        sample_id = row["sample_id"]
        _check_finite(row, prediction)
        if prediction.map is None or self.range is None:
            return Line(sample_id, prediction.score, None, None)
        raw = Written.write(self.folder, f"raw/{sample_id}.png", encode_raw(prediction.map))
        shown = encode_display(prediction.map, *self.range)
        name = f"display/{sample_id}-{hashlib.sha256(shown).hexdigest()[:8]}.png"
        return Line(sample_id, prediction.score, raw, Written.write(self.folder, name, shown))


def _check_calibration(category: str, calibration: Row) -> None:
    numbers = [*calibration["scores"], calibration["pixel_low"] or 0.0, calibration["pixel_top"] or 0.0]
    if not np.isfinite(numbers).all():
        raise DataFault(
            f"DataFault: the detector of {category} gave normal training images scores or anomaly maps with "
            "NaN or infinity in them. Look at these images, or choose other settings of the detector."
        )


def _check_finite(row: Row, prediction: "Prediction") -> None:
    if np.isfinite(prediction.score) and (prediction.map is None or np.isfinite(prediction.map).all()):
        return
    raise DataFault(
        f"DataFault: the detector gave {row['filepath']} a score or anomaly map with NaN or infinity in it. "
        "What was scored before is kept. Look at the image, or choose other settings of the detector."
    )


def _by_category(table: pd.DataFrame) -> dict[str, list[Row]]:
    """Rows of each category, both sorted."""
    found: dict[str, list[Row]] = {}
    columns = ["sample_id", "sha256", "filepath", "category"]
    for row in sorted(tables.to_rows(table[columns]), key=lambda row: (row["category"], row["sample_id"])):
        found.setdefault(row["category"], []).append(row)
    return found


def _fitted_on(state: Path) -> str | None:
    try:
        inputs: str | None = read_json(state / "meta.json").get("inputs")
    except CurateError:
        return None
    return inputs


def _tell(progress: Advance | None, n: int) -> None:
    if progress and n:
        progress(n)


def _increments(progress: Advance | None, n_images: int) -> "Callable[[Progress], None]":
    """Tell each image once: where none can be held out, the detector calibrates on those it was fitted on."""
    told: dict[str, int] = {}

    def advance(event: "Progress") -> None:
        before = min(n_images, sum(told.values()))
        told[event.stage] = event.step
        _tell(progress, min(n_images, sum(told.values())) - before)

    return advance
