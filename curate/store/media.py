"""Which files the App server may give away: images of samples, and what the workspace made of them."""

import os
from pathlib import Path
from typing import Any

from curate.store.failures import database_errors
from curate.store.fields import fiftyone


def may_be_served(requested: str, home: Path) -> bool:
    """Whether a file is the image of a sample of any dataset, or lies in a dataset's folder of the workspace.

    Args:
        requested: path, as a page asks for it; links in it are followed before it is looked for.
        home: the workspace.

    Raises:
        DatabaseDown: the database stopped.
    """
    try:
        real = os.path.realpath(requested)
    except (OSError, ValueError):  # no file can have this name
        return False
    return _is_below(real, home / "datasets") or _is_image({requested, real})


def _is_below(real: str, datasets: Path) -> bool:
    """Whether a path without links lies in the folder of the datasets, or in one of them that is a link."""
    folders = [datasets, *(entry for entry in datasets.glob("*") if entry.is_symlink())]
    return any(real.startswith(os.path.realpath(folder) + os.sep) for folder in folders)


@database_errors()
def _is_image(paths: set[str]) -> bool:
    """Whether a sample of any dataset has one of these paths; the path is indexed in each."""
    database: Any = fiftyone("core.odm").get_db_conn()
    names = [row.get("sample_collection_name") for row in database["datasets"].find({})]
    wanted = {"filepath": {"$in": list(paths)}}
    return any(name and database[name].find_one(wanted, {"_id": 1}) is not None for name in names)
