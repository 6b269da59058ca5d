"""The fields of queues follow the files of the workspace, and outlive the database."""

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curate import tables
from curate.embeddings import COLUMNS, KIND
from curate.measurement_cache import KEY, open_cache
from curate.recipe import Source
from curate.schema import load as contract
from curate.steps import check, ingest, split, sync, sync_queues
from curate.steps.embeddings import CACHE
from curate.steps.record import Context, digest, finish
from curate.store import dataset, verdicts
from curate.store.acting import act
from curate.store.documents import object_id
from curate.store.server import Database
from curate.workspace import Workspace
from tests.helpers.tiny import normal_image, write_mvtec

pytestmark = pytest.mark.mongod
NAME = "queue-parts"
N = 12


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_mvtec(tmp_path / "images", n_train=6, n_good=2, n_per_defect=2)


@pytest.fixture
def context(workspace_db: Database, root: Path) -> Iterator[Context]:
    workspace = Workspace.at(workspace_db.home)
    context = Context(workspace, workspace.dataset(NAME))
    ingest.run(context, Source(root, "mvtec_ad"))
    split.run(context)
    sync.everything(context)
    yield context
    dataset.load(NAME).delete()
    verdicts._log().delete_many({"dataset": NAME})
    shutil.rmtree(context.paths.root)


def ids(context: Context) -> list[str]:
    """Sample ids by path."""
    rows = sorted(tables.to_rows(tables.read(context.paths.samples)), key=lambda one: one["relative_path"])
    return [row["sample_id"] for row in rows]


def score(context: Context, detector: str, scores: list[float]) -> None:
    """Predictions as the step would leave them, by path."""
    rows = [
        {"sample_id": one, "detector": detector, "anomaly_score": value, "raw_map": None, "display_map": None}
        for one, value in zip(ids(context), scores, strict=True)
    ]
    target = context.paths.detector(detector) / "predictions.parquet"
    tables.write(tables.from_rows(rows, list(contract("prediction")["properties"])), target)
    inputs = {"images": digest(context.paths.samples), "split": digest(context.paths.split)}
    finish(context.paths, context.paths.score_step(detector), inputs, [target], {})


def embed(context: Context, vectors: np.ndarray) -> None:
    """Vectors in the cache as `curate check` would leave them, by path."""
    keys = {row["sample_id"]: row[KEY] for row in tables.to_rows(tables.read(context.paths.samples))}
    with open_cache(context.paths.root / CACHE, KIND, COLUMNS) as cache:
        cache.add(
            [
                {KEY: keys[one], "vector": vector.astype(np.float16).tobytes()}
                for one, vector in zip(ids(context), vectors, strict=True)
            ]
        )


def field(context: Context, name: str) -> list[object]:
    """Values by path."""
    ours = dataset.load(NAME)
    if name not in ours.get_field_schema():
        return [None] * N
    held = dict(zip(ours.values("sample_id"), ours.values(name), strict=True))
    return [held[one] for one in ids(context)]


def decide(context: Context, *indices: int) -> None:
    act(NAME, "accept_normal", [str(object_id(ids(context)[index], "sample")) for index in indices])


def test_two_detectors_disagree_as_long_as_both_are_there(context: Context) -> None:
    score(context, "padim", [float(i) for i in range(N)])
    sync.everything(context)
    assert field(context, "disagreement") == [None] * N
    score(context, "patchcore", [float(i) for i in range(N - 1)] + [-1.0])
    sync.everything(context)
    found = field(context, "disagreement")
    assert found[N - 1] == pytest.approx(np.log10(N))
    assert max(found[:-1]) < 0.5
    assert (
        dataset.load(NAME).load_saved_view("disagreement of detectors").first().sample_id == ids(context)[-1]
    )
    shutil.rmtree(context.paths.detector("patchcore"))
    sync.everything(context)
    assert field(context, "disagreement") == [None] * N
    assert not dataset.load(NAME).has_saved_view("disagreement of detectors")


def test_gaps_of_coverage_come_with_embeddings_and_go_with_them(context: Context) -> None:
    told: list[str] = []
    speaking = Context(context.workspace, context.paths, told.append)
    sync_queues.say_what_lacks(speaking)
    assert "curate check queue-parts" in told[0]
    assert not dataset.load(NAME).has_saved_view("gaps of coverage")
    vectors = np.zeros((N, 2))
    vectors[:, 0] = [0, 0, 0, 1, 1, 1, 5, 5, 9, 9, 9, 9]  # copies: at most one of each is picked
    decide(context, 0)
    embed(context, vectors)
    sync.everything(context)
    sync_queues.say_what_lacks(speaking)
    assert len(told) == 1
    shown = dataset.load(NAME).load_saved_view("gaps of coverage").values("sample_id")
    by_id = dict(zip(ids(context), vectors[:, 0].tolist(), strict=True))
    assert [by_id[one] for one in shown] == [9, 5, 1]
    (context.paths.root / CACHE).unlink()
    sync.everything(context)
    assert field(context, "coverage_gap") == [None] * N
    assert not dataset.load(NAME).has_saved_view("gaps of coverage")


def test_gaps_are_picked_anew_when_most_of_them_are_decided(context: Context) -> None:
    embed(context, np.arange(N)[:, None] ** 2 * np.ones((1, 2)))
    decide(context, 0)
    sync.everything(context)
    picked = dataset.load(NAME).load_saved_view("gaps of coverage").values("sample_id")
    order = [ids(context).index(one) for one in picked]
    assert order[:2] == [11, 8]
    assert sorted(order) == list(range(1, N))
    decide(context, *order[:5])
    sync.everything(context)
    assert [rank for rank in field(context, "coverage_gap") if rank][:1] == [
        11
    ]  # as before: image 1 comes last
    decide(context, order[5])
    sync.everything(context)
    held = [rank for rank in field(context, "coverage_gap") if rank is not None]
    assert sorted(held) == list(range(1, 6))


def test_arrivals_outlive_the_database_and_a_replaced_picture_is_new(context: Context, root: Path) -> None:
    (first,) = set(field(context, "arrived_at"))
    assert isinstance(first, datetime)
    assert not dataset.load(NAME).has_saved_view("new in the last ingest")
    (root / "weave/test/good/000.png").write_bytes((root / "weave/train/good/000.png").read_bytes())
    Image.fromarray(normal_image(np.random.default_rng(99))).save(root / "weave/test/good/007.png")
    ingest.run(context, Source(root, "mvtec_ad"))
    dataset.load(NAME).delete()
    sync.everything(context)
    rows = dataset.load(NAME).values(["relative_path", "arrived_at"])
    came = dict(zip(*rows, strict=True))
    later = {path for path, at in came.items() if at > first}
    assert later == {"weave/test/good/000.png", "weave/test/good/007.png"}
    assert sum(at == first for at in came.values()) == N - 1
    shown = dataset.load(NAME).load_saved_view("new in the last ingest").values("relative_path")
    assert set(shown) == later


def test_a_workspace_from_before_there_were_notes_takes_the_times_of_the_database(context: Context) -> None:
    (context.paths.root / sync_queues.ARRIVALS).unlink()
    ours = dataset.load(NAME)
    old = datetime(2025, 5, 5, 5, 5)
    ours._sample_collection.update_many({}, {"$set": {"created_at": old}})
    sync_queues.arrivals(context)
    assert {at.replace(tzinfo=None) for at in field(context, "arrived_at")} == {old}


def test_the_worst_finding_counts_and_findings_that_go_take_it_along(context: Context, root: Path) -> None:
    (root / "weave/test/good/001.png").write_bytes((root / "weave/test/good/000.png").read_bytes())
    ingest.run(context, Source(root, "mvtec_ad"))
    check.run(context, ["exact_duplicates"])
    sync.everything(context)
    ours = dataset.load(NAME).load_saved_view("flagged by the quality gate")
    assert set(ours.values("relative_path")) == {"weave/test/good/000.png", "weave/test/good/001.png"}
    assert set(ours.values("severity")) == {2}
    check.run(context, ["specks"])
    sync.everything(context)
    assert not dataset.load(NAME).has_saved_view("flagged by the quality gate")


def test_findings_whose_file_is_gone_are_gone_from_the_page(context: Context, root: Path) -> None:
    (root / "weave/test/good/001.png").write_bytes((root / "weave/test/good/000.png").read_bytes())
    ingest.run(context, Source(root, "mvtec_ad"))
    check.run(context, ["exact_duplicates"])
    sync.everything(context)
    assert 2 in field(context, "severity")
    context.paths.findings.unlink()
    sync.everything(context)
    assert field(context, "severity") == [None] * N
    assert field(context, "findings") == [[]] * N
    ours = dataset.load(NAME)
    assert not [name for name in ours.list_saved_views() if name.startswith(("check: ", "flagged"))]
    assert check.run(context, ["exact_duplicates"])["fresh"]
    sync.everything(context)
    assert 2 in field(context, "severity")


def test_since_says_how_many_there_are(context: Context) -> None:
    told: list[str] = []
    speaking = Context(context.workspace, context.paths, told.append)
    tomorrow = f"{datetime.now() + timedelta(days=1):%Y-%m-%d}"
    assert sync_queues.since(speaking, tomorrow) == f"new since {tomorrow}"
    assert sync_queues.since(speaking, "2026-01-01") == "new since 2026-01-01"
    assert told == [
        f"new since {tomorrow}: 0 undecided images",
        f"new since 2026-01-01: {N} undecided images",
    ]
