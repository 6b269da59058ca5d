"""Masks of class numbers in PASCAL VOC's layout, paired with their images by folder and stem."""

from collections.abc import Sequence

import numpy as np

from curate.annotated import Found, image_hw
from curate.annotation_files import text
from curate.faults import Fault
from curate.images import Array, BadImage, read_indices
from curate.masks import limits, size_fault, within
from curate.pairing import Pictures, ambiguous
from curate.readings import absolute, orphan_mask, stem
from curate.walking import Tree

CLASSES, OBJECTS = "SegmentationClass", "SegmentationObject"
NAME_LISTS = ("labelmap.txt", "class_names.txt")
IGNORED = "__ignore__"
MASK_RULE, COLOUR_RULE = "1..254", "> 0"
MAX_LIST_BYTES = 1 << 20


def is_mask(relative_path: str) -> bool:
    """Whether a file lies in a folder of masks."""
    return not {CLASSES, OBJECTS}.isdisjoint(relative_path.split("/")[:-1])


def read_masks(
    tree: Tree, pictures: Pictures, masks: Sequence[str], found: dict[str, Found], faults: list[Fault]
) -> None:
    """Add what the masks of classes tell to their images; see curate/formats/voc.py.

    Args:
        masks: relative paths in SegmentationClass and SegmentationObject.
        found: by relative path of the image; changed in place.
    """
    names = _class_names(tree, faults)
    of_classes = {path for path in masks if CLASSES in path.split("/")}
    coloured = []
    for mask in sorted(of_classes):
        image = _image_of(pictures, mask, found, faults)
        values = None if image is None else _values(tree, mask, image, found[image], faults)
        if image is None or values is None:
            continue
        if values.ndim == 3:
            coloured.append(mask)
        _add_mask(tree, mask, values, names, image, found[image], faults)
    if coloured:
        message = (
            f"{len(coloured)} masks are colour images without class numbers, the first is {coloured[0]}; all "
            "that is not black counts as defect, also a void border."
        )
        remedy = "Save them as palette images, or leave it so."
        faults.append(Fault("colour_masks", "warning", "", message, remedy))
    alone = [path for path in masks if path not in of_classes and _twin(path) not in of_classes]
    for path in alone:
        message = f"{path} tells objects apart, but has no mask of classes {_twin(path)}; it is not read."
        faults.append(Fault("unused_mask", "warning", path, message, "Add the mask of classes."))


def _twin(mask: str) -> str:
    return "/".join(CLASSES if part == OBJECTS else part for part in mask.split("/"))


def _image_of(pictures: Pictures, mask: str, found: dict[str, Found], faults: list[Fault]) -> str | None:
    beside = pictures.folders(mask)[1:]
    fitting = [path for folder in beside for path in pictures.named(folder, stem(mask)) if path in found]
    if not fitting:
        wanted = f"JPEGImages/{stem(mask)}.*"
        faults.append(orphan_mask(mask, wanted))
        return None
    if len(fitting) > 1:
        faults.append(ambiguous(mask, fitting))
        for path in fitting:
            found[path].doubtful = True
        return None
    return fitting[0]


def _values(tree: Tree, mask: str, path: str, image: Found, faults: list[Fault]) -> Array | None:
    """(H, W) class numbers, or (H, W, 3) colours; None, and a fault, where they cannot be used."""
    image.doubtful = True  # till the mask is known to be good
    try:
        values = read_indices(tree.files[mask])
    except BadImage as error:
        message = f"The mask {mask} of {path} {error.reason}; it is not used."
        faults.append(Fault("unreadable_mask", "error", path, message, error.remedy))
        return None
    hw = image_hw(tree, path)
    if hw is not None and values.shape[:2] != hw:
        faults.append(size_fault(path, hw, tree.files[mask], (values.shape[0], values.shape[1])))
        return None
    image.doubtful = False
    return values


def _add_mask(
    tree: Tree, mask: str, values: Array, names: dict[int, str], path: str, image: Found, faults: list[Fault]
) -> None:
    coloured = values.ndim == 3
    rule = COLOUR_RULE if coloured else MASK_RULE
    numbers, areas = np.unique(values.max(axis=2) if coloured else values, return_counts=True)
    inside = {int(n): int(a) for n, a in zip(numbers, areas, strict=True) if within(n, *limits(rule))}
    if not inside:
        if numbers.max(initial=0) > 0:
            image.doubtful = True
            message = f"The mask {mask} of {path} has values, but none from 1 to 254; 255 is the void border."
            remedy = "If 255 is the defect there, save the mask with the numbers of the classes, from 1 on."
            faults.append(Fault("only_void", "error", path, message, remedy))
        elif image.defective:
            message = (
                f"The mask {mask} of {path} is empty, though its XML file names defects; boxes are used."
            )
            faults.append(Fault("empty_mask", "warning", path, message, "Draw the mask, or remove it."))
        else:
            image.clean = True
        return
    image.defective = True
    image.boxes.clear()
    image.known |= {"gt_mask_path": absolute(tree.files[mask]), "mask_rule": rule}
    if coloured:
        image.known["mask_kind"] = "binary"
        return
    image.types |= {names[number] for number in inside if number in names}
    classes = [{"value": n, "defect_type": names.get(n), "area_px": area} for n, area in inside.items()]
    image.known |= {"mask_kind": "classes", "mask_classes": classes}


def _class_names(tree: Tree, faults: list[Fault]) -> dict[int, str]:
    """Class number to name: the order of the lines. labelmap.txt has "name:colour:parts:actions"."""
    lists = [path for name in NAME_LISTS for path in tree.files if path.rpartition("/")[2].lower() == name]
    lines = (text(tree, lists[0], faults, MAX_LIST_BYTES) or "").splitlines() if lists else []
    said = [line.split(":")[0].strip() for line in lines if line.strip() and not line.startswith("#")]
    return {number: name for number, name in enumerate(name for name in said if name != IGNORED) if name}
