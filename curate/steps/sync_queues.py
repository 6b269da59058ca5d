"""The fields of queues in the FiftyOne dataset: when they are due, and what they are made of."""

import contextlib
import sqlite3
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from curate import tables
from curate.arrivals import COLUMNS, Arrival, updated
from curate.faults import SEVERITIES
from curate.files import fingerprint
from curate.progress import bar
from curate.steps.embeddings import CACHE
from curate.steps.record import Context, digest

Part = tuple[str, Callable[[], None]]
DETECTOR = "detector "
ARRIVALS = "arrivals.parquet"


def parts(context: Context, others: Mapping[str, str], outdated: str) -> dict[str, Part]:
    """Part -> checksum of what it should hold, and how to store it; see curate.steps.sync.

    Args:
        others: part -> checksum of the parts that are stored before these.
        outdated: how the checksum of a part begins that does not fit the images any more.
    """
    kept = {part: checksum for part, checksum in others.items() if not checksum.startswith(outdated)}
    detectors = {
        part.removeprefix(DETECTOR): held for part, held in kept.items() if part.startswith(DETECTOR)
    }
    samples = digest(context.paths.samples)
    found: dict[str, Part] = {"arrivals": (fingerprint([samples]), lambda: arrivals(context))}
    if len(detectors) > 1:
        made_of = fingerprint([samples, detectors])
        found["disagreement"] = (made_of, lambda: disagreement(context, list(detectors)))
    if n_embedded := _n_embedded(context):
        found["gaps"] = (fingerprint([samples, n_embedded]), lambda: gaps(context))
    return found


def clear_vanished(context: Context, parts: Collection[str]) -> None:
    """Empty the fields whose sources are gone."""
    from curate.store import heatmaps, marks, queue_fields
    from curate.store.dataset import save_findings

    fields = {
        "disagreement": queue_fields.DISAGREEMENT,
        "gaps": queue_fields.GAP,
        "threshold": queue_fields.MARGIN,
    }
    for part in fields.keys() & set(parts):
        heatmaps.clear(context.paths.name, [fields[part]])
        marks.remove(context.paths.name, part)
    if "findings" in parts:
        save_findings(context.paths.name, tables.from_rows([], ["code", "relative_path"]), {})
        queue_fields.save(context.paths.name, queue_fields.SEVERITY, {})
        marks.remove(context.paths.name, "findings")


def _n_embedded(context: Context) -> int:
    """How many pictures `curate check` has embedded."""
    path = context.paths.root / CACHE
    if not path.exists():
        return 0
    with contextlib.suppress(sqlite3.Error):
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            return int(database.execute("SELECT count(*) FROM measured").fetchone()[0])
    return 0


def arrivals(context: Context) -> None:
    """Note when each picture came, in the workspace and in the dataset.

    A picture without a note came when the database got its sample, in a workspace from before there were
    notes, else now.
    """
    from curate.store import queue_fields

    paths = context.paths
    path = paths.root / ARRIVALS
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    pictures = _pictures(context)
    if path.exists():
        rows = tables.to_rows(tables.read(path))
        known: dict[str, Arrival] = {row["sample_id"]: (row["sha256"], row["arrived_at"]) for row in rows}
    else:
        since = queue_fields.created(paths.name)
        known = {one: (pictures[one], at.isoformat()) for one, at in since.items() if one in pictures}
    found = updated(known, pictures.items(), now)
    if found != known or not path.exists():
        rows = [dict(zip(COLUMNS, (one, *held), strict=True)) for one, held in sorted(found.items())]
        tables.write(tables.from_rows(rows, COLUMNS), path)
    stored = {one: datetime.fromisoformat(at).replace(tzinfo=None) for one, (_, at) in found.items()}
    queue_fields.save(paths.name, queue_fields.ARRIVED, stored)


def _pictures(context: Context) -> dict[str, str]:
    wanted = ("sample_id", "sha256")
    rows = (row for rows in tables.batches(context.paths.samples, columns=wanted) for row in rows)
    return {row["sample_id"]: row["sha256"] for row in rows}


def severities(context: Context, findings: Any, ids: Mapping[str, str]) -> None:
    """Store how bad the worst finding about each image is.

    Args:
        findings: the table of `curate check`.
        ids: sample ids by path, as the findings have it.
    """
    from curate.store import queue_fields

    worst: dict[str, int] = {}
    for row in tables.to_rows(findings):
        rank = len(SEVERITIES) - SEVERITIES.index(row["severity"])
        for path in (row["relative_path"], *(row["related"] or ())):
            if path in ids:
                worst[ids[path]] = max(rank, worst.get(ids[path], 0))
    queue_fields.save(context.paths.name, queue_fields.SEVERITY, worst)


def disagreement(context: Context, detectors: Collection[str]) -> None:
    """Store how differently the detectors judge each image."""
    import numpy as np

    from curate.disagreement import disagreement as told
    from curate.store import queue_fields
    from curate.store.fields import detector_fields

    name, fields = context.paths.name, [detector_fields(one)[0] for one in detectors]
    rows = queue_fields.scores_of(name, fields)
    scores = np.array([[row.get(field) for field in fields] for row in rows], dtype=np.float64)
    found = told(scores.reshape(len(rows), len(fields)), [row["category"] for row in rows])
    known = {row["sample_id"]: float(value) for row, value in zip(rows, found, strict=True) if value == value}
    with bar("disagreement", len(known)) as advance:
        queue_fields.save(name, queue_fields.DISAGREEMENT, known, advance)


def gaps(context: Context) -> None:
    """Store which undecided images are least like anything decided, of those that are embedded."""
    import numpy as np

    from curate.coverage_gaps import gaps as picked
    from curate.embeddings import cached, matrix
    from curate.store import queue_fields

    wanted = ["sample_id", "category", "pixel_sha256"]
    rows = [row for rows in tables.batches(context.paths.samples, columns=wanted) for row in rows]
    samples = tables.from_rows(rows, wanted)
    table = cached(samples, context.paths.root / CACHE).merge(samples[["sample_id", "category"]])
    done = queue_fields.decided(context.paths.name)
    decided = table["sample_id"].isin(done).to_numpy(dtype=bool)
    with bar("gaps of coverage", len(table)) as advance:
        order, _ = picked(
            np.asarray(matrix(table["vector"])), list(table["category"]), decided, progress=advance
        )
    ids = table["sample_id"].to_numpy()
    ranks = {str(ids[index]): rank for rank, index in enumerate(order.tolist(), 1)}
    queue_fields.save(context.paths.name, queue_fields.GAP, ranks)


def renew_gaps(context: Context) -> None:
    """Pick gaps of coverage anew when most of those picked before are decided."""
    from curate.store import queue_fields

    if _n_embedded(context) and queue_fields.gaps_are_spent(context.paths.name):
        gaps(context)


def say_what_lacks(context: Context) -> None:
    """Tell what a person can do to get the queue that needs more than scores."""
    if not _n_embedded(context):
        name = context.paths.name
        context.say(f'The queue "gaps of coverage" needs embedded images: curate check {name} makes them.')


def since(context: Context, text: str) -> str:
    """Make the view of undecided images that came at a date or time or later; returns its name.

    Raises:
        ValueError: it is neither a date nor a time.
    """
    from curate.store.queues import save_since

    name, n_images = save_since(context.paths.name, text)
    context.say(f"{name}: {n_images} undecided {'image' if n_images == 1 else 'images'}")
    return name
