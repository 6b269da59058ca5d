"""What the keys of the triage page ask of the database."""

from pathlib import Path

import pytest

from curate.store import dataset, keys, verdicts
from curate.store.documents import object_id
from curate.store.server import Database
from tests.helpers.stored import row, sample_id, table

pytestmark = pytest.mark.mongod
NAME = "walked"


def document(name: str) -> str:
    return str(object_id(sample_id(name), "sample"))


@pytest.fixture(scope="module", autouse=True)
def saved(workspace_db: Database) -> None:
    names = [f"{index:02d}" for index in range(30)]
    rows = [row(name, "anomalous" if name > "27" else "normal") for name in names]
    rows[-1]["defect_types"] = ["dent"]
    dataset.save_samples(NAME, table(*rows))


def test_begin_lists_types_by_name_fields_and_the_walk_in_the_order_of_the_view() -> None:
    view = dataset.load(NAME).sort_by("relative_path", reverse=True)
    found = keys.begin(NAME, view)
    assert found["defect_types"] == ["dent", "stain"]
    assert (found["maps"], found["masks"]) == ([], ["gt_mask"])
    assert found["ids"] == [document(f"{index:02d}") for index in reversed(range(30))]
    assert keys.begin(NAME)["ids"] == []


def test_a_decision_tells_what_holds_now_and_undo_finds_the_last_one() -> None:
    told = keys.decide(NAME, "mark_anomalous", [document("03")], "dent")
    (sample,) = told["samples"]
    assert (told["n_verdicts"], sample["_id"]) == (1, document("03"))
    assert (sample["label"], sample["defect_types"], sample["verdict"]) == (
        "anomalous",
        ["dent"],
        "anomalous",
    )
    (given,) = verdicts.read_log(NAME)
    assert (given["sample_id"], given["defect_type"]) == (sample_id("03"), "dent")
    moment = dataset.load(NAME)[document("03")]["verdict_at"].timestamp() * 1000
    assert sample["verdict_at"] == {"_cls": "DateTime", "datetime": pytest.approx(moment, abs=1)}
    (back,) = keys.decide(NAME, "undo", [])["samples"]
    assert (back["_id"], back["label"], back["verdict"]) == (document("03"), "normal", None)
    assert back["verdict_at"] is None


def test_nothing_to_do_is_told_as_nothing(workspace_db: Database) -> None:
    assert keys.decide(NAME, "undo", []) == {"n_verdicts": 0, "samples": []}
    assert keys.decide(NAME, "undo", [document("05")]) == {"n_verdicts": 0, "samples": []}
    with pytest.raises(ValueError, match="slash"):
        keys.decide(NAME, "mark_anomalous", [document("05")], "a/b")


def test_the_script_is_where_the_plugin_says() -> None:
    folder = Path(keys.__file__).with_name("plugins") / "triage"
    said = (folder / "fiftyone.yml").read_text(encoding="utf-8")
    assert "js_bundle: keys.js" in said and (folder / "keys.js").is_file()
