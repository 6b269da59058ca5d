"""Who decided what, how far people agree, which questions are open."""

from typing import Any

import numpy as np
import pytest

from curate import verdict_summary, verdicts
from tests.helpers.stored import row, sample_id

MASKS = {name * 16: np.arange(12).reshape(3, 4) < n for name, n in (("1", 2), ("2", 4), ("3", 12))}


def said(*told: str) -> list[dict[str, Any]]:
    """Verdicts, one second apart, from "image who verdict [defect type or -] [mask digit] [seconds]"."""
    rows = []
    for second, text in enumerate(told):
        name, by, kind, defect_type, mask, seconds = (*text.split(), "-", "-", "-")[:6]
        rows.append({
            "sample_id": sample_id(name), "sha256": row(name)["sha256"], "verdict": kind, "by": by,
            "at": f"2026-01-01T00:00:{second:02d}+00:00", "before": {},
            "defect_type": None if defect_type == "-" else defect_type,
            "mask": None if mask == "-" else mask * 16, "seconds": None if seconds == "-" else float(seconds),
        })  # fmt: skip
    return rows


def held(*told: str) -> Any:
    return verdicts.standing(said(*told), {sample_id(name): str(row(name)["sha256"]) for name in "abcd"})


PATHS = {sample_id(name): f"{name}.png" for name in "abcd"}


def test_people_are_counted_with_the_seconds_that_are_known() -> None:
    rows = said(
        "a ada normal - - 2",
        "b ada anomalous dent 1 0",
        "a ada undone - - 9",
        "a bob unsure",
        "c bob skipped",
    )
    ada, bob = verdict_summary.people(rows)
    counts = ("n_given", "n_undone", "n_normal", "n_anomalous", "n_masks")
    assert (ada["by"], [ada[name] for name in counts]) == ("ada", [2, 1, 1, 1, 1])
    assert (ada["n_timed"], ada["median_s"], ada["total_s"]) == (2, 1.0, 2.0)
    assert (bob["n_unsure"], bob["n_skipped"], bob["n_timed"], bob["median_s"], bob["total_s"]) == (
        1,
        1,
        0,
        None,
        None,
    )
    assert (ada["first_at"], ada["last_at"]) == ("2026-01-01T00:00:00+00:00", "2026-01-01T00:00:02+00:00")


def test_pairs_are_compared_on_the_images_that_both_decided() -> None:
    standing = held(
        "a ada normal", "a bob normal", "b ada anomalous dent", "b bob anomalous dent",
        "c ada normal", "c bob anomalous stain", "d bob normal", "d cem unsure", "a cem normal",
    )  # fmt: skip
    pairs = verdict_summary.pairs(standing, PATHS, lambda *_: None)
    assert [(pair["people"], pair["label"]["n"], pair["label"]["n_same"]) for pair in pairs] == [
        (["ada", "bob"], 3, 2), (["ada", "cem"], 1, 1), (["bob", "cem"], 1, 1),
    ]  # fmt: skip
    first = pairs[0]
    assert first["label"]["kappa"]["value"] == pytest.approx(0.4)  # (2/3 - 4/9) / (5/9)
    assert (first["defect_type"]["n"], first["defect_type"]["kappa"]["value"]) == (1, None)
    assert pairs[1]["label"]["kappa"]["note"].startswith('Both said "normal"')


def test_masks_of_both_are_compared_and_those_that_cannot_be_used_passed_over() -> None:
    standing = held(
        "a ada anomalous - 1", "a bob anomalous - 2", "b ada anomalous - 3", "b bob anomalous - 3",
        "c ada anomalous - 1", "c bob anomalous", "d ada anomalous - 9", "d bob anomalous - 1",
    )  # fmt: skip
    (pair,) = verdict_summary.pairs(standing, PATHS, lambda _, digest: MASKS.get(digest))
    assert pair["masks"] == {
        "n": 2, "median": 0.75,
        "worst": [{"relative_path": "a.png", "overlap": 0.5}, {"relative_path": "b.png", "overlap": 1.0}],
    }  # fmt: skip


def test_open_questions_say_who_said_what_and_what_is_in_force() -> None:
    standing = held("b ada normal", "b bob anomalous dent", "a ada unsure", "c ada normal", "c bob unsure")
    now = {
        sample_id("a"): ("unknown", []),
        sample_id("b"): ("anomalous", ["dent"]),
        sample_id("c"): ("normal", []),
    }
    found = verdict_summary.open_questions(standing, now, PATHS)
    (disputed,) = found["disputed"]
    assert (disputed["relative_path"], disputed["about"], disputed["defect_types"]) == (
        "b.png",
        "label",
        ["dent"],
    )
    assert [(one["by"], one["verdict"], one["defect_type"]) for one in disputed["said"]] == [
        ("ada", "normal", None), ("bob", "anomalous", "dent"),
    ]  # fmt: skip
    assert [(row["relative_path"], row["asked_by"], len(row["said"])) for row in found["wanted"]] == [
        ("a.png", ["ada"], 0), ("c.png", ["bob"], 1),
    ]  # fmt: skip
