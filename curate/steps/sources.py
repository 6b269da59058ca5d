"""The sources of a dataset: one table each, joined to the sample table."""

from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from curate import tables
from curate.errors import CurateError
from curate.files import write_json
from curate.schema import load
from curate.steps.record import Context, digest, once, recorded
from curate.workspace import DatasetPaths

MAX_FILE_NAME = 200


def table(paths: DatasetPaths, name: str) -> Path:
    """The sample table of one source.

    Raises:
        ValueError: the name is too long for a file.
    """
    return paths.sources / f"{_file_name(name)}.parquet"


def key(name: str) -> str:
    """Name of the step that takes in a source."""
    return f"ingest-{_file_name(name)}"


def present(paths: DatasetPaths) -> list[str]:
    """Names of the sources taken in, sorted."""
    return sorted(unquote(path.stem) for path in paths.sources.glob("*.parquet"))


def retire(context: Context, wanted: Collection[str]) -> list[str]:
    """Take out the sources that a recipe names no more; their verdicts are kept. Returns their names."""
    gone = [name for name in present(context.paths) if name not in wanted]
    for name in gone:
        context.say(f'The source "{name}" is not in the recipe any more: its images leave the dataset.')
        (context.paths.steps / f"{key(name)}.json").unlink(missing_ok=True)
        table(context.paths, name).unlink()
    if gone:
        join(context.paths)
    return gone


def join(paths: DatasetPaths) -> int:
    """Write the sample table and the faults of all sources, in a fixed order, and remove masks of no image.

    Returns:
        Number of images.
    """
    names = present(paths)
    inputs = {name: digest(table(paths, name)) for name in names}
    faults = {name: recorded(paths, key(name))["result"].get("faults", []) for name in names}

    def work() -> dict[str, Any]:
        rows = [row for name in names for row in tables.to_rows(tables.read(table(paths, name)))]
        rows.sort(key=lambda row: (row["source"], row["relative_path"]))
        tables.write(tables.from_rows(rows, list(load("sample")["properties"])), paths.samples)
        write_json(paths.faults, faults)
        _sweep_masks(paths, rows)
        return {"n_total": len(rows)}

    result = once(paths, "join", {"sources": inputs, "faults": faults}, [paths.samples, paths.faults], work)
    return int(result["n_total"])


def outputs(paths: DatasetPaths, name: str) -> list[Path]:
    """The files that taking in a source makes: its table, and the masks that the table speaks of."""
    target = table(paths, name)
    try:
        rows = tables.to_rows(tables.read(target))
    except CurateError:
        return [target]
    return [target, *(paths.masks / f"{row['sample_id']}.png" for row in rows if _has_mask(row))]


def _has_mask(row: dict[str, Any]) -> bool:
    return row["label"] == "anomalous" and row["gt_mask_path"] is not None


def _sweep_masks(paths: DatasetPaths, rows: list[dict[str, Any]]) -> None:
    kept = {row["sample_id"] for row in rows if _has_mask(row)}
    for path in paths.masks.glob("*.png"):
        if path.stem not in kept:
            path.unlink()


def _file_name(name: str) -> str:
    """A file name for any source name.

    >>> _file_name("line 3/top")
    'line 3%2Ftop'
    """
    safe = quote(name, safe=" ").replace(".", "%2E")
    if len(safe) > MAX_FILE_NAME or not name.isprintable() or not name.strip():
        raise ValueError(f'Source name "{name[:80]}" must have 1 to 60 printable characters.')
    return safe
