"""Builds small annotated datasets for the tests of the readers of annotation formats."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from curate.faults import Fault
from tests.helpers.golden import read


def image(root: Path, *names: str) -> None:
    """Grey images of 64 x 48 px."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((48, 64), 90, np.uint8)).save(root / name)


def messages(faults: list[Fault], code: str) -> list[str]:
    """What the faults of one code say."""
    return [fault.message for fault in faults if fault.code == code]


def entry(key: object, name: object, **more: object) -> dict[str, object]:
    """An image in a COCO file."""
    return {"id": key, "file_name": name, **more}


def drawn(image_id: object, **more: object) -> dict[str, object]:
    """An annotation of the category 1 in a COCO file."""
    return {"image_id": image_id, "category_id": 1, **more}


def one_coco_file(
    root: Path, images: list[Any], annotations: list[Any], path: str = "result.json", **more: object
) -> tuple[dict[str, dict[str, Any]], list[Fault]]:
    """What is read from a JSON with these lists and the category 1, scratch."""
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "scratch"}],
        **more,
    }
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(json.dumps(content).replace("Infinity", "1e999"), encoding="utf-8")
    return read("coco", root)
