"""Archives from strangers: damaged in every way, and never unpacked."""

import random
import zipfile
from pathlib import Path

import pytest

from curate.annotation_returns import content_of
from curate.errors import Unreadable

MEMBER = "annotations.xml"


def archive(path: Path, kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    with zipfile.ZipFile(path, "w", kind) as file:
        file.writestr(f"../../{MEMBER}", "".join(f"<image id='{n}'/>" for n in range(400)))
    return path.read_bytes()


def test_the_member_is_read_wherever_it_says_that_it_lies(tmp_path: Path) -> None:
    archive(tmp_path / "back.zip")
    assert content_of(tmp_path / "back.zip", MEMBER).startswith(b"<image id='0'/>")
    assert list(tmp_path.rglob(MEMBER)) == []
    assert not (tmp_path.parents[1] / MEMBER).exists()
    assert not Path("../..", MEMBER).exists()


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_anywhere_in_an_archive_is_told(tmp_path: Path, kind: int) -> None:
    path = tmp_path / "back.zip"
    whole, rng, told = archive(path, kind), random.Random(0), 0
    for _ in range(300):
        damaged = bytearray(whole)
        for place in rng.choices(range(2, len(whole)), k=3):
            damaged[place] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            content_of(path, MEMBER)
        except Unreadable:
            told += 1
    assert told > 200
