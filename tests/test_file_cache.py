"""What is known of files: kept across runs and kills, forgotten when a file changes."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from curate import file_cache
from curate.errors import CurateError, StorageFull
from curate.file_cache import FileCache, state, state_of_all


def test_facts_are_known_while_the_state_is_the_same(tmp_path: Path) -> None:
    with FileCache(tmp_path / "deep" / "cache") as cache:
        cache.put("a", "1 2", {"width": 3, "kind": "é"})
        cache.put("b", "1 2", {"width": 4})
    with FileCache(tmp_path / "deep" / "cache") as cache:
        assert cache.known({"a": "1 2", "b": "1 3", "c": "1 2"}) == {"a": {"width": 3, "kind": "é"}}


def test_many_keys_are_found_in_one_question(tmp_path: Path) -> None:
    with FileCache(tmp_path / "cache") as cache:
        for number in range(2345):
            cache.put(f"k{number}", "s", {"n": number})
        cache.commit()
        found = cache.known({f"k{number}": "s" for number in range(3000)})
    assert len(found) == 2345 and found["k2344"] == {"n": 2344}


def test_what_is_forgotten_is_known_no_more(tmp_path: Path) -> None:
    with FileCache(tmp_path / "cache") as cache:
        for key in ("a", "b", "c"):
            cache.put(key, "s", {"n": 1})
        cache.forget(["a", "c", "never there"])
        assert list(cache.known(dict.fromkeys("abc", "s"))) == ["b"]


def test_what_was_committed_survives_a_process_that_dies(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        cache = FileCache(tmp_path / "cache")
        cache.put("a", "s", {"n": 1})
        cache.commit()
        cache.put("b", "s", {"n": 2})
        os._exit(9)
    os.waitpid(pid, 0)
    with FileCache(tmp_path / "cache") as cache:
        assert cache.known({"a": "s", "b": "s"}) == {"a": {"n": 1}}


def test_a_damaged_cache_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    path.write_bytes(b"not a database at all" * 100)
    with FileCache(path) as cache:
        assert cache.known({"a": "s"}) == {}
        cache.put("a", "s", {"n": 1})
    with FileCache(path) as cache:
        assert cache.known({"a": "s"}) == {"a": {"n": 1}}


def filled(path: Path) -> Path:
    with FileCache(path) as cache:
        for number in range(2000):
            cache.put(f"k{number}", "s", {"n": number})
    return path


def test_damage_that_shows_only_while_reading_begins_the_cache_anew(tmp_path: Path) -> None:
    path = filled(tmp_path / "cache")
    content = path.read_bytes()
    path.write_bytes(content[:8192] + b"\x5a" * (len(content) - 8192))
    with FileCache(path) as cache:
        assert cache.known({f"k{number}": "s" for number in range(2000)}) == {}
        cache.put("a", "s", {"n": 1})
    with FileCache(path) as cache:
        assert cache.known({"a": "s"}) == {"a": {"n": 1}}


@pytest.mark.parametrize(
    "damage", ["DROP TABLE files", "ALTER TABLE files RENAME facts TO told", "UPDATE files SET facts = '{'"]
)
def test_a_cache_that_holds_something_else_knows_nothing(tmp_path: Path, damage: str) -> None:
    path = filled(tmp_path / "cache")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(damage)
    with FileCache(path) as cache:
        assert cache.known({"k1": "s"}) == {}
        cache.put("a", "s", {"n": 1})
    with FileCache(path) as cache:
        assert cache.known({"a": "s"}) == {"a": {"n": 1}}


def test_a_cache_that_another_program_holds_is_named_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_cache, "WAIT_S", 0.1)
    path = filled(tmp_path / "cache")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(CurateError, match="is held by another program"), FileCache(path) as cache:
            cache.put("a", "s", {"n": 1})
    with FileCache(path) as cache:
        assert cache.known({"k7": "s"}) == {"k7": {"n": 7}}


def test_a_disk_that_is_full_from_the_start_is_told(tmp_path: Path) -> None:
    script = (
        "import resource, sys; from pathlib import Path; from curate.errors import StorageFull\n"
        "from curate.file_cache import FileCache\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try: FileCache(Path(sys.argv[1]))\n"
        "except StorageFull as error: print(error)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "cannot be written" in done.stdout


def test_without_a_path_nothing_is_kept() -> None:
    with FileCache(None) as cache:
        cache.put("a", "s", {"n": 1})
        assert cache.known({"a": "s"}) == {}


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageFull, match="cannot be written"), FileCache(tmp_path / "cache") as cache:
        cache.commit()
        (tmp_path / "cache").unlink()
        cache._file.database.execute("PRAGMA query_only = ON")  # type: ignore[union-attr]
        cache.put("a", "s", {"n": 1})
        cache.commit()


def test_the_state_follows_size_time_and_links(tmp_path: Path) -> None:
    file, link = tmp_path / "a", tmp_path / "link"
    file.write_bytes(b"abc")
    link.symlink_to(file)
    os.utime(file, ns=(1, 1_000))
    first = state(file)
    assert first == state(link) == "3 1000"
    os.utime(file, ns=(1, 1_001))
    assert state(file) != first
    assert state(tmp_path / "none") == state("nul\0byte") == "absent"
    both = state_of_all([file, link], {"rule": "> 0"})
    assert both != state_of_all([file, link], {"rule": "> 1"})
