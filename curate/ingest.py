"""From a folder of images to the sample table, and from its mask files to masks of one kind."""

import hashlib
import inspect
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from curate.errors import Unreadable
from curate.faults import Fault, in_order, shown
from curate.files import write_bytes
from curate.formats import FORMATS, recognise
from curate.images import BadImage, ImageFacts, encode_png, probe
from curate.masks import read_mask, size_fault
from curate.registry import lookup
from curate.schema import check_table, load
from curate.tables import from_rows, to_rows

Row = dict[str, Any]
Item = TypeVar("Item")
Result = TypeVar("Result")
# A little more than the processors, because some threads wait for the disk.
N_THREADS = min(16, (cpu_count() or 1) + 2)


def build_table(
    root: Path,
    format_name: str = "auto",
    source: str | None = None,
    progress: Callable[[int], None] | None = None,
    options: Mapping[str, Any] | None = None,
) -> tuple[pd.DataFrame, list[Fault]]:
    """Read a dataset folder and decode every image of it once.

    Args:
        root: the dataset's folder.
        format_name: a name in FORMATS, or "auto".
        source: name of the source in the table and in the ids; the format's name unless told.
        progress: called with the number of images just finished.
        options: further arguments of the reader, e.g. {"mapping": {"OK": "normal", "NG": "anomalous"}}.

    Returns:
        The sample table (contract sample.json), sorted by relative path, and the faults, errors first. Images
        that cannot be used are left out of the table and are among the faults.

    Raises:
        Missing, Unreadable: `root` is no folder that can be read.
        DataFault: no format matches.
        ValueError: unknown format or option.
    """
    if format_name == "auto":
        format_name, _ = recognise(root)
    reader = lookup(FORMATS, format_name, "format")
    known = list(inspect.signature(reader.read).parameters)[1:]
    if unknown := [name for name in options or {} if name not in known]:
        raise ValueError(
            f"The format {format_name} has no option {', '.join(unknown)}. "
            f"Known: {', '.join(known) or 'none'}."
        )
    reading = reader.read(root, **(options or {}))
    faults: list[Fault] = list(reading.attrs["faults"])
    source = source or format_name
    rows = []
    candidates = to_rows(reading)
    for row, found in zip(candidates, _in_threads(_examine, candidates, progress), strict=True):
        if isinstance(found, Fault):
            faults.append(found)
            continue
        faults += _odd(row, found)
        rows.append(_complete(row, found, source))
    table = from_rows(
        sorted(rows, key=lambda row: str(row["relative_path"])), list(load("sample")["properties"])
    )
    check_table(table, "sample")
    return table, in_order(faults)


def sample_id(source: str, relative_path: str) -> str:
    """16 hex digits that depend on the source's name and the relative path only.

    >>> sample_id("line 3", "normal/004.png")
    '0f3ee641389e2780'
    """
    posix = unicodedata.normalize("NFC", relative_path.replace("\\", "/"))
    return hashlib.sha256(f"{source}\n{posix}".encode()).hexdigest()[:16]


def write_masks(
    table: pd.DataFrame, folder: Path, progress: Callable[[int], None] | None = None
) -> list[Fault]:
    """Write <folder>/<sample_id>.png for every anomalous sample with a mask file: 8-bit grey, 0 or 255.

    Only files that differ are written, so an interrupted run goes on where it stopped. A mask that cannot be
    read or has not its image's size is not written, and an older one of that sample is removed. A mask
    without any defect pixel is written: the checks report it.

    Returns:
        The faults, errors first.

    Raises:
        StorageFull: no space is left; what was written before is whole.
    """
    rows = [row for row in to_rows(table) if row["label"] == "anomalous" and row["gt_mask_path"]]
    outcomes = _in_threads(lambda row: _write_mask(row, folder), rows, progress)
    return in_order(fault for fault in outcomes if fault is not None)


def _in_threads(
    work: Callable[[Item], Result], items: Iterable[Item], progress: Callable[[int], None] | None
) -> Iterator[Result]:
    """Results in the order of the items; the decoders let other threads run meanwhile."""
    pool = ThreadPoolExecutor(N_THREADS)
    try:
        for result in pool.map(work, items):
            if progress:
                progress(1)
            yield result
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C or a full disk, do not work off the queue


def _examine(row: Row) -> ImageFacts | Fault:
    try:
        return probe(Path(row["filepath"]))
    except BadImage as error:
        path = row["relative_path"]
        return Fault("unreadable", "error", path, f"{path} {error.reason}; it is left out.", error.remedy)


def _complete(row: Row, facts: ImageFacts, source: str) -> Row:
    path = row["relative_path"]
    return row | {
        "sample_id": sample_id(source, path),
        "source": source,
        "part_id": row["part_id"] or f"{source}/{path}",
        "sha256": facts.sha256,
        "pixel_sha256": facts.pixel_sha256,
        "size_bytes": facts.size_bytes,
        "width": facts.width,
        "height": facts.height,
        "bit_depth": facts.bit_depth,
        "channels": facts.channels,
    }


def _odd(row: Row, facts: ImageFacts) -> Iterator[Fault]:
    """What the decoded image contradicts."""
    path = row["relative_path"]
    if facts.orientation != 1:
        yield Fault(
            "exif_orientation",
            "warning",
            path,
            f"{path} has EXIF orientation {facts.orientation}: browsers turn it, detectors and masks do not.",
            "Turn the pixels and remove the EXIF entry, for example with: exiftran -ai FILE",
        )
    if facts.n_pictures > 1:
        yield Fault(
            "several_pictures",
            "warning",
            path,
            f"{path} holds {facts.n_pictures} pictures (pages or frames); only the first is taken in.",
            "Save each picture as a file of its own, or remove the others.",
        )
    for box in row["boxes"] or []:
        x0, y0, x1, y1 = box["box_xyxy"]
        if not (0 <= x0 < x1 <= facts.width and 0 <= y0 < y1 <= facts.height):
            yield Fault(
                "bad_box",
                "error",
                path,
                f"{path}: the box {x0:g} {y0:g} {x1:g} {y1:g} ({box['defect_type']}) is empty or leaves the "
                f"image of {facts.width} x {facts.height} px.",
                "Correct the box.",
            )


def _write_mask(row: Row, folder: Path) -> Fault | None:
    target = folder / f"{row['sample_id']}.png"
    source = Path(row["gt_mask_path"])
    image_hw = (row["height"], row["width"])
    try:
        mask = read_mask(source, row["mask_rule"] or "> 0")
    except Unreadable as error:
        target.unlink(missing_ok=True)
        reason, remedy = (error.reason, error.remedy) if isinstance(error, BadImage) else (str(error), "")
        message = f"The mask {shown(source.name)} of {row['relative_path']} {reason}; it is not used."
        return Fault("unreadable_mask", "error", row["relative_path"], message, remedy)
    if mask.shape != image_hw:
        target.unlink(missing_ok=True)
        return size_fault(row["relative_path"], image_hw, source, mask.shape)
    content = encode_png(mask)
    if not target.exists() or target.read_bytes() != content:
        write_bytes(target, content, durable=False)
    return None
