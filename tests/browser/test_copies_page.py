"""Images that a browser cannot show are seen on the triage page all the same, through their copies."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from curate.recipe import Source
from curate.steps import ingest, sync
from curate.steps.record import Context
from curate.store.app import serve
from curate.store.server import Database
from curate.workspace import Workspace
from tests.browser.page import Page, opened

pytestmark = [pytest.mark.mongod, pytest.mark.browser]
NAME = "copied"


def disc(height: int = 120, width: int = 200) -> np.ndarray:
    """(H, W) float in [0, 1]: a ramp with a bright disc left of the middle and a dark one right of it."""
    rows, columns = np.mgrid[0:height, 0:width]
    picture = 0.3 + 0.3 * columns / width
    picture[(rows - 60) ** 2 + (columns - 50) ** 2 < 30**2] = 1.0
    picture[(rows - 60) ** 2 + (columns - 150) ** 2 < 30**2] = 0.0
    return picture


@pytest.fixture(scope="module")
def page(workspace_db: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    root = tmp_path_factory.mktemp("odd")
    (root / "normal").mkdir()
    eight = (disc() * 255).astype(np.uint8)
    Image.fromarray(eight).save(root / "normal/a-plain.tif")
    Image.fromarray((disc() * 1000).astype(np.uint16)).save(root / "normal/b-ten-bits.tif")
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(eight).save(root / "normal/c-turned.jpg", exif=exif)
    Image.fromarray(eight).save(root / "normal/d-ordinary.png")
    context = Context(Workspace.at(workspace_db.home), Workspace.at(workspace_db.home).dataset(NAME))
    ingest.run(context, Source(root, "folder"))
    sync.everything(context)
    with serve(NAME, panels=False) as app, opened(app.url) as page:  # their colours are not those of images
        yield page


def test_all_four_look_alike_in_the_grid(page: Page) -> None:
    page.settled(n_colours=200)
    page.save("copies-grid.png")
    assert page.tiles().count() == 4
    shots = [page.tiles().nth(index).screenshot() for index in range(4)]
    tiles = [np.asarray(Image.open(io.BytesIO(shot)).convert("L")).astype(int) for shot in shots]
    ordinary = tiles[3]
    for tile in tiles:
        height, width = tile.shape
        assert abs(width / height - 200 / 120) < 0.1
        middle = tile[height // 2]
        assert middle[width // 4] > 230 and middle[3 * width // 4] < 25
        assert abs(width - ordinary.shape[1]) <= 2


def test_the_open_image_is_the_copy_too(page: Page) -> None:
    page.tiles().nth(1).click()
    page.page.get_by_text("Annotate").wait_for()
    page.page.wait_for_timeout(2500)
    page.save("copies-open.png")
    shot = np.asarray(Image.open(io.BytesIO(page.page.screenshot())).convert("L"))
    assert (shot > 240).mean() > 0.01


def test_nothing_was_asked_of_the_network(page: Page) -> None:
    assert page.elsewhere == []
