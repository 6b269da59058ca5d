"""A subset from ingest to export: kept whole, redone when the data changed, refused when stale."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate import tables, verdicts
from curate.errors import AlreadyExists, CurateError, Missing, Unreadable
from curate.files import read_json
from curate.manifest import read as manifest
from curate.schema import check_table
from curate.steps import export, split, subset
from curate.steps.record import Context
from curate.subset_choice import Limit
from curate.verify import verify
from curate.workspace import Workspace
from tests.helpers.tiny import write_mvtec
from tests.helpers.toy_steps import taken

SMALL = Limit("area_px", 20)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Every second mask is a 4 x 4 spot; the others are as large as the stain."""
    tree = write_mvtec(tmp_path / "images", n_train=6, n_good=12, n_per_defect=8)
    for index, path in enumerate(sorted(tree.glob("weave/ground_truth/*/*.png"))):
        if index % 2:
            continue
        mask = np.zeros((48, 64), np.uint8)
        mask[10:14, 20 : 24 + index % 3] = 255
        Image.fromarray(mask).save(path)
    return tree


@pytest.fixture
def context(tmp_path: Path, root: Path) -> Context:
    workspace = Workspace.at(tmp_path / "home")
    context = Context(workspace, workspace.dataset("toy"))
    taken(context, root)
    split.run(context)
    return context


def rows(context: Context, name: str = "small") -> list[dict[str, Any]]:
    return tables.to_rows(subset.members(context, name))


def test_a_subset_holds_small_defects_matched_normals_and_the_training_part(context: Context) -> None:
    result = subset.run(context, SMALL)
    table = subset.members(context, "small")
    check_table(table, "subset")
    assigned = tables.read(context.paths.split).set_index("sample_id")["assigned_split"]
    assert (table.set_index("sample_id")["assigned_split"] == assigned[table["sample_id"].tolist()]).all()
    counts = result["counts"]
    assert counts["n_images"]["defect"] == counts["n_regions"] > 4
    assert counts["n_images"]["train"] == 6
    samples = tables.read(context.paths.samples)
    test = samples[samples["sample_id"].isin(assigned.index[assigned == "test"])]
    kept = [row for row in rows(context) if row["assigned_split"] == "test"]
    ratio = (test["label"] == "normal").sum() / (test["label"] == "anomalous").sum()
    n_defects = sum(row["role"] == "defect" for row in kept)
    assert sum(row["role"] == "normal" for row in kept) == int(np.ceil(ratio * n_defects - 1e-9))
    assert sum(n for *_, n in counts["rows"]) == len(table)


def test_the_same_again_is_left_alone_and_other_settings_need_overwrite(context: Context) -> None:
    assert subset.run(context, SMALL)["fresh"]
    before = subset.table_of(context.paths, "small").read_bytes()
    assert not subset.run(context, SMALL)["fresh"]
    with pytest.raises(AlreadyExists, match=r'subset "small" with other settings .*measure area_px.* --as'):
        subset.run(context, Limit("area_px", 17))
    assert subset.table_of(context.paths, "small").read_bytes() == before
    subset.run(context, Limit("area_px", 17), overwrite=True)
    assert subset.run(context, SMALL, "other")["fresh"]
    assert subset.names(context.paths) == ["other", "small"]


def test_a_dry_run_tells_and_writes_nothing(context: Context) -> None:
    told = subset.run(context, SMALL, dry_run=True)
    assert told["counts"]["n_regions"] > 0
    assert subset.names(context.paths) == [] and not (context.paths.root / "subsets").exists()


def test_its_export_verifies_and_holds_only_its_images(context: Context) -> None:
    subset.run(context, SMALL)
    result = export.run(context, subset="small")
    out = Path(result["out"])
    assert out.name == "mvtec_ad-small" and verify(out) == []
    written = manifest(out)
    assert {image["sample_id"]: image["split"] for image in written["images"]} == {
        row["sample_id"]: row["assigned_split"] for row in rows(context)
    }
    assert written["recipe"]["subset"]["at_most"] == 20
    areas = [int((np.asarray(Image.open(path)) > 0).sum()) for path in out.rglob("*_mask.png")]
    assert areas and max(areas) <= 20
    assert export.run(context)["n_exported"] > result["n_exported"]


def test_a_changed_mask_makes_it_stale_until_it_is_made_again(context: Context, root: Path) -> None:
    subset.run(context, SMALL)
    before = len(rows(context))
    path = sorted(root.glob("weave/ground_truth/*/*.png"))[0]
    Image.fromarray(np.full((48, 64), 255, np.uint8)).save(path)
    taken(context, root)
    split.run(context)
    with pytest.raises(CurateError, match=r'"small" is stale.*masks(.|\n)*--as small --max-area-px 20'):
        export.run(context, subset="small")
    assert subset.run(context, SMALL)["fresh"]
    assert len(rows(context)) < before
    export.run(context, subset="small")


def test_a_verdict_makes_it_stale(context: Context) -> None:
    subset.run(context, SMALL)
    member = next(row for row in rows(context) if row["role"] == "defect")
    table = tables.read(context.paths.samples).set_index("sample_id")
    verdict = {
        "sample_id": member["sample_id"], "sha256": table.loc[member["sample_id"], "sha256"],
        "verdict": "normal", "defect_type": None, "by": "ada", "at": "2026-01-01T00:00:00+00:00",
        "before": {"label": "anomalous", "defect_types": ["stain"], "verdict": None},
    }  # fmt: skip
    verdicts.append_mirror(context.paths.verdicts, [verdict])
    with pytest.raises(CurateError, match="verdicts"):
        subset.members(context, "small")
    subset.run(context, SMALL)
    roles = {row["sample_id"]: row["role"] for row in rows(context)}
    assert roles.get(member["sample_id"]) != "defect"


def test_a_file_changed_by_hand_is_noticed(context: Context) -> None:
    subset.run(context, SMALL)
    path = subset.table_of(context.paths, "small")
    tables.write(tables.read(path).iloc[1:], path)
    with pytest.raises(CurateError, match="its files"):
        subset.members(context, "small")
    assert subset.run(context, SMALL)["fresh"]
    assert rows(context)


def test_unknown_subsets_and_names_are_told(context: Context) -> None:
    with pytest.raises(Missing, match=r'no subset "tiny" \(it has: none yet\)'):
        export.run(context, subset="tiny")
    with pytest.raises(ValueError, match="1 to 80 letters"):
        subset.run(context, SMALL, "../up")


@pytest.mark.parametrize("content", ["", "[]", "null", '{"settings": 5}', '{"settings": {}, "members": "a"}'])
def test_a_damaged_subset_is_told_and_made_again(context: Context, content: str) -> None:
    subset.run(context, SMALL)
    subset.content_of(context.paths, "small").write_text(content)
    for use in (lambda: export.run(context, subset="small"), lambda: subset.run(context, SMALL)):
        with pytest.raises(Unreadable, match=r"small\.json .*--as small --overwrite"):
            use()
    assert subset.run(context, SMALL, overwrite=True)["fresh"]
    assert rows(context)


def test_an_unsplit_dataset_is_told_to_split(context: Context) -> None:
    context.paths.split.unlink()
    with pytest.raises(Missing, match="curate split toy"):
        subset.run(context, SMALL)


@pytest.mark.slow
def test_a_killed_run_leaves_a_whole_subset_or_none(context: Context) -> None:
    code = (
        "import sys; from pathlib import Path; from curate.steps import subset;"
        "from curate.steps.record import Context; from curate.subset_choice import Limit;"
        "from curate.workspace import Workspace; w = Workspace.at(Path(sys.argv[1]));"
        "c = Context(w, w.dataset('toy')); print('ready', flush=True);"
        "[subset.run(c, Limit('area_px', 17 + n % 3), overwrite=True) for n in range(10000)]"
    )
    for delay in (0.05, 0.11, 0.23):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(context.workspace.home)], stdout=subprocess.PIPE, env=os.environ
        )
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        time.sleep(delay)
        process.kill()
        process.communicate()
        about, table = subset.content_of(context.paths, "small"), subset.table_of(context.paths, "small")
        if about.exists():
            read_json(about)
        if table.exists():
            check_table(tables.read(table), "subset")
        assert subset.run(context, SMALL, overwrite=True)["counts"]["n_regions"] > 0
        assert export.run(context, subset="small")["n_exported"] == len(rows(context))
