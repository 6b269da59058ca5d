"""An export replaces only what this dataset put there, and states how the dataset was made."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.errors import AlreadyExists, DataFault
from curate.files import read_json
from curate.recipe import Source
from curate.steps import export, ingest, split, threshold
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


def put_in_place_of(out: Path, context: Context, root: Path) -> None:
    """Let another dataset's export lie where this one's lay."""
    other = Context(context.workspace, context.workspace.dataset("other"))
    taken(other, root)
    split.run(other, seed=3)
    shutil.rmtree(out, ignore_errors=True)
    export.run(other, out=out)


@pytest.mark.parametrize(
    "killed_in", ["curate.exporters.mvtec_ad._image", "curate.export_folder._put_in_place"]
)
def test_export_of_somebody_else_is_kept_after_a_kill_too(
    context: Context, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_in: str
) -> None:
    def killed(*arguments: Any) -> None:
        raise KeyboardInterrupt

    taken(context, root)
    split.run(context)
    out = tmp_path / "out"
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(killed_in, killed)
        export.run(context, out=out)
    put_in_place_of(out, context, root)
    before = (out / "manifest.json").read_bytes()
    with pytest.raises(AlreadyExists, match="--overwrite"):
        export.run(context, out=out)
    assert (out / "manifest.json").read_bytes() == before


def test_export_put_in_place_by_a_killed_command_is_replaced_by_another_one_only_when_asked_for(
    context: Context, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*arguments: Any) -> None:
        raise KeyboardInterrupt

    taken(context, root)
    split.run(context)
    out = tmp_path / "out"
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(export, "finish", killed)
        export.run(context, out=out, replace_own=False)
    assert export.run(context, out=out, replace_own=False)["fresh"]
    add_image(root)
    taken(context, root)
    split.run(context)
    with pytest.raises(AlreadyExists, match="--overwrite"):
        export.run(context, out=out, replace_own=False)


def test_export_that_failed_claims_nothing(context: Context, root: Path, tmp_path: Path) -> None:
    taken(context, root)
    split.run(context)
    victim = root / "weave/test/stain/000.png"
    before = victim.read_bytes()
    victim.write_bytes(before + b" ")
    with pytest.raises(DataFault, match="changed since it was ingested"):
        export.run(context, out=tmp_path / "out")
    victim.write_bytes(before)
    put_in_place_of(tmp_path / "out", context, root)
    with pytest.raises(AlreadyExists, match="--overwrite"):
        export.run(context, out=tmp_path / "out")


def test_files_of_our_own_export_changed_by_hand_are_not_lost(
    context: Context, root: Path, tmp_path: Path
) -> None:
    taken(context, root)
    split.run(context)
    out = tmp_path / "out"
    export.run(context, out=out)
    edited = next((out / "weave" / "ground_truth").rglob("*.png"))
    edited.write_bytes(b"drawn better by hand")
    name = edited.relative_to(out).as_posix()
    add_image(root)
    taken(context, root)
    split.run(context)
    with pytest.raises(AlreadyExists, match=rf"1 files .* changed by hand(.|\n)*{name}(.|\n)*--overwrite"):
        export.run(context, out=out)
    assert edited.read_bytes() == b"drawn better by hand"
    assert export.run(context, out=out, overwrite=True)["n_exported"] == 17
    assert verify(out) == []


def write_plain(path: Path, seed: int) -> None:
    """A picture that is not compressed, so that every one has as many bytes, all of one time."""
    Image.fromarray(normal_image(np.random.default_rng(seed))).save(path, compress_level=0)
    os.utime(path, (1e9, 1e9))


def test_file_changed_without_a_trace_is_read_again_when_asked_for(context: Context, root: Path) -> None:
    victim = root / "weave/test/stain/000.png"
    write_plain(victim, seed=1)
    taken(context, root)
    split.run(context)
    before = victim.stat().st_size
    write_plain(victim, seed=2)
    assert victim.stat().st_size == before
    assert not taken(context, root)["fresh"]
    with pytest.raises(DataFault, match=r"changed since it was ingested(.|\n)*--rehash"):
        export.run(context)
    assert ingest.run(context, Source(root, "mvtec_ad"), rehash=True)["n_changed"] == 1
    split.run(context)
    assert export.run(context)["n_exported"] == 16


def test_manifest_states_the_settings_of_the_steps_whoever_asks(
    context: Context, root: Path, tmp_path: Path
) -> None:
    taken(context, root, name="line 2")
    split.run(context, policy="random", seed=7)
    score_by_hand(context)
    threshold.run(context, "padim", "max_normal")
    out = tmp_path / "out"
    export.run(context, out=out)
    stated = read_json(out / "manifest.json")["recipe"]
    assert stated["sources"] == [{"name": "line 2", "format": "mvtec_ad", "folder": "images"}]
    assert (stated["split"]["policy"], stated["split"]["seed"]) == ("random", 7)
    assert [one["name"] for one in stated["detectors"]] == ["padim"]
    assert stated["threshold"] == {"detector": "padim", "rule": "max_normal"}
    split.run(context, policy="random", seed=8)
    export.run(context, out=out)
    stated = read_json(out / "manifest.json")["recipe"]
    assert (stated["detectors"], stated["threshold"]) == ([], {})  # they are of another split
