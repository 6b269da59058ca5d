"""Every operator of the triage page, asked with what cannot be meant: a message, and nothing is stored."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from curate.gateway.operators import DECIDING, OWN, READING
from curate.store import dataset, heatmaps, verdicts
from curate.store.app import ADDRESS, serve
from curate.store.documents import object_id
from curate.store.server import Database
from curate.store.triage_panel import state
from tests.helpers.stored import painted, sample_id

pytestmark = pytest.mark.mongod
NAME = "misused"
IMAGE = str(object_id(sample_id("stain-02"), "sample"))
NO_OBJECTS: list[Any] = [None, 0, "text", [], [{"detector": "padim"}], True]
NO_TEXTS: list[Any] = [0, 1.5, True, ["stain"], {"name": "stain"}, "a\0b", "\ud800", "x" * 20_000]
NO_NAMES = [*NO_TEXTS, None, ""]
NO_IDS: list[Any] = [None, 7, "", "x", IMAGE[:-1], IMAGE + "0", IMAGE.replace(IMAGE[0], "g"), [IMAGE], {}]
NO_LISTS: list[Any] = [None, 7, "text", {}, IMAGE]
NO_FLAGS: list[Any] = [1, "yes", [], {}]
NO_NUMBERS: list[Any] = ["1", [1], {}, True, 10**400]
NO_VALUES: list[Any] = ["1", [0.5], 0.5, {"weave": "0.5"}, {"weave": None}, {"weave": float("nan")}]
DECISION = {"operator": "mark_anomalous", "ids": [IMAGE]}
LINE = {"detector": "padim", "values": {"weave": 0.5}, "why": "dust"}
BUTTONS = ("accept_mask", "accept_normal", "reject_mask", "skip", "undo", "unsure")
# operator: parameters that could be meant, and values by parameter that could not
WANTED: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "compare/compare_look": ({"id": IMAGE}, {"id": NO_IDS}),
    "compare/compare_embed": ({}, {"start": NO_FLAGS}),
    "density/density_look": (
        {"category": "weave"},
        {"category": [*NO_TEXTS, "no such"], "source": [*NO_TEXTS, "no such"], "defect_type": NO_TEXTS,
         "image": NO_IDS[1:]},
    ),
    "density/density_images": (
        {"cells": [1]},
        {"cells": [*NO_LISTS, [-1], ["1"], [1.5], [True], [2**40], [None]], "category": NO_TEXTS,
         "source": NO_TEXTS, "defect_type": NO_TEXTS},
    ),
    "panel/panel_queues": ({}, {}),
    "panel/panel_state": ({}, {"known": NO_TEXTS}),
    "threshold/threshold_scores": ({}, {"detector": NO_TEXTS}),
    "threshold/threshold_store": (
        LINE,
        {"detector": [*NO_NAMES, "no such"], "values": [*NO_VALUES, {"no such": 0.5}, {}, None],
         "review_from": [*NO_VALUES, {"no such": 0.1}], "why": [*NO_TEXTS, "", "  ", None]},
    ),
    "triage/keys_begin": (
        {"walk": True},
        {"walk": NO_FLAGS, "sort_by": NO_TEXTS, "descending": NO_FLAGS},
    ),
    "triage/keys_strongest": ({"id": IMAGE}, {"id": NO_IDS, "detector": NO_TEXTS}),
    "triage/keys_decide": (
        DECISION,
        {"operator": [*NO_NAMES, "mark", "unsure\n"], "ids": [*NO_LISTS, [7], [None], ["x"], [[IMAGE]]],
         "defect_type": [*NO_TEXTS, "", " ", "a/b", "..", "a\nb", "x" * 300], "place": [*NO_TEXTS, "moon"],
         "detector": NO_TEXTS, "seconds": NO_NUMBERS},
    ),
    **{
        f"triage/mark_anomalous{twin}": ({}, {"defect_type": [*NO_TEXTS, "a/b", "..", "x" * 300]})
        for twin in ("", "_here")
    },
    **{f"triage/{button}{twin}": ({}, {}) for button in BUTTONS for twin in ("", "_here")},
}  # fmt: skip


class Answer(NamedTuple):
    """What a page gets: the status, and every message for the person."""

    status: int
    said: list[str]


class Served(NamedTuple):
    """A served page, and where its dataset lies."""

    port: int
    root: Path

    def ask(self, operator: str, params: Any, **body: Any) -> Answer:
        """Execute an operator of ours."""
        asked = {"operator_uri": OWN + operator, "dataset_name": NAME, "view": [], "params": params, **body}
        connection = http.client.HTTPConnection(ADDRESS, self.port, timeout=60)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/operators/execute", json.dumps(asked).encode(), headers)
            answer = connection.getresponse()
            content = json.loads(answer.read())
        finally:
            connection.close()
        requests = (content.get("executor") or {}).get("requests") or []
        notes = [each["params"].get("message") for each in requests]
        found = [content.get("error"), content.get("stack"), (content.get("result") or {}).get("error")]
        return Answer(answer.status, [text for text in (*found, *notes) if text])

    def stored(self) -> tuple[int, int, int]:
        """How many verdicts, decisions and drawn masks there are."""
        files = ("decisions/*.json", "drawn_masks/*")
        return len(verdicts.read_log(NAME)), *(len(list(self.root.glob(each))) for each in files)


@pytest.fixture(scope="module")
def page(workspace_db: Database) -> Iterator[Served]:
    root = workspace_db.home / "datasets" / NAME
    samples, predictions = painted(root, 2, 2)
    dataset.save_samples(NAME, samples, root / "masks")
    heatmaps.save_predictions(NAME, "padim", predictions, root, {"weave": 0.5})
    with serve(NAME) as app:
        yield Served(app.port, root)


def refused(page: Served, operator: str, params: Any, **body: Any) -> None:
    before = page.stored()
    answer = page.ask(operator, params, **body)
    told = f"{operator} {str(params)[:200]} {str(body)[:200]}: {answer}"
    assert answer.status in (200, 400), told
    assert answer.said, told
    for text in answer.said:
        assert "Traceback" not in text and "Error:" not in text.removeprefix("CurateError:"), told
        assert 20 < len(text) < 600, told
    assert page.stored() == before, told


def test_every_operator_of_ours_is_asked() -> None:
    assert {OWN + name for name in WANTED} == {name for name in READING | DECIDING if name.startswith(OWN)}


@pytest.mark.parametrize("operator", WANTED)
def test_parameters_that_are_no_object_are_refused(page: Served, operator: str) -> None:
    for params in NO_OBJECTS:
        refused(page, operator, params, current_sample=IMAGE)


@pytest.mark.parametrize(
    ("operator", "name"), [(operator, name) for operator, (_, bad) in WANTED.items() for name in bad]
)
def test_a_parameter_that_cannot_be_meant_is_refused(page: Served, operator: str, name: str) -> None:
    meant, bad = WANTED[operator]
    for value in bad[name]:
        refused(page, operator, {**meant, name: value}, current_sample=IMAGE)


@pytest.mark.parametrize("operator", WANTED)
def test_a_request_without_a_dataset_is_refused(page: Served, operator: str) -> None:
    meant = WANTED[operator][0]
    for name in (None, "", 7, ["misused"]):
        refused(page, operator, meant, dataset_name=name, current_sample=IMAGE)
    elsewhere = page.ask(operator, meant, dataset_name="no such", current_sample=IMAGE)
    assert elsewhere.status == 200 and "Traceback" not in "".join(elsewhere.said), elsewhere


@pytest.mark.parametrize(
    "operator", [name for name in WANTED if name.startswith("triage/") if "keys" not in name]
)
def test_chosen_images_that_are_no_ids_are_refused(page: Served, operator: str) -> None:
    for chosen in ({"selected": [7]}, {"selected": "all"}, {"selected": ["x"]}, {"current_sample": {"a": 1}}):
        refused(page, operator, {}, **chosen)


def test_a_defect_type_for_what_takes_none_is_refused(page: Served) -> None:
    for operator in (*BUTTONS[1:],):
        asked = {"operator": operator, "ids": [IMAGE], "defect_type": "stain"}
        refused(page, "triage/keys_decide", asked)


def test_a_view_that_is_none_is_refused(page: Served) -> None:
    match = {"_cls": "fiftyone.core.stages.Match", "kwargs": [["filter", {"$nonsense": 1}]]}
    for view in (7, "all", ["x"], [{"_cls": 7}], [{"_cls": "no.such", "kwargs": []}], [match]):
        refused(page, "triage/keys_begin", {"walk": True}, view=view)


@pytest.mark.parametrize("operator", [name for name in WANTED if OWN + name in READING])
def test_what_can_be_meant_is_answered(page: Served, operator: str) -> None:
    """The counterpart: no message, though the other parameters are those that were refused with a bad one."""
    before = page.stored()
    assert page.ask(operator, WANTED[operator][0]) == Answer(200, [])
    assert page.stored() == before


def test_what_can_be_meant_is_stored(page: Served) -> None:
    n_before = len(verdicts.read_log(NAME))
    asked = {"triage/keys_decide": DECISION, "triage/mark_anomalous": {"defect_type": "dent"}}
    for operator, params in asked.items():
        assert page.ask(operator, params, current_sample=IMAGE).status == 200
    given = verdicts.read_log(NAME)[n_before:]
    assert [row["defect_type"] for row in given] == [None, "dent"]
    assert state(NAME, "nobody")["n_decided"] == 1
