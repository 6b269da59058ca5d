"""Verdicts in the database: logged, mirrored, undone, mended after a crash, given by two at once."""

import threading
from pathlib import Path

import pandas as pd
import pytest

from curate.errors import Unreadable
from curate.store import acting, dataset, verdicts
from curate.store.acting import act
from curate.store.documents import object_id
from curate.store.server import Database
from curate.verdicts import read_mirror
from curate.workspace import Workspace
from tests.helpers.stored import row, same, sample_id, table

pytestmark = pytest.mark.mongod


def test_verdicts_are_logged_mirrored_shown_and_undone(toy: tuple[Path, pd.DataFrame]) -> None:
    chosen = [str(object_id(sample_id(name), "sample")) for name in ("stain-05", "good-00")]
    mirror = Workspace.at().dataset("toy").verdicts
    assert act("toy", "mark_anomalous", chosen, defect_type="dent") == 2
    found = dataset.read_samples("toy").set_index("relative_path").loc["good-00.png"]
    assert (found["label"], found["defect_types"], found["verdict"]) == ("anomalous", ["dent"], "anomalous")
    assert act("toy", "accept_normal", chosen[:1]) == 1
    assert len(verdicts.read_log("toy")) == len(mirror.read_text().splitlines()) == 3
    shown = dataset.load("toy").match({"verdict": {"$ne": None}})
    assert dict(zip(shown.values("relative_path"), shown.values("label"), strict=True)) == {
        "good-00.png": "anomalous", "stain-05.png": "normal",
    }  # fmt: skip
    assert act("toy", "undo", []) == 1  # the last decision
    assert act("toy", "undo", []) == 2  # the one before, on two images
    assert act("toy", "undo", []) == 0
    assert same(dataset.read_samples("toy"), toy[1])
    assert dataset.load("toy").count_values("verdict") == {None: 8}


def test_without_a_mirror_that_can_be_written_no_verdict_is_stored(
    workspace_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset.save_samples("closed", table(row("a", "anomalous")))

    def closed(path: Path) -> None:
        raise Unreadable(f"Unreadable: {path} may not be written.")

    monkeypatch.setattr(acting, "need_writable", closed)
    with pytest.raises(Unreadable, match=r"verdicts\.jsonl may not be written"):
        act("closed", "accept_normal", [str(object_id(sample_id("a"), "sample"))])
    assert verdicts.read_log("closed") == []
    assert list(dataset.read_samples("closed")["label"]) == ["anomalous"]


def test_verdicts_survive_saving_again_and_the_loss_of_the_database(workspace_db: Database) -> None:
    one = table(row("a", "anomalous"))
    dataset.save_samples("kept", one)
    act("kept", "accept_normal", [str(object_id(sample_id("a"), "sample"))])
    dataset.save_samples("kept", one)
    assert list(dataset.read_samples("kept")["label"]) == ["normal"]
    verdicts._log().delete_many({"dataset": "kept"})
    dataset.load("kept").delete()
    dataset.save_samples("kept", one)
    assert list(dataset.read_samples("kept")["label"]) == ["anomalous"]
    verdicts.reconcile("kept", Workspace.at().dataset("kept").verdicts)
    assert list(dataset.read_samples("kept")["label"]) == ["normal"]
    assert dataset.load("kept").values("label") == ["normal"]


def test_reconcile_mends_what_a_crash_cut_off(workspace_db: Database) -> None:
    dataset.save_samples("cut", table(row("a", "anomalous")))
    mirror = Workspace.at().dataset("cut").verdicts
    before = {"label": "anomalous", "defect_types": ["stain"], "verdict": None}
    given = {"sha256": row("a")["sha256"], "by": "ada", "at": "2026-01-01T00:00:00+00:00", "before": before}
    decided = {"sample_id": sample_id("a"), "verdict": "normal", "defect_type": None, **given}
    verdicts._log().insert_one({**decided, "dataset": "cut"})
    for _ in range(2):
        verdicts.reconcile("cut", mirror)
        assert len(mirror.read_text().splitlines()) == 1
        assert dataset.load("cut").values("label") == ["normal"]


def test_a_verdict_does_not_label_the_picture_that_took_its_place(workspace_db: Database) -> None:
    old, new = table(row("a", "anomalous")), table(row("a", "anomalous", sha256="0" * 64))
    document = str(object_id(sample_id("a"), "sample"))
    dataset.save_samples("replaced", old)
    act("replaced", "accept_normal", [document])
    shown = []
    for samples in (new, old):
        dataset.save_samples("replaced", samples)
        verdicts.reconcile("replaced", Workspace.at().dataset("replaced").verdicts)
        ours = dataset.load("replaced")
        shown.append(
            (*ours.values("label"), *ours.values("verdict"), *dataset.read_samples("replaced")["label"])
        )
    assert shown == [("anomalous", None, "anomalous"), ("normal", "normal", "normal")]
    dataset.save_samples("replaced", new)
    assert act("replaced", "undo", []) == 0
    assert act("replaced", "undo", [document]) == 0


def test_verdicts_given_while_another_reconciles_are_mirrored_once(workspace_db: Database) -> None:
    dataset.save_samples("raced", table(row("a")))
    document, mirror = str(object_id(sample_id("a"), "sample")), Workspace.at().dataset("raced").verdicts
    ended, failures = threading.Event(), list[BaseException]()

    def reconcile_all_the_time() -> None:
        while not ended.is_set():
            try:
                verdicts.reconcile("raced", mirror)
            except BaseException as error:
                failures.append(error)

    other = threading.Thread(target=reconcile_all_the_time)
    other.start()
    try:
        for _ in range(20):
            assert act("raced", "accept_normal", [document]) == 1
    finally:
        ended.set()
        other.join()
    assert failures == []
    assert len(verdicts.read_log("raced")) == len(mirror.read_text().splitlines()) == 20


def test_two_who_judge_at_once_both_count(workspace_db: Database) -> None:
    dataset.save_samples("together", table(row("a")))
    document = str(object_id(sample_id("a"), "sample"))
    failures: list[BaseException] = []

    def judge() -> None:
        try:
            for _ in range(10):
                act("together", "skip", [document])
        except BaseException as error:
            failures.append(error)

    judges = [threading.Thread(target=judge) for _ in range(3)]
    for thread in judges:
        thread.start()
    for thread in judges:
        thread.join()
    assert failures == []
    assert len(verdicts.read_log("together")) == 30


def test_verdicts_that_the_log_has_already_are_brought_back_beside_the_others(workspace_db: Database) -> None:
    dataset.save_samples("brought", table(row("a")))
    before = {"label": "normal", "defect_types": [], "verdict": None}
    common = {"sample_id": sample_id("a"), "sha256": row("a")["sha256"], "verdict": "skipped"}
    common |= {"defect_type": None, "by": "ada", "before": before}
    rows = [{**common, "at": f"2026-01-01T00:00:0{second}+00:00"} for second in range(3)]
    verdicts._bring_back("brought", rows[:2])
    verdicts._bring_back("brought", rows)
    assert verdicts.read_log("brought") == rows


def test_each_takes_back_their_own_last_decision_and_a_dispute_is_shown(workspace_db: Database) -> None:
    dataset.save_samples("both", table(row("a"), row("b"), row("c")))
    a, b, c = (str(object_id(sample_id(name), "sample")) for name in "abc")
    act("both", "accept_normal", [a, b], by="ada")
    act("both", "mark_anomalous", [b, c], by="bob", defect_type="dent")
    shown = dataset.load("both").match({"second_opinion": "disputed"})
    assert shown.values("relative_path") == ["b.png"]
    assert act("both", "undo", [a], by="bob") == 0
    assert act("both", "undo", [a, b, c], by="bob") == 2
    assert act("both", "undo", [], by="bob") == 0
    assert act("both", "undo", [], by="ada") == 2
    assert dataset.load("both").values("second_opinion") == [None] * 3
    assert dataset.load("both").values("verdict") == [None] * 3


def test_an_undo_of_the_last_decision_passes_over_pictures_that_were_replaced(workspace_db: Database) -> None:
    names = [f"{index:03d}" for index in range(250)]
    dataset.save_samples("passed", table(*map(row, names)))
    documents = [str(object_id(sample_id(name), "sample")) for name in names]
    act("passed", "skip", documents[:1], by="ada")
    act("passed", "accept_normal", documents[1:], by="ada")
    replaced = [row(name, sha256="0" * 64) if index else row(name) for index, name in enumerate(names)]
    dataset.save_samples("passed", table(*replaced))
    assert verdicts.last_decided("passed", "ada") == [sample_id(names[0])]


def test_a_dataset_of_an_earlier_version_gets_the_field(workspace_db: Database) -> None:
    dataset.save_samples("earlier", table(row("a")))
    dataset.load("earlier").delete_sample_field("second_opinion")
    verdicts.reconcile("earlier", Workspace.at().dataset("earlier").verdicts)
    assert "second_opinion" in dataset.load("earlier").get_field_schema()
    document = str(object_id(sample_id("a"), "sample"))
    act("earlier", "unsure", [document], by="ada")
    assert dataset.load("earlier").values("second_opinion") == ["wanted"]


def test_seconds_are_shared_out_and_what_is_no_duration_is_unknown(workspace_db: Database) -> None:
    dataset.save_samples("timed", table(row("a"), row("b"), row("c")))
    documents = [str(object_id(sample_id(name), "sample")) for name in "abc"]
    mirror = Workspace.at().dataset("timed").verdicts
    given = [(documents, 4.5), (documents[:1], 0.0), (documents[:2], None), (documents[:1], -1.0)]
    given += [(documents[:1], float("nan")), (documents[:1], float("inf"))]
    for chosen, seconds in given:
        act("timed", "skip", chosen, by="ada", place="image", seconds=seconds)
    assert act("timed", "undo", documents, by="ada", seconds=3.0) == 3
    told = [row["seconds"] for row in verdicts.read_log("timed")]
    assert told == [1.5, 1.5, 1.5, 0.0, None, None, None, None, None, 1.0, 1.0, 1.0]
    assert verdicts.read_log("timed") == read_mirror(mirror)
    assert {row["shown"]["place"] for row in verdicts.read_log("timed")} == {"image", "grid"}


def test_of_several_only_those_that_are_decided_share_the_seconds_and_the_rest_stays(
    workspace_db: Database,
) -> None:
    dataset.save_samples("mixed", table(row("a"), row("b"), row("c")))
    documents = [str(object_id(sample_id(name), "sample")) for name in "abc"]
    act("mixed", "accept_normal", documents[:2], by="ada")
    act("mixed", "unsure", documents[1:], by="bob")
    assert act("mixed", "undo", [*documents, *documents], by="bob", seconds=2.0) == 2
    last = verdicts.read_log("mixed")[-2:]
    assert {row["sample_id"] for row in last} == {sample_id("b"), sample_id("c")}
    assert [(row["verdict"], row["by"], row["seconds"]) for row in last] == [("undone", "bob", 1.0)] * 2
    before, after = ({row["sample_id"]: row[when] for row in last} for when in ("before", "after"))
    assert (before[sample_id("b")]["verdict"], after[sample_id("b")]["verdict"]) == ("unsure", "normal")
    assert (before[sample_id("c")]["verdict"], after[sample_id("c")]["verdict"]) == ("unsure", None)
    assert dataset.load("mixed").values("verdict") == ["normal", "normal", None]
