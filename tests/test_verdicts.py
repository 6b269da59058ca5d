"""What a list of verdicts comes to."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate import verdicts
from curate.errors import Unreadable
from curate.tables import to_rows
from tests.helpers.ordinary_user import open_folder, ordinary_user
from tests.helpers.stored import row, sample_id, table

A = sample_id("a")
BEFORE = {"label": "normal", "defect_types": [], "verdict": None}
SHA256 = str(row("a")["sha256"])
DRAWN = Path("drawn_masks")


def given_verdicts(*kinds: str, defect_type: str | None = None) -> list[dict[str, Any]]:
    """Verdicts on sample "a", one second apart."""
    return [
        {
            "sample_id": A, "sha256": SHA256, "verdict": kind, "by": "ada",
            "at": f"2026-01-01T00:00:{second:02d}+00:00",
            "defect_type": defect_type if kind == "anomalous" else None, "before": BEFORE,
        }
        for second, kind in enumerate(kinds)
    ]  # fmt: skip


def applied(label: str, *kinds: str, defect_type: str | None = None) -> dict[str, Any]:
    samples = table(row("a", label, gt_mask_path="/m.png", mask_rule="> 0"))
    return to_rows(verdicts.apply(samples, given_verdicts(*kinds, defect_type=defect_type), DRAWN))[0]


def test_without_verdicts_the_source_is_believed() -> None:
    found = applied("anomalous")
    assert (found["label"], found["defect_types"], found["verdict"]) == ("anomalous", ["stain"], None)


def test_accepted_as_normal_drops_defect_types_and_mask() -> None:
    found = applied("anomalous", "normal")
    assert (found["label"], found["defect_types"], found["gt_mask_path"]) == ("normal", [], None)
    assert found["verdict_by"] == "ada"


def test_marked_anomalous_takes_the_given_defect_type_or_keeps_the_sources() -> None:
    assert applied("normal", "anomalous", defect_type="dent")["defect_types"] == ["dent"]
    assert applied("anomalous", "anomalous")["defect_types"] == ["stain"]
    assert applied("anomalous", "anomalous")["gt_mask_path"] == "/m.png"


def test_an_image_that_the_source_called_normal_loses_its_empty_mask() -> None:
    found = applied("normal", "anomalous", defect_type="dent")
    assert (found["gt_mask_path"], found["mask_rule"]) == (None, None)
    assert applied("normal", "anomalous", "undone")["gt_mask_path"] == "/m.png"
    assert applied("unknown", "skipped")["gt_mask_path"] == "/m.png"


def test_a_skip_leaves_the_label_that_an_earlier_verdict_gave() -> None:
    found = applied("anomalous", "normal", "skipped")
    assert (found["label"], found["verdict"]) == ("normal", "skipped")


def test_undo_brings_back_what_was_before_and_can_be_repeated() -> None:
    assert applied("anomalous", "normal", "undone")["label"] == "anomalous"
    assert applied("anomalous", "normal", "undone")["verdict"] is None
    assert applied("anomalous", "normal", "anomalous", "undone")["label"] == "normal"
    assert applied("anomalous", "normal", "anomalous", "undone", "undone")["label"] == "anomalous"


def test_one_undo_too_many_changes_nothing() -> None:
    assert applied("normal", "undone", "undone", "anomalous")["label"] == "anomalous"


@given(st.lists(st.sampled_from(["normal", "anomalous", "skipped", "undone"]), max_size=8), st.randoms())
def test_the_order_in_which_verdicts_are_listed_never_matters(kinds: list[str], random: Any) -> None:
    rows = given_verdicts(*kinds)
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert verdicts.standing(rows, {A: SHA256}) == verdicts.standing(shuffled, {A: SHA256})


def test_an_accepted_mask_stands_alone_and_nothing_of_the_source_is_added_to_it() -> None:
    box = {"box_xyxy": [1.0, 2.0, 3.0, 4.0], "defect_type": "stain"}
    shape = {"kind": "polygon", "points_xy": [0, 0, 9, 0, 9, 9], "counts": None, "defect_type": "stain"}
    samples = table(row("a", "anomalous", shapes=[shape], boxes=[box], mask_quality="weak"))
    (accepted,) = given_verdicts("anomalous")
    found = to_rows(verdicts.apply(samples, [accepted | {"mask": "1" * 16}], DRAWN))[0]
    assert (found["shapes"], found["boxes"], found["mask_channels"]) == (None, None, None)
    assert found["gt_mask_path"] == str(DRAWN / f"{A}-{'1' * 16}.png")
    assert (found["mask_kind"], found["mask_quality"], found["mask_rule"]) == ("binary", "exact", "> 0")
    assert found["defect_types"] == ["stain"]


def test_a_verdict_lapses_with_its_picture_and_holds_again_when_that_comes_back() -> None:
    rows = given_verdicts("normal")
    replaced = to_rows(verdicts.apply(table(row("a", "anomalous", sha256="0" * 64)), rows, DRAWN))[0]
    assert (replaced["label"], replaced["defect_types"], replaced["verdict"]) == (
        "anomalous",
        ["stain"],
        None,
    )
    assert to_rows(verdicts.apply(table(row("a", "anomalous")), rows, DRAWN))[0]["label"] == "normal"


def test_an_undo_takes_back_nothing_that_was_said_of_another_picture() -> None:
    on_the_old, undo = given_verdicts("normal", "undone")
    on_the_new = {**given_verdicts("skipped", "skipped", "anomalous")[2], "sha256": "0" * 64}
    rows = [on_the_old, on_the_new, {**undo, "sha256": "0" * 64, "at": "2026-01-01T00:00:09+00:00"}]
    assert verdicts.standing(rows, {A: "0" * 64}) == {}
    assert verdicts.standing(rows, {A: SHA256})[A].last["verdict"] == "normal"


def test_the_mirror_is_read_back_as_written(tmp_path: Path) -> None:
    mirror = tmp_path / "new" / "verdicts.jsonl"
    rows = given_verdicts("anomalous", "undone", defect_type="Kratzer ä")
    verdicts.append_mirror(mirror, rows[:1])
    verdicts.append_mirror(mirror, rows[1:])
    assert verdicts.read_mirror(mirror) == rows


def test_a_mirror_that_may_not_be_written_is_named() -> None:
    with open_folder() as folder:
        mirror = folder / "verdicts.jsonl"
        verdicts.append_mirror(mirror, given_verdicts("normal"))
        before = mirror.read_bytes()
        mirror.chmod(0o444)
        with ordinary_user(), pytest.raises(Unreadable, match=r"verdicts\.jsonl may not be written"):
            verdicts.need_writable(mirror)
        verdicts.need_writable(folder / "new" / "verdicts.jsonl")
        assert mirror.read_bytes() == before and not (folder / "new").exists()


def test_no_sign_in_a_name_cuts_a_line_of_the_mirror_in_two(tmp_path: Path) -> None:
    mirror = tmp_path / "verdicts.jsonl"
    rows = [{**row, "by": "eva\u2028\x85\x1c\x0c"} for row in given_verdicts("normal", "anomalous")]
    verdicts.append_mirror(mirror, rows)
    assert verdicts.read_mirror(mirror) == rows


def test_a_verdict_that_the_mirror_has_twice_counts_once(tmp_path: Path) -> None:
    mirror = tmp_path / "verdicts.jsonl"
    rows = given_verdicts("anomalous", "undone")
    verdicts.append_mirror(mirror, [rows[0], rows[0], rows[1]])
    assert verdicts.read_mirror(mirror) == rows


def test_a_mirror_line_cut_off_by_a_crash_is_passed_over_and_does_not_swallow_the_next(
    tmp_path: Path,
) -> None:
    mirror = tmp_path / "verdicts.jsonl"
    rows = given_verdicts("normal", "anomalous")
    verdicts.append_mirror(mirror, rows[:1])
    with mirror.open("ab") as file:
        file.write(b'{"sample_id": "ab')
    verdicts.append_mirror(mirror, rows[1:])
    assert verdicts.read_mirror(mirror) == rows


@pytest.mark.parametrize("line", ["5", "null", '{"sample_id": "0123456789abcdef", "verdict": "fine"}'])
def test_mirror_line_that_is_no_verdict_is_refused_by_file_and_line(tmp_path: Path, line: str) -> None:
    mirror = tmp_path / "verdicts.jsonl"
    verdicts.append_mirror(mirror, given_verdicts("normal"))
    with mirror.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(Unreadable, match=r"verdicts\.jsonl holds (.|\n)*verdict 1"):
        verdicts.read_mirror(mirror)
