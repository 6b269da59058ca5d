"""Writes a folder that is whole or absent: filled beside its place, resumed after a kill, then renamed."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from curate import manifest
from curate.errors import AlreadyExists, CurateError, DataFault, StorageFull, listed
from curate.files import sha256_file, write_bytes, writing
from curate.manifest import File

JOURNAL = ".journal"


@dataclass(frozen=True)
class Item:
    """A file to write.

    Attributes:
        path: from the folder's root, with forward slashes.
        key: equal keys promise equal content, so that a finished file need not be made again.
        make: gives the content.
        n_images: what it counts for in the progress.
        link: a file of that content, which is linked instead of written where it lies on the same disk.
    """

    path: str
    key: str
    make: Callable[[], bytes]
    n_images: int = 0
    link: Path | None = None


def write_folder(
    out: Path,
    items: Sequence[Item],
    finish: Callable[[list[File]], bytes],
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> list[Path]:
    """Write all items and the manifest, then give the folder its name.

    Killed at any instant and called again, the result is the same; `out` is absent, or the old one, until the
    new one is complete.

    Args:
        out: the folder; must not exist, or be empty, unless `overwrite`.
        items: its files, with unique paths.
        finish: gives the content of the manifest from the written files.
        overwrite: replace an earlier export.
        progress: called with the number of images just finished.

    Returns:
        The files in place, sorted, the manifest among them.

    Raises:
        AlreadyExists: `out` is there and may not be replaced.
        CurateError: another process writes the same folder.
        DataFault: items could not be made; all are listed.
        StorageFull: no space is left; what was finished is used by the next call.
    """
    out = out.expanduser().absolute()
    _may_write(out, overwrite)
    partial = out.with_name(f".{out.name}.partial")
    with writing(partial):
        partial.mkdir(parents=True, exist_ok=True)
        with _journal(partial) as journal:
            files = _write_items(partial, items, journal, progress)
            write_bytes(partial / manifest.NAME, finish(files))
            names = sorted([*(file.path for file in files), manifest.NAME])
            _sweep(partial, {*names, JOURNAL})
            (partial / JOURNAL).unlink()
            _put_in_place(partial, out)
    return [out / name for name in names]


def _may_write(out: Path, overwrite: bool) -> None:
    """Raise unless `out` is free, or is an earlier export that may be replaced."""
    if not out.exists() and not out.is_symlink():
        return
    if out.is_dir() and not any(out.iterdir()):
        return
    if not out.is_dir() or out.is_symlink():
        raise AlreadyExists(f"AlreadyExists: {out} is not a folder. Choose another name for the export.")
    if not overwrite:
        raise AlreadyExists(
            f"AlreadyExists: {out} is already there. Replace it with --overwrite, or choose another folder."
        )
    try:
        earlier = manifest.read(out)
        known = {str(file["path"]) for file in earlier["files"]} | {manifest.NAME}
    except (CurateError, KeyError, TypeError) as error:
        raise AlreadyExists(
            f"AlreadyExists: {out} is not an export of curate (no usable {manifest.NAME}), so it is not "
            "replaced. Choose another folder, or remove it yourself."
        ) from error
    added = sorted(
        name for name in _files_in(out) if name not in known and Path(name).name not in manifest.CLUTTER
    )
    if added:
        raise AlreadyExists(
            f"AlreadyExists: {out} holds {len(added)} files that are not of the export and would be lost:\n"
            f"{listed(added)}\nMove them away first."
        )


def _files_in(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_symlink() or not path.is_dir():
            yield path.relative_to(folder).as_posix()


@contextmanager
def _journal(partial: Path) -> Iterator[IO[str]]:
    """The open journal, locked against a second process."""
    with (partial / JOURNAL).open("a+", encoding="utf-8") as journal:
        try:
            fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CurateError(
                f"CurateError: another process is writing {partial}. Wait until it has ended."
            ) from error
        yield journal


def _finished(journal: IO[str]) -> dict[str, tuple[str, File]]:
    """Key and file of every path that an earlier call finished; a line cut short is ignored."""
    journal.seek(0)
    found = {}
    for line in journal:
        try:
            entry = json.loads(line)
            found[entry["path"]] = (entry.pop("key"), File(**entry))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _write_items(
    partial: Path, items: Sequence[Item], journal: IO[str], progress: Callable[[int], None] | None
) -> list[File]:
    finished = _finished(journal)
    journal.write("\n")  # ends a line that was cut short
    files: list[File] = []
    broken: list[str] = []

    def one(item: Item) -> File | CurateError:
        try:
            return _write_item(partial, item, finished.get(item.path))
        except StorageFull:
            raise
        except CurateError as error:
            return error

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        try:
            for item, result in zip(items, pool.map(one, items), strict=True):
                if isinstance(result, CurateError):
                    broken.append(str(result))
                    continue
                files.append(result)
                journal.write(json.dumps({"key": item.key, **asdict(result)}) + "\n")
                journal.flush()
                if progress:
                    progress(item.n_images)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if broken:
        raise DataFault(f"DataFault: {len(broken)} files could not be exported:\n{listed(broken)}")
    return files


def _write_item(partial: Path, item: Item, earlier: tuple[str, File] | None) -> File:
    path = partial / item.path
    if earlier and earlier[0] == item.key and path.is_file() and sha256_file(path) == earlier[1].sha256:
        return earlier[1]
    content = item.make()
    if item.link is None or not _linked(item.link, path):
        write_bytes(path, content)
    return File(item.path, hashlib.sha256(content).hexdigest(), len(content))


def _linked(source: Path, path: Path) -> bool:
    """Give a file a second name; False where that cannot be, as on another disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    try:
        path.hardlink_to(os.path.realpath(source))
    except OSError:
        return False
    return True


def _sweep(partial: Path, wanted: set[str]) -> None:
    """Remove what earlier, different or killed calls left behind."""
    for name in list(_files_in(partial)):
        if name not in wanted:
            (partial / name).unlink()
    folders = [path for path in partial.rglob("*") if path.is_dir()]
    for folder in sorted(folders, reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def _put_in_place(partial: Path, out: Path) -> None:
    """Rename the finished folder to its name; an old one is moved aside for that moment, then removed."""
    for folder in [partial, *(path for path in partial.rglob("*") if path.is_dir())]:
        _flush(folder)
    aside = out.with_name(f".{out.name}.old")
    if out.exists():
        shutil.rmtree(aside, ignore_errors=True)
        out.rename(aside)
    partial.rename(out)
    _flush(out.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _flush(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
