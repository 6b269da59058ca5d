"""labelme: a JSON file of outlines per image.

Layout: <image>.json beside the image, or in annotations/, labels/ or json/ beside images/. imagePath in the
JSON names the image where the dataset has such a file; else the JSON's own stem does. The picture that may
be kept in the JSON itself (imageData) is not read. A folder called train, val, test, ... gives the split.

A shape is a defect of its label's name: polygon, rotated box, circle (as a polygon of 64 corners) and mask
are outlines, rectangle is a box. Lines and points have no area: they are reported, and the image is
anomalous without a mask. A label called normal, good, ok or nominal, or a ticked flag of such a name, says
that the image is normal; a ticked flag ng, defect, ... says that it is not. A JSON without shapes says that
somebody looked and found nothing: normal, unless it has a flag for normal that is not ticked. Without a
JSON a folder called good, OK, NG, ... tells; else the image is "unknown", or "normal" by the option
`unannotated`.

Licence: that of the data; the first line of a licence file.
Source: Wada: labelme, https://github.com/wkentaro/labelme
"""

import base64
import binascii
import math
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from curate.annotated import (
    ANOMALOUS_NAMES,
    Found,
    check_options,
    finished,
    first_line_of_licence,
    image_hw,
    means_normal,
    other_size,
    split_of_folders,
)
from curate.annotation_files import bad_entry, json_value, located, missing_image
from curate.faults import Fault, shown
from curate.ground_truth import encode_runs
from curate.images import decode_mask
from curate.pairing import Pictures, ambiguous, named_twice
from curate.peeking import first_file
from curate.readings import images
from curate.shapes import Entry, as_numbers, box, outline, snapped
from curate.walking import Tree, walk

NEEDED = (re.compile(rb'"shapes"\s{0,40}:\s{0,40}\['), re.compile(rb'"imagePath"\s{0,40}:'))
N_CORNERS = 64
MAX_MASK_TEXT = 64 << 20


def detect(root: Path) -> list[str]:
    """Unmet requirements; empty when a JSON file of the kind is found in the root or two levels below."""
    return [] if first_file(root, ".json", NEEDED) else ["no .json file with shapes and imagePath"]


def read(root: Path, unannotated: str = "unknown", category: str | None = None) -> pd.DataFrame:
    """One row per image of the folder; see curate.readings for the columns.

    Args:
        root: the dataset's folder.
        unannotated: label of images without a JSON file: "unknown" or "normal".
        category: what one detector is trained for; the name of `root` unless told.

    Raises:
        ValueError: another value of an option.
    """
    check_options(unannotated, category)
    tree = walk(root)
    faults = list(tree.faults)
    pictures = Pictures(tree)
    found = {path: Found(splits={s for s in [split_of_folders(path)] if s}) for path in images(tree.files)}
    speakers: dict[str, list[str]] = defaultdict(list)
    for path in tree.files:
        if not path.lower().endswith(".json"):
            continue
        content = json_value(tree, path, faults)
        if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
            _unused(path, content, pictures, found, faults)
        elif image := _image_of(tree, pictures, path, content, found, faults):
            speakers[image].append(path)
            _add(tree, path, content, image, found[image], faults)
    faults += [named_twice(image, files) for image, files in speakers.items() if len(files) > 1]
    common = {"category": category or root.absolute().name, "licence": first_line_of_licence(tree, faults)}
    return finished(tree, found, faults, unannotated, common)


def _unused(
    path: str, content: object, pictures: Pictures, found: dict[str, Found], faults: list[Fault]
) -> None:
    """A JSON without shapes; what it should say of the image with its stem is not known."""
    for image in pictures.of(path):
        found[image].doubtful = True
    if content is not None:
        message = f"{path} has no list of shapes; it is not read."
        remedy = "Annotate the image anew if it belongs to one, or remove the file."
        faults.append(Fault("unused_annotations", "warning", path, message, remedy))


def _image_of(
    tree: Tree, pictures: Pictures, path: str, content: dict[str, Any], found: dict[str, Found],
    faults: list[Fault],
) -> str | None:  # fmt: skip
    """The image of a JSON file; None, and a fault, when it has none, or two that contradict each other."""
    named = located(tree, path.rpartition("/")[0], content.get("imagePath"))
    fitting = pictures.of(path)
    if named in found and (named in fitting or not fitting):
        return named
    if len(fitting) == 1 and named not in found:
        return fitting[0]
    if fitting:
        several = sorted({*fitting, *([named] if named in found and named else [])})
        faults.append(ambiguous(path, several))
        for image in several:
            found[image].doubtful = True
        return None
    if isinstance(content.get("imageData"), str):
        message = f"{path} keeps its picture inside, and the image itself is not in the dataset."
        remedy = "Save the picture beside it, for example with labelme_export_json."
        faults.append(Fault("embedded_image", "error", path, message, remedy))
    else:
        faults.append(missing_image(path, "imagePath", content.get("imagePath")))
    return None


def _add(
    tree: Tree, path: str, content: dict[str, Any], name: str, image: Found, faults: list[Fault]
) -> None:
    _add_flags(content, image)
    hw = image_hw(tree, name)
    said_hw = (content.get("imageHeight"), content.get("imageWidth"))
    if hw and content["shapes"] and (fault := other_size(path, name, said_hw, hw)):
        faults.append(fault)
        hw = None
    for index, shape in enumerate(content["shapes"]):
        where = f"shapes[{index}]"
        label = shape.get("label") if isinstance(shape, dict) else None
        if not isinstance(label, str) or not label.strip():
            image.defective = True
            faults.append(bad_entry(path, where, "has no label"))
        elif means_normal(label):
            image.clean = True
        else:
            for problem in image.add(label.strip(), [_geometry(shape, label.strip(), hw)] if hw else []):
                faults.append(bad_entry(path, where, problem))


def _add_flags(content: dict[str, Any], image: Found) -> None:
    flags = content.get("flags")
    ticked = {str(k).strip().lower(): v is True for k, v in flags.items()} if isinstance(flags, dict) else {}
    for_normal = [is_ticked for flag, is_ticked in ticked.items() if means_normal(flag)]
    image.defective |= any(ticked.get(flag, False) for flag in ANOMALOUS_NAMES)
    image.clean |= any(for_normal) or (not for_normal and not content["shapes"])


def _geometry(shape: dict[str, Any], name: str, hw: tuple[int, int]) -> Entry | str:
    """A shape as an outline or a box; text says what is wrong."""
    kind, points = shape.get("shape_type") or "polygon", shape.get("points")
    if kind in ("polygon", "rotation"):
        return outline(points, name, hw)
    if kind in ("rectangle", "circle", "mask"):
        pairs = [as_numbers(point, 2) for point in points] if isinstance(points, list) and points else [None]
        corners = [pair for pair in pairs if pair is not None]
        if len(corners) < len(pairs) or len(corners) not in ((2, 4) if kind == "rectangle" else (2,)):
            return f"is a {kind} without its two points x, y"
        make = {"rectangle": _rectangle, "circle": _circle}.get(str(kind))
        return make(corners, name, hw) if make else _mask(shape.get("mask"), corners, name, hw)
    return f'is of the type "{shown(str(kind)[:40])}", which has no area'


def _rectangle(corners: list[list[float]], name: str, hw: tuple[int, int]) -> Entry | str:
    xs, ys = zip(*corners, strict=True)
    return box(snapped([min(xs), min(ys), max(xs), max(ys)], hw), name, hw)


def _circle(corners: list[list[float]], name: str, hw: tuple[int, int]) -> Entry | str:
    """A polygon through the rim; where the circle leaves the image, along the image's edge."""
    (x, y), rim = corners
    radius = math.dist((x, y), rim)
    if not (0 <= x <= hw[1] and 0 <= y <= hw[0]) or radius == 0:
        return "is a circle without a radius, or with its centre outside of the image"
    angles = np.arange(N_CORNERS) * (2 * np.pi / N_CORNERS)
    rim_x = np.clip(x + radius * np.cos(angles), 0, hw[1])
    rim_y = np.clip(y + radius * np.sin(angles), 0, hw[0])
    return outline(np.stack([rim_x, rim_y], axis=1).tolist(), name, hw)


def _mask(encoded: object, corners: list[list[float]], name: str, hw: tuple[int, int]) -> Entry | str:
    """A mask kept as a PNG in base64; its points are the first and the last pixel of the box it fills."""
    (x0, y0), (x1, y1) = ([round(value) for value in point] for point in corners)
    if not (0 <= x0 <= x1 < hw[1] and 0 <= y0 <= y1 < hw[0]):
        return f"leaves the image of {hw[1]} x {hw[0]} px"
    if not isinstance(encoded, str) or len(encoded) > MAX_MASK_TEXT:
        return "is a mask without its picture"
    try:
        part = decode_mask(base64.b64decode(encoded, validate=True), (y1 - y0 + 1, x1 - x0 + 1))
    except (binascii.Error, ValueError) as error:
        return f"has a mask that {error}"
    if not part.any():
        return "marks no pixel"
    whole = np.zeros(hw, dtype=np.bool_)
    whole[y0 : y1 + 1, x0 : x1 + 1] = part
    return {"kind": "rle", "points_xy": None, "counts": encode_runs(whole), "defect_type": name}
