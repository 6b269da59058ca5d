"""Promises every triage operator keeps."""

from pathlib import Path
from types import ModuleType

import pytest

import curate.triage
from curate.schema import check_table
from curate.tables import from_rows, to_rows
from curate.triage import TRIAGE
from curate.verdicts import HELD
from tests.helpers.stored import sample_id

EVERY = pytest.mark.parametrize("operator", [entry.load() for entry in TRIAGE.values()], ids=list(TRIAGE))
AT = "2026-01-02T03:04:05.000006+00:00"
A, B, C = ({"sample_id": sample_id(name), "sha256": name * 64} for name in "abc")
ROWS = [
    {**A, "label": "normal", "defect_types": [], "verdict": None, "drawn_mask": "0" * 16, "extra": 1},
    {**B, "label": "anomalous", "defect_types": ["stain"], "verdict": "anomalous", "mask": "1" * 16},
    {**C, "label": "unknown", "defect_types": [], "verdict": "skipped"},
]
SAMPLES = from_rows(ROWS, ["sample_id", "sha256", *HELD, "drawn_mask", "extra"])


def test_every_file_is_registered_under_its_name() -> None:
    files = {path.stem for path in Path(curate.triage.__path__[0]).glob("*.py")} - {"__init__"}
    assert files == set(TRIAGE)
    assert all(entry.target == f"curate.triage.{name}" for name, entry in TRIAGE.items())


@EVERY
def test_decisions_keep_the_contract_and_say_who_and_when(operator: ModuleType) -> None:
    decided = operator.run(SAMPLES, by="ada", at=AT)
    check_table(decided, "verdict")
    assert len(decided) > 0
    assert set(decided["by"]) == {"ada"}
    assert set(decided["at"]) == {AT}


@EVERY
def test_decisions_say_what_held_before(operator: ModuleType) -> None:
    before = {row["sample_id"]: {k: row.get(k) for k in HELD} for row in ROWS}
    for row in to_rows(operator.run(SAMPLES, by="ada", at=AT)):
        assert row["before"] == before[row["sample_id"]]


@EVERY
def test_the_samples_stay_as_they_were(operator: ModuleType) -> None:
    untouched = to_rows(SAMPLES)
    operator.run(SAMPLES, by="ada", at=AT)
    assert to_rows(SAMPLES) == untouched


@EVERY
def test_no_sample_gives_no_decision(operator: ModuleType) -> None:
    decided = operator.run(SAMPLES.iloc[:0], by="ada", at=AT)
    assert len(decided) == 0
    check_table(decided, "verdict")
