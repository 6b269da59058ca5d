"""Writes the MVTec AD folder layout, which anomalib, Datumaro and most research code read.

Images for calibration form a tree of their own under `calibration/`, so that readers of the main tree never
see them. Bergmann et al., IJCV 2021, doi:10.1007/s11263-020-01400-4
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from curate import __version__, manifest
from curate.damage import PNG_SIGNATURE
from curate.errors import CurateError, DataFault, Unreadable, listed
from curate.export_folder import Item, write_folder
from curate.export_names import folder_faults, stems
from curate.export_plan import Chosen, choose
from curate.images import encode_png, read_stored

LAYOUT = "mvtec_ad"
GOOD = "good"
SEVERAL_TYPES = "combined"
NO_TYPE = "defective"
OF_LAYOUT = "a name of its own"
RESERVED_CATEGORIES = dict.fromkeys(
    ("train", "test", "calibration", "ground_truth", manifest.NAME, manifest.LICENCES.lower()), OF_LAYOUT
)
READ_AGAIN = "Restore it, or read the source again: curate ingest FOLDER --rehash, or curate build --rehash."
RESERVED_TYPES = {GOOD: "the folder of normal images"}


def write(
    samples: pd.DataFrame,
    out: Path,
    *,
    masks: Path,
    recipe: dict[str, Any],
    dataset: str | None = None,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
    announce: Callable[[str], None] | None = None,
) -> list[Path]:
    """Export a dataset; the same input gives the same bytes.

    PNG files are copied byte for byte, others become PNG with equal pixels. Verdicts must already be in the
    table. Samples without a known label, anomalous ones in train, and anomalous ones without a usable mask
    are left out and named in the manifest.

    Args:
        samples: sample table with the column `assigned_split`.
        out: folder to make; see `curate.export_folder.write_folder` for what happens if it exists.
        masks: folder of canonical masks, `<sample_id>.png`, 0/255; where a sample has no mask file but boxes,
            the boxes are its mask.
        recipe: kept in the manifest, without the paths of this machine.
        dataset: name for the manifest; by default the recipe's.
        overwrite: replace an earlier export.
        progress: called with the number of samples just dealt with.
        announce: called with the SHA-256 of the manifest when all files are written, but not yet in place.

    Returns:
        The files written, sorted: images, masks, LICENCES.txt and manifest.json.

    Raises:
        AlreadyExists: `out` is there and may not be replaced.
        DataFault: names that cannot be folders, images that changed since they were ingested, or nothing to
            export; all are listed.
        MissingMask: canonical masks are absent; all are listed.
        StorageFull: no space is left; a second call goes on where the first stopped.
    """
    chosen, left_out = choose(samples, masks)
    _check_place(chosen, out)
    _check_names(chosen)
    placed = _placed(chosen)
    images = [
        manifest.image_entry(one.row, path, mask_path, one.mask_source) for one, path, mask_path in placed
    ]
    items = [item for one, path, mask_path in placed for item in _items(one, path, mask_path)]
    licences = manifest.licence_text(images).encode()
    items.append(Item(manifest.LICENCES, hashlib.sha256(licences).hexdigest(), lambda: licences))

    if progress:
        progress(len(left_out))

    def finish(files: list[manifest.File]) -> bytes:
        name = dataset or str(recipe.get("name") or "dataset")
        content = manifest.to_bytes(manifest.build(LAYOUT, name, recipe, images, left_out, files))
        if announce:
            announce(hashlib.sha256(content).hexdigest())
        return content

    return write_folder(out, items, finish, overwrite, progress)


def defect_folder(row: dict[str, Any]) -> str:
    """Folder of an image inside test/: good, its defect type, or "combined" for several."""
    if row["label"] == "normal":
        return GOOD
    types = sorted(set(row["defect_types"]))
    return SEVERAL_TYPES if len(types) > 1 else types[0] if types else NO_TYPE


def _placed(chosen: Sequence[Chosen]) -> list[tuple[Chosen, str, str | None]]:
    """Every sample with the path of its image and of its mask."""
    folders: dict[tuple[str, str, str], list[Chosen]] = defaultdict(list)
    for one in chosen:
        split = one.row["assigned_split"]
        base = f"calibration/{one.row['category']}" if split == "calibration" else one.row["category"]
        kind = "train" if split == "train" else "test"
        folders[base, kind, defect_folder(one.row)].append(one)
    placed = []
    for (base, kind, defect), members in folders.items():
        names = stems({one.row["sample_id"]: one.row["relative_path"] for one in members})
        for one in members:
            stem = names[one.row["sample_id"]]
            mask_path = f"{base}/ground_truth/{defect}/{stem}_mask.png" if one.mask_source else None
            placed.append((one, f"{base}/{kind}/{defect}/{stem}.png", mask_path))
    return sorted(placed, key=lambda entry: entry[1])


def _items(one: Chosen, path: str, mask_path: str | None) -> list[Item]:
    row = one.row
    items = [Item(path, f"{__version__} image {row['sha256']}", lambda: _image(row), n_images=1)]
    if mask_path:
        items.append(Item(mask_path, f"{__version__} mask {one.mask_key()}", one.mask_png))
    return items


def _image(row: dict[str, Any]) -> bytes:
    """PNG of a sample, after making sure that its file is still the one that was ingested."""
    source = Path(row["filepath"])
    try:
        content = source.read_bytes()
    except OSError as error:
        raise Unreadable(f"{source} can no longer be read ({error.strerror}). {READ_AGAIN}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != row["sha256"]:
        raise CurateError(
            f"{source} changed since it was ingested (checksum {found[:12]}, expected {row['sha256'][:12]}). "
            f"{READ_AGAIN}"
        )
    return content if content.startswith(PNG_SIGNATURE) else encode_png(read_stored(source))


def _check_place(chosen: Sequence[Chosen], out: Path) -> None:
    """Raise when the export would replace its own source."""
    place = out.expanduser().resolve()
    inside = [
        one.row["relative_path"]
        for one in chosen
        if Path(one.row["filepath"]).resolve().is_relative_to(place)
    ]
    if inside:
        raise DataFault(
            f"DataFault: {out} holds {len(inside)} of the images to export:\n{listed(inside)}\n"
            "Choose a folder outside of the source."
        )


def _check_names(chosen: Sequence[Chosen]) -> None:
    """Raise when categories or defect types cannot be folders; all are listed."""
    lines = folder_faults("category", (one.row["category"] for one in chosen), RESERVED_CATEGORIES)
    by_category: dict[str, set[str]] = defaultdict(set)
    for one in chosen:
        if one.row["label"] == "anomalous":
            by_category[one.row["category"]].add(defect_folder(one.row))
    for category, types in sorted(by_category.items()):
        faults = folder_faults("defect type", types, RESERVED_TYPES)
        lines += [f"{line} (category {category!r})" for line in faults]
    if lines:
        raise DataFault(
            f"DataFault: {len(lines)} names cannot be folders of an export:\n{listed(lines)}\n"
            "Rename them in the source or in its mapping."
        )
