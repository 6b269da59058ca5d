"""FiftyOne's annotation back ends: proposals to a CVAT or Label Studio server, and its answers back.

Thin on purpose: FiftyOne talks to the server; what comes back is judged as files are. Images go to no server
that was not named: FiftyOne's own defaults are public ones, so they are refused.
"""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from curate.annotation import label_studio
from curate.annotation_package import sizes_of
from curate.annotation_tasks import Answer, Region, region_of
from curate.annotation_tasks import key_of as sent_as
from curate.errors import AlreadyExists, CurateError, Missing
from curate.store.failures import database_errors
from curate.store.fields import VIEW, fiftyone
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
        AlreadyExists: the package was sent before.
        CurateError: the server refused, or is not there.
    """
    dataset, key = fiftyone().load_dataset(dataset_name), key_of(content["package"])
    if key in dataset.list_annotation_runs():
        raise AlreadyExists(
            f"AlreadyExists: the package {content['package']} is on the server already. Take its answers in: "
            f"curate annotate receive {dataset_name} --tool {content['tool']} --server {content['package']}"
        )
    put(dataset, content, regions)
    drawn, tagged = fields_of(content["package"])
    named = f"file_{content['package']}"
    schema = {
        drawn: {"type": "instances", "classes": list(content["labels"])},
        tagged: {"type": "classification", "classes": list(content["tags"].values())},
    }
    try:
        with _explained(), tempfile.TemporaryDirectory() as folder:
            if content["tool"] == "label_studio":
                _name_files(dataset, content, named, Path(folder))
            _view_of(dataset, content).annotate(
                key,
                backend=BACKENDS[content["tool"]],
                label_schema=schema,
                media_field=named if content["tool"] == "label_studio" else VIEW,
                **_account(content["tool"]),
            )
            if content["tool"] == "label_studio":
                told_apart(*_there(dataset, key), content["package"])
    except BaseException:
        if key in dataset.list_annotation_runs():
            dataset.delete_annotation_run(key)
        dataset.delete_sample_field(drawn)
        raise
    finally:
        if named in dataset.get_field_schema():
            dataset.delete_sample_field(named)
    return key


def _name_files(dataset: Any, content: Row, field: str, folder: Path) -> None:
    """Give every image a link whose name tells sample and package, and a field that holds the link.

    FiftyOne finds Label Studio's tasks by their order alone; many images are called 000.png.
    """
    view = _view_of(dataset, content)
    names = {image["sample_id"]: image["file_name"] for image in content["images"]}
    links = []
    for sample_id, path in zip(*view.values(["sample_id", VIEW]), strict=True):
        links.append(str(folder / Path(names[sample_id]).with_suffix(Path(path).suffix)))
        Path(links[-1]).symlink_to(path)
    view.set_values(field, links)


def put(dataset: Any, content: Row, regions: Mapping[str, Sequence[Region]]) -> None:
    """Write the regions of a package into the field that goes to the server."""
    fo, view = fiftyone(), _view_of(dataset, content)
    sizes = {image["sample_id"]: (image["height"], image["width"]) for image in content["images"]}
    labels = {
        sample_id: fo.Detections(
            detections=[
                fo.Detection(
                    label=each.label,
                    bounding_box=relative_box(each.box_xyxy, image_hw),
                    mask=each.mask.astype(np.uint8),
                )
                for each in regions.get(sample_id, ())
            ]
        )
        for sample_id, image_hw in sizes.items()
    }
    field, _ = fields_of(content["package"])
    view.set_values(field, [labels[sample_id] for sample_id in view.values("sample_id")])


def answers_in(dataset: Any, content: Row) -> list[Answer]:
    """An answer for each image of a package, from the fields that FiftyOne loads into; by sample id."""
    drawn, tagged = fields_of(content["package"])
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


@database_errors()
def download(dataset_name: str, content: Row) -> list[Answer]:
    """What a server has of a package now; with CVAT nobody is named in it.

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
    if content["tool"] == "label_studio":
        return _from_studio(dataset, key, content)
    with _explained():
        dataset.load_annotations(key, unexpected="ignore", **_account(content["tool"]))
    return answers_in(dataset, content)


def _from_studio(dataset: Any, key: str, content: Row) -> list[Answer]:
    """The answers in the export of a Label Studio project.

    FiftyOne's own reading of it takes predictions for answers, and of a brush stroke only those pixels that
    it covers wholly.
    """
    with _explained():
        tasks, meant = _there(dataset, key)
    exported = json.dumps(told_apart(tasks, meant, content["package"]))
    return label_studio.read(exported.encode(), sizes_of([content]))


def _there(dataset: Any, key: str) -> tuple[list[Row], dict[str, str]]:
    """The tasks as Label Studio exports them now, and by their numbers the samples that FiftyOne noted."""
    results = dataset.load_annotation_results(key, **_account("label_studio"))
    client = results.connect_to_api()._client
    path = f"/api/projects/{results.project_id}/export"
    asked = {"exportType": "JSON", "download_all_tasks": "true"}
    tasks = client.make_request("GET", path, params=asked).json()
    samples = dict(zip(*dataset.values(["id", "sample_id"]), strict=True))
    told = {str(task): samples.get(str(of)) for task, of in results.uploaded_tasks.items()}
    return tasks, {task: sample_id for task, sample_id in told.items() if sample_id}


def told_apart(tasks: Sequence[Row], meant: Mapping[str, str], package: str) -> list[Row]:
    """Exported tasks with the sample that each is of, as the name of its image says.

    Args:
        tasks: as Label Studio exports them.
        meant: sample id by the task's number, as FiftyOne noted them; the proposals went there.

    Raises:
        CurateError: a task shows another image than the one whose proposals it got, or one that is not of
            this package.
    """
    out = []
    for task in tasks:
        shown = str(task["data"].get("image"))
        sample_id, of = sent_as(shown)
        if of != package or meant.get(str(task["id"]), sample_id) != sample_id:
            held = meant.get(str(task["id"]), f"none of the package {package}")
            raise CurateError(
                f"CurateError: task {task['id']} shows {shown}, but FiftyOne holds it for sample {held}, "
                "because it finds tasks by their order. Send the package as files instead: --out FOLDER."
            )
        data = {"image": Path(shown).name, "sample_id": sample_id, "package": package}
        out.append({**task, "data": data})
    return out


def _account(tool: str) -> dict[str, str]:
    """What a back end has to be told of the server, or it would ask on the terminal."""
    return {
        name.rpartition(f"{BACKENDS[tool].upper()}_")[2].lower(): os.environ[name] for name in NEEDS[tool]
    }


def _view_of(dataset: Any, content: Row) -> Any:
    ids = [image["sample_id"] for image in content["images"]]
    return dataset.match({"$expr": {"$in": ["$sample_id", ids]}})


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
