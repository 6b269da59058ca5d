"""The split of a dataset: what a person said of unlabelled images counts, copies stay together."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from curate import tables, verdicts
from curate.errors import DataFault
from curate.recipe import Source
from curate.steps import check, ingest, split
from curate.steps.record import Context
from curate.workspace import Workspace
from tests.helpers.tiny import normal_image, write_mvtec


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    workspace = Workspace.at(tmp_path / "home")
    yield Context(workspace, workspace.dataset("toy"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_mvtec(tmp_path / "images", n_train=4, n_good=4, n_per_defect=4)


def taken(context: Context, root: Path, **settings: Any) -> dict[str, Any]:
    return ingest.run(context, Source(root, "mvtec_ad", **settings))


def table(context: Context) -> pd.DataFrame:
    return tables.read(context.paths.samples)


def unlabelled(folder: Path, n: int) -> Path:
    rng = np.random.default_rng(3)
    folder.mkdir()
    for index in range(n):
        Image.fromarray(normal_image(rng)).save(folder / f"{index:02d}.png")
    return folder


def accept(context: Context, relative_paths: list[str], verdict: str = "normal") -> None:
    samples = table(context).set_index("relative_path")
    before: dict[str, Any] = {"label": "unknown", "defect_types": [], "verdict": None}
    rows = [
        {
            "sample_id": samples.loc[path, "sample_id"],
            "sha256": samples.loc[path, "sha256"],
            "verdict": verdict,
            "defect_type": None,
            "by": "ada",
            "at": "2026-01-01T00:00:00+00:00",
            "before": before,
        }
        for path in relative_paths
    ]
    verdicts.append_mirror(context.paths.verdicts, rows)


def test_unlabelled_images_that_a_person_accepted_are_trained_on(context: Context, tmp_path: Path) -> None:
    ingest.run(context, Source(unlabelled(tmp_path / "pile", 12), "folder", mapping={".": "unknown"}))
    assert set(table(context)["label"]) == {"unknown"}
    with pytest.raises(DataFault, match=r"no normal image left(.|\n)*curate triage"):
        split.run(context)
    accept(context, table(context)["relative_path"].tolist()[:11])
    (counts,) = split.run(context)["counts"].values()
    assert counts["train"]["normal"] > 0
    assert sum(part.get("normal", 0) for part in counts.values()) == 11
    assert counts["test"]["unknown"] == 1


def test_verdict_on_a_labelled_image_moves_nothing(context: Context, root: Path) -> None:
    taken(context, root)
    split.run(context, policy="random")
    accept(context, ["weave/test/stain/000.png"])
    assert not split.run(context, policy="random")["fresh"]


def test_copies_of_a_picture_do_not_stop_a_random_split(context: Context, root: Path) -> None:
    for name in ("a", "b", "c", "d"):
        copy = root / "weave/train/good" / f"{name}.png"
        copy.write_bytes((root / "weave/train/good/000.png").read_bytes())
    taken(context, root)
    for seed in range(5):
        split.run(context, policy="random", seed=seed)
        assert check.run(context, ["split_duplicates"])["n_errors"] == 0
