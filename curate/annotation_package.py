"""The package for an outside annotator: its manifest, and what the names in it mean."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from curate import __version__
from curate.annotation_tasks import CHECKED, NORMAL, UNSURE, Job, Region, Sizes, Task, mask_of, region_of
from curate.errors import Unreadable
from curate.files import fingerprint, read_json
from curate.ground_truth import decode_runs, encode_runs
from curate.images import Array
from curate.proposal_table import digest
from curate.schema import faults

SCHEMA_VERSION = 1
ANY_DEFECT = ("defect", "any defect", "defect of any type")
TAGS = {
    NORMAL: ("normal", "no defect", "free of defects"),
    UNSURE: ("unsure", "second opinion", "cannot tell"),
    CHECKED: ("checked", "proposals right", "looked at"),
}
Row = dict[str, Any]


def labels_of(defect_types: Iterable[str]) -> dict[str, str | None]:
    """Label in the tool -> defect type: first the one for a defect of no stated type, then the known types.

    >>> labels_of(["scratch"])
    {'defect': None, 'scratch': 'scratch'}
    """
    known = sorted(set(defect_types))
    return {_free(ANY_DEFECT, known): None} | {name: name for name in known}


def tags_of(labels: Iterable[str]) -> dict[str, str]:
    """What is said of a whole image -> its name in the tool, none of which is a defect's label."""
    taken = set(labels)
    return {meaning: _free(names, taken) for meaning, names in TAGS.items()}


def _free(names: Sequence[str], taken: Iterable[str]) -> str:
    used = {name.casefold() for name in taken}
    return next((name for name in names if name.casefold() not in used), f"{names[0]} (curate)")


def manifest(
    tool: str, job: Job, labels: Mapping[str, str | None], rows: Sequence[Row], detector: str | None
) -> Row:
    """The manifest after data_schemas/annotation_manifest.json, without files, and with its own digest.

    Args:
        job: its package is replaced by the digest.
        rows: the images, as the contract has them, except file_name and sent, which follow from the digest.
    """
    content: Row = {
        "schema_version": SCHEMA_VERSION, "dataset": job.name, "tool": tool, "kind": job.kind,
        "detector": detector, "image_prefix": job.image_prefix,
        "labels": dict(labels), "tags": dict(job.tags),
        "images": sorted(rows, key=lambda row: str(row["sample_id"])), "files": [],
    }  # fmt: skip
    return {**content, "package": fingerprint(content)[:8], "curate_version": __version__}


def image_row(sample: Mapping[str, Any], regions: Sequence[Region]) -> Row:
    """A sample and what is proposed for it, as an image of the manifest."""
    return {
        **{key: sample[key] for key in ("sample_id", "relative_path", "sha256", "height", "width")},
        "proposals": [digest(sample["sample_id"], each.box_xyxy, each.mask) for each in regions],
    }


def as_sent(regions: Sequence[Region], image_hw: tuple[int, int]) -> Row | None:
    """Regions as the manifest keeps them, once a tool has them; None where there is none."""
    found = region_of("", mask_of(regions, image_hw))
    if found is None:
        return None
    labels = sorted(each.label for each in regions)
    return {"box_xyxy": list(found.box_xyxy), "mask_rle": encode_runs(found.mask), "labels": labels}


def mask_sent(image: Mapping[str, Any]) -> Array:
    """The mask that would come back of an image if nobody changed anything: (H, W) bool."""
    image_hw = (int(image["height"]), int(image["width"]))
    if image["sent"] is None:
        return mask_of((), image_hw)
    x0, y0, x1, y1 = image["sent"]["box_xyxy"]
    crop = decode_runs(image["sent"]["mask_rle"], (y1 - y0, x1 - x0))
    return mask_of([Region("", (x0, y0, x1, y1), crop)], image_hw)


def sizes_of(packages: Iterable[Mapping[str, Any]]) -> Sizes:
    """Height and width of every image of some packages, by sample id and package."""
    return {
        (image["sample_id"], package["package"]): (int(image["height"]), int(image["width"]))
        for package in packages
        for image in package["images"]
    }


def read_package(path: Path) -> Row:
    """A manifest from a file.

    Raises:
        Missing: there is no such file.
        Unreadable: it is not after data_schemas/annotation_manifest.json.
    """
    content = read_json(path)
    broken = faults([content], "annotation_manifest", where="manifest")
    if broken:
        raise Unreadable(
            f"Unreadable: {path} is not the manifest of tasks that curate sent: {broken[0]}. "
            "Take the one from the folder that `curate annotate send` made."
        )
    return dict(content)


def tasks_of(content: Mapping[str, Any], regions: Mapping[str, Sequence[Region]]) -> list[Task]:
    """The tasks of a manifest, in its order."""
    return [
        Task(
            image["sample_id"],
            image["file_name"],
            (int(image["height"]), int(image["width"])),
            tuple(regions.get(image["sample_id"], ())),
        )
        for image in content["images"]
    ]
