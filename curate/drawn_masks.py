"""Masks that people accepted or drew: files that never change, named by the sample and their content.

A verdict names the digest. So a mask is on the disk before the verdict that names it, a killed program leaves
at most a file that nothing names, and taking a verdict back needs no file to be altered.

A file is 8-bit grey. Where it tells defect from no defect, it holds 0 and 255. Where it tells several defect
types apart, each has a value from 1 to 254, which the verdict says, and 255 is defect of no stated type.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from curate.errors import Missing, MissingMask, Unreadable, listed
from curate.file_cache import FileCache, state
from curate.files import write_bytes
from curate.images import Array, encode_png, read_stored
from curate.mask_facts import measure

DEFECT = 255  # of no stated type
CACHE = "drawn_masks.sqlite"
AGAIN = (
    "Bring the folder back from a copy, or open these images with curate triage and take the verdicts back."
)


def digest(mask: Array) -> str:
    """What a mask is known by: 16 hex digits of its size and pixels.

    Args:
        mask: (H, W) bool; or uint8, a value for each defect type. Values of 0 and 255 alone count as bool.
    """
    values = np.ascontiguousarray(mask)
    size = f"{values.shape[0]}x{values.shape[1]}:"
    if values.dtype == np.bool_ or bool(np.isin(values, (0, DEFECT)).all()):
        return _hashed(size, np.packbits(values.astype(np.bool_)).tobytes())
    return _hashed(f"{size}values:", values.astype(np.uint8).tobytes())


def _hashed(head: str, content: bytes) -> str:
    return hashlib.sha256(head.encode() + content).hexdigest()[:16]


def path_of(folder: Path, sample_id: str, named: str) -> Path:
    """Where the mask with this digest lies; `folder` is the dataset's drawn_masks."""
    return folder / f"{sample_id}-{named}.png"


def store(folder: Path, sample_id: str, mask: Array) -> str:
    """Write a mask unless it is there, flushed to the disk; returns its digest.

    Args:
        mask: (H, W) of the size of the image; bool, or uint8 with a value for each defect type.

    Raises:
        StorageFull: no space is left; nothing is stored.
    """
    named = digest(mask)
    path = path_of(folder, sample_id, named)
    if not path.exists():
        values = mask.astype(np.uint8) * DEFECT if mask.dtype == np.bool_ else mask
        write_bytes(path, encode_png(values))
    return named


def read(folder: Path, sample_id: str, named: str) -> Array:
    """The mask with this digest, (H, W) bool.

    Raises:
        Missing: there is no such file.
        Unreadable: the file is damaged, or was altered after the verdict.
    """
    path = path_of(folder, sample_id, named)
    if not path.exists():
        raise Missing(
            f"Missing: a verdict on sample {sample_id} names the mask {path.name}, which is not in {folder}. "
            "Bring the folder back from a copy, or take the verdict back."
        )
    values = read_stored(path)
    if values.ndim != 2 or digest(values) != named:
        raise Unreadable(
            f"Unreadable: {path} is not as it was when the verdict was given. Bring it back from a copy."
        )
    return np.asarray(values > 0)


def facts(
    folder: Path,
    named: Mapping[str, str],
    cache: Path | None = None,
    images: Mapping[str, str] | None = None,
) -> dict[str, dict[str, Any]]:
    """What curate.mask_facts measures in masks that verdicts name, by sample id; each file is checked.

    Args:
        named: sample id -> digest.
        images: sample id -> path of the image, for the message; None: only the files are named.
        cache: SQLite file that remembers what was found in files that did not change; None: nothing does.

    Raises:
        MissingMask, Unreadable: files are gone, or not as they were when the verdicts were given; all of them
            are listed.
    """
    if not named:
        return {}
    paths = {name: path_of(folder, name, said) for name, said in named.items()}
    states = {path.name: state(path) for path in paths.values()}
    found: dict[str, dict[str, Any]] = {}
    gone, altered = [], []
    with FileCache(cache) as files:
        known = files.known(states)
        for name, path in sorted(paths.items()):
            if not path.exists():
                gone.append(f"{path.name}{_of(name, images)}: is not there")
                continue
            looked = known.get(path.name)
            if looked is None:
                looked = _looked_at(path)
                files.put(path.name, states[path.name], looked)
            if looked["digest"] != named[name]:
                altered.append(f"{path.name}{_of(name, images)}: {looked['fault'] or 'was altered'}")
            found[name] = looked["facts"]
    if gone or altered:
        kind, lines = (MissingMask, gone + altered) if gone else (Unreadable, altered)
        raise kind(
            f"{kind.__name__}: {len(lines)} of {len(named)} masks in {folder} are not as they were when "
            f"people accepted or drew them:\n{listed(lines)}\n{AGAIN}"
        )
    return found


def _of(sample_id: str, images: Mapping[str, str] | None) -> str:
    return f" (of {images[sample_id]})" if images and sample_id in images else ""


def _looked_at(path: Path) -> dict[str, Any]:
    """A file's digest and mask facts; the digest is empty where it cannot be read."""
    try:
        values = read_stored(path)
    except Unreadable:
        return {"digest": "", "fault": "is damaged", "facts": {}}
    if values.ndim != 2:
        return {"digest": "", "fault": "was altered", "facts": {}}
    present = np.unique(values)
    return {
        "digest": digest(values),
        "fault": "",
        "facts": measure(values > 0, present[present > 0].tolist()),
    }
