"""What taking in makes beside the tables: masks, copies for the browser, further pages; which are needed."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from curate import tables
from curate.file_cache import state
from curate.ground_truth import has_mask
from curate.workspace import DatasetPaths

SUFFIXES = (".png", ".jpg")


def needed(paths: DatasetPaths, table: Path, facts: Path) -> set[str]:
    """Files that the samples of a source may have: path from the dataset's folder, without the suffix.

    Those of samples that a fix takes out of the dataset count too, since the fix may be taken back.

    Args:
        table: the source's sample table.
        facts: its mask facts; a mask of which there are none could not be read.
    """
    read = {row["sample_id"] for rows in tables.batches(facts, columns=["sample_id"]) for row in rows}
    found = set()
    for row in (row for rows in tables.batches(table) for row in rows):
        name = row["sample_id"]
        found.add(f"{paths.media.name}/{name}-{row['sha256'][:8]}")
        if name in read and row["label"] == "anomalous" and has_mask(row):
            found.add(f"{paths.masks.name}/{name}")
        if (row["page"] or 1) > 1:
            found.add(f"{paths.pages.name}/{Path(row['filepath']).stem}")
    return found


def states(paths: DatasetPaths, wanted: Collection[str] | None = None) -> dict[str, str]:
    """Size and time of every mask, copy and page, by its path from the dataset's folder.

    Args:
        wanted: from needed; others are left out.
    """
    return {
        file: state(paths.root / file) for file in _files(paths) if wanted is None or _key(file) in wanted
    }


def sweep(paths: DatasetPaths, wanted: Collection[str]) -> None:
    """Remove the masks, copies and pages that no source needs."""
    for file in list(_files(paths)):
        if _key(file) not in wanted and file.endswith(SUFFIXES):
            (paths.root / file).unlink()


def _files(paths: DatasetPaths) -> Iterator[str]:
    for folder in (paths.masks, paths.media, paths.pages):
        if folder.is_dir():
            with os.scandir(folder) as entries:
                yield from (f"{folder.name}/{entry.name}" for entry in entries)


def _key(file: str) -> str:
    return file.rpartition(".")[0]
