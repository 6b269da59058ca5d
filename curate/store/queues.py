"""Queues of images to look at, as saved views of the dataset: what a person comes to the page for.

A queue is work to do: what somebody has decided leaves it. Views that answer a question ("which are the false
alarms?") keep what is decided. All are sorted by an indexed field, and each has an index of its own, so that
they open as fast with 100,000 images as with a hundred.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from curate.arrivals import moment
from curate.store.dataset import load
from curate.store.failures import database_errors
from curate.store.fields import OUTCOME, detector_fields, fiftyone, suspicion_field
from curate.store.queue_fields import ARRIVED, DISAGREEMENT, GAP, MARGIN, SEVERITY
from curate.store.saved_views import Told, save_views, stages_of

# colours that people with any colour vision can tell apart
WORK, DONE, ASKED, FAULT, PLAIN = "#e69f00", "#56b4e9", "#cc79a7", "#ff8a5c", "#c9cdd3"
SUSPICIOUS, TO_REVIEW, NEAREST = "suspicious normal", "to review", "nearest to the threshold"
APART, GAPS, FLAGGED = "disagreement of detectors", "gaps of coverage", "flagged by the quality gate"
WANTED, DISPUTED, LAST = "second opinion wanted", "disputed", "new in the last ingest"
TO_DRAW = "masks to draw"
NEW_SINCE, CATEGORY = "new since ", "category: "
LONGEST_NAME = 90  # of an address, FiftyOne allows 100 characters
OF_DATA = (
    CATEGORY, "check: ", SUSPICIOUS, TO_REVIEW, NEAREST, APART, GAPS, FLAGGED, WANTED, DISPUTED, LAST,
    TO_DRAW, "highest scores", "missed defects", "false alarms",
)  # fmt: skip  # saved views that come and go with the data
INDEX = "queue "
OPEN: dict[str, Any] = {"verdict": None}
OPINION = "second_opinion"
Order = list[tuple[str, int]]


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


@dataclass(frozen=True)
class _View:
    """What a saved view is made of: a condition of the database, an order, and how the list shows it."""

    name: str
    where: dict[str, Any]
    order: Order
    colour: str
    about: str

    def of(self, dataset: Any) -> Any:
        return dataset.match(self.where).sort_by(self.order, create_index=False)

    def index(self) -> Order:
        """Fields of an index that finds the images in order: one value, the order, a range."""
        sorted_by = [name for name, _ in self.order]
        plain = {name: value for name, value in self.where.items() if not name.startswith("$")}
        fixed = [name for name, value in plain.items() if not isinstance(value, dict)]
        ranges = [name for name in plain if name not in fixed and name not in sorted_by]
        return [(name, 1) for name in (*fixed, *sorted_by, *ranges)]


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
        held = dataset._get_saved_view_doc(name)
        n_images = _count(dataset.load_saved_view(name)) if counted else None
        found.append(Queue(name, held.slug, held.description or "", held.color or PLAIN, n_images))
    return found


def _count(view: Any) -> int:
    pipeline = [stage for stage in view._pipeline() if "$sort" not in stage]
    counted = view._dataset._sample_collection.aggregate([*pipeline, {"$count": "n"}])
    return int(next(counted, {"n": 0})["n"])


def save(dataset: Any, detectors: Sequence[str]) -> list[str]:
    """Save the views for the questions a person comes with; those of ours that exist are replaced.

    Args:
        detectors: the one to sort by first.

    Returns:
        Names, in the order of the list.
    """
    views = list(_views(dataset, detectors))
    _index(dataset, views)
    names = [view.name for view in views]
    for name in dataset.list_saved_views():
        if name.startswith(OF_DATA) and name not in names:
            dataset.delete_saved_view(name)
    told = [_told(dataset, view) for view in views]
    if _saved(dataset, names) != told:
        save_views(dataset, told)
    return names


@database_errors()
def save_since(dataset_name: str, text: str) -> tuple[str, int]:
    """Save the view of undecided images that came at a time or later, instead of an earlier one of its kind.

    Args:
        text: see curate.arrivals.moment.

    Returns:
        The view's name, and how many images it has; `save` then gives it its order.

    Raises:
        ValueError: it is neither a date nor a time.
    """
    where = _came_since(text)
    dataset, name = load(dataset_name), f"{NEW_SINCE}{text.strip()}"
    for held in dataset.list_saved_views():
        if held.startswith(NEW_SINCE):
            dataset.delete_saved_view(held)
    view = dataset.match(where)
    dataset.save_view(name, view)
    return name, _count(view)


def _came_since(text: str) -> dict[str, Any]:
    return {**OPEN, ARRIVED: {"$gte": moment(text).replace(tzinfo=None)}}


def _told(dataset: Any, view: _View) -> Told:
    return Told(view.name, view.about, view.colour, stages_of(view.of(dataset)))


def _saved(dataset: Any, names: Sequence[str]) -> list[Told]:
    held = dataset._doc.saved_views
    return [Told(v.name, v.description, v.color, list(v.view_stages)) for v in held if v.name in names]


def _index(dataset: Any, views: Sequence[_View]) -> None:
    """Make the indexes that the views walk, and remove those that none of them walks any more."""
    from pymongo import IndexModel

    collection = dataset._sample_collection
    held = collection.index_information()
    wanted = {INDEX + " ".join(name for name, _ in view.index()): view.index() for view in views}
    for name in held.keys() - wanted.keys():
        if name.startswith(INDEX):
            collection.drop_index(name)
    known = {tuple(found["key"]) for name, found in held.items() if not name.startswith(INDEX)}
    lacking = [
        IndexModel(fields, name=name)
        for name, fields in wanted.items()
        if name not in held and tuple(fields) not in known
    ]
    if lacking:
        collection.create_indexes(lacking)  # in one walk over the samples


class _Facts:
    """What there is in a dataset to make queues of."""

    def __init__(self, dataset: Any, detectors: Sequence[str]) -> None:
        self.dataset, self.known = dataset, set(dataset.get_field_schema())
        score = detector_fields(detectors[0])[0] if detectors else None
        self.order: Order = [(score, -1)] if score else [("relative_path", 1)]
        self.score = score
        self.suspicions = [name for name in map(suspicion_field, detectors) if self.has(name)]

    def has(self, field: str, value: Any = None) -> bool:
        """Whether an image has a value in the field, or this one."""
        wanted = {"$ne": None} if value is None else value
        found = field in self.known and self.dataset._sample_collection.find_one({field: wanted}, {"_id": 1})
        return bool(found)


def _views(dataset: Any, detectors: Sequence[str]) -> Iterator[_View]:
    facts = _Facts(dataset, detectors)
    yield _View("not looked at yet", OPEN, facts.order, WORK, "No verdict so far")
    yield from _by_detectors(facts)
    yield from _by_people(facts)
    yield from _by_arrival(facts)
    yield from _answers(facts)


def _by_detectors(facts: _Facts) -> Iterator[_View]:
    """Undecided images, sorted by what detectors, checks and embeddings say."""
    if facts.score:
        scored = {**OPEN, facts.score: {"$ne": None}}
        yield _View("highest scores", scored, facts.order, WORK, "Undecided, most suspicious first")
    if facts.has(MARGIN):
        about = "Undecided, where the threshold decides by a hair"
        yield _View(NEAREST, {**OPEN, MARGIN: {"$ne": None}}, [(MARGIN, 1)], WORK, about)
    if facts.has(OUTCOME, "review"):
        about = "Undecided, between the two thresholds of the review band: a person looks"
        yield _View(TO_REVIEW, {**OPEN, OUTCOME: "review"}, facts.order, WORK, about)
    if facts.has(DISAGREEMENT):
        about = "Undecided, alarming to one detector and usual to another"
        yield _View(APART, {**OPEN, DISAGREEMENT: {"$ne": None}}, [(DISAGREEMENT, -1)], WORK, about)
    if facts.has(GAP):
        about = "Undecided, least like anything that is decided, and unlike one another"
        yield _View(GAPS, {**OPEN, GAP: {"$ne": None}}, [(GAP, 1)], WORK, about)
    if facts.has(SEVERITY):
        about = "Undecided, with errors and warnings of curate check; errors first"
        order: Order = [(SEVERITY, -1), *([(facts.score, -1)] if facts.score else [])]
        yield _View(FLAGGED, {**OPEN, SEVERITY: {"$gte": 2}}, order, FAULT, about)
    if facts.suspicions:
        above = {"$or": [{name: {"$ne": None}} for name in facts.suspicions]}
        about = "Undecided, labelled normal, but far above the others; not fitted on"
        yield _View(SUSPICIOUS, {**OPEN, **above}, [(facts.suspicions[0], -1)], FAULT, about)


def _by_people(facts: _Facts) -> Iterator[_View]:
    """Images that somebody has looked at."""
    latest: Order = [("verdict_at", -1)]
    if OPINION in facts.known:  # not only when there are some: a page that is open does not get new views
        asked, about = {OPINION: "wanted"}, "Somebody was unsure: another person decides"
        yield _View(WANTED, asked, latest, ASKED, about)
        about = "Two people decided differently: a third look settles it"
        yield _View(DISPUTED, {OPINION: "disputed"}, latest, ASKED, about)
    bare = {"label": "anomalous", "gt_mask.mask_path": None}
    yield _View(
        TO_DRAW, bare, facts.order, WORK, "Anomalous, but without a mask: draw one in Annotate, then y"
    )
    yield _View("decided", {"verdict_at": {"$ne": None}}, latest, DONE, "Latest verdict first")


def _by_arrival(facts: _Facts) -> Iterator[_View]:
    """Undecided images that came late."""
    if not facts.has(ARRIVED):
        return
    first, last = (
        facts.dataset._sample_collection.find_one({ARRIVED: {"$ne": None}}, sort=[(ARRIVED, way)])[ARRIVED]
        for way in (1, -1)
    )
    if first < last:
        at = last.replace(tzinfo=UTC).astimezone()
        yield _View(
            LAST,
            {**OPEN, ARRIVED: last},
            facts.order,
            WORK,
            f"Undecided, of the ingest of {at:%Y-%m-%d %H:%M}",
        )
    for name in facts.dataset.list_saved_views():
        if name.startswith(NEW_SINCE):
            where, about = _came_since(name.removeprefix(NEW_SINCE)), "Undecided, came then or later"
            yield _View(name, where, facts.order, WORK, about)


def _answers(facts: _Facts) -> Iterator[_View]:
    """Images about which a question is asked, the decided ones included."""
    dataset = facts.dataset
    if facts.score and "predicted" in facts.known:
        missed = {"label": "anomalous", "predicted.label": "normal"}
        rising: Order = [(facts.score, 1)]
        yield _View("missed defects", missed, rising, FAULT, "Anomalous, but below the threshold")
        alarms = {"label": "normal", "predicted.label": "anomalous"}
        yield _View("false alarms", alarms, facts.order, FAULT, "Normal, but at or above the threshold")
    for name, one in _of_categories(dataset):
        yield _View(name, {"category": one}, facts.order, PLAIN, f"Images of {one}")
    for code in dataset.distinct("findings"):
        about = f"Images that {code} complains about"
        yield _View(f"check: {code}", {"findings": code}, facts.order, FAULT, about)


def _of_categories(dataset: Any) -> Iterator[tuple[str, str]]:
    """Name of the view and category.

    A view's address holds ASCII letters and digits only, and one that is saved replaces whichever has its
    address: where those of two would be the same, the later name gets a number.
    """
    address = fiftyone("core.utils").to_slug
    taken = {held.slug for held in dataset._doc.saved_views if not held.name.startswith(CATEGORY)}
    for one in sorted(dataset.distinct("category")):
        plain = name = f"{CATEGORY}{one}"[:LONGEST_NAME]
        number = 1
        while address(name) in taken:
            number += 1
            name = f"{plain} ({number})"
        taken.add(address(name))
        yield name, one
