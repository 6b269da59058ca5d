"""Every reader on damaged and hostile trees: an answer in words, in time, without loss, from its own files.

More than 3,000 cases over the registry, at least 120 for each reader: damaged bytes, images that claim what
they do not hold, wrong values, hostile names and paths, and trees out of order, alone and in pairs.
"""

import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.engines.local import Workers
from curate.formats import FORMATS
from curate.images import hear_warnings
from tests.fuzz.corpus import all_cases, cases
from tests.fuzz.invariants import check
from tests.fuzz.paths import CANARY
from tests.fuzz.trees import Stage

SHOWN = 5


@pytest.fixture
def decoder_warnings_heard() -> Iterator[None]:
    """As on the command line: what Pillow warns of is no error, all other warnings are."""
    with warnings.catch_warnings():
        hear_warnings()
        yield


def test_the_corpus_is_large_and_every_reader_has_its_share() -> None:
    corpus = all_cases()
    assert {case.format for case in corpus} == set(FORMATS)
    assert min(len(cases(name)) for name in FORMATS) >= 120
    assert len(corpus) > 3000


def test_a_case_is_the_same_every_time() -> None:
    for name in ("coco", "table"):
        for one, again in list(zip(cases(name), cases(name), strict=True))[::7]:
            assert one.damaged() == again.damaged()


@pytest.mark.slow
@pytest.mark.usefixtures("decoder_warnings_heard")
@pytest.mark.parametrize("name", list(FORMATS))
def test_no_damage_makes_a_reader_fail_hang_look_outside_or_lose_an_image(name: str, tmp_path: Path) -> None:
    stage = Stage(tmp_path / "source")
    for place in (tmp_path / f"{CANARY}.png", tmp_path / "linked" / "a.png"):
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(b"\x89PNG\r\n\x1a\n")
    failures: list[str] = []
    known: set[str] = set()
    with Workers() as workers:
        for case in cases(name):
            stage.show(case.damaged())
            try:
                check(name, stage.root, tmp_path / "work", tmp_path / f"{CANARY}.png", workers, known)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                last = "".join(traceback.format_exception(error)[-4:]).strip()
                failures.append(f"{case}\n{last[-1500:]}")
    told = "\n\n".join(failures[:SHOWN])
    assert not failures, f"{len(failures)} of {len(cases(name))} cases failed:\n\n{told}"
