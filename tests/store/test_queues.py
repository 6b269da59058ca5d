"""Queues as saved views: what each holds, in which order, and that each walks an index."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from curate.store import appearance, dataset, heatmaps, queue_fields, queues, verdicts
from curate.store.acting import act
from curate.store.documents import object_id
from curate.store.server import Database
from tests.helpers.stored import row, sample_id, table

pytestmark = pytest.mark.mongod
NAME = "queued"
N = 40
FIRST = datetime(2026, 11, 1, 8, tzinfo=UTC)


def name(index: int) -> str:
    return f"{index:03d}"


def ident(index: int) -> str:
    return sample_id(name(index))


def numbers(view: str) -> list[int]:
    """Numbers of the images of a saved view, in its order."""
    paths = dataset.load(NAME).load_saved_view(view).values("relative_path")
    return [int(path.removesuffix(".png")) for path in paths]


def views() -> list[str]:
    return appearance.arrange(NAME)


def decide(*indices: int, operator: str = "accept_normal") -> None:
    act(NAME, operator, [str(object_id(ident(index), "sample")) for index in indices])


@pytest.fixture
def plain(workspace_db: Database) -> Iterator[None]:
    """Forty samples of two categories, even ones of "even"; no scores yet."""
    rows = [
        row(name(i), "anomalous" if i >= 36 else "normal", category="odd" if i % 2 else "even")
        for i in range(N)
    ]
    dataset.save_samples(NAME, table(*rows))
    split = [{"sample_id": ident(i), "assigned_split": "calibration" if i < 30 else "test"} for i in range(N)]
    dataset.save_split(NAME, pd.DataFrame(split))
    yield
    dataset.load(NAME).delete()
    verdicts._log().delete_many({"dataset": NAME})
    shutil.rmtree(workspace_db.home / "datasets" / NAME, ignore_errors=True)


def score(detector: str, scores: dict[int, float]) -> None:
    rows = [
        {"sample_id": ident(i), "anomaly_score": value, "display_map": None} for i, value in scores.items()
    ]
    heatmaps.save_predictions(NAME, detector, pd.DataFrame(rows), None)  # type: ignore[arg-type]  # no maps


@pytest.fixture
def scored(plain: None) -> None:
    """Scores 0 to 39; those of "odd" a hundred times as large, and its threshold."""
    score("padim", {i: float(i * (100 if i % 2 else 1)) for i in range(N)})
    heatmaps.save_threshold(NAME, "padim", {"even": 31.0, "odd": 3250.0})


def test_without_scores_there_are_only_views_that_need_none(plain: None) -> None:
    assert set(views()) == {
        "not looked at yet", "decided", "second opinion wanted", "disputed", "masks to draw",
        "category: even", "category: odd",
    }  # fmt: skip
    assert numbers("not looked at yet") == list(range(N))


def test_categories_whose_addresses_are_alike_have_a_view_each_and_take_none_of_a_person(
    workspace_db: Database,
) -> None:
    categories = ["銅", "鉄", "a b", "a-b", "A.B", "x" * 200]
    rows = [row(name(i), "normal", category=one) for i, one in enumerate(categories)]
    dataset.save_samples("named", table(*rows))
    ours = dataset.load("named")
    ours.save_view("Category 鉄", ours.limit(1))
    found = appearance.arrange("named")
    assert appearance.arrange("named") == found
    ours.reload()
    own = [ours.load_saved_view(each) for each in found if each.startswith("category: ")]
    assert sorted(view.distinct("category")[0] for view in own) == sorted(categories)
    assert all(len(view) == 1 for view in own)
    assert {"category: A.B", "category: a b (2)", "category: a-b (3)", "Category 鉄"} <= set(
        ours.list_saved_views()
    )
    ours.delete()


def test_every_view_has_a_colour_and_says_what_it_is(scored: None) -> None:
    names = views()
    found = queues.listed(NAME)
    assert [one.name for one in found] == names
    assert all(one.about and one.colour.startswith("#") for one in found)
    assert {one.name: one.n_images for one in found}["highest scores"] == N
    assert {one.slug for one in found} >= {"nearest-to-the-threshold", "category-even"}
    assert all(one.n_images is None for one in queues.listed(NAME, counted=False))


def test_nearest_to_the_threshold_compares_categories_in_their_own_units(scored: None) -> None:
    views()
    # even: 30 and 32 are 1 away, and 2 of 2 steps; odd: 33 is half a step away, 31 is one and a half
    assert numbers("nearest to the threshold")[:4] == [33, 30, 32, 31]
    stored = dataset.load(NAME)
    assert min(stored.values("margin")) >= 0
    heatmaps.save_threshold(NAME, "padim", {"even": 0.0})
    views()
    assert numbers("nearest to the threshold")[:3] == [0, 2, 4]
    assert len(numbers("nearest to the threshold")) == N // 2  # odd has no threshold any more


def test_an_anomalous_image_waits_for_its_mask_whether_decided_or_not(scored: None) -> None:
    views()
    waiting = numbers("masks to draw")
    decide(33, operator="mark_anomalous")
    assert waiting == [39, 37, 38, 36]  # the highest score first
    assert numbers("masks to draw") == [39, 37, 33, 38, 36]
    decide(33, operator="accept_normal")
    assert numbers("masks to draw") == waiting


def test_work_leaves_its_queue_when_it_is_decided_and_comes_back_when_undone(scored: None) -> None:
    views()
    decide(39, 33)
    assert numbers("highest scores")[:2] == [37, 35]
    assert numbers("nearest to the threshold")[0] == 30
    assert numbers("decided") in ([33, 39], [39, 33])
    assert 39 in numbers("category: odd")
    decide(operator="undo")
    assert numbers("highest scores")[:2] == [39, 37]


def test_missed_defects_and_false_alarms_keep_what_is_decided(scored: None) -> None:
    heatmaps.save_threshold(NAME, "padim", {"even": 37.0, "odd": 3450.0})
    views()
    assert (numbers("missed defects"), numbers("false alarms")) == ([36], [35])
    decide(35)
    assert numbers("false alarms") == [35]


def test_disagreement_shows_first_what_alarms_one_detector_alone(scored: None) -> None:
    assert "disagreement of detectors" not in views()
    queue_fields.save(NAME, "disagreement", {ident(3): 0.4, ident(8): 1.3, ident(5): 0.9})
    assert "disagreement of detectors" in views()
    decide(5)
    assert numbers("disagreement of detectors") == [8, 3]
    heatmaps.clear(NAME, ["disagreement"])
    assert "disagreement of detectors" not in views()


def test_the_quality_gate_shows_errors_first_then_the_highest_scores(scored: None) -> None:
    assert "flagged by the quality gate" not in views()
    severities = {4: 2, 6: 3, 8: 1, 10: 3, 12: 2}
    queue_fields.save(NAME, "severity", {ident(i): value for i, value in severities.items()})
    views()
    assert numbers("flagged by the quality gate") == [10, 6, 12, 4]  # a note is no reason to look
    decide(10)
    assert numbers("flagged by the quality gate") == [6, 12, 4]


def test_what_came_last_and_what_came_since(scored: None) -> None:
    came = {ident(i): (FIRST + timedelta(days=i // 20)).replace(tzinfo=None) for i in range(N)}
    queue_fields.save(NAME, "arrived_at", came)
    assert numbers(views()[views().index("new in the last ingest")])[:2] == [39, 37]
    assert len(numbers("new in the last ingest")) == 20
    decide(39)
    assert queues.save_since(NAME, "2026-11-02T08:00+00:00") == ("new since 2026-11-02T08:00+00:00", 19)
    views()
    assert numbers("new since 2026-11-02T08:00+00:00")[:2] == [37, 35]
    queues.save_since(NAME, "2026-10-01")
    assert [one for one in views() if one.startswith("new since")] == ["new since 2026-10-01"]
    assert len(numbers("new since 2026-10-01")) == N - 1
    with pytest.raises(ValueError, match="such as"):
        queues.save_since(NAME, "last week")
    assert "new since 2026-10-01" in dataset.load(NAME).list_saved_views()


def test_one_ingest_alone_brings_no_view_of_the_last_one(scored: None) -> None:
    queue_fields.save(NAME, "arrived_at", {ident(i): FIRST.replace(tzinfo=None) for i in range(N)})
    assert "new in the last ingest" not in views()


def test_second_opinions_have_a_queue_before_the_first_is_wanted(scored: None) -> None:
    views()
    assert numbers("second opinion wanted") == []
    decide(7, operator="unsure")
    assert numbers("second opinion wanted") == [7]
    assert 7 not in numbers("highest scores")


def test_a_persons_own_views_stay_and_ours_are_not_written_again_without_a_reason(scored: None) -> None:
    ours = dataset.load(NAME)
    ours.save_view("mine", ours.match({"category": "odd"}))
    views()
    before = [str(one.id) for one in dataset.load(NAME)._doc.saved_views]
    views()
    assert [str(one.id) for one in dataset.load(NAME)._doc.saved_views] == before
    assert "mine" in dataset.load(NAME).list_saved_views()
    assert queues.listed(NAME)[0].name == "mine"


def plan(view: str) -> tuple[set[str], int]:
    """Stages of the database's plan for the first ten images of a view, and the entries it looked at."""
    ours = dataset.load(NAME)
    pipeline = [*ours.load_saved_view(view)._pipeline(), {"$limit": 10}]
    command = {"aggregate": ours._sample_collection_name, "pipeline": pipeline, "cursor": {}}
    told = ours._sample_collection.database.command("explain", command, verbosity="executionStats")
    stages: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            stages.add(str(node.get("stage")))
            for key in (
                "inputStage",
                "inputStages",
                "shards",
                "queryPlan",
                "winningPlan",
                "queryPlanner",
                "$cursor",
            ):
                walk(node.get(key))
        elif isinstance(node, list):
            for one in node:
                walk(one)

    walk(told)
    for one in told.get("stages", []):
        walk(one)
        stages |= {"SORT"} if "$sort" in one else set()
    statistics = told.get("executionStats") or told["stages"][0]["$cursor"]["executionStats"]
    return stages, int(statistics["totalKeysExamined"])


def test_no_view_sorts_or_reads_more_than_it_shows(scored: None) -> None:
    everything = {ident(i): i + 1 for i in range(N)}
    queue_fields.save(NAME, "coverage_gap", everything)
    queue_fields.save(NAME, "disagreement", {one: float(value) for one, value in everything.items()})
    queue_fields.save(NAME, "severity", dict.fromkeys(everything, 2))
    came = {
        one: (FIRST + timedelta(days=value > 20)).replace(tzinfo=None) for one, value in everything.items()
    }
    queue_fields.save(NAME, "arrived_at", came)
    dataset.save_findings(
        NAME, pd.DataFrame([{"code": "blur", "relative_path": "001.png"}]), {"001.png": ident(1)}
    )
    queues.save_since(NAME, "2026-10-01")
    offered = views()
    assert len(offered) == 17
    for view in offered:
        stages, n_keys = plan(view)
        assert "IXSCAN" in stages, view
        assert not stages & {"SORT", "COLLSCAN"}, view
        assert n_keys <= 20, view  # of 40


def test_indexes_of_a_detector_that_is_gone_are_removed(scored: None) -> None:
    views()
    score("other", {i: float(i) for i in range(N)})
    heatmaps.save_threshold(NAME, "other", 3.0)
    views()
    held = dataset.load(NAME)._sample_collection.index_information()
    ours = [one for one in held if one.startswith("queue ")]
    assert any("other_score" in one for one in ours)
    assert not any("padim_score" in one for one in ours)
