"""Subsets in the FiftyOne dataset: a tag and a saved view of the images that are evaluated."""

from collections.abc import Collection, Iterator

from curate.store.dataset import BATCH
from curate.store.failures import database_errors
from curate.store.loading import load, touch

COLOUR = "#3f7fd9"


def label(subset: str) -> str:
    """The name of a subset's tag and of its saved view.

    >>> label("small")
    'subset: small'
    """
    return f"subset: {subset}"


@database_errors()
def save_subset(dataset_name: str, subset: str, sample_ids: Collection[str], about: str) -> int:
    """Tag the images of a subset, take the tag from all others, and save a view of them.

    Args:
        about: description of the view.

    Returns:
        Number of images of the dataset that have the tag now.
    """
    dataset, tag = load(dataset_name), label(subset)
    collection = dataset._sample_collection
    collection.update_many({"tags": tag, "sample_id": {"$nin": sorted(sample_ids)}}, {"$pull": {"tags": tag}})
    for ids in _batches(sorted(sample_ids)):
        collection.update_many({"sample_id": {"$in": ids}}, {"$addToSet": {"tags": tag}})
    touch(dataset)
    view = dataset.match_tags(tag).sort_by("relative_path")
    dataset.save_view(tag, view, description=about, color=COLOUR, overwrite=True)
    return int(collection.count_documents({"tags": tag}))


@database_errors()
def remove_subset(dataset_name: str, subset: str) -> None:
    """Take away a subset's tag and view; the images stay."""
    dataset, tag = load(dataset_name), label(subset)
    dataset._sample_collection.update_many({"tags": tag}, {"$pull": {"tags": tag}})
    if tag in dataset.list_saved_views():
        dataset.delete_saved_view(tag)
    touch(dataset)


def _batches(ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]
