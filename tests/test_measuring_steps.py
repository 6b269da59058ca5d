"""The steps that measure and embed a dataset, and what they hand to the checks."""

from pathlib import Path

import pytest

import curate.embeddings
import curate.statistics
from curate.recipe import Source
from curate.steps import embeddings, ingest, statistics
from curate.steps.record import Context
from curate.workspace import Workspace
from tests.helpers.tiny import write_mvtec


@pytest.fixture
def context(tmp_path: Path) -> Context:
    workspace = Workspace.at(tmp_path / "home")
    context = Context(workspace, workspace.dataset("weave"))
    ingest.run(context, Source(write_mvtec(tmp_path / "data"), "mvtec_ad"))
    return context


def test_measuring_is_done_once(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    assert statistics.run(context) == {"n_images": 18, "n_measured": 18, "fresh": True}
    monkeypatch.setattr(curate.statistics, "measure", lambda pixels: pytest.fail("measured again"))
    assert statistics.run(context) == {"n_images": 18, "n_measured": 18, "fresh": False}
    found = statistics.evidence(context, ["statistics"])
    assert found["embeddings"] is None
    assert found["statistics"] is not None and len(found["statistics"]) == 18


def test_embedding_is_done_once(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    assert embeddings.run(context) == {"n_images": 18, "n_embedded": 18, "fresh": True}
    monkeypatch.setattr(curate.embeddings, "_runner", lambda *_: pytest.fail("embedded again"))
    found = statistics.evidence(context, {"embeddings"})
    assert found["statistics"] is None
    assert found["embeddings"] is not None and len(found["embeddings"]) == 18


def test_nothing_is_measured_that_no_check_needs(context: Context) -> None:
    assert statistics.evidence(context, []) == {"statistics": None, "embeddings": None}
    assert not (context.paths.root / statistics.CACHE).exists()
    assert not (context.paths.root / embeddings.CACHE).exists()
