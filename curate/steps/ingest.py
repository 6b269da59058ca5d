"""Step: takes a source into the sample table, its masks and the FiftyOne dataset."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from curate import fixes, tables
from curate.errors import AlreadyExists, CurateError, DataFault
from curate.progress import bar
from curate.recipe import Source
from curate.schema import load
from curate.source_listing import listing
from curate.steps import sources
from curate.steps.record import Context, done_before, finish, recorded

COLUMNS = tuple(load("sample")["properties"])
NAMED = 20  # files that a result names of those added, changed and vanished


def run(context: Context, source: Source, replace: bool = False, rehash: bool = False) -> dict[str, Any]:
    """Read one source and bring the dataset up to date with it.

    Rows of other sources stay as they are. Images that cannot be read are left out and become faults. Files
    whose size and time did not change are not read again.

    Args:
        replace: let the source take the place of one of the same name that lies elsewhere.
        rehash: read every file again, even if no size and no time changed.

    Returns:
        source, format, n_images, labels (label -> images), n_decoded, n_added, n_changed (another picture),
        n_relabelled (the same picture, but the source says something else about it), n_vanished, names (of
        the first of these), n_total (images of all sources), faults (rows of dicts), n_errors, fresh.

    Raises:
        Missing: the source does not exist.
        AlreadyExists: the dataset has another source of this name, or too common a name itself.
        CurateError: no reader knows the layout, or no image of it can be read.
    """
    paths = context.paths
    context.workspace.check_new(paths.name)
    files = listing(source.path)
    name, format_name = identity(source, context.say)
    if not replace:
        _check_same_place(context, name, source.path)
    _say_when_twice(context, name, source.path)
    key, outputs = sources.key(name), sources.outputs(paths, name)
    inputs = {
        "path": str(source.path),
        "format": format_name,
        "options": source.reader_options,
        "option files": _states(source.reader_options),
        "files": files,
    }
    earlier = done_before(paths, key, inputs, outputs)
    if earlier is not None and not rehash and sources.files_are_there(paths, name):
        result = {**earlier, **_Changes({}).result(), "n_decoded": 0}
    else:
        taken = _take_in(context, source, format_name, name, rehash)
        result = finish(paths, key, inputs, outputs, taken)
    return {**result, "n_total": sources.join(paths)}


def identity(source: Source, say: Callable[[str], None] | None = None) -> tuple[str, str]:
    """Name and format of a source; the name is the format's unless the source has one.

    Args:
        say: hears which layout was recognised.
    """
    from curate.formats import recognise

    format_name = source.format
    if format_name == "auto":
        format_name, _ = recognise(source.path)
        if say:
            say(f"Recognised {source.path} as {format_name} (--explain says why not as another)")
    return source.name or format_name, format_name


def _check_same_place(context: Context, name: str, path: Path) -> None:
    """Raise when a source of this name lies at another place that is still there."""
    earlier = recorded(context.paths, sources.key(name))["inputs"].get("path")
    if earlier is None or not Path(earlier).is_dir() or Path(earlier).resolve() == path.resolve():
        return
    raise AlreadyExists(
        f'AlreadyExists: dataset "{context.paths.name}" has a source "{name}" already: {earlier}. To add '
        f"{path} beside it, name it with --source NAME; to put it in that place, use --overwrite."
    )


def _say_when_twice(context: Context, name: str, path: Path) -> None:
    """Say when the dataset has a source of another name from the same folder, or one around or in it."""
    here = path.resolve()
    for other in sources.present(context.paths):
        earlier = recorded(context.paths, sources.key(other))["inputs"].get("path")
        if other == name or earlier is None:
            continue
        there = Path(earlier).resolve()
        if here.is_relative_to(there) or there.is_relative_to(here):
            context.say(
                f'The source "{other}" of dataset "{context.paths.name}" already takes images from '
                f'{earlier}: those that "{name}" takes as well will be in the dataset twice.'
            )


def _states(options: Mapping[str, Any]) -> dict[str, str]:
    """Sizes and times of the files that a reader's options name, such as a table outside of the source."""
    from curate.file_cache import state

    named = {name: value for name, value in options.items() if isinstance(value, str) and value}
    return {name: state(value) for name, value in named.items() if state(value) != "absent"}


def _take_in(context: Context, source: Source, format_name: str, name: str, rehash: bool) -> dict[str, Any]:
    from curate.engines.local import Workers
    from curate.faults import in_order, to_rows
    from curate.file_cache import FileCache
    from curate.images import hear_warnings
    from curate.ingest import read_source
    from curate.intake import Intake, Places, cache_keys

    paths = context.paths
    hear_warnings()
    context.say(f"listing {source.path}")
    reading = read_source(source.path, format_name, name, source.reader_options)
    earlier_place = recorded(paths, sources.key(name))["inputs"].get("path", str(source.path))
    changes = _Changes(_as_it_was(sources.table(paths, name), earlier_place), str(source.path))
    specks = {fix.sample_id: fix.sha256 for fix in fixes.read(paths.fixes) if fix.action == "drop_specks"}
    with (
        FileCache(paths.file_cache) as cache,
        Workers(processes=True) as workers,
        bar("reading", len(reading.table)) as advance,
        tables.streaming(sources.table(paths, name), "sample") as take,
    ):
        places = Places(paths.masks, paths.media, paths.pages, cache)
        intake = Intake(reading, places, workers, rehash, specks)
        labels: Counter[str] = Counter()
        for rows in intake.batches(advance):
            labels.update(row["label"] for row in rows)
            changes.note(rows)
            take(rows)
        if not labels:
            lines = [str(fault) for fault in in_order(intake.faults)[:10]]
            raise DataFault(
                "\n".join([f"DataFault: no image of {source.path} can be read as {format_name}.", *lines])
            )
        cache.forget(
            key
            for sample_id, relative_path in changes.vanished()
            for key in cache_keys(sample_id, str(source.path / relative_path))
        )
    with tables.streaming(sources.facts(paths, name), "mask_facts") as take:
        take(intake.mask_facts)
    sources.note_files(paths, name)
    faults = to_rows(in_order(intake.faults))
    return {
        "source": name,
        "format": format_name,
        "n_images": labels.total(),
        "labels": {label: labels[label] for label in ("normal", "anomalous", "unknown")},
        "n_decoded": intake.n_decoded,
        **changes.result(),
        "faults": faults,
        "n_errors": sum(row["severity"] == "error" for row in faults),
    }


def _as_it_was(table: Path, place: str) -> dict[str, tuple[str, str, int]]:
    """sample_id -> checksum, relative path and a print of the whole row; empty without a readable table."""
    try:
        rows: Iterator[dict[str, Any]] = (row for batch in tables.batches(table) for row in batch)
        return {row["sample_id"]: (row["sha256"], row["relative_path"], _print(row, place)) for row in rows}
    except CurateError:
        return {}


def _print(row: Mapping[str, Any], place: str) -> int:
    """A number that differs for rows that differ, within one process; 5 and 5.0 are the same.

    Args:
        place: folder of the source, which does not count: a source that was moved says the same as before.
    """
    values = (row[name] for name in COLUMNS)
    told = repr([_evened(v) if v and isinstance(v, list) else v for v in values])
    return hash(told.replace(f"{place}/", ""))


def _evened(value: list[Any]) -> str:
    """Nested values in one spelling: a table on disk has floats and an order of its own."""
    return json.dumps(json.loads(json.dumps(value), parse_int=float), sort_keys=True, ensure_ascii=False)


class _Changes:
    """Tells added, changed, relabelled and vanished images apart, as the rows come by."""

    def __init__(self, before: dict[str, tuple[str, str, int]], place: str = "") -> None:
        self._left, self._place = before, place
        self._n = dict.fromkeys(("added", "changed", "relabelled"), 0)
        self._names: dict[str, list[str]] = {kind: [] for kind in self._n}

    def note(self, rows: list[dict[str, Any]]) -> None:
        """Compare some rows with what was there."""
        for row in rows:
            held = self._left.pop(row["sample_id"], None)
            kind = (
                "added" if held is None
                else "changed" if held[0] != row["sha256"]
                else "relabelled" if held[2] != _print(row, self._place)
                else ""
            )  # fmt: skip
            if kind:
                self._n[kind] += 1
                if len(self._names[kind]) < NAMED:
                    self._names[kind].append(row["relative_path"])

    def vanished(self) -> Iterator[tuple[str, str]]:
        """Sample id and relative path of what no row spoke of."""
        return ((sample_id, held[1]) for sample_id, held in self._left.items())

    def result(self) -> dict[str, Any]:
        """Numbers, and the names of the first."""
        vanished = sorted(path for _, path in self.vanished())
        return {
            **{f"n_{kind}": n for kind, n in self._n.items()},
            "n_vanished": len(vanished),
            "names": {**self._names, "vanished": vanished[:NAMED]},
        }
