"""Step: proposes masks for suspicious images, from a detector's maps and the images' edges."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from curate import offered, tables
from curate.anomaly_maps import read_raw
from curate.errors import AlreadyExists, CurateError, listed
from curate.files import fingerprint, read_json, write_bytes, write_json, writing
from curate.masks import SPECK_PX
from curate.progress import bar
from curate.proposal_table import rows_of
from curate.proposals import AUTO, REFINEMENTS
from curate.propose import How, propose
from curate.registry import lookup
from curate.schema import check_rows
from curate.score_images import Pixels
from curate.steps import propose_doubts
from curate.steps.joined import with_scores
from curate.steps.propose_threshold import Cut, cuts
from curate.steps.record import Context, digest, done_before, finish
from curate.tables import to_rows
from curate.verdicts import read_mirror
from curate.workspace import DatasetPaths, file_name

FORMAT = 1  # of what proposals are made by; a new number makes them again
Row = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """What a person asks for.

    Attributes:
        method: of curate.proposals, or "auto".
        threshold: of the map; None: see curate.steps.propose_threshold.cuts.
        min_area_px: smaller regions are no proposals.
        min_area_um2: the same in square micrometres; the larger of both holds.
        every: propose for all images with a map, not only for suspicious ones.
        only: sample ids to propose for; None: as `every` says.
    """

    method: str = "auto"
    threshold: float | None = None
    min_area_px: int = SPECK_PX + 1
    min_area_um2: float | None = None
    every: bool = False
    only: tuple[str, ...] | None = None


def run(
    context: Context, detector: str = "padim", asked: Asked | None = None, overwrite: bool = False
) -> Row:
    """Propose masks and keep them as proposals.parquet in the detector's folder; a killed run goes on.

    Without `every` or `only`, images are proposed for that are labelled anomalous, or whose score reaches the
    threshold in force (else the highest score of normal calibration images).

    Args:
        overwrite: replace proposals that were made with other settings.

    Returns:
        detector, method, thresholds (by category: threshold, said), n_images, n_proposals, n_empty (images
        without a proposal), n_plain (outlines that no refinement improved), doubtful_normals (by category,
        see curate.steps.propose_doubts.found; nothing is left out for it), fresh.

    Raises:
        ValueError: no such method, or an area or threshold that makes no sense.
        AlreadyExists: there are proposals with other settings.
        Missing: the detector has not scored the images as they are now.
        CurateError: no threshold can be had, or areas in um2 are asked of images without um_per_px.
    """
    wish = asked or Asked()
    settings = _settings(wish)
    rows = with_scores(context, detector)
    outputs = [table_of(context.paths, detector), content_of(context.paths, detector)]
    found = cuts(context, detector, rows, wish.threshold)
    doubtful = propose_doubts.told(context, detector, found)
    chosen = _chosen(rows, wish, found)
    inputs: Row = {
        "format": FORMAT,
        "detector": detector,
        "settings": settings,
        "thresholds": {name: [cut.threshold, fingerprint(cut.normal_peaks)] for name, cut in found.items()},
        "predictions": digest(context.paths.detector(detector) / "predictions.parquet"),
        "images": digest(context.paths.samples),
        "samples": fingerprint([row["sample_id"] for row in chosen]),
    }
    step = step_of(detector)
    earlier = done_before(context.paths, step, inputs, outputs)
    if earlier is not None:
        return {**earlier, "doubtful_normals": doubtful}
    _refuse_other(context, detector, settings, inputs["predictions"], overwrite)
    counts = _work(context, detector, wish, found, chosen, inputs)
    told = {name: {"threshold": cut.threshold, "said": cut.said} for name, cut in found.items()}
    result = {"detector": detector, "method": _method(wish), "thresholds": told, **counts}
    result["doubtful_normals"] = doubtful
    write_json(outputs[1], {**result, "settings": settings, "predictions": inputs["predictions"]})
    return finish(context.paths, step, inputs, outputs, result)


def step_of(detector: str) -> str:
    """Name of the step that proposes masks from one detector's maps."""
    return f"propose-{file_name(detector)}"


def table_of(paths: DatasetPaths, detector: str) -> Path:
    """The proposals, after data_schemas/proposal.json."""
    return paths.detector(detector) / offered.TABLE


def content_of(paths: DatasetPaths, detector: str) -> Path:
    """How the proposals were made."""
    return paths.detector(detector) / "proposals.json"


def read(context: Context, detector: str) -> pd.DataFrame:
    """The proposals of a detector; see data_schemas/proposal.json.

    Raises:
        Missing: none were made.
    """
    return tables.read(table_of(context.paths, detector))


def still_offered(context: Context, detector: str) -> list[Row]:
    """The proposals of a detector, without what people rejected, and without images whose mask they accepted.

    Raises:
        Missing: none were made.
    """
    made = to_rows(read(context, detector))
    samples = tables.read(context.paths.samples)
    checksums = dict(zip(samples["sample_id"], samples["sha256"], strict=True))
    kept = offered.withheld(read_mirror(context.paths.verdicts), checksums)
    return [row for row in made if kept.offers(row)]


def _method(asked: Asked) -> str:
    return AUTO if asked.method == "auto" else asked.method


def _settings(asked: Asked) -> Row:
    """What decides how an image is proposed for, checked."""
    lookup(REFINEMENTS, _method(asked), "refinement")
    if asked.min_area_px < 1 or (asked.min_area_um2 is not None and not asked.min_area_um2 > 0):
        raise ValueError("The smallest area must be 1 px or more, and above 0 um2.")
    if asked.threshold is not None and not math.isfinite(asked.threshold):
        raise ValueError(f"Expected a finite threshold of the map; found {asked.threshold}.")
    return {"method": _method(asked)} | {
        key: value for key, value in asdict(asked).items() if key not in ("method", "only")
    }


def _chosen(rows: pd.DataFrame, asked: Asked, found: Mapping[str, Cut]) -> list[Row]:
    """The images to propose for, with a map; by sample id."""
    mapped = [row for row in to_rows(rows) if row["raw_map"] is not None]
    if not mapped:
        raise CurateError("CurateError: the detector gives no anomaly maps. Choose one that does.")
    only = None if asked.only is None else set(asked.only)
    kept = []
    for row in sorted(mapped, key=lambda each: str(each["sample_id"])):
        cut = found[row["category"]].image_threshold
        suspicious = row["label"] == "anomalous" or (cut is not None and row["anomaly_score"] >= cut)
        if row["sample_id"] in only if only is not None else (asked.every or suspicious):
            kept.append(row)
    if asked.min_area_um2 is not None:
        unsized = [row["relative_path"] for row in kept if row["um_per_px"] is None]
        if unsized:
            raise CurateError(
                f"CurateError: {len(unsized)} of {len(kept)} images do not state their um_per_px:\n"
                f"{listed(unsized)}\nState it in the source, or use --min-area-px."
            )
    return kept


def _refuse_other(
    context: Context, detector: str, settings: Row, predictions: str | None, overwrite: bool
) -> None:
    """Refuse to replace what was made from the same maps with other settings."""
    about = content_of(context.paths, detector)
    if overwrite or not about.exists():
        return
    earlier = read_json(about)
    if earlier["predictions"] == predictions and earlier["settings"] != settings:
        other = ", ".join(f"{key} {value}" for key, value in earlier["settings"].items() if value is not None)
        raise AlreadyExists(
            f"AlreadyExists: there are proposals of {detector} with other settings ({other}). Replace them "
            "with --overwrite; what a person has edited in the App stays."
        )


def _work(
    context: Context,
    detector: str,
    asked: Asked,
    found: Mapping[str, Cut],
    chosen: Sequence[Row],
    inputs: Row,
) -> Row:
    """Propose for each image, an image at a time into the journal, and write the table."""
    folder, pixels = context.paths.detector(detector), Pixels()
    journal = folder / "proposals.jsonl"
    known = _resume(journal, fingerprint({**inputs, "samples": None}))
    with bar(f"{detector} proposals", len(chosen)) as advance, writing(journal), journal.open("a") as file:
        for row in chosen:
            if row["sample_id"] not in known:
                cut = found[row["category"]]
                how = How(_method(asked), {}, _least_px(asked, row))
                made = propose(pixels(row), read_raw(folder / row["raw_map"]), cut.threshold, how)
                facts = {key: row[key] for key in ("sample_id", "um_per_px")}
                facts |= {"detector": detector, "threshold": cut.threshold}
                known[row["sample_id"]] = rows_of(made, facts, cut.normal_peaks)
                file.write(json.dumps({row["sample_id"]: known[row["sample_id"]]}) + "\n")
                file.flush()
            advance(1)
    proposals = [each for row in chosen for each in known[row["sample_id"]]]
    check_rows(proposals, "proposal")
    with tables.streaming(table_of(context.paths, detector), "proposal") as take:
        take(proposals)
    journal.unlink()
    return counted(chosen, proposals)


def counted(chosen: Sequence[Row], proposals: Iterable[Row]) -> Row:
    """n_images, n_proposals, n_empty and n_plain; see run."""
    made = list(proposals)
    return {
        "n_images": len(chosen),
        "n_proposals": len(made),
        "n_empty": len({row["sample_id"] for row in chosen} - {row["sample_id"] for row in made}),
        "n_plain": sum(row["method"] == "plain" for row in made),
    }


def _least_px(asked: Asked, row: Row) -> int:
    if asked.min_area_um2 is None:
        return asked.min_area_px
    return max(asked.min_area_px, math.ceil(asked.min_area_um2 / float(row["um_per_px"]) ** 2))


def _resume(journal: Path, head: str) -> dict[str, list[Row]]:
    """What a killed run had finished, if it was to make the same; the journal then holds that and no more."""
    known: dict[str, list[Row]] = {}
    lines = journal.read_text(encoding="utf-8").split("\n") if journal.exists() else []
    if lines and lines[0] == head:
        for line in lines[1:-1]:  # what follows the last line end was cut short
            known |= json.loads(line)
    text = "".join(
        f"{line}\n" for line in [head, *(json.dumps({name: rows}) for name, rows in known.items())]
    )
    write_bytes(journal, text.encode())
    return known
