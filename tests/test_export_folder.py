"""Exported folders are whole or absent: kills, a full disk, an earlier export, a second process."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from curate.errors import AlreadyExists, CurateError, StorageFull
from curate.export_folder import Item, write_folder
from curate.manifest import File

SCRIPT = """
import os, signal, sys
from pathlib import Path
from curate import export_folder, manifest
from tests.test_export_folder import FINISH, toy_items

stage, out = sys.argv[1], Path(sys.argv[2])
die = lambda *ignored: os.kill(os.getpid(), signal.SIGKILL)
count = 0
def progress(n):
    global count
    count += n
    if stage == f"after {count}":
        die()
if stage == "before the name":
    export_folder._put_in_place = die
if stage == "between the names":
    rename = Path.rename
    Path.rename = lambda path, target: (rename(path, target), die())
if stage == "while cleaning":
    export_folder.shutil.rmtree = lambda path, **o: die() if path.exists() else None
export_folder.write_folder(out, toy_items(), FINISH, overwrite=True, progress=progress)
"""
STAGES = ["after 1", "after 5", "after 12", "before the name", "between the names", "while cleaning"]


def toy_items(n: int = 12, text: str = "content") -> list[Item]:
    return [
        Item(f"a/{i}/{i}.txt", f"{text} {i}", lambda i=i: f"{text} {i}".encode(), n_images=1)  # type: ignore[misc]
        for i in range(n)
    ]


def FINISH(files: list[File]) -> bytes:
    import json

    entries = [{"path": f.path, "sha256": f.sha256} for f in files]
    return json.dumps({"files": entries}).encode()


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("replaces", [False, True])
def test_killed_at_any_instant_and_run_again_gives_the_same_bytes(
    tmp_path: Path, stage: str, replaces: bool
) -> None:
    out, expected = tmp_path / "out", tmp_path / "undisturbed"
    write_folder(expected, toy_items(), FINISH)
    if replaces:
        write_folder(out, toy_items(3, "old"), FINISH)
    old = tree(out) if replaces else {}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, stage, str(out)], cwd=Path(__file__).parents[1], check=False
    )
    assert run.returncode == (0 if stage == "while cleaning" and not replaces else -signal.SIGKILL)
    assert not out.exists() or tree(out) in (old, tree(expected))
    write_folder(out, toy_items(), FINISH, overwrite=True)
    assert tree(out) == tree(expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "undisturbed"]


def test_finished_files_are_not_made_again_unless_they_were_damaged(tmp_path: Path) -> None:
    made: list[str] = []

    def item(name: str, breaks: bool = False) -> Item:
        def make() -> bytes:
            made.append(name)
            if breaks:
                raise StorageFull("StorageFull: no space")
            return name.encode()

        return Item(f"{name}.txt", name, make)

    with pytest.raises(StorageFull):
        write_folder(tmp_path / "out", [item("a"), item("b"), item("c", breaks=True)], FINISH)
    assert not (tmp_path / "out").exists()
    (tmp_path / ".out.partial" / "b.txt").write_text("damaged")
    (tmp_path / ".out.partial" / ".x.partial").write_text("left by a kill")
    made.clear()
    write_folder(tmp_path / "out", [item("a"), item("b"), item("c")], FINISH)
    assert set(made) <= {"b", "c"}
    assert set(tree(tmp_path / "out")) == {"a.txt", "b.txt", "c.txt", "manifest.json"}
    assert tree(tmp_path / "out")["b.txt"] == b"b"


def test_a_finished_file_of_other_content_is_made_again(tmp_path: Path) -> None:
    items = [*toy_items(2, "old"), Item("z", "z", lambda: (_ for _ in ()).throw(CurateError("z is bad")))]
    with pytest.raises(CurateError, match="z is bad"):
        write_folder(tmp_path / "out", items, FINISH)
    write_folder(tmp_path / "out", toy_items(2, "new"), FINISH)
    assert tree(tmp_path / "out")["a/1/1.txt"] == b"new 1"


def test_a_full_disk_is_named_and_the_old_export_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    write_folder(out, toy_items(3, "old"), FINISH)
    before = tree(out)
    fsync = os.fsync

    def full(handle: int) -> None:
        if "new 2" in Path(f"/proc/self/fd/{handle}").read_text():
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull, match="no space left"):
        write_folder(out, toy_items(3, "new"), FINISH, overwrite=True)
    assert tree(out) == before
    monkeypatch.undo()
    write_folder(out, toy_items(3, "new"), FINISH, overwrite=True)
    assert tree(out)["a/2/2.txt"] == b"new 2"


def test_two_processes_do_not_write_one_folder(tmp_path: Path) -> None:
    def second() -> bytes:
        with pytest.raises(CurateError, match="another process is writing"):
            write_folder(tmp_path / "out", toy_items(), FINISH)
        return b"first"

    write_folder(tmp_path / "out", [Item("one.txt", "one", second)], FINISH)
    assert tree(tmp_path / "out")["one.txt"] == b"first"


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write_folder(tmp_path / "out", toy_items(2), FINISH)
    assert len(tree(tmp_path / "out")) == 3


def test_what_is_not_an_export_is_never_replaced(tmp_path: Path) -> None:
    out = tmp_path / "photos"
    out.mkdir()
    (out / "holiday.jpg").write_bytes(b"dear")
    with pytest.raises(AlreadyExists, match=r"not an export of curate \(no usable manifest\.json\)"):
        write_folder(out, toy_items(), FINISH, overwrite=True)
    (out / "manifest.json").write_text('{"name": "a web app"}')
    with pytest.raises(AlreadyExists, match="not an export"):
        write_folder(out, toy_items(), FINISH, overwrite=True)
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(AlreadyExists, match="is not a folder"):
        write_folder(file, toy_items(), FINISH, overwrite=True)
    assert (out / "holiday.jpg").read_bytes() == b"dear"


def test_files_that_someone_added_to_an_export_are_not_lost(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_folder(out, toy_items(2), FINISH)
    (out / ".DS_Store").write_text("clutter")
    (out / "notes.txt").write_text("mine")
    with pytest.raises(AlreadyExists, match=r"holds 1 files .*\n  notes\.txt\nMove"):
        write_folder(out, toy_items(2), FINISH, overwrite=True)
    (out / "notes.txt").unlink()
    write_folder(out, toy_items(2), FINISH, overwrite=True)
    assert set(tree(out)) == {"a/0/0.txt", "a/1/1.txt", "manifest.json"}


def test_all_items_that_fail_are_listed(tmp_path: Path) -> None:
    def bad(name: str) -> Item:
        def make() -> bytes:
            raise CurateError(f"{name} is bad")

        return Item(name, name, make)

    with pytest.raises(CurateError, match=r"2 files could not be exported:\n  x is bad\n  y is bad"):
        write_folder(tmp_path / "out", [bad("x"), *toy_items(2), bad("y")], FINISH)
