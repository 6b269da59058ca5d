"""FiftyOne's annotation back ends: proposals to a CVAT or Label Studio server, and its answers back.

Thin on purpose: FiftyOne talks to the server; what comes back is judged as files are. Images go to no server
that was not named: FiftyOne's own defaults are public ones, so they are refused.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from curate.annotation_tasks import Answer, Region, region_of
from curate.errors import CurateError, Missing
from curate.store.failures import database_errors
from curate.store.fields import fiftyone
from curate.store.proposals import box_of, mask_of_detections, relative_box

BACKENDS = {"cvat": "cvat", "label_studio": "labelstudio"}
NEEDS = {
    "cvat": ("FIFTYONE_CVAT_URL", "FIFTYONE_CVAT_USERNAME", "FIFTYONE_CVAT_PASSWORD"),
    "label_studio": ("FIFTYONE_LABELSTUDIO_URL", "FIFTYONE_LABELSTUDIO_API_KEY"),
}
PACKAGES = {"label_studio": "label_studio_sdk"}
Row = dict[str, Any]


def check_configured(tool: str) -> None:
    """Raise unless the variables that name a server and an account are set.

    Raises:
        Missing: one is not, or the client package is not installed.
    """
    import importlib.util

    if absent := [name for name in NEEDS[tool] if not os.environ.get(name)]:
        raise Missing(
            f"Missing: no {tool} server is configured. Set {', '.join(absent)}. "
            "Images are sent to no server that was not named. Without a server use --out FOLDER."
        )
    package = PACKAGES.get(tool)
    if package and importlib.util.find_spec(package) is None:
        raise Missing(
            f"Missing: FiftyOne needs the package {package} to talk to {tool}. Install it with: "
            f"pip install {package.replace('_', '-')}, or use --out FOLDER."
        )


@database_errors()
def upload(dataset_name: str, content: Row, regions: Mapping[str, Sequence[Region]]) -> str:
    """Send the images of a package with their regions; returns FiftyOne's key of the annotation run.

    Args:
        content: after data_schemas/annotation_manifest.json.
        regions: by sample id.

    Raises:
        CurateError: the server refused, or is not there.
    """
    fo = fiftyone()
    dataset, key = fo.load_dataset(dataset_name), key_of(content["package"])
    drawn, tagged = fields_of(content["package"])
    ids = [image["sample_id"] for image in content["images"]]
    view = dataset.match({"$expr": {"$in": ["$sample_id", ids]}})
    labels = {
        image["sample_id"]: fo.Detections(
            detections=[
                fo.Detection(
                    label=each.label,
                    bounding_box=relative_box(each.box_xyxy, (image["height"], image["width"])),
                    mask=each.mask.astype(np.uint8),
                )
                for each in regions.get(image["sample_id"], ())
            ]
        )
        for image in content["images"]
    }
    view.set_values(drawn, [labels[sample_id] for sample_id in view.values("sample_id")])
    schema = {
        drawn: {"type": "instances", "classes": list(content["labels"])},
        tagged: {"type": "classification", "classes": list(content["tags"].values())},
    }
    with _explained():
        view.annotate(key, backend=BACKENDS[content["tool"]], label_schema=schema)
    return key


@database_errors()
def download(dataset_name: str, content: Row) -> list[Answer]:
    """What a server has of a package now, an answer for each image; nobody is named in it.

    Raises:
        Missing: the package was not sent to a server.
        CurateError: the server refused, or is not there.
    """
    dataset, key = fiftyone().load_dataset(dataset_name), key_of(content["package"])
    if key not in dataset.list_annotation_runs():
        raise Missing(
            f"Missing: the package {content['package']} was not sent to a server. Receive the file that the "
            "tool exported instead."
        )
    drawn, tagged = fields_of(content["package"])
    with _explained():
        dataset.load_annotations(key, unexpected="ignore")
    sizes = {image["sample_id"]: (image["height"], image["width"]) for image in content["images"]}
    names = {image["sample_id"]: image["file_name"] for image in content["images"]}
    wanted = {"sample_id": 1, drawn: 1, tagged: 1}
    answers = []
    for row in dataset._sample_collection.find({"sample_id": {"$in": list(sizes)}}, wanted):
        sample_id = row["sample_id"]
        answer = Answer(f"sample {sample_id}", names[sample_id], sample_id, content["package"])
        for each in (row.get(drawn) or {}).get("detections") or []:
            answer.regions += _region(each, sizes[sample_id])
        if label := (row.get(tagged) or {}).get("label"):
            answer.tags.add(label)
        answers.append(answer)
    return sorted(answers, key=lambda answer: str(answer.sample_id))


def key_of(package: str) -> str:
    """FiftyOne's key of the annotation run of a package."""
    return f"curate_{package}"


def fields_of(package: str) -> tuple[str, str]:
    """The fields that a package travels in: regions, and what is said of the whole image."""
    return f"sent_{package}", f"said_{package}"


def _region(detection: Row, image_hw: tuple[int, int]) -> list[Region]:
    x0, y0, x1, y1 = box_of(detection["bounding_box"], image_hw)
    mask = mask_of_detections([detection], image_hw)[y0:y1, x0:x1]
    region = region_of(str(detection.get("label") or ""), mask, (x0, y0))
    return [region] if region else []


class _explained:
    """Turns whatever a back end raises into a message that says whose fault it is."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, CurateError):
            raise CurateError(
                f"CurateError: FiftyOne could not talk to the annotation server ({type(error).__name__}: "
                f"{str(error)[:300]}). Check its address and account, or use files: --out FOLDER."
            ) from error
