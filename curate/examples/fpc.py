"""A folder as it comes from a factory of flexible printed circuits: images by lot and section, the inspection
machine's table with its own column names, decimal commas and boxes in micrometres, its codes, and faults.

All images are drawn (curate.scenes, curate.defects). Licence: CC0-1.0.
"""

import shutil
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from curate.defects import DEFECTS
from curate.demo_data import DEFECTS_OF, N_THREADS
from curate.drawing import Array
from curate.errors import AlreadyExists
from curate.examples.fpc_rows import CODES, COLUMNS, MAPPING, Planted, Shot, Table, filled
from curate.files import PARTIAL, write_bytes, write_text
from curate.images import encode_png
from curate.progress import bar
from curate.registry import lookup
from curate.scenes.scene import render

UM_PER_PX = {"acf": 1.25, "coverlay": 12.5, "sus": 12.5}
SECTIONS = tuple(UM_PER_PX)
LOTS, PANELS, N_PIECES = ("L2607A", "L2607B"), ("P1", "P2"), 4
IMAGE_HW = (192, 256)
PADDING_PX = 2  # a machine's box is a little wider than the defect
DRAWN = {
    "acf": (("scratch",), ("foreign_particle",), ("bubble",), ("scratch", "foreign_particle")),
    "coverlay": (("foreign_particle",), ("open",), ("mousebite",)),
    "sus": (("scratch",), ("stain",), ("pinhole",)),
}
ROLES = {
    "false call": 2, "not sure": 2, "verified good": 2, "!repeated": 1, "!torn": 1, "!two lots": 1,
    "!odd code": 2, "!odd box": 4, "!odd values": 1, "!odd word": 1, "escape": 1, "no row": 2,
}  # fmt: skip
DEFECTIVE = frozenset({"!odd box", "!odd code", "escape"})
SETTINGS = """# What the columns of aoi_export.csv mean. `curate ingest` finds this file by its name.
table = "aoi_export.csv"
codes = "codes.csv"
trust = "machine"     # or "none": only what a person verified (VRS) has a label

[columns]             # ours = "theirs"; MEMO is not used
{columns}

[constants]           # what no column says
site = "Plant 3"
licence = "CC0-1.0"
"""
ABOUT = """An example of curate: {n_images} images of flexible printed circuits as a factory exports them.
They are drawn by a program from seed {seed}; no photograph is among them (CC0 1.0).

images/<lot>/<section>/   one image per circuit and section
aoi_export.csv            what the inspection machine says: {n_rows} rows, one per image or per defect
codes.csv                 what the machine's codes stand for; F90 is a false call, U00 means nothing sure
curate-fpc.toml           which column is which, written by hand for this machine

Look first, then take it in:

    curate ingest {name} --explain
    curate ingest {name}

Both end with exit code 1, because of the faults planted here on purpose, each of which they report:

{planted}
Everything else goes in. Escapes (OK for the machine, NG for the person at the VRS) and calls that a
person found false keep the person's verdict.
"""


def write(out: Path, seed: int = 0, show_progress: bool = False) -> list[Planted]:
    """Write the example; the folder appears when it is complete.

    Returns:
        The faults in it, in the order of the table; those of images without a row last.

    Raises:
        AlreadyExists: there is something in the folder already.
        ValueError: the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"seed must not be negative, not {seed}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise AlreadyExists(f"AlreadyExists: {out} is there and not empty. Choose an empty or a new folder.")
    folder = out.with_name(f".{out.name}{PARTIAL}")
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    shots = _planned(seed)
    every = [shot for group in shots.values() for shot in group]
    with ThreadPoolExecutor(N_THREADS) as pool:
        if show_progress:
            with bar("example", len(every)) as advance:
                for _ in pool.map(lambda shot: _draw(folder, shot, seed), every):
                    advance(1)
        else:
            list(pool.map(lambda shot: _draw(folder, shot, seed), every))
    table = filled(shots)
    _write_texts(folder, table, len(every), seed, out.name)
    if out.exists():
        out.rmdir()
    folder.rename(out)
    return table.planted


def _planned(seed: int) -> dict[str, list[Shot]]:
    """Which image plays which part: the circuits in the order of a seeded draw."""
    shots = [
        Shot(lot, panel, piece, section)
        for lot in LOTS
        for panel in PANELS
        for piece in range(1, N_PIECES + 1)
        for section in SECTIONS
    ]
    order = np.random.default_rng([seed, 1]).permutation(len(shots))
    left: Iterator[Shot] = iter([shots[index] for index in order])
    roles = {role: [next(left) for _ in range(n)] for role, n in ROLES.items()}
    for role in DEFECTIVE:
        for shot in roles[role]:
            shot.defects = DRAWN[shot.section][0]
    plain = sorted(left, key=lambda shot: shot.path)
    for section in SECTIONS:
        own = [shot for shot in plain if shot.section == section]
        for shot, defects in zip(own[1::2], DRAWN[section], strict=False):
            shot.defects = defects
    same = [Shot(lot, PANELS[0], N_PIECES + 1, "acf", name="retake_01.png") for lot in LOTS]
    return {"plain": plain, **roles, "!same name": same}


def _draw(folder: Path, shot: Shot, seed: int) -> None:
    """Render one image and write it; notes scale and boxes."""
    rng = np.random.default_rng([seed, zlib.crc32(shot.path.encode())])
    scene = render(shot.section, rng, IMAGE_HW, UM_PER_PX[shot.section], design_seed=seed)
    image, shot.um_per_px = scene.image, scene.um_per_px
    for name in shot.defects:
        apply = lookup(DEFECTS, name, "defect").apply
        image, gt_mask = apply(image, rng, scene.um_per_px, scene.layers, **DEFECTS_OF[shot.section][name])
        shot.boxes_px.append(_around(gt_mask))
    write_bytes(folder / shot.path, encode_png(image), durable=False)


def _around(gt_mask: Array) -> tuple[int, int, int, int]:
    """The padded box around a defect, x0, y0, x1, y1."""
    rows, columns = np.flatnonzero(gt_mask.any(axis=1)), np.flatnonzero(gt_mask.any(axis=0))
    height, width = gt_mask.shape
    return (
        max(0, int(columns[0]) - PADDING_PX),
        max(0, int(rows[0]) - PADDING_PX),
        min(width, int(columns[-1]) + 1 + PADDING_PX),
        min(height, int(rows[-1]) + 1 + PADDING_PX),
    )


def _write_texts(folder: Path, table: Table, n_images: int, seed: int, name: str) -> None:
    lines = [";".join(cells) for cells in (list(COLUMNS), *table.rows)]
    write_text(folder / "aoi_export.csv", "\ufeff" + "\r\n".join(lines) + "\r\n")
    codes = [f"{code},{defect_type},{label}" for code, (defect_type, label) in CODES.items()]
    write_text(folder / "codes.csv", "\n".join(["machine_code,defect_type,label", *codes]) + "\n")
    columns = "\n".join(f'{ours} = "{theirs}"' for ours, theirs in MAPPING.items())
    write_text(folder / "curate-fpc.toml", SETTINGS.format(columns=columns))
    planted = "".join(
        f"    {one.code:<20} {f'row {one.row}: ' if one.row else ''}{one.about}\n" for one in table.planted
    )
    told = {"n_images": n_images, "seed": seed, "n_rows": len(table.rows), "name": name, "planted": planted}
    write_text(folder / "README.txt", ABOUT.format(**told))
