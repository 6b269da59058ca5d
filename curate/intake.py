"""Works off a source, batch by batch: images are decoded, masks made, and only what changed is looked at.

Whatever the number of images, no more than a batch of rows is held.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

import pandas as pd

from curate import mask_facts
from curate.engines.local import Workers
from curate.examine import Job, Outcome, examine, has_pages, image_copy, page_copy
from curate.faults import Fault
from curate.file_cache import FileCache, state, state_of_all
from curate.files import fingerprint
from curate.ground_truth import has_mask, mask_files
from curate.image_faults import about_boxes, about_image, about_pages, unreadable
from curate.images import ImageFacts
from curate.sample_rows import Row, classes, complete, further_page, sample_id
from curate.schema import check_rows
from curate.tables import to_rows

BATCH = 4000
# Part of the cache's keys: what another version of curate found has other fields, and is found anew.
SHAPE = fingerprint([[one.name for one in fields(ImageFacts)], mask_facts.COLUMNS])[:6]
STATES = ("state", "copy")  # of the files made of a page


def silent(n: int) -> None:
    """Report no progress."""


@dataclass(frozen=True)
class Reading:
    """What a reader says about a source, before any image is decoded.

    Attributes:
        source: name of the source in the table and in the ids.
        format: name of the reader.
        table: columns of curate.readings, sorted by relative path.
        faults: what the reader met.
    """

    source: str
    format: str
    table: pd.DataFrame
    faults: list[Fault]


@dataclass(frozen=True)
class Places:
    """Where the workspace keeps what is made of a source; None = it is not made, or not looked at.

    Attributes:
        masks: canonical masks, <sample_id>.png, 8-bit grey, 0 or 255.
        media: copies for the browser.
        pages: further pages of files with several pictures, as files of their own.
        cache: what is known of files that did not change.
    """

    masks: Path | None = None
    media: Path | None = None
    pages: Path | None = None
    cache: FileCache = field(default_factory=lambda: FileCache(None))


@dataclass
class Intake:
    """The working off of a reading: go through `batches`, then look at the rest.

    Attributes:
        rehash: look at every file again, even where size and time did not change.
        drop_specks: sample_id -> checksum of the image for which the mask loses its specks.
        faults: of the reader, and of the images so far.
        mask_facts: rows with sample_id and curate.mask_facts, for every sample whose masks were looked at.
        n_decoded: images that were decoded now; the others are as they were the last time.
    """

    reading: Reading
    places: Places
    workers: Workers
    rehash: bool = False
    drop_specks: Mapping[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    mask_facts: list[Row] = field(default_factory=list)
    n_decoded: int = 0

    def batches(self, progress: Callable[[int], None] = silent) -> Iterator[list[Row]]:
        """Rows of the sample table in the order of the reading; images that cannot be used become faults.

        Args:
            progress: called with the number of files just finished.

        Raises:
            StorageFull: no space is left; what was finished is kept.
            SchemaViolation: a reader breaks the contract.
        """
        self.faults += self.reading.faults
        table = self.reading.table
        for start in range(0, len(table), BATCH):
            rows = to_rows(table.iloc[start : start + BATCH])
            outcomes = self._outcomes(rows, progress)
            done = [
                made for row, out in zip(rows, outcomes, strict=True) for made in self._finished(row, out)
            ]
            check_rows(done, "sample")
            yield done

    def _outcomes(self, rows: list[Row], progress: Callable[[int], None]) -> list[Outcome]:
        """What became of each row."""
        source, cache = self.reading.source, self.places.cache
        keyed = [(sample_id(source, row["relative_path"]), row) for row in rows]
        states = dict(item for key, row in keyed for item in self._states(key, row).items())
        known = {} if self.rehash else cache.known(states)
        outcomes = [self._remembered(key, row, known) for key, row in keyed]
        todo = [index for index, outcome in enumerate(outcomes) if outcome is None]
        progress(len(rows) - len(todo))
        jobs = [self._todo(*keyed[index], known) for index in todo]
        for index, job, outcome in zip(todo, jobs, self.workers.each(examine, jobs), strict=True):
            self.n_decoded += job.facts is None
            self._remember(job, outcome, states)
            if not job.mask and (held := known.get(_mask_key(job.sample_id))):
                outcome = outcome.with_mask(_mask(held))
            outcomes[index] = outcome
            progress(1)
        return [outcome for outcome in outcomes if outcome is not None]

    def _states(self, key: str, row: Row) -> dict[str, str]:
        """What must be the same as the last time, for the image and for its mask."""
        image = state(row["filepath"])
        states = {_image_key(row): image}
        if self._wants_mask(row):
            target = self._target(key, row)
            made = state(target) if target else ""
            drawn = [row["shapes"], row["boxes"]] if row["shapes"] else []
            rule = [row["mask_rule"], row["mask_kind"], *drawn, row["label"], self.drop_specks.get(key)]
            states[_mask_key(key)] = f"{made}|{state_of_all(mask_files(row), rule, image)}"
        return states

    def _wants_mask(self, row: Row) -> bool:
        return self.places.masks is not None and has_mask(row)

    def _target(self, key: str, row: Row) -> Path | None:
        made = self.places.masks is not None and row["label"] == "anomalous"
        return self.places.masks / f"{key}.png" if made and self.places.masks else None

    def _facts(self, key: str, row: Row, known: Mapping[str, Row]) -> Row | None:
        """Facts of an image that need not be decoded again, with its pages; None when it must be.

        It must when one of the files made of it is not as it was left.
        """
        held = known.get(_image_key(row))
        if held is None:
            return None
        job = self._job(key, row, known, held["facts"])
        if held.get("copy", "") != _made(image_copy(job, held["facts"])):
            return None
        if self.places.pages is not None and has_pages(held["facts"]):
            if not held["pages"] or not all(_page_is_there(job, page) for page in held["pages"]):
                return None
        return held

    def _remembered(self, key: str, row: Row, known: Mapping[str, Row]) -> Outcome | None:
        """The outcome of a row of which everything is known; None when something has to be done."""
        held, mask = self._facts(key, row, known), known.get(_mask_key(key))
        if held is None or (self._wants_mask(row) and mask is None):
            return None
        pages = [{name: page[name] for name in page if name not in STATES} for page in held["pages"]]
        return Outcome(held["facts"], mask=_mask(mask) if mask else None, pages=pages)

    def _todo(self, key: str, row: Row, known: Mapping[str, Row]) -> Job:
        held = self._facts(key, row, known)
        return self._job(key, row, known, held["facts"] if held and not has_pages(held["facts"]) else None)

    def _job(self, key: str, row: Row, known: Mapping[str, Row], facts: Row | None) -> Job:
        """What is to be done about a row, when its image is known, or must be decoded (facts is None)."""
        places = self.places
        mask = self._wants_mask(row) and _mask_key(key) not in known
        specks = self.drop_specks.get(key, "")
        folders = (places.masks, places.media, places.pages)
        return Job(row, key, facts, mask, specks, *folders, source=self.reading.source)

    def _remember(self, job: Job, outcome: Outcome, states: Mapping[str, str]) -> None:
        """Keep what was found; what cannot be used is tried again the next time."""
        if outcome.facts is None:
            return
        if outcome.page_problem is None:
            pages = [
                page | {"state": state(page["filepath"]), "copy": _made(page_copy(job, page))}
                for page in outcome.pages
            ]
            copy = _made(image_copy(job, outcome.facts))
            held = {"facts": outcome.facts, "pages": pages, "copy": copy}
            self.places.cache.put(_image_key(job.row), states[_image_key(job.row)], held)
        if job.mask and outcome.mask is not None:
            key = _mask_key(job.sample_id)
            made = f"{outcome.mask['state']}|{states[key].partition('|')[2]}"
            self.places.cache.put(key, made, outcome.mask)

    def _finished(self, row: Row, outcome: Outcome) -> Iterator[Row]:
        """The rows of one file, one for each of its pages."""
        if outcome.fault is not None:
            self.faults.append(outcome.fault)
        if outcome.facts is None:
            self.faults.append(unreadable(row["relative_path"], outcome.problem or ("", "")))
            return
        self.faults += about_image(row["relative_path"], outcome.facts, bool(outcome.pages))
        self.faults += about_boxes(row, outcome.facts)
        self.faults += about_pages(row, len(outcome.pages), outcome.page_problem)
        first = complete(row | {"page": 1 if outcome.pages else None}, outcome.facts, self.reading.source)
        if outcome.mask is not None:
            measured = {name: outcome.mask[name] for name in outcome.mask if name not in ("classes", "state")}
            self.mask_facts.append({"sample_id": first["sample_id"], **measured})
            first["mask_classes"] = classes(row, outcome.mask["classes"])
        yield first
        for page in outcome.pages:
            yield further_page(first, page, self.reading.source)


def cache_keys(key: str, filepath: str) -> list[str]:
    """What the cache holds of a sample is under these keys."""
    return [_image_key({"filepath": filepath}), _mask_key(key)]


def _page_is_there(job: Job, page: Row) -> bool:
    """Whether the file of a page, and the copy that a browser needs of it, are as they were made."""
    return (page["state"], page.get("copy", "")) == (state(page["filepath"]), _made(page_copy(job, page)))


def _made(file: Path | None) -> str:
    """Size and time of a file that was made; empty where none is needed."""
    return "" if file is None else state(file)


def _image_key(row: Row) -> str:
    return f"image {SHAPE} {row['filepath']}"


def _mask_key(key: str) -> str:
    return f"mask {SHAPE} {key}"


def _mask(held: Row) -> Row:
    """Facts of a mask out of the cache, where JSON made the values of its classes texts."""
    return {**held, "classes": {int(value): n for value, n in held["classes"].items()}}
