"""What a decoded image contradicts: its name, its row's boxes, what a browser makes of it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from curate.faults import Fault

SUFFIXES = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg"),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
}


def unreadable(relative_path: str, problem: tuple[str, str]) -> Fault:
    """An image that cannot be used.

    Args:
        problem: reason and remedy, see curate.images.BadImage.
    """
    reason, remedy = problem
    return Fault("unreadable", "error", relative_path, f"{relative_path} {reason}; it is left out.", remedy)


def about_image(path: str, facts: Mapping[str, Any], pages_are_taken: bool) -> Iterator[Fault]:
    """Remarks on a file that can be used.

    Args:
        path: relative.
        facts: as a dict of curate.images.ImageFacts.
        pages_are_taken: whether further pages become images of their own.
    """
    if facts["orientation"] != 1:
        yield Fault(
            "exif_orientation",
            "warning",
            path,
            f"{path} has EXIF orientation {facts['orientation']}: browsers turn it, detectors and masks do "
            "not.",
            "Turn the pixels and remove the EXIF entry, for example with: exiftran -ai FILE.",
        )
    if facts["n_pictures"] > 1 and not pages_are_taken:
        yield Fault(
            "several_pictures",
            "warning",
            path,
            f"{path} holds {facts['n_pictures']} pictures (pages or frames); only the first is taken in.",
            "Save each picture as a file of its own, or remove the others.",
        )
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES.get(facts["file_format"], (suffix,)):
        yield Fault(
            "wrong_extension",
            "warning",
            path,
            f"{path} is a {facts['file_format']} image in spite of its name; it is read as what it is.",
            f"Rename it to end in {SUFFIXES[facts['file_format']][0]}: other programs go by the name.",
        )
    for complaint in facts["complaints"]:
        yield Fault(
            "decoder_warning",
            "warning",
            path,
            f"{path} can be read, but the decoder remarks: {complaint.rstrip('.')}.",
            "Look whether the picture is whole; save it anew if it is, copy it again if it is not.",
        )


def about_boxes(row: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[Fault]:
    """Boxes that are empty or leave the image."""
    width, height, path = facts["width"], facts["height"], row["relative_path"]
    for box in row["boxes"] or ():
        x0, y0, x1, y1 = box["box_xyxy"]
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            yield Fault(
                "bad_box",
                "error",
                path,
                f"{path}: the box {x0:g} {y0:g} {x1:g} {y1:g} ({box['defect_type']}) is empty or leaves the "
                f"image of {width} x {height} px.",
                "Correct the box.",
            )


def about_pages(row: Mapping[str, Any], n_pages: int, problem: tuple[str, str] | None) -> Iterator[Fault]:
    """Further pages that cannot be used, or of which nobody has said what they show.

    Args:
        n_pages: further pages that were taken in.
        problem: reason and remedy of the page that could not be.
    """
    path = row["relative_path"]
    if problem is not None:
        reason, remedy = problem
        message = f"{path} {reason}; that page and those after it are left out."
        yield Fault("unreadable", "error", path, message, remedy)
    if n_pages and row["label"] == "anomalous":
        yield Fault(
            "pages_unknown",
            "warning",
            path,
            f"{path} is anomalous and has {n_pages} further pages, of which nobody says what they show: they "
            'are labelled "unknown".',
            "Decide in triage, or save each page as a file of its own.",
        )
