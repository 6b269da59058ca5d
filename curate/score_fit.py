"""Fits a detector for each category, once for the same images, settings, code and weights."""

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from curate.errors import CurateError, DataFault, listed
from curate.files import fingerprint, read_json, writing
from curate.progress import Stage, TellStage
from curate.score_identity import identity
from curate.score_images import Images, Pixels, Row, by_category
from curate.score_report import note_fit

if TYPE_CHECKING:
    from detectors.base import Detector, Labeled
    from detectors.loop import Progress

CHECKPOINTS = "checkpoints"
TRUTH = ("gt_mask_path", "mask_channels", "shapes", "boxes", "mask_rule", "mask_kind")


@dataclass(frozen=True)
class Fitting:
    """How the detectors of a call are fitted.

    Attributes:
        detector: key of detectors.DETECTORS, or a wrapper with one.
        config: "profile" and fields of the detector's config.
        folder: of the detector in the workspace.
        cache: where exported backbones are kept between runs.
        progress: called after every batch or training step.
        pixels: decodes images, and may keep them.
    """

    detector: str
    config: Mapping[str, Any]
    folder: Path
    cache: Path | None = None
    progress: TellStage | None = None
    pixels: Pixels = field(default_factory=Pixels)

    def fitted(
        self, title: str, rows: Sequence[Row], anomalies: Sequence["Labeled"], checkpoint: Path
    ) -> "Detector":
        """A detector fitted on rows; goes on from the checkpoint of a fit that was killed."""
        import detectors

        made = detectors.create(self.detector, cache_folder=self.cache, **self.config)
        return made.fit(
            Images(rows, self.pixels),
            anomalies,
            progress=_told(self.progress, title),
            checkpoint=checkpoint,
        )

    def title(self, category: str, n_categories: int) -> str:
        """What the bar of a fit is called."""
        return self.detector if n_categories == 1 else f"{self.detector} {category}"

    def anomalies(self, table: pd.DataFrame | None) -> "dict[str, list[tuple[Row, Labeled]]]":
        """Labelled anomalous images of each category, with their masks where the source has some."""
        if table is None or table.empty:
            return {}
        return {
            category: [(row, _labeled(row, self.pixels)) for row in rows]
            for category, rows in by_category(table, TRUTH).items()
        }


def fit_detector(
    train: pd.DataFrame,
    detector: str,
    config: Mapping[str, Any],
    folder: Path,
    *,
    anomalies: pd.DataFrame | None = None,
    cache: Path | None = None,
    progress: TellStage | None = None,
    pixels: Pixels | None = None,
) -> None:
    """Fit and calibrate one detector for each category, into folder/state/<category>.

    A category whose detector was fitted on the same images with the same settings, code, runtime and backbone
    weights is not fitted again. A training that was killed goes on from its last checkpoint.

    Args:
        train: sample table rows to fit on: normal images of the training part.
        detector, config, folder, cache, progress, pixels: see Fitting.
        anomalies: sample table rows of labelled anomalous images, for detectors that learn from them.

    Raises:
        ValueError: unknown detector, or unknown or unsuitable setting.
        DataFault: a category has fewer than two normal training images, or gets scores that are not finite.
        Unreadable: an image cannot be read.
    """
    categories = by_category(train)
    few = [f"{name}: {len(rows)}" for name, rows in categories.items() if len(rows) < 2]
    if few or not categories:
        raise DataFault(
            f"DataFault: {detector} needs at least 2 normal training images in each category; found\n"
            f"{listed(few or ['no normal training image at all'])}\nAdd normal images, or change the split."
        )
    fitting = Fitting(detector, config, folder, cache, progress, pixels or Pixels())
    labelled, made_by = fitting.anomalies(anomalies), identity(detector, config)
    for category, rows in categories.items():
        _fit_one(fitting, category, len(categories), rows, labelled.get(category, []), made_by)
    _keep_only(folder / "state", {category_folder(category) for category in categories})
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def _fit_one(
    fitting: Fitting,
    category: str,
    n_categories: int,
    rows: Sequence[Row],
    labelled: "Sequence[tuple[Row, Labeled]]",
    made_by: Mapping[str, Any],
) -> None:
    key = fit_key(made_by, rows, labelled)
    target = fitting.folder / "state" / category_folder(category)
    if _fitted_on(target) == key:
        return
    kept = checkpoint(fitting.folder / CHECKPOINTS / category_folder(category), key)
    title = fitting.title(category, n_categories)
    made = fitting.fitted(title, rows, [each for _, each in labelled], kept)
    _check_calibration(category, asdict(made.calibration))
    note_fit(fitting.folder, category, asdict(made.report))
    with writing(target):
        made.save(target, inputs=key, category=category)


def fit_key(
    made_by: Mapping[str, Any], rows: Sequence[Row], labelled: "Sequence[tuple[Row, Labeled]]" = ()
) -> str:
    """What tells a fit from all others: code and settings, images, labelled anomalies with their masks."""
    images: list[Any] = [made_by, [(row["sample_id"], row["sha256"]) for row in rows]]
    if labelled:
        images.append([(row["sample_id"], row["sha256"], _mask_digest(each)) for row, each in labelled])
    return fingerprint(images)


def checkpoint(folder: Path, key: str) -> Path:
    """Where a fit keeps its state while it runs; those of other fits are removed."""
    kept = folder / key[:16]
    for other in folder.glob("*"):
        if other != kept:
            shutil.rmtree(other, ignore_errors=True)
    return kept


def category_folder(category: str) -> str:
    """A folder name for a category, whatever characters it has.

    >>> category_folder("shield film/top")
    'shield film%2Ftop'
    """
    return quote(category, safe=" ").replace(".", "%2E")


def _labeled(row: Row, pixels: Pixels) -> "Labeled":
    """An anomalous image with its mask; a label alone where the source has no mask, or an empty one."""
    from curate.ground_truth import WrongSize, has_mask, read
    from detectors.base import Labeled

    mask = None
    if all(name in row for name in TRUTH) and has_mask(row):
        try:
            mask = read(row).mask
        except WrongSize as error:
            raise DataFault(
                f"DataFault: the mask of {row['filepath']} has another size than the image: {error}. Correct "
                "it, or score without --with-anomalies."
            ) from error
    return Labeled(pixels(row), 1, mask if mask is not None and mask.any() else None)


def _mask_digest(labeled: "Labeled") -> str | None:
    return None if labeled.mask is None else hashlib.sha256(np.packbits(labeled.mask).tobytes()).hexdigest()


def _check_calibration(category: str, calibration: Row) -> None:
    numbers = [*calibration["scores"], calibration["pixel_low"] or 0.0, calibration["pixel_top"] or 0.0]
    if not np.isfinite(numbers).all():
        raise DataFault(
            f"DataFault: the detector of {category} gave normal training images scores or anomaly maps with "
            "NaN or infinity in them. Look at these images, or choose other settings of the detector."
        )


def _fitted_on(state: Path) -> str | None:
    try:
        inputs: str | None = read_json(state / "meta.json").get("inputs")
    except CurateError:
        return None
    return inputs


def _keep_only(state: Path, wanted: set[str]) -> None:
    for left_over in state.iterdir():
        if left_over.name in wanted:
            continue
        if left_over.is_dir() and not left_over.is_symlink():
            shutil.rmtree(left_over)
        else:
            left_over.unlink()


def _told(progress: TellStage | None, title: str) -> "Callable[[Progress], None] | None":
    if progress is None:
        return None
    return lambda event: progress(Stage(title, event.stage, event.step, event.total, event.loss))
