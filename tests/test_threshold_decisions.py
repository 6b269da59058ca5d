"""Decisions are dated, in order, and only ever added."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from curate.errors import AlreadyExists, SchemaViolation
from curate.threshold_decisions import append, complete, differences, read, signed, standing

DATA = dict.fromkeys(("split", "samples", "predictions", "masks", "verdicts", "set_aside"), "0")
CUT = {
    "threshold": 0.5, "review_from": None, "band": "none", "interval": None, "supported": True, "claim": "",
    "reason": "", "warnings": [], "facts": {}, "calibration": {}, "test": {}, "expected": {},
}  # fmt: skip
CONTENT: dict[str, Any] = {
    "by": "anna", "origin": "person", "why": "", "replaces": None, "detector": "padim", "level": "image",
    "rule": "f1_max", "params": {}, "group": "part_id", "defect_rate": None, "by_category": {"weave": CUT},
    "test": {}, "data": DATA, "versions": {},
}  # fmt: skip


def test_a_clock_that_is_set_back_does_not_mix_the_order(tmp_path: Path) -> None:
    first = complete(CONTENT, [], datetime(2026, 5, 1, tzinfo=UTC))
    second = complete(CONTENT | {"replaces": first["id"]}, [first], datetime(2020, 1, 1, tzinfo=UTC))
    for decision in (second, first):
        append(tmp_path, decision)
    assert second["at"] == "2026-05-01T00:00:00.000001+00:00"
    assert [row["id"] for row in read(tmp_path)] == [first["id"], second["id"]]
    assert standing([first, second], "padim", "image") == second
    assert standing([first, second], "padim", "pixel") is None
    assert standing([first, second], "npad", "image") is None


def test_a_decision_is_never_written_over(tmp_path: Path) -> None:
    decision = complete(CONTENT, [])
    path = append(tmp_path, decision)
    before = path.read_bytes()
    with pytest.raises(AlreadyExists, match=path.name):
        append(tmp_path, decision)
    assert path.read_bytes() == before


def test_a_decision_that_breaks_its_contract_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaViolation, match=r"by_category\.weave\.threshold: 'NaN'"):
        complete(CONTENT | {"by_category": {"weave": CUT | {"threshold": "NaN"}}}, [])


def test_unfinished_files_of_a_killed_command_are_no_decisions(tmp_path: Path) -> None:
    append(tmp_path, complete(CONTENT, []))
    (tmp_path / ".20260101T000000.json.17-x.partial").write_text('{"half')
    assert len(read(tmp_path)) == 1


def test_other_parameters_and_other_data_are_told_apart() -> None:
    decision = complete(CONTENT | {"rule": "conformal", "params": {"alpha": 0.01, "per": "item"}}, [])
    asked = decision | {"params": {"alpha": 0.1, "per": "item"}}
    assert differences(decision, decision, DATA) == []
    assert differences(decision, asked, DATA | {"masks": "1"}) == [
        "params: alpha=0.01, per=item, now alpha=0.1, per=item",
        "the masks changed",
    ]
    assert signed(decision).endswith("UTC, by anna")
    assert "conformal (alpha=0.01, per=item) for padim" in signed(decision)
