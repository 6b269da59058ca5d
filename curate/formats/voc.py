"""PASCAL VOC: an XML file of boxes per image, masks of class numbers, lists of splits.

Layout: JPEGImages/7.jpg, Annotations/7.xml, SegmentationClass/7.png, ImageSets/Main or
Segmentation/<split>.txt, here or in folders below (VOCdevkit/VOC2012). Also XML files beside the images
(LabelImg, Roboflow), and in annotations/, labels/ or xml/ beside images/ or data/. Files are paired by
their stem, as in the devkit; where no image has it, by the XML's filename. The lists give the split, else a
folder's name does.

Boxes are taken as the devkit writes them: the first pixel is 1 and xmax, ymax lie inside, so that x0 is
xmin - 1 and x1 is xmax. Many tools count from 0. A box with xmin = 0 shows that and is reported; the option
`first_pixel` = 0 reads them. Masks are palette images: values 1 to 254 are classes and defect, 255 is the
void border around an object and is not. Names of the classes come from labelmap.txt (CVAT) or
class_names.txt (labelme). Masks in colours instead of a palette have no numbers: whatever is not black is
defect. Where a mask is used, the boxes are not, as they only bound its regions. SegmentationObject counts
objects; it is not read.

An object called normal, good, ok or nominal says that the image is normal; every other one is a defect. An
XML file without objects, or an empty mask, says that somebody looked and found nothing: normal. Without
either a folder called good, OK, NG, ... tells; else the image is "unknown", or "normal" by the option
`unannotated`.

Licence: that of the data; the first line of a licence file.
Source: Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 88 (2010),
doi:10.1007/s11263-009-0275-4
"""

import re
from collections import defaultdict
from pathlib import Path
from xml.etree.ElementTree import Element

import pandas as pd

from curate.annotated import (
    Found,
    check_options,
    finished,
    first_line_of_licence,
    image_hw,
    means_normal,
    other_size,
    split_of_folders,
)
from curate.annotation_files import bad_entry, located, missing_image, text, xml_root
from curate.faults import Fault, shown
from curate.images import is_image
from curate.pairing import Pictures, ambiguous, named_twice
from curate.peeking import first_file
from curate.readings import images, stem
from curate.shapes import Entry, box, snapped
from curate.voc_masks import CLASSES, is_mask, read_masks
from curate.walking import Tree, is_folder, matching, walk

ROOT = re.compile(rb"<annotation[\s>]")
OBJECT = re.compile(rb"<(object|filename|size)[\s/>]")
SETS = "ImageSets"
LISTS = {"train": "train", "trainval": "train", "val": "val", "test": "test"}
FLAG = re.compile(r"\s+-?[01]$")  # "2007_000027 -1": the lists of one class say whether it is there
NUMBER = re.compile(r"[+-]?\d{1,9}(\.\d{0,20})?", re.A)
MAX_LIST_BYTES = 64 << 20


def detect(root: Path) -> list[str]:
    """Unmet requirements; empty when there are XML annotations, or class masks, two levels below at most."""
    for base in (root, *matching(root, "VOC*"), *matching(root, "VOCdevkit/VOC*")):
        if is_folder(base / "JPEGImages") and (is_folder(base / CLASSES) or is_folder(base / "Annotations")):
            return []
    if first_file(root, ".xml", (ROOT, OBJECT)) is None:
        return [f"no JPEGImages folder with Annotations or {CLASSES}, and no .xml file with an <annotation>"]
    return []


def read(
    root: Path, unannotated: str = "unknown", category: str | None = None, first_pixel: int = 1
) -> pd.DataFrame:
    """One row per image; see curate.readings for the columns. Decodes the masks, to see what is in them.

    Args:
        root: the dataset's folder.
        unannotated: label of images without XML file and mask: "unknown" or "normal".
        category: what one detector is trained for; the name of `root` unless told.
        first_pixel: what xmin and ymin count from, 1 or 0.

    Raises:
        ValueError: another value of an option.
    """
    check_options(unannotated, category)
    if first_pixel not in (0, 1) or isinstance(first_pixel, bool):
        raise ValueError(f"The option first_pixel is {first_pixel!r}. Expected 1 or 0.")
    tree = walk(root)
    faults = list(tree.faults)
    pictures = Pictures(tree)
    masks = [path for path in images(tree.files) if is_mask(path)]
    found = {path: Found() for path in images(tree.files) if not is_mask(path)}
    _read_objects(tree, pictures, found, first_pixel, faults)
    read_masks(tree, pictures, masks, found, faults)
    _add_splits(tree, pictures, found, faults)
    common = {"category": category or root.absolute().name, "licence": first_line_of_licence(tree, faults)}
    return finished(tree, found, faults, unannotated, common, other_images=masks)


def _read_objects(
    tree: Tree, pictures: Pictures, found: dict[str, Found], first_pixel: int, faults: list[Fault]
) -> None:
    speakers: dict[str, list[str]] = defaultdict(list)
    for path in tree.files:
        if not path.lower().endswith(".xml"):
            continue
        content = xml_root(tree, path, faults)
        if content is None or content.tag != "annotation":
            for name in found.keys() & pictures.of(path):
                found[name].doubtful = True
        if content is None:
            continue
        if content.tag != "annotation":
            message = f"{path} holds <{shown(content.tag[:40])}>, expected <annotation>; it is not read."
            faults.append(Fault("unused_annotations", "warning", path, message, "Remove it, or leave it so."))
            continue
        image = _image_of(tree, pictures, path, content, found, faults)
        if image is not None:
            speakers[image].append(path)
            _add_objects(tree, path, content, image, found[image], first_pixel, faults)
    faults += [named_twice(image, files) for image, files in speakers.items() if len(files) > 1]


def _image_of(
    tree: Tree, pictures: Pictures, path: str, content: Element, found: dict[str, Found], faults: list[Fault]
) -> str | None:
    """The image of an XML file by its stem, or else by the filename in it; None, and a fault, without one."""
    named = _said(content, "filename")
    by_name = [
        image
        for folder in pictures.folders(path)
        if (image := located(tree, folder, named)) is not None and image in found
    ]
    fitting = [image for image in pictures.of(path) if image in found]
    if not fitting and not by_name:
        faults.append(missing_image(path, "filename", named or f"{stem(path)}.jpg"))
        return None
    if not fitting or (len(fitting) > 1 and by_name and by_name[0] in fitting):
        return by_name[0]
    if len(fitting) > 1:
        faults.append(ambiguous(path, fitting))
        for image in fitting:
            found[image].doubtful = True
        return None
    if by_name and by_name[0] != fitting[0]:
        message = f'{path} has the name of {fitting[0]}, but its filename says "{shown(named)}", also there.'
        remedy = "It is used for the image with its name; correct the filename if that is right."
        faults.append(Fault("other_filename", "warning", path, message, remedy))
    return fitting[0]


def _add_objects(
    tree: Tree, path: str, content: Element, name: str, image: Found, first_pixel: int, faults: list[Fault]
) -> None:
    hw = image_hw(tree, name)
    said_hw = (_number(content, "size/height"), _number(content, "size/width"))
    if hw and (fault := other_size(path, name, said_hw, hw)):
        faults.append(fault)
        hw = None
    objects = content.findall("object")
    image.clean |= not objects
    for number, entry in enumerate(objects, start=1):
        defect_type, where = _said(entry, "name"), f"object {number}"
        if not defect_type:
            image.defective = True
            faults.append(bad_entry(path, where, "has no name"))
        elif means_normal(defect_type):
            image.clean = True
        else:
            shapes = [_box(entry, defect_type, hw, first_pixel)] if hw else []
            for problem in image.add(defect_type, shapes):
                remedy = "Correct the entry; if the tool counts pixels from 0, read with first_pixel = 0."
                faults.append(bad_entry(path, where, problem, remedy))


def _box(entry: Element, defect_type: str, hw: tuple[int, int], first_pixel: int) -> Entry | str:
    said = [_number(entry, f"bndbox/{name}") for name in ("xmin", "ymin", "xmax", "ymax")]
    corners = [value for value in said if value is not None]
    if len(corners) < 4:
        return "has no bndbox with the numbers xmin, ymin, xmax and ymax"
    corners[0] -= first_pixel
    corners[1] -= first_pixel
    return box(snapped(corners, hw), defect_type, hw)


def _said(entry: Element, name: str) -> str:
    return (entry.findtext(name) or "").strip()


def _number(entry: Element, name: str) -> float | None:
    said = _said(entry, name)
    return float(said) if NUMBER.fullmatch(said) else None


def _add_splits(tree: Tree, pictures: Pictures, found: dict[str, Found], faults: list[Fault]) -> None:
    told: dict[str, set[str]] = defaultdict(set)
    for path in tree.files:
        above, inside, rest = path.rpartition(f"{SETS}/")
        if not inside or not rest.lower().endswith(".txt") or stem(path).lower() not in LISTS:
            continue
        absent = []
        for line in filter(
            None, map(str.strip, (text(tree, path, faults, MAX_LIST_BYTES) or "").splitlines())
        ):
            listed = _listed(pictures, above, line) or _listed(pictures, above, FLAG.sub("", line))
            absent += [] if listed else [line]
            for name in listed:
                told[name].add(stem(path).lower())
        if absent:
            message = f"{path} names {len(absent)} images that are not here, the first is {shown(absent[0])}."
            faults.append(Fault("listed_but_absent", "warning", path, message, "Add them, or leave it so."))
    for name, image in found.items():
        lists = told.get(name, set())
        if {"train", "val"} & lists:
            lists -= {"trainval"}
        by_folder = split_of_folders(name)
        image.splits = {LISTS[each] for each in lists} or ({by_folder} if by_folder else set())


def _listed(pictures: Pictures, above: str, said: str) -> list[str]:
    """Images that a line of a list means: 2007_000027, sub/7 or 7.jpg."""
    folder, _, name = said.replace("\\", "/").rpartition("/")
    name = stem(name) if is_image(name) else name
    return [
        path
        for place in pictures.image_folders(above.rstrip("/"), folder)
        for path in pictures.named(place, name)
    ]
