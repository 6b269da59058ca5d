"""What answers of outside annotators come to: decisions for verdicts, faults, and how much was changed.

An answer counts only when it is about the picture that was sent and says something: regions, or a tag of the
whole image. Silence is never taken for "normal".
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from curate.annotation_labels import typed, types_of, unknown_labels
from curate.annotation_package import mask_sent
from curate.annotation_tasks import CHECKED, NORMAL, UNSURE, Answer, mask_of
from curate.drawn_masks import digest
from curate.drawn_types import Drawn, combined
from curate.drawn_types import Region as DrawnRegion
from curate.faults import Fault, plain
from curate.images import Array
from curate.person_names import is_usable

Row = dict[str, Any]
CHANGES = ("unedited", "edited", "new", "deleted", "none")
SILENT = ("untouched", "skipped")


@dataclass(frozen=True)
class How:
    """How answers are understood.

    Attributes:
        file: what they came in, for messages.
        by: who gave those that name nobody.
        finished: every image was looked at, so proposals that came back unchanged count as accepted.
        boxes_as_masks: a box counts as a mask of all its pixels; else it says only that there is a defect.
        renamed: label in the tool -> label that was sent.
        submits: the tool says of each answer whether a person handed it in.
    """

    file: str
    by: str | None = None
    finished: bool = False
    boxes_as_masks: bool = False
    renamed: Mapping[str, str] | None = None
    submits: bool = False


@dataclass(frozen=True)
class Decision:
    """One answer that becomes a verdict.

    Attributes:
        verdict: "normal", "anomalous" or "unsure".
        defect_type: where the regions are boxes only and have the same; else it follows from the regions.
        regions: defect type, box and mask of each, see curate.drawn_types; empty: no mask comes of it.
        change: what became of the proposals, in CHANGES.
        iou: of the mask with what was sent; None unless both have a pixel.
        proposals: digests of what was shown.
    """

    sample_id: str
    sha256: str
    by: str
    verdict: str
    defect_type: str | None
    regions: tuple[DrawnRegion, ...]
    image_hw: tuple[int, int]
    change: str
    iou: float | None
    detector: str | None
    proposals: tuple[str, ...]
    seconds: float | None

    def drawn(self, known: Mapping[str, int]) -> Drawn:
        """The mask that the regions are together.

        Args:
            known: values that defect types have in the dataset.
        """
        return combined(self.regions, self.image_hw, lambda: known)

    def key(self, drawn: Drawn | None = None) -> tuple[str, str | None, str | None]:
        """What two equal decisions on a picture have in common: verdict, defect type, digest of the mask."""
        if not self.regions:
            return self.verdict, self.defect_type, None
        made = drawn or self.drawn({})
        return self.verdict, made.defect_type, digest(made.mask)


@dataclass(frozen=True)
class Judged:
    """Decisions in the order of the file, what is wrong, and how many answers said nothing, by SILENT."""

    decisions: list[Decision]
    faults: list[Fault]
    silent: Mapping[str, int]


def judge(
    answers: Iterable[Answer],
    packages: Mapping[str, Row],
    checksums: Mapping[str, str],
    how: How,
) -> Judged:
    """Check answers against what was sent and against the images as they are now.

    Args:
        packages: manifests after data_schemas/annotation_manifest.json, by package.
        checksums: sample_id -> sha256 of the dataset's images now.
    """
    images = {
        (image["sample_id"], name): image for name, content in packages.items() for image in content["images"]
    }
    decisions: list[Decision] = []
    faults: list[Fault] = []
    silent: Counter[str] = Counter(dict.fromkeys(SILENT, 0))
    for answer in answers:
        if answer.skipped:
            silent["skipped"] += 1
            continue
        image = images.get(answer.key)
        if image is None:
            faults.append(_unknown(answer, packages, how))
            continue
        found = _decide(answer, image, packages[str(answer.package)], checksums, how)
        if isinstance(found, Decision):
            decisions.append(found)
            faults += _several(answer, found, image, packages[str(answer.package)], how)
        elif isinstance(found, Fault):
            faults.append(found)
        else:
            silent[found] += 1
    kept, doubled = _once(decisions, images, how)
    return Judged(kept, [*faults, *doubled], dict(silent))


def summary(decisions: Sequence[Decision]) -> Row:
    """What decisions come to, in numbers: by verdict, by change, and the median IoU with what was sent."""
    verdicts = Counter(each.verdict for each in decisions)
    changes = Counter(each.change for each in decisions)
    overlaps = [each.iou for each in decisions if each.iou is not None]
    return {
        **{f"n_{name}": verdicts[name] for name in ("normal", "anomalous", "unsure")},
        **{f"n_{name}": changes[name] for name in ("unedited", "edited", "deleted")},
        "n_new_masks": changes["new"],
        "n_without_mask": sum(each.verdict == "anomalous" and not each.regions for each in decisions),
        "median_iou": float(np.median(overlaps)) if overlaps else None,
        "people": sorted({each.by for each in decisions}),
    }


def iou(one: Array, other: Array) -> float | None:
    """Share of pixels that two masks have in common; None unless both have some."""
    if not one.any() or not other.any():
        return None
    return float((one & other).sum() / (one | other).sum())


def _decide(
    answer: Answer, image: Row, package: Row, checksums: Mapping[str, str], how: How
) -> Decision | Fault | str:
    """The decision of an answer, what is wrong with it, or of which SILENT kind it is."""
    path = image["relative_path"]
    renamed = how.renamed or {}
    meanings = {name: meaning for meaning, name in package["tags"].items()}
    drawn, before = mask_of(answer.regions, (image["height"], image["width"])), mask_sent(image)
    said = {meanings[tag] for tag in answer.tags if tag in meanings}
    if _is_untouched(answer, image, drawn, before, how):
        return "untouched"
    if checksums.get(image["sample_id"]) != image["sha256"]:
        gone = image["sample_id"] not in checksums
        told = "is no longer in the dataset" if gone else "is another picture now than the one that was sent"
        return _fault("picture_changed", path, answer, how, told, "Send the image as it is now, once more.")
    if answer.problems:
        told = "; ".join(answer.problems)
        return _fault("bad_annotation", path, answer, how, told, "Correct it in the tool, and export again.")
    if bad := unknown_labels(answer, package, renamed):
        remedy = "Rename it in the tool, or say what it means: --label NAME=LABEL."
        return _fault("unknown_label", path, answer, how, bad, remedy)
    by = answer.by if how.by is None else how.by
    if by is None or not is_usable(by):
        strange = f'is by "{plain(by or "", 60)}", which a verdict cannot hold'
        told = "does not tell who annotated it" if by is None else strange
        return _fault("nobody", path, answer, how, told, "Say who it was: --by PERSON.")
    what = _what(said, bool(answer.regions))
    if what is None:
        return _contradiction(path, answer, said, before, how)
    regions: tuple[DrawnRegion, ...] = ()
    if what == "anomalous" and (how.boxes_as_masks or not any(each.is_box for each in answer.regions)):
        regions = tuple(typed(answer, package, renamed))
    named = types_of(answer, package, renamed) if what == "anomalous" and not regions else []
    return Decision(
        image["sample_id"], image["sha256"], by, what, named[0] if len(named) == 1 else None, regions,
        before.shape, _change(drawn, before), iou(drawn, before),
        package["detector"] if image["proposals"] else None, tuple(image["proposals"]), answer.seconds,
    )  # fmt: skip


def _is_untouched(answer: Answer, image: Row, drawn: Array, before: Array, how: How) -> bool:
    """Whether nobody has said anything of an image: it came back as it was sent."""
    if answer.submitted or how.submits:
        return not answer.submitted
    if answer.tags or answer.problems:
        return False
    labels = [] if image["sent"] is None else image["sent"]["labels"]
    same = np.array_equal(drawn, before) and sorted(each.label for each in answer.regions) == labels
    return same and not (how.finished and answer.regions)


def _several(answer: Answer, decision: Decision, image: Row, package: Row, how: How) -> list[Fault]:
    """A warning where boxes have several defect types: without a mask, a verdict can hold one."""
    named = types_of(answer, package, how.renamed or {})
    if decision.verdict != "anomalous" or decision.regions or len(named) < 2:
        return []
    told = f"has boxes of {' and '.join(named)}; without a mask a verdict holds one type, so it names none"
    remedy = "Receive it with --boxes-as-masks, or mark the type in the App."
    return [_fault("several_types", image["relative_path"], answer, how, told, remedy, "warning")]


def _what(said: set[str], has_regions: bool) -> str | None:
    """The verdict that tags and regions give together; None where they say nothing, or two things."""
    if said >= {NORMAL, UNSURE} or (NORMAL in said and has_regions):
        return None
    if UNSURE in said:
        return "unsure"
    if NORMAL in said:
        return "normal"
    return "anomalous" if has_regions else None


def _contradiction(path: str, answer: Answer, said: set[str], before: Array, how: How) -> Fault:
    if said >= {NORMAL, UNSURE}:
        told, remedy = "is called normal and unsure", "Take one of the two away."
    elif NORMAL in said:
        told = f"is called normal, but has {len(answer.regions)} regions"
        remedy = "Delete the regions, or take the tag away."
    else:
        gone = "all proposals were deleted" if before.any() else "nothing is drawn"
        extra = " but it is called checked" if CHECKED in said else ""
        told = f"{gone}{extra}, and it is not called normal"
        remedy = "Call it normal, or draw the defect; silence is not taken for normal."
    return _fault("no_answer", path, answer, how, told, remedy)


def _change(drawn: Array, before: Array) -> str:
    if not before.any():
        return "new" if drawn.any() else "none"
    if not drawn.any():
        return "deleted"
    return "unedited" if np.array_equal(drawn, before) else "edited"


def _once(
    decisions: Sequence[Decision], images: Mapping[tuple[str, str], Row], how: How
) -> tuple[list[Decision], list[Fault]]:
    """Each person's decision on an image once; where two of one person differ, none counts."""
    groups: dict[tuple[str, str], list[Decision]] = defaultdict(list)
    for each in decisions:
        groups[each.sample_id, each.by].append(each)
    paths = {sample_id: image["relative_path"] for (sample_id, _), image in images.items()}
    kept, faults = [], []
    for (sample_id, by), own in groups.items():
        if len({each.key() for each in own}) == 1:
            kept.append(own[0])
            continue
        message = f"{how.file}: {len(own)} answers of {by} on {paths[sample_id]} differ; none is stored."
        remedy = "Keep one of them in the tool, and export again."
        faults.append(Fault("differing_answers", "error", paths[sample_id], message, remedy))
    return kept, faults


def _unknown(answer: Answer, packages: Mapping[str, Row], how: How) -> Fault:
    named = plain(answer.image, 120) or "no image"
    if answer.sample_id is None or answer.package is None:
        told = f'{how.file}, {answer.where}: "{named}" does not carry the id of a sample.'
        remedy = "It was renamed in the tool, or is not of curate; give the image its name back."
        return Fault("unknown_image", "error", "", told, remedy)
    if answer.package not in packages:
        package = plain(answer.package, 60)
        told = f'{how.file}, {answer.where}: "{named}" is of the package {package}, not sent from here.'
        remedy = "Give the folder that was sent: --package FOLDER."
        return Fault("unknown_package", "error", "", told, remedy)
    told = f'{how.file}, {answer.where}: the package {answer.package} has no sample of the image "{named}".'
    return Fault("unknown_sample", "error", "", told, "Send the image, or take it out of the tool.")


def _fault(
    code: str, path: str, answer: Answer, how: How, told: str, remedy: str, severity: Any = "error"
) -> Fault:
    message = plain(f"{how.file}, {answer.where}: {path} {told}.")
    return Fault(code, severity, path, message, remedy)
