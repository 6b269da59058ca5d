"""CVAT: the format "CVAT for images 1.1", one XML file for all images of a task.

A mask is a crop (left, top, width, height) with run lengths row by row, alternately outside and on the
defect, beginning outside. Polygons, boxes and ellipses are in pixels, to two digits. A tag speaks of the
whole image. CVAT finds an image by its name, and so do we. The file does not tell which images somebody has
looked at, and who did only where the task or job has an assignee.

Source: https://docs.cvat.ai/docs/other/xml_format
"""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from curate.annotation_tasks import (
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
from curate.ground_truth import decode_runs, encode_runs
from curate.images import Array
from curate.outlines import outer_outlines
from curate.shapes import box, outline, snapped

ANNOTATIONS, LABELS = "annotations.xml", "labels.json"
MEMBER = "annotations.xml"  # in the archive that CVAT exports
TELLS_WHO_HANDED_IN = False  # an image that nobody opened looks like one whose proposals were accepted
COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#999999")
SHAPES = {"brush": "mask", "polygon": "polygon", "box": "rectangle"}
NO_AREA = ("polyline", "points", "cuboid", "skeleton")
MAX_DEPTH = 24  # elements that lie in each other; the format has 10
LARGEST = 1e9  # of a coordinate
NESTED = f"more than {MAX_DEPTH} elements lie in each other"


def files(tasks: Sequence[Task], job: Job) -> dict[str, bytes]:
    """The annotation file, and the labels for CVAT's "Raw" editor."""
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", "  <version>1.1</version>"]
    lines += _meta(len(tasks), job)
    for number, task in enumerate(tasks):
        height, width = task.image_hw
        name = quoteattr(task.file_name)
        lines.append(f'  <image id="{number}" name={name} width="{width}" height="{height}">')
        lines += [f"    {line}" for region in task.regions for line in _shapes(region, job.kind)]
        lines.append("  </image>")
    lines.append("</annotations>")
    labels = json.dumps(_labels(job), indent=2, ensure_ascii=False)
    return {ANNOTATIONS: ("\n".join(lines) + "\n").encode(), LABELS: f"{labels}\n".encode()}


def read(content: bytes, sizes: Sizes) -> list[Answer]:
    """An answer for each image of a file as CVAT exports it; see curate.annotation_tasks.Answer.

    Args:
        content: of annotations.xml.
        sizes: of the images that were sent; shapes of other images are not drawn.

    Raises:
        Unreadable: it is not XML, has a document type, or is another format of CVAT.
    """
    answers, people = [], set[str]()
    for element in _elements(content):
        if element.tag == "image":
            answers.append(_answer(element, sizes))
        elif element.tag == "assignee" and (name := (element.findtext("username") or "").strip()):
            people.add(name)
        elif element.tag == "track":
            raise Unreadable(
                "Unreadable: the file has tracks, so it is CVAT's format for videos. Export the task as "
                '"CVAT for images 1.1".'
            )
    if len(people) == 1:
        for answer in answers:
            answer.by = next(iter(people))
    return answers


def _meta(n_images: int, job: Job) -> Iterator[str]:
    """The head of the file, as CVAT writes it; it reads none of that when annotations are uploaded."""
    yield "  <meta>"
    yield "    <task>"
    yield f"      <name>{escape(job.name)} {job.package}</name>"
    yield f"      <size>{n_images}</size>"
    yield "      <mode>annotation</mode>"
    yield "      <labels>"
    for label in _labels(job):
        about = f"<name>{escape(label['name'])}</name><type>{label['type']}</type>"
        yield f"        <label>{about}<attributes></attributes></label>"
    yield "      </labels>"
    yield "    </task>"
    yield "  </meta>"


def _labels(job: Job) -> list[dict[str, Any]]:
    kinds = [(label, SHAPES[job.kind]) for label in job.labels] + [(tag, "tag") for tag in job.tags.values()]
    return [
        {"name": name, "type": kind, "color": COLOURS[number % len(COLOURS)], "attributes": []}
        for number, (name, kind) in enumerate(kinds)
    ]


def _shapes(region: Region, kind: str) -> Iterator[str]:
    x0, y0, x1, y1 = region.box_xyxy
    head = f'label={quoteattr(region.label)} source="auto" occluded="0"'
    if kind == "brush":
        runs = ", ".join(map(str, encode_runs(region.mask.T)))  # encode_runs goes down the columns
        place = f'left="{x0}" top="{y0}" width="{x1 - x0}" height="{y1 - y0}"'
        yield f'<mask {head} rle="{runs}" {place} z_order="0"></mask>'
    elif kind == "polygon":
        for corners in outer_outlines(region.mask):
            points = ";".join(f"{x + x0:.2f},{y + y0:.2f}" for x, y in corners)
            yield f'<polygon {head} points="{points}" z_order="0"></polygon>'
    else:
        place = f'xtl="{x0:.2f}" ytl="{y0:.2f}" xbr="{x1:.2f}" ybr="{y1:.2f}"'
        yield f'<box {head} {place} z_order="0"></box>'


def _elements(content: bytes) -> Iterator[Element]:
    """The images, assignees and tracks of a file, each once it is whole; what was given is let go."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import iterparse

    depth, root = 0, None
    try:
        for event, element in iterparse(io.BytesIO(content), events=("start", "end"), forbid_dtd=True):
            depth += 1 if event == "start" else -1
            root = element if root is None else root
            if depth > MAX_DEPTH or root.tag != "annotations":
                found = f"it begins with <{plain(root.tag, 60)}>" if depth <= MAX_DEPTH else NESTED
                raise Unreadable(
                    f"Unreadable: expected the XML of CVAT, which begins with <annotations>; {found}. "
                    'Export the task as "CVAT for images 1.1".'
                )
            if event == "end" and element.tag in ("image", "assignee", "track"):
                yield element
                if element.tag == "image":
                    root.clear()
    except DefusedXmlException as error:
        raise Unreadable(
            f"Unreadable: the XML has a document type or entities ({type(error).__name__}), which CVAT never "
            "writes; it is not read. Export the task again."
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        raise Unreadable(
            f"Unreadable: it is not XML ({plain(error, 200)}). Export the task again."
        ) from error


def _answer(image: Element, sizes: Sizes) -> Answer:
    name = image.get("name", "")
    sample_id, package = key_of(name)
    answer = Answer(f"image {plain(image.get('id', '?'), 40)}", name, sample_id, package)
    image_hw = sizes.get(answer.key)
    if image_hw is None:
        return answer
    said = (image.get("height"), image.get("width"))
    if said != (str(image_hw[0]), str(image_hw[1])):
        height, width = image_hw
        answer.problems.append(
            f"is of {plain(said[1], 20)} x {plain(said[0], 20)} px, but {width} x {height} px were sent: "
            "drawn on another picture"
        )
        return answer
    for number, child in enumerate(image, start=1):
        label = (child.get("label") or "").strip()
        if child.tag == "tag":
            answer.tags.add(label)
            continue
        found = _drawn(child, label, image_hw)
        if isinstance(found, str):
            answer.problems.append(f'shape {number} ({plain(child.tag, 40)}, "{plain(label, 60)}") {found}')
        else:
            answer.regions.append(found)
    return answer


def _drawn(shape: Element, label: str, image_hw: tuple[int, int]) -> Region | str:
    """The region of a shape, or what is wrong with it."""
    makers: dict[str, Callable[[Element, str, tuple[int, int]], Region | str | None]] = {
        "mask": _mask, "polygon": _polygon, "box": _box, "ellipse": _ellipse,
    }  # fmt: skip
    if shape.tag in NO_AREA:
        return "has no area: draw a mask, a polygon or a box"
    if shape.tag not in makers:
        return "is of a kind that is not known"
    try:
        return makers[shape.tag](shape, label, image_hw) or "marks no pixel"
    except ValueError:
        return "has coordinates that are not numbers"


def _mask(shape: Element, label: str, image_hw: tuple[int, int]) -> Region | str | None:
    left, top, width, height = (int(shape.get(name, "")) for name in ("left", "top", "width", "height"))
    if (
        width < 1
        or height < 1
        or left < 0
        or top < 0
        or left + width > image_hw[1]
        or top + height > image_hw[0]
    ):
        return f"leaves the image of {image_hw[1]} x {image_hw[0]} px"
    runs = [int(run) for run in shape.get("rle", "").split(",")]
    if min(runs) < 0 or sum(runs) != width * height:
        return f"has runs over {sum(runs)} pixels, but its box has {width * height}"
    return region_of(label, np.asarray(decode_runs(runs, (width, height)).T), (left, top))


def _polygon(shape: Element, label: str, image_hw: tuple[int, int]) -> Region | str | None:
    pairs = [pair.split(",") for pair in shape.get("points", "").split(";")]
    return _filled([[float(value) for value in pair] for pair in pairs], label, image_hw)


def _box(shape: Element, label: str, image_hw: tuple[int, int]) -> Region | str | None:
    x0, y0, x1, y1 = (_number(shape, name) for name in ("xtl", "ytl", "xbr", "ybr"))
    if degrees := _number(shape, "rotation", "0"):
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        found = _filled(turned(corners, ((x0 + x1) / 2, (y0 + y1) / 2), degrees), label, image_hw)
        return replace(found, is_box=True) if isinstance(found, Region) else found
    entry = box(snapped([x0, y0, x1, y1], image_hw), label, image_hw)
    return entry if isinstance(entry, str) else region_of_box(entry, image_hw)


def _number(shape: Element, name: str, unsaid: str = "") -> float:
    value = float(shape.get(name, unsaid))
    if not abs(value) <= LARGEST:
        raise ValueError(f"{name} is not finite")
    return value


def _ellipse(shape: Element, label: str, image_hw: tuple[int, int]) -> Region | str | None:
    x, y, rx, ry = (_number(shape, name) for name in ("cx", "cy", "rx", "ry"))
    rim = np.reshape(ellipse((x, y), (rx, ry), _number(shape, "rotation", "0")), (-1, 2))
    within: Array = np.clip(rim, 0, (image_hw[1], image_hw[0]))  # its rim may stick out
    return _filled(within.tolist(), label, image_hw)


def _filled(points: Any, label: str, image_hw: tuple[int, int]) -> Region | str | None:
    entry = outline(points, label, image_hw)
    return entry if isinstance(entry, str) else region_of_outline(entry, image_hw)
