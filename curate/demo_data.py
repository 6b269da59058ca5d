"""Demo data: photographs of FPC sections with known defects, written as an MVTec AD tree.

All images are rendered (curate.scenes, curate.defects); no photograph is among them. Licence: CC0-1.0.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from curate.defects import DEFECTS
from curate.errors import AlreadyExists, listed
from curate.files import PARTIAL, read_json, write_bytes, write_json, write_text
from curate.images import encode_png
from curate.progress import Advance, bar
from curate.registry import lookup
from curate.scenes.scene import check_view, render

GENERATOR_VERSION = 1  # raise it when the same seed gives other pixels
N_THREADS = 2
RECORD = "scene.json"
SECTIONS = ("acf", "coverlay", "sus")
LICENCE = """Demo data of curate, rendered by a program; no photograph is among the images.

To the extent possible under law, the authors waive all rights to these images (CC0 1.0 Universal,
https://creativecommons.org/publicdomain/zero/1.0/). They come without any warranty.
"""

# Sizes of curate.defects suit about 10 um per pixel; under the microscope defects are finer.
_FINE: dict[str, dict[str, Any]] = {
    "foreign_particle": {
        "fibre_length_um": (45.0, 150.0),
        "fibre_width_um": (2.5, 6.0),
        "crumb_um": (9.0, 36.0),
    },
    "bubble": {"within": "gap", "diameter_um": (24.0, 60.0), "contrast": (0.15, 0.35)},
    "scratch": {
        "within": "bump",
        "length_um": (50.0, 170.0),
        "width_um": (1.8, 4.5),
        "contrast": (0.12, 0.32),
    },
    "stain": {"within": "bond", "diameter_um": (40.0, 110.0), "contrast": (0.16, 0.36)},
}
DEFECTS_OF: dict[str, dict[str, dict[str, Any]]] = {
    "acf": _FINE,
    "coverlay": {
        "foreign_particle": {},
        "mousebite": {"within": "trace"},
        "open": {"within": "trace"},
        "scratch": {"within": "coverlay"},
    },
    "shield": {
        "bubble": {"within": "shield"},
        "foreign_particle": {},
        "pinhole": {"within": "shield", "diameter_um": (60.0, 300.0)},
        "scratch": {"within": "shield"},
    },
    "sus": {
        "foreign_particle": {},
        "pinhole": {"within": "sus", "diameter_um": (36.0, 130.0)},
        "scratch": {"within": "sus"},
        "stain": {"within": "sus", "contrast": (0.05, 0.16)},
    },
    "trace": {
        "mousebite": {"within": "trace"},
        "open": {"within": "trace", "max_width_um": 240.0},
        "pinhole": {"within": "pad"},
        "scratch": {"within": "pad"},
    },
}


@dataclass(frozen=True)
class _Picture:
    """One image to write; `gt_mask_path` and `defect` are None for a normal one."""

    section: str
    path: str
    defect: str | None = None
    gt_mask_path: str | None = None


def write_demo(
    root: Path,
    seed: int = 0,
    sections: Sequence[str] = SECTIONS,
    n_train: int = 40,
    n_good: int = 12,
    n_per_defect: int = 4,
    image_hw: tuple[int, int] = (256, 320),
    show_progress: bool = False,
) -> Path:
    """Write the demo images, or finish what an interrupted run began.

    Each section becomes a category with four defect types. Each image has its own random numbers, drawn
    from the seed and its path: what is already there is kept, and the end is the same bytes.

    Args:
        root: folder of the tree; made if missing.
        seed: of everything random.
        sections: names in curate.scenes.SCENES.
        n_train: normal images for training, per section.
        n_good: normal images for testing, per section.
        n_per_defect: anomalous images for testing, per section and defect type.
        image_hw: height and width of each image.
        show_progress: draw a bar on stderr.

    Returns:
        root.

    Raises:
        ValueError: an argument is out of range.
        AlreadyExists: the folder holds something else, or demo data of other settings.
    """
    _check_counts(seed, sections, n_train, n_good, n_per_defect)
    record = _record(seed, sections, n_train, n_good, n_per_defect, image_hw)
    _claim(root, record)
    missing = [picture for picture in _pictures(record) if not _is_there(root, picture)]
    # each image has its own random numbers, so the order in which threads finish does not matter
    with ThreadPoolExecutor(max_workers=N_THREADS) as pool, _progress(show_progress, len(missing)) as advance:
        for _ in pool.map(lambda picture: _write(root, picture, seed, image_hw), missing):
            advance(1)
    if not (root / "license.txt").exists():
        write_text(root / "license.txt", LICENCE)
    return root


@contextmanager
def _progress(shown: bool, n_total: int) -> Iterator[Advance]:
    """A bar while there is something to write, or a counter that says nothing."""
    if not shown or n_total == 0:
        yield lambda _: None
        return
    with bar("demo data", n_total) as advance:
        yield advance


def _record(
    seed: int,
    sections: Sequence[str],
    n_train: int,
    n_good: int,
    n_per_defect: int,
    image_hw: tuple[int, int],
) -> dict[str, Any]:
    """What determines every byte of the tree, as it stands in scene.json."""
    scales = {section: check_view(section, image_hw, None, seed) for section in sections}
    return {
        "generator": "curate.demo_data",
        "generator_version": GENERATOR_VERSION,
        "seed": seed,
        "image_hw": list(image_hw),
        "n_train": n_train,
        "n_good": n_good,
        "n_per_defect": n_per_defect,
        "licence": "CC0-1.0",
        "sections": {
            section: {"um_per_px": scales[section], "defect_types": sorted(DEFECTS_OF[section])}
            for section in sections
        },
    }


def _claim(root: Path, record: Mapping[str, Any]) -> None:
    """Make sure that the folder is empty or holds this very demo, and note in it what it will hold."""
    present = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
    if RECORD in present:
        found = read_json(root / RECORD)
        if found != record:
            keys = sorted(set(found) | set(record)) if isinstance(found, dict) else []
            differing = [f"{key}: {found.get(key)} there, {record.get(key)} wanted"
                         for key in keys if found.get(key) != record.get(key)]  # fmt: skip
            raise AlreadyExists(
                f"AlreadyExists: {root} holds demo data of other settings:\n{listed(differing)}\n"
                "Choose another folder, or remove this one."
            )
        for left_behind in root.rglob(f".*{PARTIAL}"):  # of a run that was killed while writing
            left_behind.unlink(missing_ok=True)
        return
    others = [name for name in present if not name.endswith(PARTIAL)]
    if others:
        raise AlreadyExists(
            f"AlreadyExists: {root} is no demo folder ({RECORD} is missing) and is not empty:\n"
            f"{listed(others)}\nChoose an empty or a new folder."
        )
    write_json(root / RECORD, record)


def _pictures(record: Mapping[str, Any]) -> Iterator[_Picture]:
    """Every image of the tree, in a fixed order."""
    for section, facts in record["sections"].items():
        for index in range(record["n_train"]):
            yield _Picture(section, f"{section}/train/good/{index:03d}.png")
        for index in range(record["n_good"]):
            yield _Picture(section, f"{section}/test/good/{index:03d}.png")
        for defect in facts["defect_types"]:
            for index in range(record["n_per_defect"]):
                mask_path = f"{section}/ground_truth/{defect}/{index:03d}_mask.png"
                yield _Picture(section, f"{section}/test/{defect}/{index:03d}.png", defect, mask_path)


def _is_there(root: Path, picture: _Picture) -> bool:
    paths = [picture.path, picture.gt_mask_path]
    return all((root / path).exists() for path in paths if path is not None)


def _write(root: Path, picture: _Picture, seed: int, image_hw: tuple[int, int]) -> None:
    """Render one image, with its mask when it is anomalous, and write both."""
    rng = np.random.default_rng([seed, zlib.crc32(picture.path.encode())])
    scene = render(picture.section, rng, image_hw, design_seed=seed)
    image = scene.image
    if picture.defect is not None and picture.gt_mask_path is not None:
        sizes = DEFECTS_OF[picture.section][picture.defect]
        defect = lookup(DEFECTS, picture.defect, "defect")
        image, gt_mask = defect.apply(image, rng, scene.um_per_px, scene.layers, **sizes)
        # the mask first: an anomalous image is never there without it
        write_bytes(root / picture.gt_mask_path, encode_png(gt_mask))
    write_bytes(root / picture.path, encode_png(image))


def _check_counts(seed: int, sections: Sequence[str], n_train: int, n_good: int, n_per_defect: int) -> None:
    """Raise ValueError, naming the argument, for anything out of range."""
    if seed < 0:
        raise ValueError(f"seed must not be negative, not {seed}.")
    if not sections or len(set(sections)) != len(sections):
        raise ValueError(f"sections must name at least one section, each once; not {list(sections)}.")
    counts = {"n_train": n_train, "n_good": n_good, "n_per_defect": n_per_defect}
    for name, count in counts.items():
        if not 1 <= count <= 1000:
            raise ValueError(f"{name} must be 1 to 1000, not {count}.")
