"""Queues of images to look at, as saved views of the dataset: what a person comes to the page for."""

import functools
import operator
from dataclasses import dataclass
from typing import Any

from curate.store.dataset import load
from curate.store.failures import database_errors
from curate.store.fields import OUTCOME, detector_fields, fiftyone, suspicion_field

GREEN, RED, ORANGE, BLUE, GREY = "#2e9e5b", "#d64550", "#f0a030", "#3f7fd9", "#8a8f98"
SUSPICIOUS = "suspicious normal"
TO_REVIEW = "to review"
OF_DATA = ("category: ", "check: ", SUSPICIOUS, TO_REVIEW)  # saved views that come and go with the data


def _suspicious(dataset: Any, detectors: list[str]) -> Any:
    """Normal training images that detectors left out as suspicious; None where there is none."""
    F = fiftyone().ViewField
    known, collection = dataset.get_field_schema(), dataset._sample_collection
    fields = [field for name in detectors if (field := suspicion_field(name)) in known]
    used = [field for field in fields if collection.find_one({field: {"$ne": None}}, {"_id": 1})]
    if not used:
        return None
    condition = functools.reduce(operator.or_, (F(field).exists() for field in used))
    return dataset.match(condition).sort_by(used[0], reverse=True)


def save(dataset: Any, detectors: list[str]) -> list[str]:
    """Saved views for the questions a person comes with; those of ours that exist are replaced."""
    F = fiftyone().ViewField
    score = detector_fields(detectors[0])[0] if detectors else None
    unseen, seen = F("verdict").exists(False), F("verdict").exists()

    def ranked(condition: Any, reverse: bool = True) -> Any:
        return dataset.match(condition).sort_by(score or "relative_path", reverse=bool(score) and reverse)

    views: dict[str, tuple[Any, str, str]] = {}
    if score:
        views["highest scores"] = (ranked(F(score).exists()), ORANGE, "Most suspicious first")
    if score and "predicted" in dataset.get_field_schema():
        missed = (F("label") == "anomalous") & (F("predicted.label") == "normal")
        alarms = (F("label") == "normal") & (F("predicted.label") == "anomalous")
        views["missed defects"] = (ranked(missed, reverse=False), RED, "Anomalous, but below the threshold")
        views["false alarms"] = (ranked(alarms), ORANGE, "Normal, but at or above the threshold")
    if dataset._sample_collection.find_one({OUTCOME: "review"}, {"_id": 1}) is not None:
        in_band = ranked(F(OUTCOME) == "review")
        views[TO_REVIEW] = (in_band, ORANGE, "Between the two thresholds of the review band: a person looks")
    views["not looked at yet"] = (ranked(unseen), BLUE, "No verdict so far")
    decided = dataset.match(seen).sort_by("verdict_at", reverse=True)
    views["decided"] = (decided, GREEN, "Latest verdict first")
    for category in dataset.distinct("category"):
        views[f"category: {category}"] = (ranked(F("category") == category), GREY, f"Images of {category}")
    found = _suspicious(dataset, detectors)
    if found is not None:
        views[SUSPICIOUS] = (found, RED, "Labelled normal, but far above the others; not fitted on")
    for code in dataset.distinct("findings"):
        complained = ranked(F("findings").contains(code))
        views[f"check: {code}"] = (complained, ORANGE, f"Images that {code} complains about")
    for name in dataset.list_saved_views():
        if name.startswith(OF_DATA) and name not in views:
            dataset.delete_saved_view(name)
    for name, (view, colour, about) in views.items():
        dataset.save_view(name, view, description=about, color=colour, overwrite=True)
    return list(views)


@dataclass(frozen=True)
class Queue:
    """A saved view of a dataset, as a list shows it.

    Attributes:
        slug: opens it: /datasets/<dataset>?view=<slug>.
        n_images: None where nobody asked for the number.
    """

    name: str
    slug: str
    about: str
    colour: str
    n_images: int | None = None


@database_errors()
def listed(dataset_name: str, counted: bool = True) -> list[Queue]:
    """The saved views of a dataset in the order of the App's list, those of ours and a person's own.

    Args:
        counted: also count the images of each, truly; a few milliseconds a view at 100,000 images.

    Raises:
        Missing: no such dataset.
    """
    dataset = load(dataset_name)
    found = []
    for name in dataset.list_saved_views():
        about = dataset.get_saved_view_info(name)
        n_images = len(dataset.load_saved_view(name).values("_id")) if counted else None
        found.append(Queue(name, about["slug"], about["description"] or "", about["color"] or GREY, n_images))
    return found
