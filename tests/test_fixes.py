"""Fixes are added, read back, bound to their picture, and taken back; a damaged file is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate import fixes
from curate.errors import SchemaViolation, Unreadable
from curate.fixes import Fix
from curate.masks import without_specks

AT, LATER = "2031-05-01T08:00:00+00:00", "2031-05-02T08:00:00+00:00"


def fix(number: int, action: fixes.Action = "exclude") -> Fix:
    return Fix(f"{number:016x}", f"{number:064x}", action, "A copy of a.png.")


def sample(number: int, sha256: int | None = None, label: str = "normal") -> dict[str, Any]:
    """A row of the sample table; all samples show one picture."""
    return {
        "sample_id": f"{number:016x}", "sha256": f"{number if sha256 is None else sha256:064x}",
        "pixel_sha256": "p", "category": "weave", "label": label, "defect_types": [],
    }  # fmt: skip


def stamped(*plain: Fix, at: str = AT) -> list[Fix]:
    return fixes.stamped(plain, "exact_duplicates", at, "1.2")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "dataset" / "fixes.jsonl"


def test_fixes_are_read_back_with_who_when_and_version(path: Path) -> None:
    assert fixes.read(path) == []
    fixes.append(path, stamped(fix(2), fix(1)))
    fixes.append(path, stamped(fix(1, "drop_specks")))
    read = fixes.read(path)
    assert [(one.sample_id[-1], one.action) for one in read] == [
        ("1", "drop_specks"),
        ("1", "exclude"),
        ("2", "exclude"),
    ]
    assert {(one.check, one.at, one.curate) for one in read} == {("exact_duplicates", AT, "1.2")}


def test_a_fix_taken_back_holds_no_more_and_stays_in_the_file(path: Path) -> None:
    fixes.append(path, stamped(fix(1), fix(2)))
    fixes.append(path, fixes.taken_back(fixes.read(path)[:1], LATER, "1.3"))
    assert [one.sample_id[-1] for one in fixes.read(path)] == ["2"]
    assert len(path.read_text().splitlines()) == 3
    fixes.append(path, stamped(fix(1), at=LATER))
    assert len(fixes.read(path)) == 2


def test_a_fix_holds_for_the_picture_it_was_made_for_only() -> None:
    made = [fix(1), fix(2), fix(3, "drop_specks"), fix(4, "drop_specks")]
    samples = [sample(1), sample(2, sha256=9), sample(3), sample(4, sha256=9)]
    assert fixes.excluded(made, samples) == {fix(1).sample_id}
    assert fixes.mask_actions(made, samples) == {fix(3).sample_id: "drop_specks"}
    assert len(fixes.mask_actions(made)) == 2


def test_a_copy_stays_out_only_while_one_that_says_the_same_stays_in() -> None:
    made, gone = [fix(2), fix(3)], {fix(2).sample_id, fix(3).sample_id}
    assert fixes.excluded(made, [sample(1), sample(2), sample(3)]) == gone
    assert fixes.excluded(made, [sample(2), sample(3)]) == {fix(3).sample_id}
    relabelled = sample(1, label="anomalous")
    assert fixes.excluded(made, [relabelled, sample(2), sample(3)]) == {fix(3).sample_id}
    assert fixes.holding(made, [sample(2)]) == []


def test_a_line_that_a_crash_cut_off_is_left_out_and_swallows_nothing(path: Path) -> None:
    fixes.append(path, stamped(fix(1)))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    assert len(fixes.read(path)) == 1
    fixes.append(path, stamped(fix(2)))
    assert path.read_bytes().startswith(whole)
    assert len(fixes.read(path)) == 2


@pytest.mark.parametrize("damage", ["{", '{"action": "delete"}', "[]"])
def test_a_damaged_line_is_refused_with_its_place(path: Path, damage: str) -> None:
    fixes.append(path, stamped(fix(1)))
    path.write_text(damage + "\n" + path.read_text())
    with pytest.raises(
        Unreadable, match=r"fixes\.jsonl holds \d+ things that are no fixes(?s:.)*(line 1|fix 0)"
    ):
        fixes.read(path)


def test_a_fix_without_date_and_check_is_not_stored(path: Path) -> None:
    with pytest.raises(SchemaViolation, match="row 0, at"):
        fixes.append(path, [fix(1)])
    assert not path.exists()


def test_nothing_to_add_makes_no_file(path: Path) -> None:
    fixes.append(path, [])
    assert not path.exists()


def test_lines_are_plain_json_after_the_contract(path: Path) -> None:
    fixes.append(path, stamped(fix(1)))
    assert sorted(json.loads(path.read_text())) == sorted(
        ["sample_id", "sha256", "action", "detail", "check", "at", "curate", "undone"]
    )


def test_specks_go_and_larger_regions_stay_as_they_are() -> None:
    mask = np.zeros((48, 64), dtype=bool)
    mask[2:9, 5:20] = True
    mask[30, 40:44] = True  # 4 px, a speck
    mask[40, 50:55] = True  # 5 px
    clean = without_specks(mask)
    assert not clean[30].any() and clean.sum() == 7 * 15 + 5
    assert mask[30].any()


@pytest.mark.parametrize("n_specks", [0, 1, 2])
def test_a_mask_of_specks_only_is_left_as_it_is(n_specks: int) -> None:
    mask = np.zeros((48, 64), dtype=bool)
    mask[10 : 10 + 4 * n_specks : 4, 3:7] = True
    assert np.array_equal(without_specks(mask), mask)
