"""The sources of a dataset: one table each, joined to the sample table."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from curate import fixes, tables
from curate.errors import CurateError, Unreadable
from curate.examine import Job, examine
from curate.faults import Fault, shown, to_rows
from curate.file_cache import state_of_all
from curate.files import read_json, write_json
from curate.ground_truth import has_mask, mask_files
from curate.mask_facts import measure
from curate.masks import read_mask
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
    concerned = _concerned(paths, names)
    faults = {name: recorded(paths, key(name))["result"].get("faults", []) for name in names}
    inputs = {
        "sources": {name: [digest(table(paths, name)), digest(facts(paths, name))] for name in names},
        "faults": faults,
        "fixes": digest(paths.fixes),
        "masks to mend": state_of_all(file for row in concerned for file in mask_files(row)),
    }

    def work() -> Row:
        anew, stuck = _clean(paths, names, concerned, held)
        n_total = _write(paths, names, fixes.excluded(held, _rows(paths, names)) if held else set(), anew)
        write_json(paths.faults, {name: faults[name] + stuck.get(name, []) for name in names})
        wanted = (made_files.needed(paths, table(paths, name), facts(paths, name)) for name in names)
        made_files.sweep(paths, set().union(*wanted))
        return {"n_total": n_total, "cleaned": sorted(fixes.mask_actions(held, concerned))}

    result = once(paths, "join", inputs, [paths.samples, paths.mask_facts, paths.faults], work)
    return int(result["n_total"])


def _write(paths: DatasetPaths, names: Iterable[str], out: Collection[str], anew: Mapping[str, Row]) -> int:
    """Write the sample table and the mask facts; returns the number of samples.

    Args:
        out: ids of samples to leave out.
        anew: sample id -> mask facts that differ from the source's.
    """
    n_total = 0
    with (
        tables.streaming(paths.samples, "sample") as take,
        tables.streaming(paths.mask_facts, "mask_facts") as take_facts,
    ):
        for name in names:
            for rows in tables.batches(table(paths, name)):
                rows = [row for row in rows if row["sample_id"] not in out]
                n_total += len(rows)
                take(rows)
            for rows in tables.batches(facts(paths, name)):
                kept = [row for row in rows if row["sample_id"] not in out]
                take_facts([row | anew.get(row["sample_id"], {}) for row in kept])
    return n_total


def _batches(files: Iterable[Path]) -> Iterator[list[Row]]:
    for file in files:
        yield from tables.batches(file)


def _rows(paths: DatasetPaths, names: Iterable[str]) -> Iterator[Row]:
    for rows in _batches(table(paths, name) for name in names):
        yield from rows


def _concerned(paths: DatasetPaths, names: Iterable[str]) -> list[Row]:
    """Samples whose mask was mended once, or is to be: each may have to be made anew, with or without specks.

    A mend that was cut off half way left masks without their specks, but no record of it.
    """
    ids = fixes.ever(paths.fixes, "drop_specks") | set(recorded(paths, "join")["result"].get("cleaned", []))
    return [row for row in _rows(paths, names) if row["sample_id"] in ids and has_mask(row)] if ids else []


def _clean(
    paths: DatasetPaths, names: Iterable[str], concerned: Iterable[Row], held: Iterable[fixes.Fix]
) -> tuple[dict[str, Row], dict[str, list[Row]]]:
    """Make the masks of some samples anew, with or without their specks.

    Returns:
        Mask facts by sample, and by source the faults of masks that the source does not give any more: these
        stay as they are.
    """
    rows = {row["sample_id"]: row for row in concerned}
    parts = _batches(facts(paths, name) for name in names if rows)
    known = {row["sample_id"]: row for part in parts for row in part if row["sample_id"] in rows}
    pictures = {fix.sample_id: fix.sha256 for fix in held if fix.action == "drop_specks"}
    made: dict[str, Row] = {}
    stuck: dict[str, list[Row]] = {}
    for name, row in rows.items():
        if name not in known:
            continue
        specks = pictures.get(name, "")
        done = examine(Job(row, name, row, True, specks, masks=paths.masks, keep_mask=True))
        if done.mask is not None:
            made[name] = {column: done.mask[column] for column in known[name] if column != "sample_id"}
            continue
        stuck.setdefault(row["source"], []).extend(to_rows([_stuck(row["relative_path"])]))
        with suppress(Unreadable):
            mask = read_mask(paths.masks / f"{name}.png")
            made[name] = measure(mask, known[name]["values"])
    return made, stuck


def _stuck(relative_path: str) -> Fault:
    return Fault(
        "unreadable_mask",
        "error",
        relative_path,
        f"The mask of {relative_path} cannot be made anew, with its specks or without: the source does not "
        "give it any more. It stays as it was.",
        "Bring the source back, and run curate ingest.",
    )


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
    printable = name.isprintable() and name.strip()
    safe = quote(name, safe=" ").replace(".", "%2E") if printable else ""
    if not 0 < len(safe) <= MAX_FILE_NAME:
        raise ValueError(f'Source name "{shown(name[:80])}" must have 1 to 60 printable characters.')
    return safe
