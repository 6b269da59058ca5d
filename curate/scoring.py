"""Scores and anomaly maps of images by fitted detectors, several of them side by side.

Images are gone through in chunks: each is decoded once for all detectors that still lack it, and what two of
them take from the same backbone is computed once.
"""

import hashlib
import itertools
import os
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from curate import tables
from curate.anomaly_maps import encode_display, encode_raw
from curate.errors import CurateError, DataFault, Missing, listed
from curate.files import fingerprint, read_json, sha256_file, write_json
from curate.images import Array
from curate.map_reductions import DETECTOR, n_not_finite, reduce_map
from curate.progress import Advance
from curate.score_fit import category_folder, fit_detector
from curate.score_identity import of_state
from curate.score_images import Pixels, Row, by_category, chunks, shared_features, to_uint8
from curate.score_journal import FORMAT, JOURNAL, Journal, Line, Written, sweep_maps
from curate.score_report import STATE_FILES, display_range, predictions_table, reduction_of, report

if TYPE_CHECKING:
    from detectors.base import Detector, Prediction

__all__ = [
    "category_folder", "display_range", "fit_detector", "score_table", "score_tables", "sweep_maps",
    "to_uint8",
]  # fmt: skip

CHUNK = 64  # most images that are decoded ahead and go through one detector after the other
BATCH = 16  # most images of a journal entry
# threads of each kind, to decode, to prepare and to write: more than cores are only in each other's way
HELPERS = 1 if (os.cpu_count() or 1) <= 2 else 2
AHEAD = 4  # images that are prepared ahead; with more of them the processor's cache holds none for long
STATES_SHARE = 3  # detectors of a category are loaded together up to a third of the free memory


def score_table(
    table: pd.DataFrame, folder: Path, *, cache: Path | None = None, progress: Advance | None = None
) -> pd.DataFrame:
    """Score every image with one detector; see score_tables."""
    (predictions,) = score_tables(table, [folder], cache=cache, progress=progress)
    return predictions


def score_tables(
    table: pd.DataFrame,
    folders: Sequence[Path],
    *,
    cache: Path | None = None,
    progress: Advance | None = None,
) -> list[pd.DataFrame]:
    """Score every image with its category's detectors and store the maps.

    Writes into each folder raw/<sample_id>.png, display/<sample_id>-<hash>.png, predictions.parquet and
    report.json. Killed at any instant and started again, it goes on with the images that a detector lacks
    and ends with the same bytes (except for report.json, which holds measured times). Maps of earlier runs
    stay until sweep_maps.

    Args:
        table: sample table rows, in any order.
        folders: of detectors in the workspace, each with the state that fit_detector made.
        cache: where exported backbones are kept between runs.
        progress: called with the number of maps just finished, of all detectors.

    Returns:
        The predictions of each detector, after data_schemas/prediction.json, sorted by sample_id.

    Raises:
        Missing: a detector is not fitted, or not for one of the categories, or with other weights.
        DataFault: a detector gave an image a score or map that is not finite.
        Unreadable: an image cannot be read; what was scored before is kept.
        StorageFull: no space is left; what was scored before is kept.
    """
    rows = by_category(table)
    runs = [_Run.of(rows, folder, cache) for folder in folders]
    if progress and (n_known := sum(len(run.journal.lines) for run in runs)):
        progress(n_known)
    for category in rows:
        waiting = [run for run in runs if run.lacking(rows[category])]
        for together in _that_fit(waiting, category):
            _score(category, rows[category], together, progress)
    return [run.close() for run in runs]


@dataclass
class _Run:
    """Scoring by one detector: what is to be scored, and what already is."""

    folder: Path
    states: dict[str, Path]  # by category
    order: list[str]  # sample ids
    range: tuple[float, float] | None  # of the display maps
    reduction: str  # that the image score is
    journal: Journal
    cache: Path | None
    runtimes: dict[str, str]  # category -> runtime that its images are scored with
    seconds: float = 0.0
    n_scored: int = 0
    beside: set[str] = field(default_factory=set)  # detectors that worked on the same images

    @classmethod
    def of(cls, rows: Mapping[str, Sequence[Row]], folder: Path, cache: Path | None) -> "_Run":
        states = {category: folder / "state" / category_folder(category) for category in rows}
        if absent := [category for category, state in states.items() if not (state / "meta.json").exists()]:
            raise Missing(
                f"Missing: no detector in {folder / 'state'} is fitted for {len(absent)} categories:\n"
                f"{listed(absent)}\nFit one on normal training images of each category."
            )
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
        journal, order = Journal(folder / JOURNAL, key), [sample_id for sample_id, *_ in images]
        wanted = set(order)
        journal.lines = {name: line for name, line in journal.lines.items() if name in wanted}
        return cls(folder, states, order, shown, reduction_of(states), journal, cache, runtimes)

    @property
    def name(self) -> str:
        """Of the detector."""
        name: str = read_json(next(iter(self.states.values())) / "config.json")["detector"]
        return name

    def lacking(self, rows: Sequence[Row]) -> list[Row]:
        """Those that are not in the journal yet."""
        return [row for row in rows if row["sample_id"] not in self.journal.lines]

    def load(self, category: str) -> "Detector":
        """The category's detector."""
        import detectors
        from detectors.backbones.weights import OtherWeights

        state = self.states[category]
        device = read_json(state / "config.json")["device"]
        try:
            return detectors.load(state, device, cache_folder=self.cache)
        except OtherWeights as error:
            raise Missing(
                f"Missing: the backbone weights that the detector of {category} was fitted with. {error} "
                "Run curate score again: it fits the detector to the weights that are there now."
            ) from error

    def store(self, row: Row, prediction: "Prediction") -> Line:
        """Write the maps of one image."""
        sample_id = row["sample_id"]
        _check_finite(row, prediction)
        if prediction.map is None or self.range is None:
            return Line(sample_id, prediction.score, None, None, None)
        reductions = reduce_map(prediction.map)
        if self.reduction != DETECTOR:
            reductions[self.reduction] = prediction.score  # exactly, and also for a share of its own
        raw = Written.write(self.folder, f"raw/{sample_id}.png", encode_raw(prediction.map))
        shown = encode_display(prediction.map, *self.range)
        name = f"display/{sample_id}-{hashlib.sha256(shown).hexdigest()[:8]}.png"
        display = Written.write(self.folder, name, shown)
        return Line(sample_id, prediction.score, reductions, raw, display)

    def close(self) -> pd.DataFrame:
        """Write what a finished run leaves."""
        self.journal.close(self.order)
        predictions = predictions_table(self.journal.lines.values(), self.name, self.reduction)
        tables.write(predictions, self.folder / "predictions.parquet")
        facts = report(
            self.folder, self.states, self.runtimes, len(self.order), self.n_scored, self.seconds, self.range
        )
        if self.n_scored:
            facts["scored_beside"] = sorted(self.beside)
        write_json(self.folder / "report.json", facts)
        return predictions


def _that_fit(runs: Sequence[_Run], category: str) -> Iterator[list[_Run]]:
    """The detectors of a category, as many at a time as may be in memory together."""
    from detectors.memory import available_bytes

    free = available_bytes()
    together: list[_Run] = []
    n_bytes = 0
    for run in runs:
        size = (run.states[category] / "state.pt").stat().st_size
        if together and free is not None and n_bytes + size > free // STATES_SHARE:
            yield together
            together, n_bytes = [], 0
        together.append(run)
        n_bytes += size
    if together:
        yield together


def _score(category: str, rows: Sequence[Row], runs: Sequence[_Run], progress: Advance | None) -> None:
    """Score the images of one category that are not in the journals yet."""
    from detectors.prefetch import prefetch

    left = [row for row in rows if any(row["sample_id"] not in run.journal.lines for run in runs)]
    loaded = [(run, run.load(category)) for run in runs]
    for run, _ in loaded:
        run.beside |= {other.name for other in runs} - {run.name}
    with _storing(progress) as store:
        mark = time.perf_counter()
        for chunk, images in prefetch(_decoded, chunks(left, CHUNK), n_workers=1, n_ahead=2):
            shared = (time.perf_counter() - mark) / len(runs)
            with shared_features(len(runs) > 1):  # of this chunk only: what came first would stay
                for run, detector in loaded:
                    mark = time.perf_counter()
                    mine = run.lacking(chunk)
                    prepared = prefetch(
                        detector.prepare, [images[row["sample_id"]] for row in mine], HELPERS, AHEAD
                    )
                    store.put(run, zip(mine, detector.predict_prepared(prepared), strict=True))
                    run.seconds += shared + time.perf_counter() - mark
            mark = time.perf_counter()


def _decoded(chunk: Sequence[Row]) -> tuple[Sequence[Row], dict[str, Array]]:
    from detectors.prefetch import prefetch

    images = prefetch(Pixels(), chunk, HELPERS)
    return chunk, {row["sample_id"]: _frozen(image) for row, image in zip(chunk, images, strict=True)}


def _frozen(image: Array) -> Array:
    """The same image, which no detector can alter for the next one."""
    image.flags.writeable = False
    return image


class _Store:
    """Encodes and writes maps in threads while the next ones are computed; then notes them in the journal."""

    def __init__(self, pool: ThreadPoolExecutor, progress: Advance | None) -> None:
        self.pool, self.progress = pool, progress
        self.pending: deque[tuple[_Run, list[Future[Line]]]] = deque()

    def put(self, run: _Run, answers: "Iterator[tuple[Row, Prediction]]") -> None:
        """Store one detector's answers for a chunk, noting those of a batch while the next one is made."""
        while batch := list(itertools.islice(answers, BATCH)):
            futures = [self.pool.submit(run.store, row, prediction) for row, prediction in batch]
            self.pending.append((run, futures))
            while len(self.pending) > 1:
                self.finish_one()

    def finish_one(self) -> None:
        """Wait for the maps of the oldest chunk and note them."""
        run, futures = self.pending.popleft()
        run.journal.append([future.result() for future in futures])
        run.n_scored += len(futures)
        if self.progress:
            self.progress(len(futures))


@contextmanager
def _storing(progress: Advance | None) -> Iterator[_Store]:
    """A store whose maps are all noted when the block ends, also by an error."""
    with ThreadPoolExecutor(HELPERS) as pool:
        store = _Store(pool, progress)
        try:
            yield store
        except Exception:
            with suppress(CurateError, OSError):
                while store.pending:
                    store.finish_one()
            raise
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        while store.pending:
            store.finish_one()


def _check_finite(row: Row, prediction: "Prediction") -> None:
    n_bad = 0 if prediction.map is None else n_not_finite(prediction.map)
    if np.isfinite(prediction.score) and not n_bad:
        return
    found = (
        f"{n_bad} of {prediction.map.size} values" if prediction.map is not None and n_bad else "the score"
    )
    raise DataFault(
        f"DataFault: the detector gave {row['filepath']} a score or anomaly map with NaN or infinity in it: "
        f"{found}. What was scored before is kept. Look at the image, or choose other settings of the "
        "detector."
    )
