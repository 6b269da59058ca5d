"""What holds whatever is in a dataset's folder: no surprise, no loss, nothing read outside, and in time."""

import json
import os
import signal
import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from unicodedata import normalize

from curate.engines.local import Workers
from curate.errors import CurateError
from curate.faults import Fault, shown, to_rows
from curate.formats import FORMATS, recognise
from curate.ground_truth import mask_files
from curate.images import is_image, read_stored
from curate.ingest import read_source, write_masks
from curate.intake import Intake, Places, Reading
from curate.statistics import measure
from curate.tables import from_rows
from curate.tables import to_rows as rows_of
from tests.helpers.places import REPOSITORY

LIMIT_S = 60.0  # a case takes a fraction of a second; a busy machine is no fault
MASK_FAULTS = frozenset({"unreadable_mask", "mask_size", "ambiguous_mask", "mask_conflict"})
CODE = tuple(
    os.path.normpath(folder)
    for folder in {
        sys.prefix,
        sys.base_prefix,
        *sysconfig.get_paths().values(),
        REPOSITORY / "curate",
        REPOSITORY / "data_schemas",
    }
)
_watched: list[tuple[str, str]] | None = None
_hooked = False


class TooSlow(BaseException):
    """Not caught by what catches every Exception."""


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _watched is not None and event in ("open", "os.listdir", "os.scandir"):
        place = arguments[0]
        if isinstance(place, str | bytes | os.PathLike):
            _watched.append((event, os.fsdecode(place)))


@contextmanager
def opened_files() -> Iterator[list[tuple[str, str]]]:
    """Files and folders that Python opens while the block runs, by any thread."""
    global _watched, _hooked
    if not _hooked:
        sys.addaudithook(_note)  # it stays for the life of the process
        _hooked = True
    _watched = found = []
    try:
        yield found
    finally:
        _watched = None


@contextmanager
def in_time(limit_s: float = LIMIT_S) -> Iterator[None]:
    """Interrupt the block when it takes too long, again and again until it ends."""

    def late(signum: int, frame: Any) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, limit_s, 1.0)
    started = time.monotonic()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - started < limit_s, f"took more than {limit_s} s"


def check(
    name: str,
    root: Path,
    work: Path,
    canary: Path,
    workers: Workers,
    known: set[str],
    limit_s: float = LIMIT_S,
) -> None:
    """Read a folder with a reader and take in what it lists.

    Args:
        work: a folder for masks and copies.
        canary: a file that must not be opened.
        known: checksums of images that need not be measured again; those measured are added.
        limit_s: seconds that all may take together.
    """
    with in_time(limit_s), opened_files() as opened:
        reading = _read(name, root)
        if reading is not None:
            intake = Intake(reading, Places(work / "masks", work / "media", work / "pages"), workers)
            rows = [row for batch in intake.batches() for row in batch]
            masks = write_masks(from_rows(rows, list(rows[0])), work / "written") if rows else []
            _measure(rows, known)
    _check_opened(opened, (root, work), canary)
    if reading is not None:
        faults = [*intake.faults, *masks]
        _check_faults(faults)
        _check_listed(root, reading)
        _check_rows(rows, reading, faults)


def _read(name: str, root: Path) -> Reading | None:
    """The reading, or None where the reader or the folder refuses in words."""
    unmet = FORMATS[name].load().detect(root)
    assert all(isinstance(reason, str) and reason.encode() for reason in unmet), unmet
    for refuse in (lambda: recognise(root), lambda: read_source(root, name)):
        try:
            reading = refuse()
        except (CurateError, ValueError) as error:
            text = str(error)
            assert isinstance(error, CurateError) or "the option" in text, (
                "a ValueError that is about no option"
            )
            assert text.encode() and text.rstrip()[-1] in ".?!", (
                f"an error that does not end: {text[-200:]!r}"
            )
            reading = None
    return reading if isinstance(reading, Reading) else None


def _measure(rows: Iterable[dict[str, Any]], known: set[str]) -> None:
    for row in rows:
        if row["sha256"] not in known:
            known.add(row["sha256"])
            json.dumps({k: v for k, v in measure(read_stored(Path(row["filepath"]))).items() if k != "thumb"})


def _check_opened(opened: Iterable[tuple[str, str]], own: tuple[Path, ...], canary: Path) -> None:
    allowed = (*map(str, own), *CODE)
    for event, place in set(opened):
        path = os.path.normpath(os.path.join(os.getcwd(), place))  # noqa: PTH109, PTH118
        assert os.path.realpath(path) != str(canary), f"{event} of the canary by {place!r}"
        inside = any(path == folder or path.startswith(folder + os.sep) for folder in allowed)
        inside |= event == "os.listdir" and place in sys.path  # an import looks there
        assert inside, f"{event} outside of the source: {place!r}"


def _check_faults(faults: Iterable[Fault]) -> None:
    for fault in faults:
        assert fault.message.endswith(".") and fault.remedy.endswith("."), (
            f"a fault that does not end: {fault!r:.600}"
        )
        assert fault.message.strip(" .") and fault.remedy.strip(" ."), (
            f"a fault that says nothing: {fault!r:.600}"
        )
    json.dumps(to_rows(faults), ensure_ascii=False, allow_nan=False).encode()


def images_of(root: Path) -> dict[str, str]:
    """Image files as anybody would list them: relative path as faults show it, to the file."""
    found = {}
    for folder, names, files in os.walk(root, followlinks=False):
        inner = os.path.relpath(folder, root)
        linked = [name for name in names if os.path.islink(os.path.join(folder, name))]  # noqa: PTH114, PTH118
        for name in [*files, *linked]:
            path = os.path.join(folder, name)  # noqa: PTH118
            if is_image(name) and not os.path.isdir(path):  # noqa: PTH112
                found[normalize("NFC", shown(name if inner == "." else f"{inner}/{name}"))] = path
    return found


def _check_listed(root: Path, reading: Reading) -> None:
    """Every image file is a row, a mask of one, or spoken of by a fault."""
    rows = rows_of(reading.table)
    listed = {row["relative_path"] for row in rows}
    masks = {str(path) for row in rows for path in mask_files(row)}
    spoken = {
        normalize("NFC", path) for fault in reading.faults for path in (fault.relative_path, *fault.related)
    }
    for relative, path in images_of(root).items():
        if relative in listed or path in masks or relative in spoken:
            continue
        if any(str(folder) in spoken for folder in PurePosixPath(relative).parents):
            continue
        known = _told_its_image(relative, listed | spoken) or _names_mask(path, reading.faults)
        assert known, f"{relative!r} is lost: neither row, nor mask, nor fault"


def _names_mask(path: str, faults: Iterable[Fault]) -> bool:
    """Whether the fault of an image that lost its mask names the file."""
    name = shown(path.rpartition("/")[2])
    return any(fault.code in MASK_FAULTS and name in fault.message for fault in faults)


def _told_its_image(relative: str, listed: Iterable[str]) -> bool:
    """PASCAL VOC: an empty mask says that its image is normal; one of objects goes with that of classes."""
    path = PurePosixPath(relative)
    is_mask = {"SegmentationClass", "SegmentationObject"} & {*path.parts}
    return bool(is_mask) and any(PurePosixPath(image).stem == path.stem for image in listed)


def _check_rows(rows: list[dict[str, Any]], reading: Reading, faults: Iterable[Fault]) -> None:
    """Rows can be stored, are there once, and every one that was listed is there or spoken of."""
    json.dumps(rows, ensure_ascii=False, allow_nan=False).encode()
    ids = [row["sample_id"] for row in rows]
    assert len(ids) == len(set(ids)), "two samples have one id"
    spoken = {fault.relative_path for fault in faults if fault.code == "unreadable"}
    lost = set(reading.table["relative_path"]) - {row["relative_path"] for row in rows} - spoken
    assert not lost, f"{sorted(lost)[:3]} were listed, but are neither samples nor faults"
