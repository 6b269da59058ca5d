"""Masks, copies and pages follow the sources and the fixes, whatever goes, comes back or is cut off."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curate import tables
from curate.steps import fix
from curate.steps.record import Context
from curate.workspace import Workspace
from tests.helpers.tiny import normal_image, write_mvtec
from tests.helpers.toy_steps import taken

GOOD = "weave/test/good"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_mvtec(tmp_path / "images", n_train=2)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    workspace = Workspace.at(tmp_path / "home")
    return Context(workspace, workspace.dataset("weave"))


def made(context: Context) -> dict[str, bytes]:
    """Every mask, copy and page of the workspace."""
    folders = (context.paths.masks, context.paths.media, context.paths.pages)
    return {file.name: file.read_bytes() for folder in folders for file in folder.glob("*")}


def save_pages(path: Path, n_pages: int, bits: int = 8) -> None:
    pages = [normal_image(np.random.default_rng(seed))[..., 0] for seed in range(n_pages)]
    first, *others = [Image.fromarray(page.astype(np.uint16) * 4 if bits == 16 else page) for page in pages]
    first.save(path, save_all=True, append_images=others)


def test_what_was_made_of_an_excluded_image_is_there_when_the_fix_is_taken_back(
    context: Context, root: Path
) -> None:
    for copy, of in (("stain/077.png", "stain/000.png"), ("good/077.tif", "good/078.tif")):
        save_pages(root / GOOD / "078.tif", 1)
        shutil.copy(root / "weave/test" / of, root / "weave/test" / copy)
    shutil.copy(
        root / "weave/ground_truth/stain/000_mask.png", root / "weave/ground_truth/stain/077_mask.png"
    )
    taken(context, root)
    before = made(context)
    assert len(fix.mend(context, ["exact_duplicates"])) == 2
    fix.undo(context)
    assert made(context) == before


def test_further_pages_stay_when_the_first_is_excluded_as_a_copy(context: Context, root: Path) -> None:
    save_pages(root / GOOD / "p.tif", 3)
    Image.fromarray(normal_image(np.random.default_rng(0))[..., 0]).save(root / GOOD / "a.png")
    taken(context, root)
    assert [one.detail.split()[0] for one in fix.mend(context, ["exact_duplicates"])] == [f"{GOOD}/p.tif"]
    rows = tables.to_rows(tables.read(context.paths.samples))
    further = [Path(row["filepath"]) for row in rows if row["page"]]
    assert len(further) == 2 and all(file.exists() for file in further)


def test_pages_go_with_a_file_that_shrinks_and_come_back_with_it(context: Context, root: Path) -> None:
    file = root / GOOD / "p.tif"
    save_pages(file, 3)
    taken(context, root)
    before, table = made(context), context.paths.samples.read_bytes()
    save_pages(file, 1)
    taken(context, root)
    assert not list(context.paths.pages.iterdir())
    assert not taken(context, root)["fresh"]
    save_pages(file, 3)
    taken(context, root)
    assert made(context) == before and context.paths.samples.read_bytes() == table
