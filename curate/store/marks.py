"""Marks in a FiftyOne dataset: which version of each part of the workspace it holds."""

from curate.store.dataset import exists, load
from curate.store.failures import database_errors

KEY = "curate_marks"


def read(dataset_name: str) -> dict[str, str]:
    """Part -> checksum of what was stored last; empty when there is no such dataset."""
    if not exists(dataset_name):
        return {}
    return {part: checksum for part, checksum in load(dataset_name).info.get(KEY, [])}


@database_errors()
def write(dataset_name: str, part: str, checksum: str) -> None:
    """Note that a part is stored completely."""
    dataset = load(dataset_name)
    held = dict(dataset.info.get(KEY, []))
    # pairs, not a mapping: a detector's name may hold a dot, which is not allowed in a document's key
    dataset.info[KEY] = [list(pair) for pair in sorted({**held, part: checksum}.items())]
    dataset.save()


@database_errors()
def remove(dataset_name: str, part: str) -> None:
    """Note that a part is no longer stored."""
    dataset = load(dataset_name)
    dataset.info[KEY] = [pair for pair in dataset.info.get(KEY, []) if pair[0] != part]
    dataset.save()
