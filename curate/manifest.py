"""The manifest of an exported dataset: what it holds, where it came from, and the checksum of every file."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from curate import __version__
from curate.errors import Missing, Unreadable
from curate.export_plan import LeftOut
from curate.files import to_json

NAME = "manifest.json"
LICENCES = "LICENCES.txt"
SCHEMA_VERSION = 1
CLUTTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})  # left behind by file managers
MACHINE_PATH = re.compile(r"(/|~|[A-Za-z]:[\\/]|\\\\)")
COPIED = (
    "sample_id relative_path sha256 source category label defect_types part_id product lot panel station "
    "camera lighting captured_at site um_per_px boxes licence citation"
).split()
LEFT_OUT = ("sample_id", "relative_path", "source", "category", "label")
CHANGES = (
    "The images were divided into train, calibration and test. PNG files are unchanged; other formats were\n"
    "converted to PNG with equal pixels. Masks were set to the values 0 and 255; some come from boxes,\n"
    f"others from people who drew or corrected them. {NAME} says for every image where it came from."
)


@dataclass(frozen=True)
class File:
    """A file of an export: path from its root with forward slashes, hex checksum, bytes."""

    path: str
    sha256: str
    size_bytes: int


def image_entry(
    row: dict[str, Any], path: str, mask_path: str | None, mask_source: str | None
) -> dict[str, Any]:
    """A manifest's entry for one exported sample."""
    placed = {
        "path": path,
        "mask_path": mask_path,
        "mask_source": mask_source,
        "split": row["assigned_split"],
    }
    return {**{name: row[name] for name in COPIED}, **placed}


def build(
    layout: str,
    dataset: str,
    recipe: dict[str, Any],
    images: Sequence[dict[str, Any]],
    left_out: Sequence[LeftOut],
    files: Sequence[File],
) -> dict[str, Any]:
    """The manifest as in data_schemas/manifest.json; the order of the arguments' items does not matter."""
    out = [
        {**{k: one.row[k] for k in LEFT_OUT}, "split": one.row["assigned_split"], "reason": one.reason}
        for one in left_out
    ]
    content = {
        "schema_version": SCHEMA_VERSION,
        "layout": layout,
        "dataset": dataset,
        "curate_version": __version__,
        "recipe": without_machine_paths(recipe),
        "licences": licences(images),
        "images": sorted(images, key=lambda image: str(image["path"])),
        "left_out": sorted(out, key=lambda one: (one["source"], one["relative_path"], one["sample_id"])),
        "files": [asdict(file) for file in sorted(files, key=lambda file: file.path)],
    }
    return {**content, "content_sha256": content_sha256(content)}


def to_bytes(manifest: dict[str, Any]) -> bytes:
    """The one spelling of a manifest: equal content, equal bytes."""
    return f"{to_json(manifest)}\n".encode()


def content_sha256(manifest: dict[str, Any]) -> str:
    """Checksum of a manifest without its own entry."""
    content = {key: value for key, value in manifest.items() if key != "content_sha256"}
    return hashlib.sha256(to_bytes(content)).hexdigest()


def read(folder: Path) -> dict[str, Any]:
    """The manifest of an export, as JSON; not checked, `curate.verify` does that.

    Raises:
        Missing: there is none.
        Unreadable: it may not be read, or is not a JSON object.
    """
    path = folder / NAME
    try:
        content = json.loads(path.read_bytes().decode())
    except FileNotFoundError as error:
        raise Missing(f"Missing: {folder} has no {NAME}, so it is not an export of curate.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise Unreadable(f"Unreadable: {path} is not a readable JSON file ({error}).") from error
    if not isinstance(content, dict):
        raise Unreadable(f"Unreadable: {path} does not hold a JSON object.")
    return content


def licences(images: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sources with their licence, citation and number of images, sorted."""
    counts = Counter((image["source"], image["licence"], image["citation"]) for image in images)
    return [
        {"source": source, "licence": licence, "citation": citation, "n_images": n_images}
        for (source, licence, citation), n_images in sorted(
            counts.items(), key=lambda item: tuple(text or "" for text in item[0])
        )
    ]


def licence_text(images: Sequence[dict[str, Any]]) -> str:
    """Licences and citations for people to read."""
    blocks = ["Sources of the images in this folder"]
    for entry in licences(images):
        licence = entry["licence"] or "not stated; ask the owner before you pass these images on"
        citation = entry["citation"] or "none stated"
        blocks.append(
            f"{entry['source']}: {entry['n_images']} images\n  Licence: {licence}\n  Cite: {citation}"
        )
    return "\n\n".join([*blocks, f"Changes\n{CHANGES}"]) + "\n"


def without_machine_paths(value: Any) -> Any:
    """A recipe in which absolute paths are cut down to their last part.

    >>> without_machine_paths({"path": "/home/eva/tiles", "format": "auto", "out": ["C:\\\\x\\\\y", "../z"]})
    {'path': 'tiles', 'format': 'auto', 'out': ['y', '../z']}
    """
    if isinstance(value, dict):
        return {str(key): without_machine_paths(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_machine_paths(item) for item in value]
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, str) and MACHINE_PATH.match(value):
        kind = PureWindowsPath if "\\" in value else PurePosixPath
        return kind(value).name
    return value
