"""The work on one image of a source: decode it, look at its mask, make what the workspace keeps of both.

It is done by threads or by other processes, so what goes in and comes out can be sent between them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from curate import ground_truth, mask_facts, views
from curate.errors import Unreadable
from curate.faults import Fault, shown
from curate.file_cache import state
from curate.files import write_bytes
from curate.images import (
    BadImage,
    BadPage,
    ImageFacts,
    encode_mask,
    encode_png,
    inspect,
    listening,
    read_pages,
)
from curate.masks import size_fault, without_specks
from curate.sample_rows import page_path, sample_id

Row = dict[str, Any]
COLUMNS = tuple(column.name for column in fields(ImageFacts))


@dataclass(frozen=True)
class Job:
    """One image to look at.

    Attributes:
        row: a reader's row.
        sample_id: of that row.
        facts: what is known of the image from before, as a dict of ImageFacts; None = it must be decoded.
        mask: whether its mask must be read.
        drop_specks: checksum of the image for which the mask loses its specks; "" = none.
        masks, media, pages: folders of the workspace for masks, browser copies and pages; None = not made.
        source: name of the source, from which the ids of further pages follow.
        keep_mask: leave the mask that the workspace has when the source's cannot be read.
    """

    row: Row
    sample_id: str
    facts: dict[str, Any] | None = None
    mask: bool = False
    drop_specks: str = ""
    masks: Path | None = None
    media: Path | None = None
    pages: Path | None = None
    source: str = ""
    keep_mask: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        facts: of the image, as a dict of ImageFacts; None when it cannot be used.
        problem: reason and remedy when it cannot be used.
        mask: facts of the mask with `classes` (value -> px) and `state` (of the file made); None without.
        fault: what is wrong with the mask.
        pages: facts of the further pages, in order, each with its `number` and `filepath`.
        page_problem: reason and remedy when a page cannot be used; those before it are in `pages`.
    """

    facts: dict[str, Any] | None
    problem: tuple[str, str] | None = None
    mask: dict[str, Any] | None = None
    fault: Fault | None = None
    pages: list[dict[str, Any]] = field(default_factory=list)
    page_problem: tuple[str, str] | None = None

    def with_mask(self, mask: dict[str, Any]) -> "Outcome":
        """The same outcome with the facts of a mask that was not looked at again."""
        return replace(self, mask=mask)


def examine(job: Job) -> Outcome:
    """Look at one image and its mask.

    Raises:
        StorageFull: no space is left for a mask or a copy.
    """
    path = Path(job.row["filepath"])
    pages: list[dict[str, Any]] = []
    page_problem = None
    try:
        if job.facts is None:
            facts, pixels = inspect(path)
            known = dict(vars(facts))
            if (copy := image_copy(job, known)) is not None:
                _write_new(copy, views.encoded(pixels, facts))
            del pixels
        else:
            known = job.facts
        if job.pages is not None and has_pages(known):
            for page in _pages(path, job):
                pages.append(page)
    except BadPage as error:
        page_problem = (error.reason, error.remedy)
    except BadImage as error:
        return Outcome(None, (error.reason, error.remedy))
    mask, fault = _mask(job, known) if job.mask else (None, None)
    return Outcome(known, None, mask, fault, pages, page_problem)


def has_pages(facts: dict[str, Any]) -> bool:
    """Whether a file has further pages that become images of their own; the frames of a moving PNG do not."""
    return bool(facts["n_pictures"] > 1 and facts["file_format"] == "TIFF")


def image_copy(job: Job, facts: dict[str, Any]) -> Path | None:
    """The browser's copy of an image; None when it needs none.

    Args:
        facts: of the image; there may be more in the dict.
    """
    return None if job.media is None else _copy(job.media, job.sample_id, as_facts(facts))


def page_copy(job: Job, page: dict[str, Any]) -> Path | None:
    """The browser's copy of a further page; None when it needs none.

    Args:
        page: facts of the page with its `number`.
    """
    page_id = sample_id(job.source, page_path(job.row["relative_path"], page["number"]))
    return None if job.media is None else _copy(job.media, page_id, as_facts(page))


def _copy(media: Path, of_id: str, facts: ImageFacts) -> Path | None:
    return media / views.file_name(of_id, facts) if views.is_needed(facts) else None


def as_facts(known: dict[str, Any]) -> ImageFacts:
    """Facts of an image or a page back from their dict, in which there may be more."""
    named = {column: known[column] for column in COLUMNS}
    return ImageFacts(**named | {"complaints": tuple(known["complaints"])})


def _pages(path: Path, job: Job) -> Iterator[dict[str, Any]]:
    """Write every further page as a file of its own and say what it holds."""
    if job.pages is None:
        return
    with listening():
        for number, pixels in read_pages(path):
            target = job.pages / f"{job.sample_id}-{number}.png"
            _write_new(target, encode_png(pixels))
            page = {**vars(inspect(target)[0]), "number": number, "filepath": str(target)}
            if (copy := page_copy(job, page)) is not None:
                _write_new(copy, views.encoded(pixels, as_facts(page)))
            yield page


def _mask(job: Job, known: dict[str, Any]) -> tuple[dict[str, Any] | None, Fault | None]:
    row = job.row | {"height": known["height"], "width": known["width"]}
    target = job.masks / f"{job.sample_id}.png" if job.masks and row["label"] == "anomalous" else None
    try:
        truth = ground_truth.read(row)
    except (Unreadable, ground_truth.WrongSize) as error:
        if target and not job.keep_mask:
            target.unlink(missing_ok=True)
        return None, _mask_fault(row, error)
    mask = truth.mask
    if job.drop_specks and job.drop_specks == known["sha256"]:
        mask = without_specks(mask)
    facts = mask_facts.measure(mask, truth.values) | {"classes": truth.values, "state": ""}
    if target:
        _write_new(target, encode_mask(mask))
        facts["state"] = state(target)
    return facts, None


def _mask_fault(row: Row, error: Exception) -> Fault:
    path = row["relative_path"]
    if isinstance(error, ground_truth.WrongSize):
        return size_fault(path, (row["height"], row["width"]), error.path, error.mask_hw)
    reason, remedy = (error.reason, error.remedy) if isinstance(error, BadImage) else (str(error), "")
    name = shown(error.path.name) if isinstance(error, BadImage) else ""
    message = f"The mask {name} of {path} {reason}; it is not used."
    return Fault("unreadable_mask", "error", path, message, remedy)


def _write_new(target: Path, content: bytes) -> None:
    """Write a file unless it already holds just this, so that an unchanged one keeps its time."""
    if not target.exists() or target.read_bytes() != content:
        write_bytes(target, content, durable=False)
