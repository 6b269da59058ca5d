"""Saves views in a FiftyOne dataset all at once; one by one, each reads and saves its description."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bson import json_util

from curate.store.fields import fiftyone


@dataclass(frozen=True)
class Told:
    """What is told of a saved view; `stages` are JSON texts, as FiftyOne keeps them."""

    name: str
    about: str
    colour: str
    stages: list[str]


def stages_of(view: Any) -> list[str]:
    """The stages of a FiftyOne view as they are kept."""
    return [json_util.dumps(stage) for stage in view._serialize(include_uuids=False)]


def save_views(dataset: Any, views: Sequence[Told]) -> None:
    """Save views in their order after all others; one that has the address of another takes its place.

    May be cut off at any time: views come before the list that names them, and go after it.
    """
    documents, address = fiftyone("core.odm").SavedViewDocument, fiftyone("core.utils").to_slug
    dataset._doc.reload("saved_views")  # what people saved meanwhile stays
    wanted = {address(view.name): view for view in views}
    held = {each.slug: each for each in dataset._doc.get_saved_views()}
    saved = []
    for slug, view in wanted.items():
        now = datetime.now(UTC).replace(tzinfo=None)
        one = held.get(slug) or documents(dataset_id=dataset._doc.id, slug=slug, created_at=now)
        one.name, one.description, one.color = view.name, view.about, view.colour
        one.view_stages, one.last_modified_at = view.stages, now
        saved.append(one.save(upsert=True))
    dataset._doc.saved_views = [*(each for slug, each in held.items() if slug not in wanted), *saved]
    dataset._doc.save()
