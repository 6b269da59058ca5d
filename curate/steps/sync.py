"""Brings the FiftyOne dataset up to date with the finished files of the workspace.

Scores, maps and the threshold are stored only when they were made of the images and the split as they are
now. Those stored before stay with the images that did not change, until they are made again; where an image
was replaced, dataset.save_samples empties them.
"""

import sys
from collections.abc import Callable, Collection, Mapping

from curate import __version__, tables
from curate.errors import CurateError
from curate.files import fingerprint, read_json, write_bytes, write_json
from curate.progress import bar
from curate.steps import subset, sync_proposals, sync_queues
from curate.steps.alone import STORE, alone
from curate.steps.record import Context, as_made, digest, recorded
from curate.steps.threshold_record import history_of, settle
from curate.store.places import identity
from curate.workspace import DatasetPaths

__all__ = ["digest", "everything"]

Part = tuple[str, Callable[[], None]]
OUTDATED = "outdated"
NOTE = "stored.json"
LOWEST = -sys.float_info.max  # where a review band has no lower end; the App's JSON has no infinite numbers
STORED = "stored.parquet"  # the sample table as the database has it, to write only what differs


def everything(context: Context) -> None:
    """Store what changed since the last time: samples, split, findings, predictions, threshold, subsets.

    Each part leaves a mark in the dataset once it is stored: a killed run is completed by the next one,
    and a database that was lost is filled again. Verdicts in the dataset stay.

    Raises:
        DatabaseDown: the database does not start or stopped; what was stored is kept.
    """
    from curate.store import marks, verdicts
    from curate.store.loading import loaded_once
    from curate.store.server import connect

    paths = context.paths
    settle(context)
    with connect(context.workspace.home), alone(context, STORE), loaded_once():
        verdicts.exchange(paths.name, paths.verdicts)  # what is offered follows from the mirror
        held = marks.read(paths.name)
        wanted = _wanted(context, held.get("samples"))
        if vanished := [part for part in held if part not in wanted]:
            _clear_vanished(context, vanished)
        for part, (checksum, store) in wanted.items():
            if held.get(part) != checksum:
                store()
                marks.write(paths.name, part, checksum)
        verdicts.reconcile(paths.name, paths.verdicts)
        sync_queues.renew_gaps(context)
        _sweep(context, wanted)
    if not is_current(context):
        write_json(paths.root / NOTE, _note(context))


def _sweep(context: Context, stored: Mapping[str, Part]) -> None:
    """Remove the maps of earlier predictions, now that the dataset names the present ones."""
    for part, (checksum, _) in stored.items():
        kind, _, name = part.partition(" ")
        if kind == "detector" and not checksum.startswith(OUTDATED):
            from curate.scoring import sweep_maps

            sweep_maps(context.paths.detector(name))


def _clear_vanished(context: Context, parts: Collection[str]) -> None:
    """Empty what was stored of detectors, a threshold, checks and subsets whose files or records are gone."""
    from curate.store import heatmaps, marks
    from curate.store.fields import OUTCOME, detector_fields, suspicion_field
    from curate.store.proposals import remove_proposals
    from curate.store.quality import clear_quality
    from curate.store.subsets import remove_subset

    sync_queues.clear_vanished(context, parts)
    for part in parts:
        kind, _, name = part.partition(" ")
        if kind == "quality":
            clear_quality(context.paths.name)
            marks.remove(context.paths.name, part)
        if kind == "subset":
            remove_subset(context.paths.name, name)
            marks.remove(context.paths.name, part)
        if kind == "proposals":
            remove_proposals(context.paths.name, name)
            marks.remove(context.paths.name, part)
        if kind in ("detector", "threshold"):
            fields = [*detector_fields(name), suspicion_field(name)] if name else ["predicted", OUTCOME]
            heatmaps.clear(context.paths.name, fields)
            marks.remove(context.paths.name, part)


def _wanted(context: Context, stored: str | None) -> dict[str, Part]:
    """Part -> checksum of what it should hold, and how to store it; in the order of storing.

    Args:
        stored: checksum of the sample table that the dataset holds.
    """
    paths = context.paths
    samples = digest(paths.samples)
    parts: dict[str, Part] = {"samples": (samples, lambda: _samples(context, stored))}
    if as_made(paths, "split", paths.split):
        parts["split"] = (
            fingerprint([samples, digest(paths.split)]),
            lambda: _split(context),
        )
    if as_made(paths, "check", paths.findings):
        parts["findings"] = (
            fingerprint([samples, digest(paths.findings)]),
            lambda: _findings(context),
        )
    if as_made(paths, "check", paths.quality):
        parts["quality"] = (fingerprint([samples, digest(paths.quality)]), lambda: _quality(context))
    for name in paths.detectors():
        step, predictions = paths.score_step(name), paths.detector(name) / "predictions.parquet"
        if as_made(paths, step, predictions):
            current = _made_of_these(context, step, "images")
            told = suspicions(paths, name)
            held = fingerprint([samples, digest(predictions), *([told] if told else [])])
            parts[f"detector {name}"] = (held, _storing(context, name)) if current else _outdated(held)
    if as_made(paths, "threshold", paths.threshold) and _fits_its_scores(context, parts):
        checksums = {name: part[0] for name, part in parts.items()}
        current = _made_of_these(context, "threshold", "samples")
        held = fingerprint([checksums, digest(paths.threshold)])
        parts["threshold"] = (held, lambda: _threshold(context)) if current else _outdated(held)
    made = sorted(path.name for path in paths.decisions.glob("*.json"))
    if made:  # each is never altered, and its name holds the checksum of its content
        parts["decisions"] = (fingerprint(made), lambda: _decisions(context))
    parts |= sync_queues.parts(context, {name: part[0] for name, part in parts.items()}, OUTDATED)
    parts |= sync_proposals.parts(context)
    for name in subset.names(paths):
        if (marked := _subset_checksum(context, name)) is not None:
            parts[f"subset {name}"] = (marked, _storing_subset(context, name))
    everything = [__version__, *((name, part[0]) for name, part in parts.items())]
    parts["appearance"] = (fingerprint(everything), lambda: _appearance(context))
    return parts


def is_current(context: Context) -> bool:
    """Whether the dataset holds all that the files say, told without a database: from what was noted last.

    A database that was lost, or one of somebody else's that may have been altered, counts as not current.
    """
    try:
        noted = read_json(context.paths.root / NOTE)
    except CurateError:
        return False
    return bool(noted == _note(context) and noted["database"])


def _note(context: Context) -> dict[str, str | None]:
    """What a dataset should hold now, the verdicts, and which database of the workspace it is in."""
    wanted = {part: checksum for part, (checksum, _) in _wanted(context, None).items()}
    return {
        "wanted": fingerprint(wanted),
        "verdicts": digest(context.paths.verdicts),
        "database": identity(context.workspace.home),
    }


def _made_of_these(context: Context, step: str, images: str) -> bool:
    """Whether a step ran on the images, noted under the name `images`, and the split as they are now."""
    made_of = recorded(context.paths, step)["inputs"]
    noted = (made_of.get(images), made_of.get("split"))
    return noted == (digest(context.paths.samples), digest(context.paths.split))


def _outdated(checksum: str) -> Part:
    """A part that is not stored for now; its mark differs, so that it is stored when it fits again."""
    return f"{OUTDATED} {checksum}", lambda: None


def _fits_its_scores(context: Context, parts: Collection[str]) -> bool:
    """Whether the threshold was chosen on the predictions that are there."""
    made_of = recorded(context.paths, "threshold")["inputs"]
    name = str(made_of.get("detector"))
    predictions = context.paths.detector(name) / "predictions.parquet"
    return f"detector {name}" in parts and bool(made_of.get("predictions") == digest(predictions))


def _subset_checksum(context: Context, name: str) -> str | None:
    """What a subset's tag and view are made of; None where its images or the split changed since."""
    paths, about = context.paths, subset.content_of(context.paths, name)
    made_of = recorded(paths, f"subset-{name}")["inputs"]
    current = (made_of.get("images"), made_of.get("split")) == (digest(paths.samples), digest(paths.split))
    if not current or not as_made(paths, f"subset-{name}", about):
        return None
    return fingerprint([digest(paths.samples), digest(about)])


def _storing_subset(context: Context, name: str) -> Callable[[], None]:
    def store() -> None:
        from curate.store.subsets import save_subset

        rows = tables.to_rows(tables.read(subset.table_of(context.paths, name)))
        settings = read_json(subset.content_of(context.paths, name))["settings"]
        about = f"{settings['measure']} <= {settings['at_most']:g}, with matched normal images"
        shown = [row["sample_id"] for row in rows if row["role"] != "train"]
        save_subset(context.paths.name, name, shown, about)

    return store


def _split(context: Context) -> None:
    from curate.store.dataset import save_split

    save_split(context.paths.name, tables.read(context.paths.split))


def _findings(context: Context) -> None:
    from curate.steps.check import told_apart
    from curate.store.dataset import save_findings

    samples, _ = told_apart(context)
    ids = dict(zip(samples["relative_path"], samples["sample_id"], strict=True))
    findings = tables.read(context.paths.findings)
    save_findings(context.paths.name, findings, ids)
    sync_queues.severities(context, findings, ids)


def _quality(context: Context) -> None:
    from curate.store.quality import save_quality

    save_quality(context.paths.name, tables.read(context.paths.quality))


def _appearance(context: Context) -> None:
    from curate.store.appearance import arrange

    arrange(context.paths.name)


def _samples(context: Context, held: str | None) -> None:
    from curate.store import dataset

    paths = context.paths
    stored = paths.root / STORED
    with bar("storing", tables.n_rows(paths.samples)) as advance:
        dataset.save_samples(
            paths.name,
            paths.samples,
            paths.masks,
            media_folder=paths.media,
            drawn_folder=paths.drawn_masks,
            stored=stored if held == digest(stored) else None,
            remove_vanished=True,
            progress=advance,
        )
    write_bytes(stored, paths.samples.read_bytes())


def _storing(context: Context, detector: str) -> Callable[[], None]:
    def store() -> None:
        from curate.store.heatmaps import save_predictions, save_suspicions

        folder = context.paths.detector(detector)
        predictions = tables.read(folder / "predictions.parquet")
        with bar("maps", len(predictions)) as advance:
            save_predictions(context.paths.name, detector, predictions, folder, progress=advance)
        save_suspicions(context.paths.name, detector, suspicions(context.paths, detector))

    return store


def suspicions(paths: DatasetPaths, detector: str) -> dict[str, float]:
    """How far above the others normal images score that a detector was not fitted on, by sample id."""
    report = recorded(paths, paths.score_step(detector))["result"].get("report", {})
    found = report.get("robust", {}).get("by_category", {}).values()
    return {row["sample_id"]: row["z"] for each in found for row in each["left_out"]}


def _threshold(context: Context) -> None:
    from curate.store.heatmaps import save_threshold

    chosen = read_json(context.paths.threshold)
    rows = chosen["by_category"]
    values = {name: row["threshold"] for name, row in rows.items() if row["threshold"] is not None}
    bands = {
        name: LOWEST if row["band"] == "open" else row["review_from"]
        for name, row in rows.items()
        if row.get("band", "none") != "none"
    }
    save_threshold(context.paths.name, chosen["detector"], values, bands)


def _decisions(context: Context) -> None:
    from curate.store.heatmaps import save_decisions

    save_decisions(context.paths.name, history_of(context))
