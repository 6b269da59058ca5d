"""What changed between two commands is noticed: nothing is dropped, kept or computed from what is no more."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from curate import tables
from curate.errors import AlreadyExists, CurateError, DataFault, Missing
from curate.images import read_stored
from curate.recipe import Recipe, Source, load
from curate.steps import build, check, demo, export, sources, split, threshold
from curate.steps.record import Context
from curate.verify import verify
from curate.workspace import Workspace
from tests.helpers.tiny import normal_image, write_mvtec
from tests.helpers.toy_steps import add_image, score_by_hand, taken


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    workspace = Workspace.at(tmp_path / "home")
    yield Context(workspace, workspace.dataset("toy"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_mvtec(tmp_path / "images", n_train=4, n_good=4, n_per_defect=4)


def table(context: Context) -> pd.DataFrame:
    return tables.read(context.paths.samples)


def test_export_refuses_images_that_came_after_the_split(context: Context, root: Path) -> None:
    taken(context, root)
    split.run(context)
    new = add_image(root)
    assert taken(context, root)["n_added"] == 1
    with pytest.raises(
        Missing, match=rf"1 of 17 images .* came after its split(.|\n)*{new}(.|\n)*curate split toy"
    ):
        export.run(context)
    split.run(context)
    assert export.run(context)["n_exported"] == 17


def test_threshold_refuses_scores_of_another_split(context: Context, root: Path) -> None:
    taken(context, root)
    split.run(context)
    score_by_hand(context)
    assert threshold.run(context, "padim")["by_category"]["weave"]["test"]["n_missed"] == 0
    split.run(context, policy="random", seed=4)
    with pytest.raises(Missing, match=r"the split of dataset .* changed since padim scored it"):
        threshold.run(context, "padim")


def test_threshold_refuses_scores_of_other_images(context: Context, root: Path) -> None:
    taken(context, root)
    split.run(context)
    score_by_hand(context)
    Image.fromarray(normal_image(np.random.default_rng(5))).save(root / "weave/test/stain/000.png")
    assert taken(context, root)["n_changed"] == 1
    with pytest.raises(Missing, match="curate score toy"):
        threshold.run(context, "padim")


def test_lost_or_damaged_masks_are_made_again(context: Context, root: Path) -> None:
    taken(context, root)
    split.run(context)
    first, second = sorted(context.paths.masks.iterdir())[:2]
    before = first.read_bytes(), second.read_bytes()
    first.unlink()
    second.write_bytes(before[1][:40])
    assert taken(context, root)["fresh"]
    assert (first.read_bytes(), second.read_bytes()) == before
    assert export.run(context)["n_exported"] == 16


@pytest.mark.parametrize("name", ["samples.parquet", "faults.json", "sources/mvtec_ad.parquet"])
def test_damaged_tables_are_made_again(context: Context, root: Path, name: str) -> None:
    taken(context, root)
    target = context.paths.root / name
    before = target.read_bytes()
    target.write_bytes(before[: len(before) // 2])
    taken(context, root)
    assert target.read_bytes() == before


def test_damaged_split_is_made_again(context: Context, root: Path) -> None:
    taken(context, root)
    split.run(context)
    before = context.paths.split.read_bytes()
    context.paths.split.write_bytes(before[:100])
    assert split.run(context)["fresh"]
    assert context.paths.split.read_bytes() == before


def test_check_notices_an_image_deleted_after_the_last_check(context: Context, root: Path) -> None:
    taken(context, root)
    assert check.run(context)["n_errors"] == 0
    assert not check.run(context)["fresh"]
    (root / "weave/train/good/000.png").unlink()
    assert check.run(context)["n_errors"] == 1


def test_check_notices_a_mask_emptied_after_the_last_check(context: Context, root: Path) -> None:
    taken(context, root)
    assert check.run(context, ["empty_mask"])["n_warnings"] == 0
    Image.fromarray(np.zeros((48, 64), np.uint8)).save(root / "weave/ground_truth/stain/000_mask.png")
    taken(context, root)
    found = check.run(context, ["empty_mask"])["findings"]
    assert [row["relative_path"] for row in found] == ["weave/test/stain/000.png"]


def test_mask_removed_from_the_source_leaves_the_workspace(context: Context, root: Path) -> None:
    taken(context, root)
    (root / "weave/ground_truth/stain/000_mask.png").unlink()
    taken(context, root)
    samples = table(context).set_index("relative_path")
    sample_id = str(samples.loc["weave/test/stain/000.png", "sample_id"])
    assert not (context.paths.masks / f"{sample_id}.png").exists()
    assert len(list(context.paths.masks.iterdir())) == 7


def test_second_folder_does_not_take_the_place_of_the_first(
    context: Context, root: Path, tmp_path: Path
) -> None:
    taken(context, root)
    other = write_mvtec(tmp_path / "other", n_train=2, n_good=1, n_per_defect=1, seed=1)
    with pytest.raises(AlreadyExists, match=r'has a source "mvtec_ad" already: .*images.*--source NAME'):
        taken(context, other)
    assert len(table(context)) == 16
    assert taken(context, other, name="line 2/top")["n_total"] == 16 + 5
    assert sources.present(context.paths) == ["line 2/top", "mvtec_ad"]


def test_moved_source_keeps_its_ids(context: Context, root: Path, tmp_path: Path) -> None:
    taken(context, root)
    before = set(table(context)["sample_id"])
    moved = Path(shutil.move(root, tmp_path / "elsewhere"))
    assert taken(context, moved)["n_added"] == 0
    assert set(table(context)["sample_id"]) == before


def test_recipe_with_two_sources_of_one_name_is_refused(context: Context, root: Path, tmp_path: Path) -> None:
    other = write_mvtec(tmp_path / "other", n_train=2, n_good=1, n_per_defect=1)
    recipe = Recipe("toy", [Source(root), Source(other, "mvtec_ad")])
    with pytest.raises(CurateError, match=r"same name:\n  mvtec_ad: .*images and .*other\n"):
        build.run(context, recipe)


def test_source_that_the_recipe_names_no_more_leaves_the_dataset(context: Context, root: Path) -> None:
    taken(context, root, name="old")
    taken(context, root, name="new")
    assert len(table(context)) == 32
    assert sources.retire(context, {"new"}) == ["old"]
    assert set(table(context)["source"]) == {"new"}
    assert len(list(context.paths.masks.iterdir())) == 8


def test_dataset_names_that_the_page_cannot_tell_apart_are_refused_before_anything_is_written(
    context: Context, root: Path
) -> None:
    taken(context, root)
    other = Context(context.workspace, context.workspace.dataset("TOY-"))
    with pytest.raises(AlreadyExists, match='cannot be called "TOY-", because there is "toy"'):
        taken(other, root)
    assert context.workspace.names() == ["toy"]


def test_export_into_a_source_is_refused(context: Context, root: Path) -> None:
    taken(context, root)
    split.run(context)
    with pytest.raises(DataFault, match="lies inside of the source"):
        export.run(context, out=root / "export")
    assert not (root / "export").exists()


def test_overwrite_restores_a_damaged_export(context: Context, root: Path, tmp_path: Path) -> None:
    taken(context, root)
    split.run(context)
    out = tmp_path / "out"
    export.run(context, out=out)
    victim = next((out / "weave" / "train" / "good").iterdir())
    victim.unlink()
    assert [fault.code for fault in verify(out)] == ["missing_file"]
    assert export.run(context, out=out, overwrite=True)["fresh"]
    assert verify(out) == []


def test_export_killed_before_it_was_noted_is_completed(
    context: Context, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*arguments: Any) -> dict[str, Any]:
        raise KeyboardInterrupt

    out = tmp_path / "out"
    for n_exported in (16, 17):  # a first export, and one that takes its place
        taken(context, root)
        split.run(context)
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(export, "finish", killed)
            export.run(context, out=out)
        manifest = (out / "manifest.json").read_bytes()
        assert export.run(context, out=out)["n_exported"] == n_exported
        assert (out / "manifest.json").read_bytes() == manifest
        add_image(root)


def test_export_of_somebody_else_is_never_taken_for_our_own(
    context: Context, root: Path, tmp_path: Path
) -> None:
    taken(context, root)
    split.run(context)
    out = tmp_path / "out"
    other = Context(context.workspace, context.workspace.dataset("other"))
    taken(other, root)
    split.run(other, seed=3)
    export.run(other, out=out)
    for _ in range(2):
        with pytest.raises(AlreadyExists):
            export.run(context, out=out)


def test_demo_does_not_run_on_another_folder_of_the_same_name(tmp_path: Path) -> None:
    workspace = Workspace.at(tmp_path / "home")
    for name in ("a", "b"):
        write_mvtec(tmp_path / name / "images", n_train=1, n_good=1, n_per_defect=1)
    recipe = demo.prepare(workspace, tmp_path / "a" / "images", "auto", 0, print)
    assert demo.prepare(workspace, tmp_path / "a" / "images", "auto", 1, print) == recipe
    with pytest.raises(AlreadyExists, match=r"reads .*/a/images, not .*/b/images"):
        demo.prepare(workspace, tmp_path / "b" / "images", "auto", 0, print)
    assert load(recipe).sources[0].path == tmp_path / "a" / "images"


def test_pages_become_images_of_their_own_and_moving_pictures_are_reported(
    context: Context, root: Path
) -> None:
    pages = [Image.fromarray(normal_image(np.random.default_rng(seed))) for seed in range(3)]
    pages[0].save(root / "weave/train/good/stack.tif", save_all=True, append_images=pages[1:])
    pages[0].save(root / "weave/train/good/moving.png", save_all=True, append_images=pages[1:])
    pages[0].save(root / "weave/train/good/single.tif")
    faults = [row for row in taken(context, root)["faults"] if row["code"] == "several_pictures"]
    assert [Path(row["relative_path"]).name for row in faults] == ["moving.png"]
    rows = {row["relative_path"]: row for row in tables.to_rows(table(context))}
    named = [f"weave/train/good/stack.tif{page}" for page in ("", "#page=2", "#page=3")]
    stack = [rows[name] for name in named]
    assert [row["page"] for row in stack] == [1, 2, 3]
    assert len({row["part_id"] for row in stack}) == 1
    for row, page in zip(stack, pages, strict=True):
        assert np.array_equal(read_stored(Path(row["filepath"])), np.asarray(page))
    (context.paths.pages / f"{stack[0]['sample_id']}-3.png").unlink()
    assert taken(context, root)["fresh"] and taken(context, root)["fresh"] is False
    assert (context.paths.pages / f"{stack[0]['sample_id']}-3.png").is_file()
    assert "holds 3 pictures" in faults[0]["message"]
