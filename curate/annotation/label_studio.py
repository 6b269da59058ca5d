"""Label Studio: tasks with predictions as JSON, and the labelling interface as XML.

Masks are brushes (see curate.brush_runs); polygons, boxes and ellipses are in percent of the image's width
and height. What is said of the whole image is a choice. A task is known by `sample_id` and `package` in its
data, and by the name of its image, which also stand there after an export. An annotation says who handed it
in, and whether the task was skipped; a task may have several.

Source: https://labelstud.io/guide/predictions, https://labelstud.io/guide/task_format
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

from curate import brush_runs
from curate.annotation_tasks import (
    CHECKED,
    Answer,
    Job,
    Region,
    Sizes,
    Task,
    ellipse,
    key_of,
    region_of,
    region_of_box,
    region_of_outline,
    turned,
)
from curate.errors import Unreadable
from curate.faults import plain
from curate.outlines import outer_outlines
from curate.shapes import as_numbers, box, outline, snapped

ANNOTATIONS, LABELS = "tasks.json", "label_config.xml"
MEMBER = ""  # it exports no archive with JSON in it
TELLS_WHO_HANDED_IN = True
VERDICT, IMAGE = "verdict", "image"
HALF = 128
MOST_SECONDS = 1e7
TAGS = {"brush": "BrushLabels", "polygon": "PolygonLabels", "box": "RectangleLabels"}
COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#999999")
Value = dict[str, Any]


def files(tasks: Sequence[Task], job: Job) -> dict[str, bytes]:
    """The tasks with their predictions, and the labelling interface."""
    lines = [json.dumps(_task(task, job), ensure_ascii=False, sort_keys=True) for task in tasks]
    tag = TAGS[job.kind]
    labels = [
        f'    <Label value={quoteattr(name)} background="{COLOURS[number % len(COLOURS)]}"/>'
        for number, name in enumerate(job.labels)
    ]
    choices = [f"    <Choice value={quoteattr(name)}/>" for key, name in job.tags.items() if key != CHECKED]
    config = [
        "<View>",
        f'  <Image name="{IMAGE}" value="$image" zoom="true" zoomControl="true" brightnessControl="true"/>',
        f'  <{tag} name="defects" toName="{IMAGE}">',
        *labels,
        f"  </{tag}>",
        f'  <Choices name="{VERDICT}" toName="{IMAGE}" choice="single" showInline="true">',
        *choices,
        "  </Choices>",
        "</View>",
    ]
    return {
        ANNOTATIONS: ("[\n" + ",\n".join(lines) + "\n]\n").encode(),
        LABELS: ("\n".join(config) + "\n").encode(),
    }


def read(content: bytes, sizes: Sizes) -> list[Answer]:
    """The answers of a file that Label Studio exports as JSON, one for each annotation of a task.

    A task that nobody handed in gives one answer, which is not submitted.

    Args:
        content: of the file.
        sizes: of the images that were sent; regions of other images are not drawn.

    Raises:
        Unreadable: it is not JSON, or another format of Label Studio.
    """
    try:
        tasks = json.loads(content.decode("utf-8-sig"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Unreadable(
            f"Unreadable: it is not JSON ({plain(error, 200)}). Export the project again."
        ) from error
    whole = isinstance(tasks, list) and all(
        isinstance(task, dict) and isinstance(task.get("data"), dict) for task in tasks
    )
    if not whole:
        raise Unreadable(
            'Unreadable: expected a list of tasks with their "data". Export the project as "JSON", not as '
            "JSON-MIN or another format."
        )
    return [answer for number, task in enumerate(tasks, start=1) for answer in _answers(number, task, sizes)]


def _task(task: Task, job: Job) -> Value:
    data = {
        "image": f"{job.image_prefix}{task.file_name}", "sample_id": task.sample_id, "package": job.package,
    }  # fmt: skip
    results = [
        value
        for number, region in enumerate(task.regions)
        for value in _results(region, number, task, job.kind)
    ]
    return {"data": data, "predictions": [{"model_version": "curate", "result": results}] if results else []}


def _results(region: Region, number: int, task: Task, kind: str) -> Iterator[Value]:
    """A region as results of a prediction."""
    height, width = task.image_hw
    key = f"{kind}labels" if kind != "box" else "rectanglelabels"
    for index, value in enumerate(_values(region, task.image_hw, kind)):
        named = f"{task.file_name} {number} {index}"
        yield {
            "id": hashlib.sha256(named.encode()).hexdigest()[:10], "type": key, "from_name": "defects",
            "to_name": IMAGE, "original_width": width, "original_height": height, "image_rotation": 0,
            "value": {**value, key: [region.label]},
        }  # fmt: skip


def _values(region: Region, image_hw: tuple[int, int], kind: str) -> Iterator[Value]:
    x0, y0, x1, y1 = region.box_xyxy
    scale = np.array([100 / image_hw[1], 100 / image_hw[0]])
    if kind == "brush":
        whole = np.zeros(image_hw, dtype=np.bool_)
        whole[y0:y1, x0:x1] = region.mask
        yield {"format": "rle", "rle": brush_runs.encode(whole)}
    elif kind == "polygon":
        for corners in outer_outlines(region.mask):
            yield {"points": (np.add(corners, (x0, y0)) * scale).tolist(), "closed": True}
    else:
        (left, top), (across, down) = (np.array(each) * scale for each in ((x0, y0), (x1 - x0, y1 - y0)))
        yield {"x": left, "y": top, "width": across, "height": down, "rotation": 0}


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _answers(number: int, task: Value, sizes: Sizes) -> Iterator[Answer]:
    data = task["data"]
    name = next((data[key] for key in (IMAGE, *data) if isinstance(data.get(key), str)), "")
    sample_id, package = key_of(name)
    told = data.get("sample_id"), data.get("package")
    where = f"task {plain(task.get('id', number), 40)}"
    known = [each if isinstance(each, str) else None for each in (told[0] or sample_id, told[1] or package)]
    contradicts = None not in (told[0], sample_id) and told[0] != sample_id
    listed = task.get("annotations")
    handed_in = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    annotations: list[Value | None] = [*handed_in]
    for annotation in annotations or [None]:
        place = where if annotation is None else f"{where}, annotation {plain(annotation.get('id', '?'), 40)}"
        answer = Answer(place, name, known[0], known[1])
        if contradicts:
            answer.problems.append(
                f"tells the sample {plain(told[0], 60)}, but the name of its image says {sample_id}"
            )
        if annotation is not None:
            _fill(answer, annotation, sizes)
        yield answer


def _fill(answer: Answer, annotation: Value, sizes: Sizes) -> None:
    """Put what an annotation says into an answer."""
    answer.by = _person(annotation.get("completed_by"))
    answer.skipped = annotation.get("was_cancelled") is True
    answer.submitted = not answer.skipped
    taken = annotation.get("lead_time")
    if isinstance(taken, int | float) and not isinstance(taken, bool) and 0 <= taken < MOST_SECONDS:
        answer.seconds = float(taken)
    image_hw = sizes.get(answer.key)
    results = annotation.get("result")
    if not isinstance(results, list):
        answer.problems.append("has no list of results")
        return
    for number, result in enumerate(results, start=1):
        value = result.get("value") if isinstance(result, dict) else None
        if not isinstance(value, dict):
            answer.problems.append(f"result {number} has no value")
        elif result.get("type") == "choices":
            chosen = value.get("choices")
            answer.tags |= (
                {str(each).strip() for each in chosen if each} if isinstance(chosen, list) else set()
            )
        elif image_hw is not None:
            found = _drawn(result, value, image_hw)
            if isinstance(found, str):
                answer.problems.append(f"result {number} ({plain(result.get('type'), 40)}) {found}")
            else:
                answer.regions.append(found)


def _person(completed_by: object) -> str | None:
    """Who handed it in: the address where the file has one, else the number."""
    if isinstance(completed_by, dict):
        completed_by = completed_by.get("email") or completed_by.get("username") or completed_by.get("id")
    if isinstance(completed_by, bool) or not isinstance(completed_by, int | str):
        return None
    if isinstance(completed_by, int):
        return f"label_studio user {completed_by}"
    return completed_by.strip() or None


def _drawn(result: Value, value: Value, image_hw: tuple[int, int]) -> Region | str:
    """The region of a result, or what is wrong with it."""
    kind = str(result.get("type"))
    maker = MAKERS.get(kind)
    if maker is None:
        return "is of a kind that is not read: draw a brush, a polygon, a box or an ellipse"
    if (turn := result.get("image_rotation") or 0) != 0:
        degrees = plain(turn, 20)
        return f"was drawn on the image turned by {degrees} degrees: turn it back in the tool, and draw again"
    said = result.get("original_height"), result.get("original_width")
    if said != image_hw:
        height, width = image_hw
        size = f"{plain(said[1], 20)} x {plain(said[0], 20)} px"
        return f"is for an image of {size}, but {width} x {height} px were sent"
    labels = value.get(kind)
    if not isinstance(labels, list) or len(labels) != 1 or not isinstance(labels[0], str):
        return "has not exactly one label"
    return maker(value, labels[0].strip(), image_hw) or "marks no pixel"


def _brush(value: Value, label: str, image_hw: tuple[int, int]) -> Region | str | None:
    if value.get("format") != "rle" or not isinstance(value.get("rle"), list):
        return "has no run lengths (format rle)"
    try:
        covered = brush_runs.decode(value["rle"], image_hw)
    except ValueError as error:
        return str(error)
    # a stroke fades at its rim: what it covers by less than half would make it a pixel wider on each side
    return region_of(label, covered >= HALF) or region_of(label, covered > 0)


def _polygon(value: Value, label: str, image_hw: tuple[int, int]) -> Region | str | None:
    points = value.get("points")
    pairs = [as_numbers(point, 2) for point in points] if isinstance(points, list) and points else [None]
    if None in pairs:
        return "has points that are not numbers x, y"
    return _filled((np.array(pairs) * _scale(image_hw)).tolist(), label, image_hw)


def _box(value: Value, label: str, image_hw: tuple[int, int]) -> Region | str | None:
    numbers = as_numbers([value.get(key) for key in ("x", "y", "width", "height")], 4)
    degrees = as_numbers([value.get("rotation", 0)], 1)
    if numbers is None or degrees is None:
        return "has no x, y, width and height"
    (x0, y0), (across, down) = np.reshape(numbers, (2, 2)) * _scale(image_hw)
    if degrees[0]:  # about its upper left corner
        corners = [(x0, y0), (x0 + across, y0), (x0 + across, y0 + down), (x0, y0 + down)]
        found = _filled(turned(corners, (x0, y0), degrees[0]), label, image_hw)
        return replace(found, is_box=True) if isinstance(found, Region) else found
    entry = box(snapped([x0, y0, x0 + across, y0 + down], image_hw), label, image_hw)
    return entry if isinstance(entry, str) else region_of_box(entry, image_hw)


def _ellipse(value: Value, label: str, image_hw: tuple[int, int]) -> Region | str | None:
    numbers = as_numbers([value.get(key) for key in ("x", "y", "radiusX", "radiusY")], 4)
    degrees = as_numbers([value.get("rotation", 0)], 1)
    if numbers is None or degrees is None:
        return "has no x, y, radiusX and radiusY"
    centre, radii = np.reshape(numbers, (2, 2)) * _scale(image_hw)
    rim = np.reshape(ellipse(centre.tolist(), radii.tolist(), degrees[0]), (-1, 2))
    return _filled(np.clip(rim, 0, (image_hw[1], image_hw[0])).tolist(), label, image_hw)


def _filled(points: Any, label: str, image_hw: tuple[int, int]) -> Region | str | None:
    entry = outline(points, label, image_hw)
    return entry if isinstance(entry, str) else region_of_outline(entry, image_hw)


def _scale(image_hw: tuple[int, int]) -> Any:
    """Pixels per percent, of x and y."""
    return np.array([image_hw[1] / 100, image_hw[0] / 100])


MAKERS: dict[str, Callable[[Value, str, tuple[int, int]], Region | str | None]] = {
    "brushlabels": _brush, "polygonlabels": _polygon, "rectanglelabels": _box, "ellipselabels": _ellipse,
}  # fmt: skip
