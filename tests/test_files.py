"""Files are whole or absent, whatever happens while they are written."""

import errno
import itertools
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from curate import files
from curate.errors import Missing, StorageFull, Unreadable
from curate.files import fingerprint, read_json, sha256_file, write_bytes, write_json, writing
from curate.steps.alone import alone
from curate.steps.record import Context
from curate.workspace import Workspace


def test_write_replaces_whole_files_and_leaves_no_partial(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.bin"
    write_bytes(target, b"old")
    write_bytes(target, b"new and longer")
    assert target.read_bytes() == b"new and longer"
    assert [path.name for path in target.parent.iterdir()] == ["file.bin"]


def test_a_file_that_a_killed_process_of_the_same_number_left_is_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_NUMBERS", itertools.count())
    left = tmp_path / f".file.bin.{os.getpid()}-0.partial"
    left.write_bytes(b"half")
    write_bytes(tmp_path / "file.bin", b"whole")
    assert (tmp_path / "file.bin").read_bytes() == b"whole"
    assert left.read_bytes() == b"half"  # swept by the next command, when its process is seen to be gone


def test_several_threads_write_the_first_files_of_a_folder(tmp_path: Path) -> None:
    for attempt in range(50):
        folder = tmp_path / str(attempt)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name, folder=folder: write_bytes(folder / f"{name}", b"x"), range(8)))
        assert len(list(folder.iterdir())) == 8


def test_who_may_read_a_file_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_bytes(tmp_path / "for all.bin", b"x")
        write_bytes(tmp_path / "secret.bin", b"x", mode=0o600)
    finally:
        os.umask(before)
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("for all.bin", "secret.bin")]
    assert modes == [0o644, 0o600]


def test_full_disk_keeps_the_old_file_and_says_what_to_do(tmp_path: Path) -> None:
    """A file size limit of the operating system stands for the full disk: both refuse the write half way."""
    target = tmp_path / "file.bin"
    target.write_bytes(b"old")
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from curate.files import write_bytes\n"
        "from curate.errors import StorageFull\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n    write_bytes(Path(sys.argv[1]), b'x' * 5000)\n"
        "except StorageFull as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(target)], capture_output=True, text=True, check=True
    )
    assert "no space left while writing" in done.stdout
    assert "run the command again" in done.stdout
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EACCES, Unreadable),
        (errno.EROFS, Unreadable),
    ],
)
def test_write_errors_name_the_path(number: int, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"some/where\.bin"), writing(Path("some/where.bin")):
        raise OSError(number, os.strerror(number))


def test_other_errors_are_not_renamed() -> None:
    with pytest.raises(IsADirectoryError), writing(Path("x")):
        raise IsADirectoryError(errno.EISDIR, "is a directory")


def test_json_is_equal_bytes_for_equal_content(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": [1, 2]})
    write_json(tmp_path / "b.json", {"a": [1, 2], "b": 1})
    assert sha256_file(tmp_path / "a.json") == sha256_file(tmp_path / "b.json")
    assert read_json(tmp_path / "a.json") == {"a": [1, 2], "b": 1}


def test_read_json_tells_absent_from_damaged(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="does not exist"):
        read_json(tmp_path / "absent.json")
    (tmp_path / "half.json").write_text('{"a": ')
    with pytest.raises(Unreadable, match=r"half\.json"):
        read_json(tmp_path / "half.json")


def test_fingerprint_changes_with_content_and_takes_any_file_name() -> None:
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert len(fingerprint(["caf\udce9.png"])) == 16


def test_files_left_unfinished_by_a_kill_are_swept_by_the_next_command(tmp_path: Path) -> None:
    space = Workspace.at(tmp_path / "home")
    paths = space.dataset("toy")
    for folder in (paths.root, paths.masks, paths.steps, paths.sources, space.cache, space.runs / "x"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".x.png.99999999-abc.partial").write_bytes(b"half")
    ours = space.cache / f".x.onnx.{os.getpid()}-abc.partial"
    for living in (ours, space.cache / "tmp_x.partial"):
        living.write_bytes(b"half")
    mask = paths.drawn_masks / f".x.png.{os.getpid()}-abc.partial"  # as the page's server may be writing it
    mask.parent.mkdir()
    mask.write_bytes(b"half")
    old = space.cache / "tmp_old.partial"
    old.write_bytes(b"half")
    os.utime(old, (0, 0))
    with alone(Context(space, paths)):
        pass
    left = sorted(path.name for path in space.home.rglob("*.partial"))
    assert left == sorted([ours.name, mask.name, "tmp_x.partial"])
