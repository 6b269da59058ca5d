"""What the two panels of the triage page read from a real database."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from curate.store import dataset, heatmaps, marks, threshold_panel, triage_panel, workspaces
from curate.store.acting import act
from curate.store.documents import object_id
from curate.store.server import Database
from curate.store.threshold_panel import content, unpacked
from tests.helpers.stored import PREDICTION_COLUMNS, row, sample_id, table

pytestmark = pytest.mark.mongod
NAME = "panelled"
SCORES = {"odd": float("nan"), "n1": 0.1, "n2": 0.7, "a1": 0.4, "a2": 0.9, "u1": 0.6, "t1": 0.8, "l1": 0.2}


def document(name: str) -> str:
    return str(object_id(sample_id(name), "sample"))


@pytest.fixture(scope="module")
def toy(workspace_db: Database, fo: Any) -> Iterator[Path]:
    """Calibration images of both labels and of none in two categories, and one test image."""
    root = workspace_db.home / "datasets" / NAME
    rows = [
        row("odd"), row("n1", lot="L1"), row("n2", lot="L2"), row("a1", "anomalous"), row("a2", "anomalous"),
        row("u1", "unknown"), row("t1"), row("l1", category="other"),
    ]  # fmt: skip
    dataset.save_samples(NAME, table(*rows))
    parts = {name: "test" if name == "t1" else "calibration" for name in SCORES}
    split = [{"sample_id": sample_id(name), "assigned_split": part} for name, part in parts.items()]
    dataset.save_split(NAME, pd.DataFrame(split))
    yield root


def predict() -> None:
    found = [
        {"sample_id": sample_id(name), "detector": "my-net", "anomaly_score": score, "raw_map": None,
         "display_map": None}
        for name, score in SCORES.items()
    ]  # fmt: skip
    heatmaps.save_predictions(NAME, "my-net", pd.DataFrame(found, columns=PREDICTION_COLUMNS), Path())


def test_without_scores_there_is_nothing_to_draw(toy: Path) -> None:
    found = content(NAME)
    assert (found["detector"], found["detectors"], found["parts"]["calibration"]["n"]) == (None, [], 0)
    json.dumps(found, allow_nan=False)


def test_scores_come_sorted_with_what_holds_after_verdicts(toy: Path) -> None:
    predict()
    act(NAME, "accept_normal", [document("a1")])
    found = content(NAME)
    json.dumps(found, allow_nan=False)
    assert (found["detector"], found["field"]) == ("my_net", "my_net_score")
    assert (found["categories"], found["lots"]) == (["other", "weave"], ["L1", "L2"])
    part = found["parts"]["calibration"]
    assert unpacked(part["scores"], "<f8").tolist() == [0.1, 0.2, 0.4, 0.6, 0.7, 0.9]
    labels = [threshold_panel.LABELS[code] for code in unpacked(part["labels"], "u1")]
    assert labels == ["normal", "normal", "normal", "unknown", "normal", "anomalous"]
    assert unpacked(part["categories"], "<u2").tolist() == [1, 0, 1, 1, 1, 1]
    assert unpacked(part["lots"], "<u2").tolist() == [0, 2, 2, 2, 1, 2]
    assert found["parts"]["test"]["n"] == 1
    assert unpacked(found["parts"]["test"]["scores"], "<f8") == np.array([0.8])


def test_images_that_a_detector_learned_from_are_left_out(toy: Path) -> None:
    found = content(NAME, "my_net", lambda name: [sample_id("n2")] if name == "my_net" else [])
    assert found["parts"]["calibration"]["n"] == 5
    assert found["left_out"] == [sample_id("n2")]
    assert content(NAME, "no-such")["detector"] == "my_net"


def test_the_lines_are_those_in_force_with_who_decided_them(toy: Path) -> None:
    assert content(NAME)["lines"] == {"by_category": {}, "lapsed": False}
    heatmaps.save_threshold(NAME, "my-net", {"weave": 0.5}, {"weave": 0.3, "other": -1.7e308})
    decision = {
        "id": "1" * 16, "by": "anna", "at": "2026-11-26T10:00:00+00:00", "rule": "manual", "origin": "person",
        "why": "dust", "detector": "my-net", "level": "image", "stands": True,
    }  # fmt: skip
    older = decision | {"id": "2" * 16, "stands": False, "by": "ben", "why": "before"}
    pixels = decision | {"id": "3" * 16, "level": "pixel"}
    kept = {"weave": {"facts": {}}, "other": {"facts": {"kept_from": "2" * 16}}}
    heatmaps.save_decisions(
        NAME, [row | {"versions": {}, "by_category": kept} for row in (older, decision, pixels)]
    )
    lines = content(NAME)["lines"]["by_category"]
    told = ("id", "by", "at", "rule", "origin", "why")
    assert lines == {
        "other": {
            "threshold": None, "review_from": "open", "decided": {key: older[key] for key in told},
        },
        "weave": {
            "threshold": 0.5, "review_from": 0.3, "decided": {key: decision[key] for key in told},
        },
    }  # fmt: skip


def test_a_threshold_about_earlier_scores_is_no_line(toy: Path) -> None:
    marks.write(NAME, "threshold", "outdated 123")
    assert content(NAME)["lines"] == {"by_category": {}, "lapsed": True}
    marks.write(NAME, "threshold", "123")
    assert content(NAME)["lines"]["by_category"]
    marks.remove(NAME, "threshold")


def test_progress_tells_what_is_decided_and_what_can_be_taken_back(toy: Path) -> None:
    before = triage_panel.state(NAME, "anna")
    assert (before["n_images"], before["n_decided"], before["last"]) == (8, 1, [])
    assert triage_panel.state(NAME, "anna", before["revision"]) == {"revision": before["revision"]}
    act(NAME, "mark_anomalous", [document("n1"), document("n2")], by="anna", seconds=6.0, defect_type="cut")
    after = triage_panel.state(NAME, "anna", before["revision"])
    (last,) = after["last"]
    assert (after["n_decided"], last["verdict"], last["defect_type"]) == (3, "anomalous", "cut")
    assert sorted(last["ids"]) == sorted([document("n1"), document("n2")])
    assert last["name"] in ("n1.png", "n2.png")
    assert {"by": "anna", "n_images": 2, "seconds": 3.0} in after["people"]
    act(NAME, "undo", last["ids"], by="anna")
    undone = triage_panel.state(NAME, "anna", after["revision"])
    assert (undone["n_decided"], undone["last"]) == (1, [])


def test_the_layout_is_saved_once_and_every_space_shows_its_panel(toy: Path) -> None:
    loaded = dataset.load(NAME)
    assert workspaces.arrange(loaded) == "triage"
    made = loaded.load_workspace("triage").component_id
    assert workspaces.arrange(dataset.load(NAME)) == "triage"
    layout = dataset.load(NAME).load_workspace("triage")
    assert layout.component_id == made
    left, right = layout.children
    kinds = [[panel.type for panel in space.children] for space in (left, *right.children)]
    assert kinds == [["Samples"], ["curate_triage"], ["curate_threshold"]]
    assert all(space.active_child == space.children[0].component_id for space in (left, *right.children))
