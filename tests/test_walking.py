"""Listing a dataset folder: links, loops, closed folders, hidden files and names in other encodings."""

import os
import unicodedata
from pathlib import Path

import pytest

from curate.errors import Missing, Unreadable
from curate.walking import is_file, is_folder, matching, walk
from tests.helpers.golden import codes
from tests.helpers.ordinary_user import open_folder, ordinary_user


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_files_and_folders_are_listed_in_order(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/1.png", "a/x/3.png", "top.txt"):
        touch(tmp_path / name)
    tree = walk(tmp_path)
    assert list(tree.files) == ["a/x/3.png", "b/1.png", "b/2.png", "top.txt"]
    assert tree.folders == ["a", "a/x", "b"]
    assert tree.inside("b") == ["b/1.png", "b/2.png"]
    assert tree.inside("") == ["top.txt"]
    assert tree.below("a") == ["a/x/3.png"]
    assert tree.subfolders("") == ["a", "b"] and tree.subfolders("a") == ["x"]
    assert tree.has("a/x") and not tree.has("b/x") and not tree.has("top.txt")
    assert tree.faults == []


def test_files_below_a_folder_are_told_from_those_of_folders_named_alike(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/x/y/2.png", "a-b/3.png", "a.b/4.png", "a0/5.png", "a b/6.png"):
        touch(tmp_path / name)
    tree = walk(tmp_path)
    assert tree.below("a") == ["a/1.png", "a/x/y/2.png"]
    assert tree.below("a/x") == ["a/x/y/2.png"]
    assert tree.below("") == list(tree.files) and len(tree.files) == 6
    assert tree.below("nothing") == tree.inside("nothing") == tree.subfolders("nothing") == []


def test_links_are_followed_and_a_loop_is_reported_not_walked(tmp_path: Path) -> None:
    root = tmp_path / "data"
    touch(root / "a/1.png")
    touch(tmp_path / "elsewhere/2.png")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "a/up").symlink_to(root)
    (root / "self").symlink_to("self")
    tree = walk(root)
    assert list(tree.files) == ["a/1.png", "linked/2.png"]
    assert codes(tree.faults) == [("link_loop", "a/up"), ("link_loop", "self")]
    assert "a folder that contains it; it is not followed" in tree.faults[0].message
    assert tree.faults[0].remedy == "Remove the link."


def test_links_to_folders_around_the_root_are_loops_too(tmp_path: Path) -> None:
    """The walk would come down to the root again, and go round."""
    root = tmp_path / "data"
    touch(root / "a/1.png")
    (root / "a/parent").symlink_to("../..")
    (root / "top").symlink_to("/")
    tree = walk(root)
    assert list(tree.files) == ["a/1.png"]
    assert codes(tree.faults) == [("link_loop", "a/parent"), ("link_loop", "top")]


def test_matching_finds_files_and_folders_and_passes_over_what_cannot_be_reached(tmp_path: Path) -> None:
    touch(tmp_path / "group1/a/1_temp.jpg")
    touch(tmp_path / "group2/b.txt")
    (tmp_path / "group3").symlink_to("x" * 300)
    assert list(matching(tmp_path, "group[0-9]/*/*_temp.jp*g")) == [tmp_path / "group1/a/1_temp.jpg"]
    assert not is_file(tmp_path / "group3") and not is_folder(tmp_path / "group3")
    assert list(matching(tmp_path, "group?/*")) == [tmp_path / "group1/a", tmp_path / "group2/b.txt"]


def test_a_closed_folder_is_reported_and_the_rest_is_read() -> None:
    with open_folder() as root:
        touch(root / "open/1.png")
        touch(root / "closed/2.png")
        (root / "closed").chmod(0o000)
        with ordinary_user():
            tree = walk(root)
        assert list(tree.files) == ["open/1.png"]
        assert codes(tree.faults) == [("no_permission", "closed")]
        assert tree.faults[0].severity == "error"


def test_a_closed_root_says_so() -> None:
    with open_folder() as root:
        (root / "data").mkdir()
        (root / "data").chmod(0o000)
        with ordinary_user(), pytest.raises(Unreadable, match=r"data may not be read \(no permission\)"):
            walk(root / "data")


def test_names_that_are_not_utf8_are_named_with_their_bytes(tmp_path: Path) -> None:
    touch(tmp_path / "good.png")
    touch(tmp_path / "caf\udce9.png")
    touch(tmp_path / "d\udcfcnn/1.png")
    tree = walk(tmp_path)
    assert list(tree.files) == ["good.png"]
    assert codes(tree.faults) == [("name_encoding", r"caf\xe9.png"), ("name_encoding", r"d\xfcnn")]
    assert "Rename it" in tree.faults[0].remedy


def test_hidden_files_and_clutter_are_ignored_and_reported(tmp_path: Path) -> None:
    for name in (".DS_Store", ".ipynb_checkpoints/1.png", "__MACOSX/1.png", "a/Thumbs.db", "a/1.png"):
        touch(tmp_path / name)
    tree = walk(tmp_path)
    assert list(tree.files) == ["a/1.png"]
    assert {code for code, _ in codes(tree.faults)} == {"hidden_file"}
    assert len(tree.faults) == 4


def test_accents_are_listed_in_one_form_and_twins_are_reported(tmp_path: Path) -> None:
    composed = unicodedata.normalize("NFC", "é.png")
    decomposed = unicodedata.normalize("NFD", "é.png")
    touch(tmp_path / decomposed)
    tree = walk(tmp_path)
    assert list(tree.files) == [composed] and tree.files[composed].exists()
    touch(tmp_path / composed)
    assert codes(walk(tmp_path).faults) == [("same_path", composed)]


def test_names_that_a_backslash_makes_equal_are_reported(tmp_path: Path) -> None:
    """Samples would share an id, and one would overwrite the mask of the other."""
    for name in ("a/1.png", "a\\1.png", "b\\c/2.png", "b/c\\2.png", "d\\3.png"):
        touch(tmp_path / name)
    tree = walk(tmp_path)
    assert list(tree.files) == ["a/1.png", "b/c\\2.png", "d\\3.png"]
    assert codes(tree.faults) == [("same_path", "a\\1.png"), ("same_path", "b\\c/2.png")]
    assert tree.faults[0].related == ("a/1.png",)


def test_a_missing_folder_and_a_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="does not exist"):
        walk(tmp_path / "none")
    with pytest.raises(Missing, match="is a file; expected the dataset's folder"):
        walk(touch(tmp_path / "a.png"))


def test_a_pipe_is_reported_and_never_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to("pipe.png")
    (tmp_path / "zeros.png").symlink_to("/dev/zero")
    tree = walk(tmp_path)
    assert tree.files == {}
    assert [(fault.code, fault.relative_path) for fault in tree.faults] == [
        ("special_file", "link.png"),
        ("special_file", "pipe.png"),
        ("special_file", "zeros.png"),
    ]
