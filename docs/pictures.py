"""Draws the pictures of the documentation: python docs/pictures.py scenes triage summary evaluate.

All but scenes and check-report show the demo dataset of the workspace: run `make demo SERVE=0` and
`curate propose demo` first.
"""

import sys
from pathlib import Path

import app_pictures
import cv2
import numpy as np
import report_pictures
from picture_files import FOLDER

from curate.defects import DEFECTS
from curate.demo_data import DEFECTS_OF
from curate.drawing import Array
from curate.files import write_bytes
from curate.images import encode_png
from curate.registry import lookup
from curate.scenes.scene import render

SHOWN = (  # section, defect, seed of the parts shown
    ("acf", "foreign_particle", 5),
    ("coverlay", "scratch", 4),
    ("trace", "mousebite", 3),
    ("sus", "stain", 2),
    ("shield", "scratch", 6),
)
CELL_HW = (136, 170)
GAP_PX = 6
LABEL_PX = 16
PAPER = 255
OUTLINE_RGB = (0, 255, 255)


def scenes() -> Path:
    """A normal part of each section, and below it an anomalous one with the outline of its mask."""
    columns = []
    for section, defect_name, seed in SHOWN:
        normal = render(section, np.random.default_rng(seed)).image
        rng = np.random.default_rng(seed + 100)
        scene = render(section, rng)
        apply = lookup(DEFECTS, defect_name, "defect").apply
        sizes = DEFECTS_OF[section][defect_name]
        image, gt_mask = apply(scene.image, rng, scene.um_per_px, scene.layers, **sizes)
        columns.append(np.vstack([_cell(f"{section}: normal", normal, None),
                                  _cell(defect_name.replace("_", " "), image, gt_mask)]))  # fmt: skip
    path = FOLDER / "demo-scenes.png"
    write_bytes(path, encode_png(np.hstack(columns), compression=9))
    return path


def _cell(label: str, image: Array, gt_mask: Array | None) -> Array:
    """One labelled picture with a white margin, uint8."""
    height, width = CELL_HW
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    if gt_mask is not None:
        mask = cv2.resize(gt_mask.astype(np.uint8) * 255, (width, height), interpolation=cv2.INTER_AREA) > 0
        grown = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), dtype=np.uint8))
        outlines, _ = cv2.findContours(grown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(small, outlines, -1, OUTLINE_RGB, 1)
    cell = np.full((height + LABEL_PX + GAP_PX, width + GAP_PX, 3), PAPER, dtype=np.uint8)
    cell[LABEL_PX : LABEL_PX + height, :width] = small
    cv2.putText(cell, label, (1, LABEL_PX - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.40, (40, 40, 40), 1, cv2.LINE_AA)
    return cell


PICTURES = {
    "scenes": scenes,
    "triage": app_pictures.triage,
    "triage-keys": app_pictures.keys,
    "triage-queues": app_pictures.queues,
    "threshold-panel": app_pictures.threshold_panel,
    "side-by-side": app_pictures.side_by_side,
    "density": report_pictures.density,
    "summary": report_pictures.summary,
    "check-report": report_pictures.check_report,
    "evaluate": report_pictures.evaluate,
}

if __name__ == "__main__":
    names = sys.argv[1:] or list(PICTURES)
    unknown = [name for name in names if name not in PICTURES]
    if unknown:
        sys.exit(f"Unknown picture {', '.join(unknown)}. Known: {', '.join(PICTURES)}.")
    for name in names:
        print(PICTURES[name]())
