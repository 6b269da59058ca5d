"""What the readers of annotation formats share: which image a file means, and what annotations make of it.

An image with a defect annotation is anomalous, also when the annotation cannot be used. It is normal when
an annotation file of its own says that nothing was found. Otherwise nobody may have looked: "unknown",
unless the reader's option `unannotated` says "normal".
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from curate.errors import Unreadable
from curate.faults import Fault
from curate.images import read_hw
from curate.readings import leftovers, licence_text, row, table, without_shared_masks
from curate.shapes import Entry, as_numbers
from curate.walking import Tree

UNANNOTATED = ("unknown", "normal")
NORMAL_NAMES = frozenset({"normal", "good", "ok", "nominal"})
ANOMALOUS_NAMES = frozenset({"anomalous", "abnormal", "bad", "ng", "ko", "defect", "defective"})
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
SPLIT_WORD = re.compile(rf"(?<![a-z])({'|'.join(SPLITS)})(?![a-z])", re.I)


@dataclass
class Found:
    """What annotation files say of one image.

    Attributes:
        clean: somebody looked and found nothing, or says that it is normal.
        defective: a defect is annotated, usable or not.
        doubtful: what belongs to it is not certain, so it is not normal by silence.
        splits: the parts it was delivered in; more than one contradict each other.
        known: further columns.
    """

    clean: bool = False
    defective: bool = False
    doubtful: bool = False
    types: set[str] = field(default_factory=set)
    shapes: list[Entry] = field(default_factory=list)
    boxes: list[Entry] = field(default_factory=list)
    splits: set[str] = field(default_factory=set)
    known: dict[str, Any] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def add(self, name: str, entries: Iterable[Entry | str] = ()) -> list[str]:
        """Take in one annotation of a defect called `name`, equal entries once; returns what is wrong."""
        self.defective = True
        self.types.add(name)
        problems = []
        for entry in entries:
            if isinstance(entry, str):
                problems.append(entry)
            elif (key := repr(entry)) not in self._seen:
                self._seen.add(key)
                (self.boxes if "box_xyxy" in entry else self.shapes).append(entry)
        return problems

    def label(self) -> str | None:
        """The label that annotations give; None where they are silent."""
        if self.defective:
            return "anomalous"
        if self.doubtful:
            return "unknown"
        return "normal" if self.clean else None

    def columns(self) -> dict[str, Any]:
        """The columns of curate.readings that follow."""
        return {
            **self.known,
            "defect_types": sorted(self.types),
            "shapes": self.shapes or None,
            "boxes": self.boxes or None,
            "split": next(iter(self.splits)) if len(self.splits) == 1 else None,
        }


def check_options(unannotated: str, category: str | None) -> None:
    """Raise ValueError unless the options that all these readers have are sound."""
    if unannotated not in UNANNOTATED:
        raise ValueError(f'The option unannotated is "{unannotated}". Expected {" or ".join(UNANNOTATED)}.')
    if category is not None and (not isinstance(category, str) or not category.strip()):
        raise ValueError("The option category is empty. Give the name of what one detector is trained for.")


def means_normal(name: str) -> bool:
    """Whether a class of an annotation file says that nothing is wrong.

    >>> means_normal("Good"), means_normal("good_hole")
    (True, False)
    """
    return name.strip().lower() in NORMAL_NAMES


def split_of_name(name: str) -> str | None:
    """The split that the name of a list or folder tells.

    >>> split_of_name("instances_val2017"), split_of_name("Valid"), split_of_name("train_test_latest")
    ('val', 'val', None)
    """
    told = {SPLITS[word.lower()] for word in SPLIT_WORD.findall(name)}
    return told.pop() if len(told) == 1 else None


def split_of_folders(relative_path: str) -> str | None:
    """The split that the innermost folder called train, val2017, test, ... tells."""
    for part in reversed(PurePosixPath(relative_path).parts[:-1]):
        if found := SPLITS.get(part.lower().rstrip("0123456789")):
            return found
    return None


def label_of_folders(relative_path: str) -> str | None:
    """The label that the innermost folder of a known name tells.

    >>> label_of_folders("NG/7.jpg"), label_of_folders("ng/OK/7.jpg"), label_of_folders("ok.jpg")
    ('anomalous', 'normal', None)
    """
    for part in reversed(PurePosixPath(relative_path).parts[:-1]):
        if means_normal(part):
            return "normal"
        if part.lower() in ANOMALOUS_NAMES:
            return "anomalous"
    return None


def image_hw(tree: Tree, relative_path: str) -> tuple[int, int] | None:
    """Height and width; None for an image that cannot be read, which is reported when it is decoded."""
    try:
        return read_hw(tree.files[relative_path])
    except Unreadable:
        return None


def other_size(
    annotation_path: str, image: str, said_hw: tuple[Any, Any], actual_hw: tuple[int, int]
) -> Fault | None:
    """A fault when an annotation was made on an image of another size; sizes that are no numbers or 0 say
    nothing."""
    said = as_numbers(list(said_hw), 2)
    if said is None or min(said) <= 0 or said == [*actual_hw]:
        return None
    message = (
        f"{annotation_path} is made for an image of {said[1]:g} x {said[0]:g} px, but {image} has "
        f"{actual_hw[1]} x {actual_hw[0]} px; what it says of this image is not used."
    )
    remedy = "Restore the image that was annotated, or scale the annotations to this one."
    return Fault("image_size", "error", image, message, remedy)


def first_line_of_licence(tree: Tree, faults: list[Fault]) -> str | None:
    """What the licence file in the root begins with."""
    text = licence_text(tree, "", faults)
    return text.splitlines()[0].strip()[:200] if text else None


def finished(
    tree: Tree,
    found: Mapping[str, Found],
    faults: list[Fault],
    unannotated: str,
    known: Mapping[str, Any],
    other_images: Iterable[str] = (),
) -> pd.DataFrame:
    """The reader's table: a row per image found, and the faults that only all of them together show.

    Args:
        known: columns that all rows share; those of an image go before.
        other_images: image files that are no samples and were spoken of where needed, such as masks.
    """
    rows = []
    silent = []
    for path, entry in found.items():
        label, by_folder = entry.label(), label_of_folders(path)
        if label is None and by_folder is None:
            silent.append(path)
        faults += _contradictions(path, entry, label, by_folder)
        label = label or by_folder or unannotated
        rows.append(row(tree, path, label, **{**known, **entry.columns()}))
    if silent and unannotated == "unknown":
        message = (
            f"{len(silent)} of {len(found)} images have no annotation, the first is {min(silent)}; nobody "
            "may have looked at them, so their label is unknown."
        )
        remedy = 'If all were looked at, read with unannotated = "normal"; else label them.'
        faults.append(Fault("unannotated", "warning", "", message, remedy))
    rows = without_shared_masks(rows, faults)
    return table(rows, [*faults, *leftovers(tree, rows, faults, known=other_images)])


def _contradictions(path: str, entry: Found, label: str | None, by_folder: str | None) -> Iterator[Fault]:
    if {label, by_folder} == {"normal", "anomalous"}:
        message = f"{path} is {label} by its annotations, but {by_folder} by its folder."
        remedy = "The annotations count; correct them, or move the image."
        yield Fault("label_conflict", "warning", path, message, remedy)
    if entry.clean and entry.defective:
        defects = f"the defects {', '.join(sorted(entry.types))}" if entry.types else "a defect"
        message = f"{path} is said to be normal, and to have {defects}."
        remedy = "It counts as anomalous; remove what is wrong."
        yield Fault("label_conflict", "warning", path, message, remedy)
    if len(entry.splits) > 1:
        message = f"{path} is delivered in {' and '.join(sorted(entry.splits))}; it gets no split."
        yield Fault("split_conflict", "error", path, message, "Keep it in one of them.")
