"""What sets the triage operators apart."""

import pytest

from curate.tables import from_rows
from curate.triage import accept_mask, accept_normal, mark_anomalous, reject_mask, skip, undo, unsure
from tests.helpers.stored import sample_id

COLUMNS = ["sample_id", "sha256", "label", "defect_types", "verdict", "mask", "drawn_mask", "drawn_type"]
COLUMNS += ["drawn_classes"]
SEEN = {
    "sample_id": sample_id("a"), "sha256": "a" * 64, "label": "anomalous", "defect_types": ["dent"],
    "verdict": "anomalous", "mask": "1" * 16, "drawn_mask": "2" * 16,
}  # fmt: skip
FRESH = {
    "sample_id": sample_id("b"),
    "sha256": "b" * 64,
    "label": "normal",
    "defect_types": [],
    "verdict": None,
}
SAMPLES = from_rows([SEEN, FRESH], COLUMNS)


def test_accepting_and_skipping_name_no_defect_type() -> None:
    for operator, verdict in (
        (accept_normal, "normal"),
        (skip, "skipped"),
        (unsure, "unsure"),
        (reject_mask, "mask_rejected"),
    ):
        decided = operator.run(SAMPLES, by="ada", at="2026")
        assert list(decided["verdict"]) == [verdict, verdict]
        assert list(decided["defect_type"]) == [None, None]


def test_marking_carries_the_defect_type_without_blanks_around_it() -> None:
    decided = mark_anomalous.run(SAMPLES, by="ada", at="2026", defect_type="  Lötzinn-Brücke ")
    assert set(decided["defect_type"]) == {"Lötzinn-Brücke"}


def test_marking_without_a_defect_type_leaves_it_open() -> None:
    assert list(mark_anomalous.run(SAMPLES, by="ada", at="2026")["defect_type"]) == [None, None]


def test_a_mask_is_accepted_where_one_is_proposed() -> None:
    decided = accept_mask.run(SAMPLES, by="ada", at="2026", defect_type="dent ")
    assert list(decided["sample_id"]) == [SEEN["sample_id"]]
    row = decided.iloc[0]
    assert (row["verdict"], row["defect_type"], row["mask"]) == ("anomalous", "dent", "2" * 16)
    assert row["before"]["mask"] == "1" * 16


@pytest.mark.parametrize("bad", ["", "   ", "a/b", "..", "two\nlines"])
def test_marking_refuses_a_defect_type_that_could_not_name_a_folder(bad: str) -> None:
    with pytest.raises(ValueError, match="cannot be used"):
        mark_anomalous.run(SAMPLES, by="ada", at="2026", defect_type=bad)


def test_a_verdict_names_the_picture_it_is_about() -> None:
    assert list(skip.run(SAMPLES, by="ada", at="2026")["sha256"]) == ["a" * 64, "b" * 64]


def test_undo_passes_over_samples_without_a_verdict() -> None:
    decided = undo.run(SAMPLES, by="ada", at="2026")
    assert list(decided["sample_id"]) == [SEEN["sample_id"]]
    assert list(decided["verdict"]) == ["undone"]
