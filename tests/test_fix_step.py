"""curate check --fix: copies and specks leave the dataset, not the source; and come back."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curate import tables
from curate.masks import read_mask
from curate.recipe import Source
from curate.steps import check, fix, ingest, split
from curate.steps.record import Context
from curate.workspace import Workspace
from tests.helpers.tiny import write_mvtec
from tests.test_verdicts_in_steps import decide

COPY, MASK = "weave/test/good/099.png", "weave/ground_truth/stain/001_mask.png"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Toy images, one of them there twice, one mask with a speck beside its region."""
    root = write_mvtec(tmp_path / "images")
    (root / COPY).write_bytes((root / "weave/test/good/001.png").read_bytes())
    mask = np.zeros((48, 64), np.uint8)
    mask[10:20, 30:50] = mask[40, 5:8] = 255
    Image.fromarray(mask).save(root / MASK)
    return root


@pytest.fixture
def context(tmp_path: Path, root: Path) -> Context:
    workspace = Workspace.at(tmp_path / "home")
    context = Context(workspace, workspace.dataset("weave"))
    ingest.run(context, Source(root, "mvtec_ad"))
    split.run(context, seed=1)
    return context


def tree(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def codes(context: Context) -> list[str]:
    names = ["layout", "mask_size", "empty_mask", "specks", "exact_duplicates", "split_duplicates"]
    return [row["code"] for row in check.run(context, names)["findings"]]


def paths(context: Context) -> set[str]:
    return set(tables.read(context.paths.samples)["relative_path"])


def mask_of(context: Context, relative_path: str) -> np.ndarray:
    samples = tables.read(context.paths.samples).set_index("relative_path")
    return read_mask(context.paths.masks / f"{samples.loc[relative_path, 'sample_id']}.png")


def test_what_can_be_mended_is_mended_and_the_source_stays_as_it_is(context: Context, root: Path) -> None:
    before = tree(root)
    assert set(codes(context)) == {"specks", "exact_duplicates"}
    made = fix.mend(context)
    assert sorted((one.check, one.action) for one in made) == [
        ("exact_duplicates", "exclude"),
        ("specks", "drop_specks"),
    ]
    assert codes(context) == []
    assert COPY not in paths(context)
    mask = mask_of(context, "weave/test/stain/001.png")
    assert mask.sum() == 200 and not mask[40].any()
    assert tree(root) == before
    assert fix.mend(context) == []


def test_fixes_outlive_taking_the_source_in_again(context: Context, root: Path) -> None:
    fix.mend(context)
    for rehash in (False, True):
        ingest.run(context, Source(root, "mvtec_ad"), rehash=rehash)
        assert COPY not in paths(context)
        assert mask_of(context, "weave/test/stain/001.png").sum() == 200
    assert len(fix.held(context)) == 2


def test_fixes_taken_back_leave_the_dataset_as_it_was(context: Context) -> None:
    samples, masks = context.paths.samples.read_bytes(), tree(context.paths.masks)
    fix.mend(context)
    assert context.paths.samples.read_bytes() != samples and tree(context.paths.masks) != masks
    assert len(fix.undo(context)) == 2
    assert context.paths.samples.read_bytes() == samples and tree(context.paths.masks) == masks
    assert set(codes(context)) == {"specks", "exact_duplicates"}
    assert fix.held(context) == fix.undo(context) == []


def test_a_replaced_image_is_another_one_and_its_fix_holds_no_more(context: Context, root: Path) -> None:
    fix.mend(context, ["exact_duplicates"])
    other = np.full((48, 64, 3), 90, np.uint8)
    Image.fromarray(other).save(root / COPY)
    ingest.run(context, Source(root, "mvtec_ad"))
    assert COPY in paths(context)
    assert fix.held(context) == []


def test_a_picture_does_not_leave_with_the_copy_that_was_kept(context: Context, root: Path) -> None:
    fix.mend(context, ["exact_duplicates"])
    kept = root / "weave/test/good/001.png"
    content = kept.read_bytes()
    kept.unlink()
    ingest.run(context, Source(root, "mvtec_ad"))
    assert COPY in paths(context) and fix.held(context) == []
    kept.write_bytes(content)
    ingest.run(context, Source(root, "mvtec_ad"))
    assert COPY not in paths(context) and len(fix.held(context)) == 1


def test_only_the_named_checks_mend(context: Context) -> None:
    assert [one.action for one in fix.mend(context, ["specks", "unreadable"])] == ["drop_specks"]
    assert COPY in paths(context)


def test_a_copy_that_a_person_judged_is_left(context: Context) -> None:
    decide(context, COPY, "normal", "2031-05-01T00:00:00+00:00")
    assert [one.action for one in fix.mend(context)] == ["drop_specks"]
    assert COPY in paths(context)


def test_a_check_says_why_it_could_not_run(tmp_path: Path, root: Path) -> None:
    for folder in ("ok", "ng"):
        (tmp_path / "bare" / folder).mkdir(parents=True)
        source = root / f"weave/test/{'good' if folder == 'ok' else 'stain'}/000.png"
        (tmp_path / "bare" / folder / "1.png").write_bytes(source.read_bytes())
    workspace = Workspace.at(tmp_path / "other")
    context = Context(workspace, workspace.dataset("bare"))
    ingest.run(context, Source(tmp_path / "bare", "folder"))
    result = check.only(context, ["split_duplicates", "no_mask"])
    assert result["checks"] == ["no_mask"] and not result["split"]
    assert "run curate split first" in result["not_run"]["split_duplicates"]
    assert (result["n_warnings"], result["n_errors"], result["n_images"]) == (1, 0, 2)
