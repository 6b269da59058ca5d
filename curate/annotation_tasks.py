"""What goes to an outside annotator and what comes back, whatever the tool: tasks, regions, answers.

A task is known by the sample's id and the package that it was sent in; both stand in the name of its image,
so an answer finds its sample though the tool renames folders, sorts anew or loses everything else.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from curate.export_names import UNSAFE
from curate.ground_truth import draw
from curate.images import Array
from curate.masks import boxes_to_mask
from curate.outlines import outer_outlines
from curate.shapes import Entry

KINDS = ("brush", "polygon", "box")
KEY = re.compile(r"(?<![0-9a-f])([0-9a-f]{16})__([0-9a-f]{8})__")
NORMAL, UNSURE, CHECKED = "normal", "unsure", "checked"
MAX_STEM = 80
Sizes = Mapping[tuple[str, str], tuple[int, int]]  # sample id and package -> height and width as sent


@dataclass(frozen=True)
class Region:
    """One thing drawn.

    Attributes:
        label: as in the tool.
        box_xyxy: of the mask, in pixels, half-open and inside of the image.
        mask: (y1 - y0, x1 - x0) bool.
        is_box: only a box was drawn, so the mask is all of it and says little of the outline.
    """

    label: str
    box_xyxy: tuple[int, int, int, int]
    mask: Array
    is_box: bool = False


@dataclass(frozen=True)
class Task:
    """One image to annotate, with what is proposed for it."""

    sample_id: str
    file_name: str
    image_hw: tuple[int, int]
    regions: tuple[Region, ...]


@dataclass(frozen=True)
class Job:
    """What the tasks of a package share.

    Attributes:
        name: of the dataset.
        package: 8 hex digits that tell it from other packages.
        kind: of the regions, in KINDS.
        labels: of defects, as offered in the tool.
        tags: what can be said of a whole image: NORMAL, UNSURE, CHECKED -> as offered in the tool.
        image_prefix: what stands before the image's name where the tool looks it up (Label Studio).
    """

    name: str
    package: str
    kind: str
    labels: tuple[str, ...]
    tags: Mapping[str, str]
    image_prefix: str = ""


@dataclass
class Answer:
    """What one annotator said of one image.

    Attributes:
        where: place in the file, for messages: "image 3", "task 12, annotation 7".
        image: what the file calls the image.
        sample_id, package: None where the file does not tell them.
        by: who, as the tool names them; None where it does not.
        regions: those that could be read.
        tags: labels of the whole image, as in the tool.
        submitted: the tool itself says that a person handed it in.
        skipped: the annotator passed the task over.
        seconds: how long it took, where the tool tells.
        problems: what is wrong with it, in words that follow its place.
    """

    where: str
    image: str
    sample_id: str | None
    package: str | None
    by: str | None = None
    regions: list[Region] = field(default_factory=list)
    tags: set[str] = field(default_factory=set)
    submitted: bool = False
    skipped: bool = False
    seconds: float | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str]:
        """Sample id and package; "" where the file does not tell them."""
        return self.sample_id or "", self.package or ""


def file_name(sample_id: str, package: str, relative_path: str, suffix: str) -> str:
    """Name of a task's image: sample, package, and the original stem for people.

    >>> file_name("0123456789abcdef", "00c0ffee", "NG/Träger 7.tif", ".png")
    '0123456789abcdef__00c0ffee__Trger_7.png'
    """
    stem = UNSAFE.sub("", PurePosixPath(relative_path).stem).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._") or "image"
    return f"{sample_id}__{package}__{plain[:MAX_STEM]}{suffix}"


def key_of(name: object) -> tuple[str | None, str | None]:
    """Sample id and package in what a tool calls an image, whatever it put before or behind; else None.

    >>> key_of("/data/upload/3/1a2b3c4d-0123456789abcdef__00c0ffee__x.png")
    ('0123456789abcdef', '00c0ffee')
    >>> key_of("x.png")
    (None, None)
    """
    found = KEY.findall(str(name).replace("\\", "/").rpartition("/")[2])
    return found[0] if len(found) == 1 else (None, None)


def region_of(label: str, mask: Array, offset_xy: tuple[int, int] = (0, 0)) -> Region | None:
    """A region from a mask of the image, or of a part of it that begins at an offset; None where it is empty.

    Args:
        mask: (h, w) bool.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    x0, y0 = int(columns[0]), int(rows[0])
    x1, y1 = int(columns[-1]) + 1, int(rows[-1]) + 1
    left, top = offset_xy
    box = (x0 + left, y0 + top, x1 + left, y1 + top)
    return Region(label, box, mask[y0:y1, x0:x1].copy())


def region_of_outline(entry: Entry, image_hw: tuple[int, int]) -> Region | None:
    """A region from an entry of curate.shapes.outline; None where it holds no pixel."""
    xs, ys = entry["points_xy"][::2], entry["points_xy"][1::2]
    left, top = max(0, int(min(xs)) - 1), max(0, int(min(ys)) - 1)
    right, bottom = min(image_hw[1], int(max(xs)) + 2), min(image_hw[0], int(max(ys)) + 2)
    part = np.zeros((max(bottom - top, 0), max(right - left, 0)), dtype=np.bool_)
    points = np.subtract(np.reshape(entry["points_xy"], (-1, 2)), (left, top))
    draw({"kind": "polygon", "points_xy": points.ravel().tolist()}, part)
    return region_of(entry["defect_type"], part, (left, top))


def region_of_box(entry: Entry, image_hw: tuple[int, int]) -> Region | None:
    """A region from an entry of curate.shapes.box: every pixel that it touches."""
    box = [round(value, 3) for value in entry["box_xyxy"]]  # tools round: 20.0000001 is no further pixel
    found = region_of(entry["defect_type"], boxes_to_mask([box], image_hw))
    return None if found is None else Region(found.label, found.box_xyxy, found.mask, is_box=True)


def as_kind(region: Region, kind: str) -> list[Region]:
    """What a region is once a tool keeps it as a kind in KINDS: polygons fill its holes, a box all of it."""
    if kind == "brush":
        return [region]
    if kind == "box":
        return [Region(region.label, region.box_xyxy, np.ones_like(region.mask), is_box=True)]
    x0, y0, x1, y1 = region.box_xyxy
    out = []
    for corners in outer_outlines(region.mask):
        points = np.add(corners, (x0, y0)).ravel().tolist()
        found = region_of_outline({"points_xy": points, "defect_type": region.label}, (y1, x1))
        out += [found] if found else []
    return out


def mask_of(regions: Iterable[Region], image_hw: tuple[int, int]) -> Array:
    """The mask that regions are together: (H, W) bool."""
    mask = np.zeros(image_hw, dtype=np.bool_)
    for each in regions:
        x0, y0, x1, y1 = each.box_xyxy
        mask[y0:y1, x0:x1] |= each.mask
    return mask


def turned(points_xy: Sequence[Sequence[float]], centre_xy: Sequence[float], degrees: float) -> list[float]:
    """Points turned clockwise around a centre, as flat x0, y0, x1, y1, ... in pixels (y points down).

    >>> [round(value, 9) for value in turned([(3, 1)], (1, 1), 90)]
    [1.0, 3.0]
    """
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    moved = (np.asarray(points_xy, dtype=np.float64) - centre_xy) @ turn + centre_xy
    return [float(value) for value in moved.ravel()]


def ellipse(centre_xy: Sequence[float], radii_xy: Sequence[float], degrees: float) -> list[float]:
    """The rim of an ellipse as 64 corners, flat; see turned."""
    angles = np.arange(64) * (2 * np.pi / 64)
    rim = np.stack([np.cos(angles) * radii_xy[0], np.sin(angles) * radii_xy[1]], axis=1) + centre_xy
    return turned(rim.tolist(), centre_xy, degrees)
