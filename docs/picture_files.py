"""Where the pictures of the documentation are kept, in few colours, and pages that are drawn for them."""

import io
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

FOLDER = Path(__file__).resolve().parent / "pictures"
DATASET = "demo"
sys.path.insert(0, str(FOLDER.parent.parent))  # the browser is driven as in the tests


def kept(shot: Image.Image | bytes, name: str, method: int = Image.Quantize.MEDIANCUT) -> Path:
    """Keep a picture.

    Args:
        shot: a picture, or the content of its file.
        method: how its 256 colours are found.
    """
    path = FOLDER / name
    picture = Image.open(io.BytesIO(shot)) if isinstance(shot, bytes) else shot
    picture.convert("RGB").quantize(256, method=method).save(path, optimize=True)
    return path


@contextmanager
def browsed(page: Path) -> Iterator[Any]:
    """A page in a browser window of 1200 px."""
    from playwright.sync_api import sync_playwright

    from tests.browser.page import ARGUMENTS, BROWSERS

    program = next(found for found in map(shutil.which, BROWSERS) if found)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=ARGUMENTS)
        shown = browser.new_page(viewport={"width": 1200, "height": 900})
        shown.goto(page.as_uri())
        yield shown
        browser.close()
