"""Marks of images on a grid in one file, so that a mask is read once; the file may be deleted at any time."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from curate.defect_density import Mark
from curate.files import write_bytes

Held = dict[str, list[Mark]]


def read(path: Path) -> Held:
    """The marks by key; empty without a file, and with one that is damaged."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            about = json.loads(str(stored["about"]))
            ends = np.cumsum([row[3] for row in about])
            cells, shares = np.split(stored["cells"], ends), np.split(stored["shares"], ends)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}
    held: Held = {}
    for (key, sample_id, types, _), own, covered in zip(about, cells, shares, strict=False):
        marks = held.setdefault(key, [])
        if sample_id:
            marks.append(Mark(sample_id, tuple(types), own, covered))
    return held


def write(path: Path, held: Mapping[str, Sequence[Mark]]) -> None:
    """Keep the marks; what was in the file before is gone.

    Raises:
        StorageFull: no space is left; the old file is unchanged.
    """
    about, marks = [], []
    for key, own in held.items():
        if not own:
            about.append([key, "", [], 0])  # looked at, nothing is marked
        for each in own:
            about.append([key, each.sample_id, list(each.defect_types), len(each.cells)])
            marks.append(each)
    file = io.BytesIO()
    np.savez_compressed(
        file,
        about=np.array(json.dumps(about)),
        cells=np.concatenate([np.zeros(0, np.int32), *(each.cells for each in marks)]),
        shares=np.concatenate([np.zeros(0), *(each.shares for each in marks)]),
    )
    write_bytes(path, file.getvalue(), durable=False)
