"""Masks, copies and pages follow the sources and the fixes, whatever goes, comes back or is cut off."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curate import tables
from curate.images import read_stored
from curate.recipe import Source
from curate.steps import fix, ingest, sources
from curate.steps.record import Context
from curate.store.documents import Folders
from curate.workspace import Workspace
from tests.helpers.tiny import normal_image, write_mvtec
from tests.helpers.toy_steps import taken

GOOD, STAIN = "weave/test/good", "weave/ground_truth/stain/001_mask.png"
SPECKLED, CLEAN = 203, 200  # pixels of the mask with a speck, and without


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = write_mvtec(tmp_path / "images", n_train=2)
    mask = np.zeros((48, 64), np.uint8)
    mask[10:20, 30:50] = mask[40, 5:8] = 255
    Image.fromarray(mask).save(root / STAIN)
    return root


@pytest.fixture
def context(tmp_path: Path) -> Context:
    workspace = Workspace.at(tmp_path / "home")
    return Context(workspace, workspace.dataset("weave"))


def made(context: Context) -> dict[str, bytes]:
    """Every mask, copy and page of the workspace."""
    folders = (context.paths.masks, context.paths.media, context.paths.pages)
    return {file.name: file.read_bytes() for folder in folders for file in folder.glob("*")}


def areas(context: Context) -> set[int]:
    return {row["n_px"] for row in tables.to_rows(tables.read(context.paths.mask_facts))} - {70}


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


def test_pages_of_sixteen_bits_have_copies_that_a_browser_shows(context: Context, root: Path) -> None:
    save_pages(root / GOOD / "p.tif", 3, bits=16)
    taken(context, root)
    rows = [row for row in tables.to_rows(tables.read(context.paths.samples)) if row["page"]]
    folders = Folders(context.paths.masks, context.paths.media)
    copies = [Path(folders.view(row)) for row in rows]
    assert [copy.parent for copy in copies] == [context.paths.media] * 3
    assert [read_stored(copy).dtype for copy in copies] == [np.uint8] * 3
    copies[2].unlink()
    taken(context, root)
    assert copies[2].exists()


def test_whatever_was_made_is_made_anew_when_it_is_altered(context: Context, root: Path) -> None:
    save_pages(root / GOOD / "p.tif", 2, bits=16)
    save_pages(root / GOOD / "q.tif", 1)
    taken(context, root)
    before = made(context)
    assert len(before) == 6 + 3 + 1
    for folder in (context.paths.masks, context.paths.media, context.paths.pages):
        for file in folder.iterdir():
            file.write_bytes(b"altered")
    taken(context, root)
    assert made(context) == before


def test_a_mend_that_was_cut_off_half_way_can_be_taken_back(
    context: Context, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken(context, root)
    before = made(context)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sources, "write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            fix.mend(context, ["specks"])
    assert made(context) != before
    fix.undo(context)
    assert made(context) == before and areas(context) == {SPECKLED}


def test_a_mask_is_kept_while_its_source_is_away_and_made_anew_when_it_is_back(
    context: Context, root: Path
) -> None:
    taken(context, root)
    before = made(context)
    fix.mend(context, ["specks"])
    mended, away = made(context), root.rename(root.with_name("away"))
    other = write_mvtec(root.with_name("other"), n_train=1, n_good=1, defects=())
    ingest.run(context, Source(other, "mvtec_ad", name="other"))
    assert made(context) == mended and areas(context) == {CLEAN}
    fix.undo(context)
    assert made(context) == mended and areas(context) == {CLEAN}
    assert "does not give it any more. It stays as it was." in context.paths.faults.read_text()
    away.rename(root)
    taken(context, root)
    assert made(context) == before and areas(context) == {SPECKLED}
    assert "It stays as it was" not in context.paths.faults.read_text()


@pytest.mark.parametrize("name", ["caf\udce9", "a\nb", "  ", "x" * 300])
def test_a_source_name_that_cannot_be_printed_is_refused(name: str, context: Context) -> None:
    with pytest.raises(ValueError, match="must have 1 to 60 printable characters"):
        sources.table(context.paths, name)
