"""A gate is read strictly, and judges what was found; what did not run does not pass."""

from pathlib import Path
from typing import Any

import pytest

from curate import gate
from curate.errors import CurateError, Missing

RAN = ("specks", "layout", "exact_duplicates")


def finding(check: str, severity: str, path: str, *related: str) -> dict[str, Any]:
    return {"check": check, "severity": severity, "relative_path": path, "related": list(related)}


FOUND = [
    finding("layout", "error", "a.png"),
    finding("specks", "warning", "a.png"),
    finding("specks", "warning", "b.png"),
    finding("exact_duplicates", "warning", "c.png", "d.png", "e.png"),
    finding("specks", "note", ""),
]


def judged(limits: dict[str, Any], **known: Any) -> dict[tuple[str, bool], gate.Limit]:
    """Limits by name and whether they are shares; of 10 images."""
    rows = gate.judge(limits, FOUND, **{"n_images": 10, "ran": RAN, "not_run": {}, **known})
    return {(row.name, row.fraction): row for row in rows}


def load(folder: Path, text: str) -> dict[str, Any]:
    path = folder / "gate.toml"
    path.write_text(text)
    return gate.load(path)


def test_without_limits_no_error_is_let_through() -> None:
    (row,) = judged({}).values()
    assert (row.name, row.limit, row.found, row.ok) == ("errors", 0, 1, False)


@pytest.mark.parametrize(("name", "found"), [("errors", 1), ("warnings", 3), ("notes", 1), ("total", 5)])
def test_totals_are_let_through_up_to_their_limit(name: str, found: int) -> None:
    assert judged({"limits": {name: found}})[name, False].ok
    row = judged({"limits": {name: found - 1}})[name, False]
    assert (row.ok, row.found, row.state) == (False, found, "EXCEEDED")


@pytest.mark.parametrize(
    ("name", "share"), [("errors", 0.1), ("warnings", 0.5), ("notes", 0.0), ("total", 0.5)]
)
def test_shares_count_each_image_once_with_those_related(name: str, share: float) -> None:
    assert judged({"limits": {f"{name}_fraction": share}})[name, True].found == pytest.approx(share)


def test_checks_have_limits_of_their_own_and_others_the_default() -> None:
    rows = judged({"default": {"max": 1}, "checks": {"specks": {"max": 3, "max_fraction": 0.19}}})
    assert [name for name, _ in rows] == ["errors", "layout", "specks", "specks", "exact_duplicates"]
    assert rows["specks", False].ok and not rows["specks", True].ok
    assert rows["specks", True].found == pytest.approx(0.2)
    assert rows["layout", False].ok and rows["exact_duplicates", False].ok


def test_a_check_with_a_limit_that_did_not_run_does_not_pass() -> None:
    limits = {"checks": {"split_duplicates": {"max": 9}, "tiny_mask": {"max": 9}}}
    rows = judged(limits, not_run={"split_duplicates": "there is no split yet"})
    assert [row.ok for row in rows.values()] == [False, False, False]
    assert rows["split_duplicates", False].state == "DID NOT RUN: there is no split yet"
    assert "not among the checks chosen" in rows["tiny_mask", False].reason


def test_the_default_asks_nothing_of_checks_that_did_not_run() -> None:
    assert [name for name, _ in judged({"default": {"max": 9}}, ran=("specks",))] == ["errors", "specks"]


def test_the_outcome_is_plain_and_all_limits_must_be_kept() -> None:
    kept = gate.result(gate.judge({"limits": {"errors": 1}}, FOUND, 10, RAN, {}))
    assert kept["ok"] and kept["limits"][0] == {
        "name": "errors", "limit": 1, "fraction": False, "found": 1, "reason": "", "ok": True,
    }  # fmt: skip
    assert not gate.result(gate.judge({}, FOUND, 10, RAN, {}))["ok"]


def test_the_columns_for_people_stay_in_line_whatever_the_names() -> None:
    limits = [gate.Limit("errors", 0, False, 3), gate.Limit("near_duplicates", 0.01, True, 0.5)]
    head, errors, copies = gate.lines(limits)
    end = head.index("found") + len("found")
    assert (errors[:end].split()[-1], errors[end:]) == ("3", "  EXCEEDED")
    assert (copies[:end].split()[-1], copies[end:]) == (".5000", "  EXCEEDED")


def test_a_gate_is_read(tmp_path: Path) -> None:
    text = "[limits]\nerrors = 0\nwarnings = 100\n[default]\nmax = 9\n[checks.specks]\nmax_fraction = 0.01\n"
    assert load(tmp_path, text) == {
        "limits": {"errors": 0, "warnings": 100},
        "default": {"max": 9},
        "checks": {"specks": {"max_fraction": 0.01}},
    }


def test_all_faults_of_a_gate_are_told_with_the_nearest_names(tmp_path: Path) -> None:
    text = "[limits]\nerror = 0\n[checks.speck]\nmax = 2\n[checks.layout]\nmax_fraction = 1.5\n"
    text += "[checks.x]\nmax = 1\n"
    with pytest.raises(CurateError) as caught:
        load(tmp_path, text)
    told = str(caught.value)
    assert 'unknown key "error"; known: errors, warnings' in told
    assert 'unknown check "speck"; near: specks' in told
    assert "1.5 is greater than the maximum of 1" in told
    assert 'unknown check "x"; known: unreadable, layout' in told


@pytest.mark.parametrize(
    ("text", "told"), [("[limits", "not a TOML file"), ("[checks.specks]", "non-empty|enough")]
)
def test_what_is_no_gate_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(CurateError, match=told):
        load(tmp_path, text)


def test_a_gate_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Missing, match=r"gate\.toml"):
        gate.load(tmp_path / "gate.toml")
