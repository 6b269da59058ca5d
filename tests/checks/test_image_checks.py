"""The checks that compare an image with its category, and a label with the folder's name."""

from pathlib import Path
from typing import Any

import pytest

from curate.checks import Evidence, exact_duplicates, label_folder, mixed_images
from tests.helpers.golden import codes
from tests.helpers.tables import row, table


def evidence(*rows: dict[str, Any], **known: Any) -> Evidence:
    return Evidence(table(list(rows)), Path("none"), **known)


def alike(n_images: int, **known: Any) -> list[dict[str, Any]]:
    return [row(f"{known.get('category', 'weave')}/{number}.png", **known) for number in range(n_images)]


def test_images_stored_otherwise_than_their_category_are_found() -> None:
    grey = row("grey.png", channels=1, bit_depth=16)
    small = row("small.png", width=32)
    film = alike(5, category="film", width=640)
    faults = mixed_images.run(evidence(*alike(9), grey, small, *film))
    assert codes(faults) == [("mixed_images", "grey.png"), ("mixed_images", "small.png")]
    assert faults[0].message == (
        'grey.png has 1 channel and 16 bits per channel; most of the 11 images of "weave" have 3 channels '
        "and 8 bits per channel."
    )
    assert {fault.severity for fault in faults} == {"warning"}


def test_a_category_without_a_usual_size_is_noted_once() -> None:
    rows = [row(f"{number}.png", width=40 + number) for number in range(9)]
    (fault,) = mixed_images.run(evidence(*rows, row("grey.png", width=90, channels=1)))[1:]
    assert (fault.severity, fault.relative_path) == ("note", "")
    assert (
        "have no usual size: 10 occur, 40 x 48 px (1), 41 x 48 px (1), 42 x 48 px (1) and 7 more."
        in fault.message
    )


@pytest.mark.parametrize(("n_odd", "severities"), [(1, ["warning"]), (2, ["note"])])
def test_three_quarters_are_a_majority(n_odd: int, severities: list[str]) -> None:
    odd = [row(f"odd-{number}.png", channels=1) for number in range(n_odd)]
    faults = mixed_images.run(evidence(*alike(4), *odd))
    assert [fault.severity for fault in faults] == severities


@pytest.mark.parametrize(
    ("path", "label", "told"),
    [
        ("line/ok/1.png", "anomalous", "normal"),
        ("OK_images/1.png", "anomalous", "normal"),
        ("good/scratch/1.png", "normal", "anomalous"),
        ("NG-2031/cam 2/1.png", "normal", "anomalous"),
        ("ng/recheck/good/1.png", "normal", None),
        ("not_ok/1.png", "anomalous", None),
        ("defect_free/1.png", "normal", None),
        ("ok/1.png", "unknown", None),
        ("ok.png", "anomalous", None),
        ("ok_ng/1.png", "normal", None),
    ],
)
def test_a_label_is_compared_with_the_innermost_folder_that_says_one(
    path: str, label: str, told: str | None
) -> None:
    known = row("x.png", "anomalous", defect_types=["Scratch"])
    faults = label_folder.run(evidence(known, row(path, label)))
    assert [(fault.severity, fault.relative_path) for fault in faults] == (
        [("warning", path)] if told else []
    )
    assert all(f"which says {told}." in fault.message for fault in faults)


def test_a_category_called_like_a_defect_says_nothing() -> None:
    rows = [row("scratch/1.png", "normal", category="scratch")]
    rows += [row("scratch/2.png", "anomalous", category="scratch", defect_types=["scratch"])]
    assert label_folder.run(evidence(*rows)) == []


def test_a_verdict_against_the_folder_is_noted() -> None:
    one, two = row("ng/1.png", "anomalous"), row("ng/2.png", "anomalous")
    (fault,) = label_folder.run(evidence(one, two, verdicts={one["sample_id"]: "normal"}))
    assert (fault.severity, fault.relative_path) == ("note", "ng/1.png")
    assert "but a person judged it normal" in fault.message


def test_a_verdict_that_corrects_a_label_against_its_folder_ends_the_finding() -> None:
    one = row("ok/1.png", "anomalous")
    assert len(label_folder.run(evidence(one))) == 1
    assert label_folder.run(evidence(one, verdicts={one["sample_id"]: "normal"})) == []


def copies(*rows: dict[str, Any]) -> list[str]:
    """Ids that the fix of exact_duplicates takes out, of samples that show one picture."""
    given = evidence(*(one | {"pixel_sha256": "1" * 64} for one in rows))
    fixes = exact_duplicates.fix(given, exact_duplicates.run(given))
    assert {fix.action for fix in fixes} <= {"exclude"}
    return [fix.sample_id for fix in fixes]


def test_all_copies_but_the_first_leave_and_truth_goes_before_order() -> None:
    a, b, c = row("a.png"), row("b.png"), row("c.png")
    assert copies(c, a, b) == [b["sample_id"], c["sample_id"]]
    bare, drawn = row("a.png", "anomalous"), row("b.png", "anomalous", gt_mask_path="/m.png")
    assert copies(bare, drawn) == [bare["sample_id"]]


@pytest.mark.parametrize("other", [{"label": "anomalous"}, {"category": "film"}, {"defect_types": ["dent"]}])
def test_copies_that_disagree_are_left_to_a_person(other: dict[str, Any]) -> None:
    assert copies(row("a.png"), row("b.png", **other)) == []
