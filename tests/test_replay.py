"""Reading a mirror file from elsewhere: every fault at once, nothing that contradicts."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from curate import replay
from curate.errors import Missing, Unreadable
from tests.helpers.stored import row, sample_id

BEFORE = {"label": "normal", "defect_types": [], "verdict": None}


def verdict(name: str = "a", second: int = 0, **changed: Any) -> dict[str, Any]:
    return {
        "sample_id": sample_id(name), "sha256": row(name)["sha256"], "verdict": "normal", "by": "ada",
        "defect_type": None, "at": f"2026-01-01T00:00:{second:02d}+00:00", "before": BEFORE, **changed,
    }  # fmt: skip


def written(folder: Path, *lines: object, end: str = "\n") -> Path:
    path = folder / "verdicts.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + end)
    return path


def test_verdicts_are_read_in_order_and_each_once(tmp_path: Path) -> None:
    rows = [verdict(second=1), verdict(second=0), verdict("b")]
    found, cut_off = replay.read(written(tmp_path, *rows, rows[0], "", "  "))
    assert (found, cut_off) == (rows, False)


def test_a_last_line_that_a_crash_cut_off_is_left_out_and_said(tmp_path: Path) -> None:
    path = written(tmp_path, verdict(), json.dumps(verdict("b"))[:50], end="")
    assert replay.read(path) == ([verdict()], True)


def test_all_faults_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    soon = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    path = written(
        tmp_path,
        verdict(),
        "{cut",
        "[1]",
        verdict("b", verdict="fine"),
        verdict("c", at="2026-01-01 00:00:00"),
        verdict("d", at="2026-01-01T00:00:00Z"),
        verdict("e", at="2026-01-01T02:00:00+02:00"),
        verdict("f", at=soon),
        verdict("g", mask="0" * 16),
        verdict("h", defect_type="dent"),
        verdict(by="bob"),
    )
    with pytest.raises(Unreadable) as told:
        replay.read(path)
    text = str(told.value)
    assert "holds 10 things that are no verdicts" in text
    for line in (
        "line 2: is no JSON object", "line 3: is no JSON object", "line 4: verdict: 'fine' is not one of",
        "line 5: at: expected a moment in UTC such as 2026-01-31T08:15:00.000001+00:00; found",
        "line 6: at: expected", "line 7: at: expected", f"line 8: at: {soon} lies in the future",
        'line 9: mask: only a verdict "anomalous" has one; found it with "normal"',
        "line 10: defect_type: only",
        "line 11: contradicts an earlier line on the same sample and moment",
    ):  # fmt: skip
        assert line in text
    assert "Nothing was taken" in text


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00.000000+00:00"])
def test_moments_with_and_without_microseconds_are_taken(tmp_path: Path, text: str) -> None:
    assert len(replay.read(written(tmp_path, verdict(at=text)))[0]) == 1


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Missing, match=r"Name the verdicts\.jsonl of another workspace"):
        replay.read(tmp_path)


def test_verdicts_are_sorted_by_sample_and_picture() -> None:
    rows = [verdict("a"), verdict("a", 1), verdict("b"), verdict("c")]
    checksums = {sample_id("a"): str(row("a")["sha256"]), sample_id("b"): "0" * 64}
    older = {**rows[0], "mask": None, "after": None, "seconds": None}  # the same, with the keys of today
    found = replay.sort_out(rows, [older], checksums)
    assert found == replay.Taken(tuple(rows[:2]), (rows[1],), (rows[3],), (rows[2],))


def test_a_verdict_that_differs_from_the_one_of_the_same_moment_is_refused() -> None:
    checksums = {sample_id("a"): str(row("a")["sha256"])}
    with pytest.raises(Unreadable, match=r"1 verdicts are not as the dataset has them(.|\n)*by ada"):
        replay.sort_out([verdict("a")], [verdict("a", by="bob")], checksums)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"by": "eva\u2028"}, r'by: "eva\\u2028" cannot be the name of a person'),
        ({"by": "\x1b[31meva"}, r"by: .*cannot be the name"),
        ({"by": "\ud800"}, r"by: .*cannot be the name"),
        ({"by": " "}, r"by: .*cannot be the name"),
        ({"verdict": "anomalous", "defect_type": "../../x"}, r"defect type: .*no slash"),
        ({"verdict": "anomalous", "defect_type": "a\nb"}, r"defect type: .*cannot be used"),
        ({"before": {**BEFORE, "defect_types": [".."]}}, r"defect type: .*cannot be used"),
        (
            {"mask_classes": [{"value": 1, "defect_type": "../x", "area_px": 1}]},
            r"defect type: .*no slash",
        ),
        ({"seconds": float("nan")}, r"is no JSON object"),
        ({"seconds": 10**30}, r"seconds: 1000.* is out of range"),
    ],
)
def test_names_and_numbers_that_could_do_harm_are_told(
    tmp_path: Path, changed: dict[str, Any], told: str
) -> None:
    with pytest.raises(Unreadable, match=told):
        replay.read(written(tmp_path, verdict(**changed)))


def test_a_line_that_is_nested_too_deeply_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"line 1: is no JSON object"):
        replay.read(written(tmp_path, "[" * 100_000, verdict()))
