"""Checks an exported dataset against its manifest: nothing missing, nothing added, nothing changed."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from curate import manifest
from curate.errors import CurateError, Missing
from curate.faults import Fault, Severity, in_order, shown
from curate.files import sha256_file
from curate.images import BadImage, ImageFacts, probe, read_stored
from curate.schema import faults as schema_faults

EXPORT_AGAIN = "Export the dataset again, or restore the file from a copy."


def verify(folder: Path, progress: Callable[[int], None] | None = None) -> list[Fault]:
    """Find everything that is wrong with an export, at once.

    Found are: a manifest that is absent, unreadable, changed or against its contract; files missing, added or
    with other bytes; images and masks that do not decode; masks without an image, of another size, with other
    values than 0 and 255, or empty on an anomalous image; parts or equal pictures in two splits.

    Args:
        folder: the export's root.
        progress: called with 1 for every checked file.

    Returns:
        Faults, errors first; empty when all is well.

    Raises:
        Missing: the folder does not exist.
    """
    if not folder.is_dir():
        raise Missing(f"Missing: {folder} is not a folder.")
    try:
        content = manifest.read(folder)
    except CurateError as error:
        message = str(error).partition(": ")[2]
        return [_fault("bad_manifest", manifest.NAME, message, "Name the export's root, or export again.")]
    faults = _manifest_faults(folder, content)
    listed = _entries(content, "files", "path", "sha256")
    faults += _tree_faults(folder, [entry["path"] for entry in listed])
    broken_contract = any(fault.code == "bad_manifest" for fault in faults)
    images = [] if broken_contract else _entries(content, "images", "path", "split")
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        for found in pool.map(lambda entry: _file_faults(folder, entry), listed):
            faults += found
            if progress:
                progress(1)
        pictures = list(pool.map(lambda image: _picture(folder, image), images))
    for _, found in pictures:
        faults += found
    faults += _split_faults([(image, facts) for image, (facts, _) in zip(images, pictures, strict=True)])
    if not broken_contract:
        faults += _loose_faults(images, [entry["path"] for entry in listed])
    return in_order(faults)


def _fault(
    code: str,
    path: str,
    message: str,
    remedy: str = EXPORT_AGAIN,
    severity: Severity = "error",
    related: tuple[str, ...] = (),
) -> Fault:
    return Fault(code, severity, path, message, remedy, related)


def _manifest_faults(folder: Path, content: dict[str, Any]) -> list[Fault]:
    """Breaches of the contract, and any change to the bytes of the manifest."""
    faults = [
        _fault("bad_manifest", manifest.NAME, line.removeprefix("manifest 0, "))
        for line in schema_faults([content], "manifest", "manifest")
    ]
    written = (folder / manifest.NAME).read_bytes()
    try:
        same = manifest.to_bytes(content) == written
    except (UnicodeEncodeError, ValueError):
        same = False
    if not same or content.get("content_sha256") != manifest.content_sha256(content):
        faults.append(
            _fault(
                "changed_manifest", manifest.NAME, f"{manifest.NAME} is not as it was written.", EXPORT_AGAIN
            )
        )
    return faults


def _entries(content: dict[str, Any], key: str, *needed: str) -> list[dict[str, Any]]:
    """Entries of a list in the manifest that can be used, even if the manifest is against its contract."""
    entries = content.get(key)
    return [
        entry
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and all(isinstance(entry.get(name), str) for name in needed)
    ]


def _tree_faults(folder: Path, listed: Sequence[str]) -> list[Fault]:
    """Files that the manifest does not know, links, and paths named twice."""
    known = {*listed, manifest.NAME}
    faults = []
    for path in sorted(folder.rglob("*")):
        name = shown(path.relative_to(folder).as_posix())
        if path.is_symlink():
            faults.append(_fault("link", name, f"{name} is a link; an export holds none.", EXPORT_AGAIN))
        elif not path.is_dir() and name not in known:
            harmless = path.name in manifest.CLUTTER
            remedy = "Remove it, or move it out of the export."
            message = f"{name} is not in {manifest.NAME}."
            faults.append(_fault("extra_file", name, message, remedy, "warning" if harmless else "error"))
    twice = (
        sorted({name for name in listed if listed.count(name) > 1}) if len(set(listed)) < len(listed) else []
    )
    return faults + [_fault("listed_twice", name, f"{name} is in {manifest.NAME} twice.") for name in twice]


def _file_faults(folder: Path, entry: dict[str, Any]) -> list[Fault]:
    """A file that is missing, or has other bytes than when it was written."""
    name = entry["path"]
    path = folder / name
    if not _inside(folder, name) or not path.is_file():
        return [_fault("missing_file", name, f"{name} is in {manifest.NAME}, but not in the folder.")]
    try:
        size_bytes, digest = path.stat().st_size, sha256_file(path)
    except OSError as error:
        return [_fault("unreadable", name, f"{name} cannot be read ({error.strerror}).")]
    if digest == entry["sha256"] and size_bytes == entry.get("size_bytes"):
        return []
    return [
        _fault(
            "changed_file",
            name,
            f"{name} changed since the export: it has {size_bytes} bytes, checksum {digest[:12]}; expected "
            f"{entry.get('size_bytes')} bytes, checksum {entry['sha256'][:12]}.",
        )
    ]


def _inside(folder: Path, name: str) -> bool:
    return (folder / name).resolve().is_relative_to(folder.resolve())


def _picture(folder: Path, image: dict[str, Any]) -> tuple[ImageFacts | None, list[Fault]]:
    """Facts of an image, and what is wrong with it or its mask; missing files are reported elsewhere."""
    facts, faults = None, []
    path = image["path"]
    if _inside(folder, path) and (folder / path).is_file():
        try:
            facts = probe(folder / path)
        except BadImage as error:
            faults.append(_fault("unreadable", path, f"{path} {error.reason}."))
    if image["mask_path"] is not None:
        return facts, faults + _mask_faults(folder, image, facts)
    if image["label"] == "anomalous":
        faults.append(_fault("missing_mask", path, f"{path} is anomalous, but has no mask."))
    return facts, faults


def _mask_faults(folder: Path, image: dict[str, Any], facts: ImageFacts | None) -> list[Fault]:
    name = image["mask_path"]
    if not _inside(folder, name) or not (folder / name).is_file():
        return []
    try:
        mask = read_stored(folder / name)
    except BadImage as error:
        return [_fault("unreadable", name, f"{name} {error.reason}.")]
    faults = []
    if facts and mask.shape[:2] != (facts.height, facts.width):
        size = f"{mask.shape[1]} x {mask.shape[0]} px, its image {facts.width} x {facts.height} px"
        faults.append(_fault("mask_size", name, f"{name} has {size}.", related=(image["path"],)))
    if mask.ndim != 2 or mask.dtype != np.uint8 or not np.isin(mask, (0, 255)).all():
        faults.append(
            _fault("mask_values", name, f"{name} is not 8-bit grey with only the values 0 and 255.")
        )
    elif not mask.any():
        faults.append(_fault("empty_mask", name, f"{name} is empty, but its image is anomalous."))
    return faults


def _split_faults(pictures: Iterable[tuple[dict[str, Any], ImageFacts | None]]) -> list[Fault]:
    """Equal pictures, and images of one part, in different splits."""
    equal: dict[str, list[dict[str, Any]]] = defaultdict(list)
    parts: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for image, facts in pictures:
        parts[image["part_id"]].append(image)
        if facts:
            equal[facts.pixel_sha256].append(image)
    remedy = "Split the dataset again with these images in one group, and export it again."
    faults = []
    for code, what, sets in (
        ("duplicate_across_splits", "show the same picture", equal),
        ("part_across_splits", "show the same part", parts),
    ):
        for images in sets.values():
            if len({image["split"] for image in images}) > 1:
                first, *others = [f"{image['path']} ({image['split']})" for image in images]
                more = f" and {len(others) - 3} more" if len(others) > 3 else ""
                message = f"{', '.join([first, *others[:3]])}{more} {what} in different splits."
                related = tuple(image["path"] for image in images[1:])
                faults.append(_fault(code, images[0]["path"], message, remedy, related=related))
    return faults


def _loose_faults(images: Sequence[dict[str, Any]], listed: Sequence[str]) -> list[Fault]:
    """Masks and images that the list of images does not know, and the reverse."""
    named = {name for image in images for name in (image["path"], image["mask_path"]) if name is not None}
    faults = []
    for name in sorted(set(listed) - named - {manifest.LICENCES}):
        is_mask = "/ground_truth/" in f"/{name}"
        what = "is a mask without an image" if is_mask else "is not in the manifest's list of images"
        faults.append(_fault("mask_without_image" if is_mask else "unlisted_image", name, f"{name} {what}."))
    for name in sorted(named - set(listed)):
        faults.append(_fault("no_checksum", name, f"{name} has no checksum in {manifest.NAME}."))
    return faults
