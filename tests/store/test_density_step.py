"""`curate density`: counts and a picture for reports."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curate.commands.density import lines
from curate.errors import AlreadyExists, Missing
from curate.steps import density
from curate.steps.record import Context
from curate.store.server import Database
from curate.workspace import Workspace
from tests.helpers import paired

pytestmark = pytest.mark.mongod
NAME = "drawn"


@pytest.fixture(scope="module")
def context(workspace_db: Database) -> Context:
    workspace = Workspace(workspace_db.home)
    paired.saved(NAME, workspace.dataset(NAME).root)
    return Context(workspace, workspace.dataset(NAME))


def test_the_counts_are_told_by_category_and_type(context: Context) -> None:
    found = density.run(context, "truth")
    assert list(found["by_category"]) == ["board", "weave"]
    board, weave = found["by_category"].values()
    assert (board["n_marked"], board["types"], board["highest"]) == (1, {"short": 1}, 1)
    assert np.array(board["cells"]).sum() == 12 * 6
    assert (weave["n_images"], weave["n_marked"], weave["n_unmarked"]) == (4, 4, 0)
    told = lines({"dataset": NAME, "of": "truth", **found})
    assert "weave: 4 of 4 anomalous images, on 64 x 48 cells" in told
    assert density.run(context, "truth", "board", "open")["by_category"]["board"]["n_marked"] == 0


def test_the_picture_shows_the_cells_in_colour_and_is_not_replaced_unasked(
    context: Context, tmp_path: Path
) -> None:
    out = tmp_path / "board.png"
    density.run(context, "truth", "board", out=out)
    picture = np.asarray(Image.open(io.BytesIO(out.read_bytes())).convert("RGB")).astype(int)
    coloured = np.argwhere(np.ptp(picture[:, : int(picture.shape[1] * 0.7)], axis=2) > 90)
    assert 50 < len(coloured) < 0.1 * picture[..., 0].size
    assert coloured[:, 1].mean() > 0.35 * picture.shape[1]  # the box lies on the right of the image
    with pytest.raises(AlreadyExists, match="--overwrite"):
        density.run(context, "truth", "board", out=out)
    density.run(context, "truth", "board", out=out, overwrite=True)


def test_a_category_or_a_source_that_is_not_there_is_said(context: Context) -> None:
    with pytest.raises(Missing, match="There are: board, weave"):
        density.run(context, "truth", "bottle")
    with pytest.raises(ValueError, match="Known: truth"):
        density.run(context, "proposals:padim")
