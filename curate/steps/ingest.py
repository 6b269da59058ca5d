"""Step: takes a source into the sample table, its masks and the FiftyOne dataset."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from curate import tables
from curate.errors import AlreadyExists, DataFault, Missing, Unreadable
from curate.progress import bar
from curate.recipe import Source
from curate.schema import check_table
from curate.steps import sources
from curate.steps.record import Context, done_before, finish, recorded


def run(context: Context, source: Source, replace: bool = False, rehash: bool = False) -> dict[str, Any]:
    """Read one source and bring the dataset up to date with it.

    Rows of other sources stay as they are. Images that cannot be read are left out and become faults.

    Args:
        replace: let the source take the place of one of the same name that lies elsewhere.
        rehash: read every file again, even if no size and no time changed.

    Returns:
        source, format, n_images, n_added, n_changed, n_vanished, n_total (images of all sources), faults
        (rows of dicts), n_errors, fresh.

    Raises:
        Missing: the source does not exist.
        AlreadyExists: the dataset has another source of this name, or too common a name itself.
        CurateError: no reader knows the layout, or no image of it can be read.
    """
    paths = context.paths
    context.workspace.check_new(paths.name)
    listing = _listing(source.path)
    name, format_name = identity(source, context.say)
    if not replace:
        _check_same_place(context, name, source.path)
    target, key = sources.table(paths, name), sources.key(name)
    inputs = {"path": str(source.path), "format": format_name, "mapping": source.mapping, "files": listing}
    earlier = done_before(paths, key, inputs, sources.outputs(paths, name))
    if earlier is not None and not rehash:
        result = {**earlier, "n_added": 0, "n_changed": 0, "n_vanished": 0}
    else:
        taken = _take_in(context, source, format_name, name, target)
        result = finish(paths, key, inputs, sources.outputs(paths, name), taken)
    return {**result, "n_total": sources.join(paths)}


def identity(source: Source, say: Callable[[str], None] | None = None) -> tuple[str, str]:
    """Name and format of a source; the name is the format's unless the source has one.

    Args:
        say: hears which layout was recognised, and why the others were not.
    """
    from curate.formats import recognise

    format_name = source.format
    if format_name == "auto":
        format_name, others = recognise(source.path)
        if say:
            reasons = [f"  not {other}: {'; '.join(why)}" for other, why in others.items()]
            say("\n".join([f"Recognised {source.path} as {format_name}", *reasons]))
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


def _listing(root: Path) -> str:
    """Checksum of every file's path, size and time: changes when anything below the source does."""
    from curate.files import fingerprint

    if not root.is_dir():
        kind = "is a file" if root.exists() else "does not exist"
        raise Missing(f"Missing: the source {root} {kind}. Expected a folder of images.")
    entries: list[list[Any]] = []
    seen: set[str] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link to a folder that contains it
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        for file in files:
            try:
                state = os.stat(os.path.join(folder, file))  # noqa: PTH116, PTH118 - names may not be valid text
            except OSError:
                entries.append([folder, file, None, None])
                continue
            entries.append([folder, file, state.st_size, state.st_mtime_ns])
    return fingerprint(sorted(entries, key=lambda e: (e[0], e[1])))


def _take_in(context: Context, source: Source, format_name: str, name: str, target: Path) -> dict[str, Any]:
    from curate.faults import in_order, to_rows
    from curate.ingest import build_table, write_masks

    options = {"mapping": source.mapping} if source.mapping else {}
    with bar("reading", None) as advance:
        table, faults = build_table(source.path, format_name, source=name, progress=advance, options=options)
    if table.empty:
        lines = [str(fault) for fault in faults[:10]]
        raise DataFault(
            "\n".join([f"DataFault: no image of {source.path} can be read as {format_name}.", *lines])
        )
    check_table(table, "sample")
    with bar("masks", int(table["gt_mask_path"].notna().sum())) as advance:
        faults = [*faults, *write_masks(table, context.paths.masks, progress=advance)]
    rows = to_rows(in_order(faults))
    change = _changes(target, table)
    tables.write(table, target)
    return {
        "source": name,
        "format": format_name,
        "n_images": len(table),
        **change,
        "faults": rows,
        "n_errors": sum(row["severity"] == "error" for row in rows),
    }


def _changes(target: Path, table: pd.DataFrame) -> dict[str, int]:
    try:
        before = tables.read(target).set_index("sample_id")["sha256"]
    except (Missing, Unreadable):
        return {"n_added": len(table), "n_changed": 0, "n_vanished": 0}
    now = table.set_index("sample_id")["sha256"]
    shared = now.index.intersection(before.index)
    return {
        "n_added": len(now.index.difference(before.index)),
        "n_changed": int((now[shared] != before[shared]).sum()),
        "n_vanished": len(before.index.difference(now.index)),
    }
