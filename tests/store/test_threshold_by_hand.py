"""A threshold that is set in the browser: the decision is kept, and the dataset follows it at once."""

from collections.abc import Iterator

import pytest

from curate.errors import Busy, Missing
from curate.files import read_json
from curate.recipe import Source
from curate.steps import ingest, split, sync, threshold, threshold_by_hand
from curate.steps.alone import alone
from curate.steps.record import Context
from curate.store import threshold_panel
from curate.store.dataset import load
from curate.store.server import Database
from curate.workspace import Workspace
from tests.helpers.scored import score_with_maps
from tests.helpers.tiny import write_mvtec

pytestmark = pytest.mark.mongod
NAME = "byhand"


@pytest.fixture(scope="module")
def context(workspace_db: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """A scored dataset with a decided threshold, in the database."""
    root = write_mvtec(tmp_path_factory.mktemp("images"), n_train=4, n_good=12, n_per_defect=6)
    workspace = Workspace.at(workspace_db.home)
    made = Context(workspace, workspace.dataset(NAME))
    ingest.run(made, Source(root, "mvtec_ad"))
    split.run(made)
    score_with_maps(made)
    threshold.run(made, "padim", "max_normal")
    sync.everything(made)
    yield made


def n_predicted(label: str) -> int:
    found: int = load(NAME)._sample_collection.count_documents({"predicted.label": label})
    return found


def test_a_stated_line_is_a_decision_and_the_dataset_follows(context: Context) -> None:
    (category,) = read_json(context.paths.threshold)["by_category"]
    before = read_json(context.paths.threshold)["id"]
    assert not (context.paths.root / "threshold.png").exists()
    made = threshold_by_hand.decide(context, "padim", {category: -1.0}, {}, "all to be stopped", "anna")
    assert (made["rule"], made["by"], made["why"], made["replaces"]) == (
        "manual", "anna", "all to be stopped", before,
    )  # fmt: skip
    assert read_json(context.paths.threshold)["id"] == made["id"]
    assert len(list(context.paths.decisions.glob("*.json"))) == 2
    assert (context.paths.root / "threshold.png").exists()
    n_scored = load(NAME)._sample_collection.count_documents({"padim_score": {"$ne": None}})
    assert (n_predicted("anomalous"), n_predicted("normal")) == (n_scored, 0)
    line = threshold_panel.content(NAME)["lines"]["by_category"][category]
    assert (line["threshold"], line["review_from"], line["decided"]["id"]) == (-1.0, None, made["id"])
    again = threshold_by_hand.decide(context, "padim", {category: -1.0}, {}, "once more", "ben")
    assert (again["fresh"], again["id"]) == (False, made["id"])


def test_a_review_band_is_kept_with_it(context: Context) -> None:
    (category,) = read_json(context.paths.threshold)["by_category"]
    threshold_by_hand.decide(context, "padim", {category: 9e9}, {category: -2.0}, "people look", "anna")
    assert load(NAME).distinct("outcome") == ["review"]
    assert threshold_panel.content(NAME)["lines"]["by_category"][category]["review_from"] == -2.0


@pytest.mark.parametrize("why", ["", "  \n"])
def test_without_a_reason_nothing_is_kept(context: Context, why: str) -> None:
    before = sorted(context.paths.decisions.glob("*.json"))
    with pytest.raises(ValueError, match="Say why"):
        threshold_by_hand.decide(context, "padim", {"any": 1.0}, {}, why, "anna")
    assert sorted(context.paths.decisions.glob("*.json")) == before


def test_a_page_does_not_wait_for_another_command(context: Context) -> None:
    with alone(context), pytest.raises(Busy, match=f'at work on dataset "{NAME}". Try again'):
        threshold_by_hand.decide(context, "padim", {"any": 1.0}, {}, "now", "anna")


def test_scores_that_the_workspace_has_not_are_missing(context: Context) -> None:
    with pytest.raises(Missing, match=r'no scores of "other_net" \(it has those of: padim\)'):
        threshold_by_hand.decide(context, "other_net", {"any": 1.0}, {}, "why not", "anna")
    assert threshold_by_hand.left_out(context, "other_net") == []
    assert threshold_by_hand.left_out(context, "padim") == []


def test_the_images_that_decide_are_those_of_the_panel(context: Context) -> None:
    (row,) = read_json(context.paths.threshold)["by_category"].values()
    part = threshold_panel.content(NAME)["parts"]["calibration"]
    assert part["n"] == row["calibration"]["n_normal"] + row["calibration"]["n_anomalous"]
