"""The sources of a dataset: one table each, joined to the sample table."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from curate import fixes, tables
from curate.errors import CurateError
from curate.examine import Job, examine
from curate.files import read_json, write_json
from curate.ground_truth import has_mask
from curate.steps import made_files
from curate.steps.record import Context, digest, once, recorded
from curate.workspace import DatasetPaths

MAX_FILE_NAME = 200
Row = dict[str, Any]


def table(paths: DatasetPaths, name: str) -> Path:
    """The sample table of one source.

    Raises:
        ValueError: the name is too long for a file.
    """
    return paths.sources / f"{_file_name(name)}.parquet"


def facts(paths: DatasetPaths, name: str) -> Path:
    """What was measured in the masks of one source (contract mask_facts.json)."""
    return paths.sources / "mask_facts" / f"{_file_name(name)}.parquet"


def files_made(paths: DatasetPaths, name: str) -> Path:
    """Which masks, copies and pages of one source the workspace has, each with its size and time."""
    return paths.sources / "files_made" / f"{_file_name(name)}.json"


def key(name: str) -> str:
    """Name of the step that takes in a source."""
    return f"ingest-{_file_name(name)}"


def present(paths: DatasetPaths) -> list[str]:
    """Names of the sources taken in, sorted."""
    return sorted(unquote(path.stem) for path in paths.sources.glob("*.parquet"))


def retire(context: Context, wanted: Collection[str]) -> list[str]:
    """Take out the sources that a recipe names no more; their verdicts are kept. Returns their names."""
    paths = context.paths
    gone = [name for name in present(paths) if name not in wanted]
    for name in gone:
        context.say(f'The source "{name}" is not in the recipe any more: its images leave the dataset.')
        (paths.steps / f"{key(name)}.json").unlink(missing_ok=True)
        table(paths, name).unlink()
        facts(paths, name).unlink(missing_ok=True)
        files_made(paths, name).unlink(missing_ok=True)
    if gone:
        join(paths)
    return gone


def join(paths: DatasetPaths) -> int:
    """Write the sample table, the mask facts and the faults of all sources, in a fixed order.

    What `curate check --fix` mends is applied: excluded samples are left out, masks lose their specks. Masks,
    copies and pages of no image of any source are removed.

    Returns:
        Number of images.
    """
    names = present(paths)
    held = fixes.read(paths.fixes)
    inputs = {
        "sources": {name: [digest(table(paths, name)), digest(facts(paths, name))] for name in names},
        "faults": {name: recorded(paths, key(name))["result"].get("faults", []) for name in names},
        "fixes": digest(paths.fixes),
    }
    drop = fixes.mask_actions(held, _rows(paths, names)) if held else {}
    cleaned_before = recorded(paths, "join")["result"].get("cleaned", [])

    def work() -> Row:
        out = fixes.excluded(held, _rows(paths, names)) if held else set()
        anew = _clean(paths, names, held, {*drop, *cleaned_before})
        kept: set[str] = set()
        with tables.streaming(paths.samples, "sample") as take:
            for rows in _batches(table(paths, name) for name in names):
                rows = [row for row in rows if row["sample_id"] not in out]
                kept |= {row["sample_id"] for row in rows}
                take(rows)
        with tables.streaming(paths.mask_facts, "mask_facts") as take:
            for rows in _batches(facts(paths, name) for name in names):
                take([anew.get(row["sample_id"], row) for row in rows if row["sample_id"] in kept])
        write_json(paths.faults, inputs["faults"])
        wanted = (made_files.needed(paths, table(paths, name), facts(paths, name)) for name in names)
        made_files.sweep(paths, set().union(*wanted))
        return {"n_total": len(kept), "cleaned": sorted(drop)}

    result = once(paths, "join", inputs, [paths.samples, paths.mask_facts, paths.faults], work)
    return int(result["n_total"])


def _batches(files: Iterable[Path]) -> Iterator[list[Row]]:
    for file in files:
        yield from tables.batches(file)


def _rows(paths: DatasetPaths, names: Iterable[str]) -> Iterator[Row]:
    for rows in _batches(table(paths, name) for name in names):
        yield from rows


def _clean(
    paths: DatasetPaths, names: Iterable[str], held: list[fixes.Fix], concerned: Collection[str]
) -> dict[str, Row]:
    """Make the masks of some samples anew, with or without their specks; returns their mask facts."""
    if not concerned:
        return {}
    pictures = {fix.sample_id: fix.sha256 for fix in held if fix.action == "drop_specks"}
    made = {}
    for row in _rows(paths, names):
        name = row["sample_id"]
        if name in concerned and has_mask(row):
            done = examine(Job(row, name, row, True, pictures.get(name, ""), masks=paths.masks))
            if done.mask is not None:
                made[name] = {"sample_id": name} | {
                    column: done.mask[column] for column in done.mask if column not in ("classes", "state")
                }
    return made


def note_files(paths: DatasetPaths, name: str) -> None:
    """Remember what was made of a source as it is now, to notice when a file is lost or altered."""
    wanted = made_files.needed(paths, table(paths, name), facts(paths, name))
    write_json(files_made(paths, name), made_files.states(paths, wanted))


def files_are_there(paths: DatasetPaths, name: str) -> bool:
    """Whether every mask, copy and page of a source is as it was left."""
    try:
        noted = read_json(files_made(paths, name))
    except CurateError:
        return False
    return bool(noted.items() <= made_files.states(paths).items())


def outputs(paths: DatasetPaths, name: str) -> list[Path]:
    """The files that taking in a source makes, but for those that files_are_there tells of."""
    return [table(paths, name), facts(paths, name), files_made(paths, name)]


def _file_name(name: str) -> str:
    """A file name for any source name.

    >>> _file_name("line 3/top")
    'line 3%2Ftop'
    """
    safe = quote(name, safe=" ").replace(".", "%2E")
    if len(safe) > MAX_FILE_NAME or not name.isprintable() or not name.strip():
        raise ValueError(f'Source name "{name[:80]}" must have 1 to 60 printable characters.')
    return safe
