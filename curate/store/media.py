"""Which files the App server may give away: images of samples, and what the workspace made of them."""

import os
from pathlib import Path
from typing import Any

from curate.store.failures import database_errors
from curate.store.fields import fiftyone
from curate.workspace import DatasetPaths

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")


def may_be_served(requested: str, home: Path, only: str | None = None) -> bool:
    """Whether a file is the image of a sample, or lies in a dataset's folder of the workspace.

    Args:
        requested: path, as a page asks for it; links in it are followed before it is looked for.
        home: the workspace.
        only: name of the one dataset whose files may be given away, and of its folder only the pictures;
            None = any dataset of the workspace.

    Raises:
        DatabaseDown: the database stopped.
    """
    try:
        real = os.path.realpath(requested)
    except (OSError, ValueError):  # no file can have this name
        return False
    if only is None:
        return _is_below(real, _all_folders(home / "datasets")) or _is_image({requested, real})
    own = real.lower().endswith(PICTURES) and _is_below(real, _of_pictures(home / "datasets" / only))
    return own or _is_image({requested, real}, only)


def _all_folders(datasets: Path) -> list[Path]:
    """The folder of the datasets, and those of them that are links."""
    return [datasets, *(entry for entry in datasets.glob("*") if entry.is_symlink())]


def _of_pictures(root: Path) -> list[Path]:
    """Where a dataset's masks, maps and copies of images are."""
    paths = DatasetPaths(root)
    return [paths.masks, paths.media, paths.pages, paths.drawn_masks, root / "detectors"]


def _is_below(real: str, folders: list[Path]) -> bool:
    """Whether a path without links lies in one of the folders."""
    return any(real.startswith(os.path.realpath(folder) + os.sep) for folder in folders)


@database_errors()
def _is_image(paths: set[str], only: str | None = None) -> bool:
    """Whether a sample of any dataset, or of one, has one of these paths; the path is indexed in each."""
    database: Any = fiftyone("core.odm").get_db_conn()
    rows = database["datasets"].find({} if only is None else {"name": only})
    names = [row.get("sample_collection_name") for row in rows]
    wanted = {"filepath": {"$in": list(paths)}}
    return any(name and database[name].find_one(wanted, {"_id": 1}) is not None for name in names)
