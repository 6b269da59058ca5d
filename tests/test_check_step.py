"""The step behind curate check: costly evidence only for those that need it, and numbers for the page."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from curate import tables
from curate.checks import Evidence
from curate.errors import CurateError
from curate.quality import FIELDS, numbers
from curate.recipe import Source
from curate.steps import check, ingest, statistics
from curate.steps.record import Context
from curate.tables import from_rows
from curate.workspace import Workspace
from tests.helpers.mask_facts import COLUMNS
from tests.helpers.tables import row, table
from tests.helpers.tiny import write_mvtec


@pytest.fixture
def context(tmp_path: Path) -> Context:
    workspace = Workspace.at(tmp_path / "home")
    context = Context(workspace, workspace.dataset("weave"))
    ingest.run(context, Source(write_mvtec(tmp_path / "images", n_train=12), "mvtec_ad"))
    return context


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The parts of the evidence that were asked for; embeddings cannot be made."""
    parts: list[str] = []
    real = statistics.evidence

    def evidence(context: Context, needs: Collection[str]) -> dict[str, Any]:
        parts.extend(needs)
        if "embeddings" in needs:
            raise CurateError("the network is not installed")
        return real(context, needs)

    monkeypatch.setattr(statistics, "evidence", evidence)
    return parts


def test_costly_evidence_is_made_for_checks_that_need_it_only(context: Context, asked: list[str]) -> None:
    check.only(context, ["layout", "specks", "exact_duplicates"])
    assert asked == []
    check.only(context, ["blur", "exposure"])
    assert asked == ["statistics"]


def test_a_check_whose_evidence_fails_says_why_and_is_tried_again(context: Context, asked: list[str]) -> None:
    result = check.run(context, ["blur", "outliers"])
    assert result["checks"] == ["blur"]
    assert result["not_run"] == {"outliers": "the network is not installed"}
    again = check.run(context, ["blur", "outliers"])
    assert again["fresh"] and asked == ["statistics", "embeddings"] * 2
    assert check.run(context, ["blur"])["fresh"]
    assert not check.run(context, ["blur"])["fresh"]


def test_measured_numbers_are_kept_for_the_page(context: Context) -> None:
    check.run(context, ["blur", "empty_mask"])
    stored = tables.to_rows(tables.read(context.paths.quality))
    assert len(stored) == 22
    assert all(0 < one["brightness"] < 1 and one["sharpness"] > 0 for one in stored)
    assert sum(one["defect_px"] == 70 for one in stored) == 6
    assert {one["smallest_region_px"] for one in stored} == {None, 70}


def test_what_was_not_measured_has_no_number() -> None:
    samples = [row("a.png"), row("b.png", "anomalous"), row("c.png")]
    counts = {"n_px": 0, "n_regions": 0, "n_specks": 0, "n_border": 0, "smallest_px": 0, "values": []}
    facts = from_rows([{"sample_id": samples[1]["sample_id"], **counts}], COLUMNS)
    found = [
        {"check": "near_duplicates", "relative_path": "b.png", "related": ["c.png"]},
        {"check": "exact_duplicates", "relative_path": "b.png", "related": ["a.png"]},
        {"check": "specks", "relative_path": "c.png", "related": []},
    ]
    rows = tables.to_rows(numbers(Evidence(table(samples), Path("none"), mask_facts=facts), found))
    assert [one["duplicate_group"] for one in rows] == ["a.png"] * 3
    empty = {name: None for name in FIELDS} | {
        "sample_id": samples[0]["sample_id"],
        "duplicate_group": "a.png",
    }
    assert rows[0] == empty
    assert (rows[1]["defect_px"], rows[1]["n_regions"], rows[1]["smallest_region_px"]) == (0, 0, None)


def test_findings_tell_apart_equal_paths_of_two_sources(context: Context, tmp_path: Path) -> None:
    other = write_mvtec(tmp_path / "other", n_train=1, seed=5)
    (other / "weave/test/stain/000.png").write_bytes(b"no picture")
    Image.new("L", (64, 48)).save(other / "weave/ground_truth/stain/001_mask.png")
    (other / "weave/test/stain/007.png").write_bytes(b"no picture")
    ingest.run(context, Source(other, "mvtec_ad", name="line 2"))
    found = check.run(context, ["unreadable", "empty_mask"])["findings"]
    assert [row["relative_path"] for row in found] == [
        "line 2: weave/test/stain/000.png",
        "weave/test/stain/007.png",
        "line 2: weave/test/stain/001.png",
    ]
    assert all(row["message"].startswith(row["relative_path"]) for row in found[:2])
    samples, _ = check.told_apart(context)
    named = dict(zip(samples["relative_path"], samples["source"], strict=True))
    assert len(named) == len(samples)
    assert {named["mvtec_ad: weave/test/stain/001.png"], named[found[2]["relative_path"]]} == {
        "mvtec_ad", "line 2"
    }  # fmt: skip


@pytest.mark.parametrize("content", [None, "{", "[1]"])
def test_lost_faults_are_told_with_what_makes_them_anew(context: Context, content: str | None) -> None:
    context.paths.faults.unlink()
    if content is not None:
        context.paths.faults.write_text(content)
    with pytest.raises(CurateError, match=r"faults\.json .*Take the source in again with curate ingest"):
        check.run(context, ["layout"])
    ingest.run(context, Source(context.workspace.home.parent / "images", "mvtec_ad"))
    assert check.run(context, ["layout"])["findings"] == []


def test_categories_with_too_few_pictures_are_named_and_not_called_clean(tmp_path: Path) -> None:
    workspace = Workspace.at(tmp_path / "home")
    context = Context(workspace, workspace.dataset("few"))
    root = write_mvtec(tmp_path / "images", n_train=12)
    write_mvtec(root, "plain", n_train=2, n_good=2, defects=())
    ingest.run(context, Source(root, "mvtec_ad"))
    result = check.only(context, ["blur", "near_duplicates", "specks"])
    assert result["not_judged"] == {
        "blur": "plain (4): too few pictures, 10 are needed",
        "near_duplicates": "plain (4): too few pictures, 12 are needed",
    }
    assert result["checks"] == ["blur", "near_duplicates", "specks"]
