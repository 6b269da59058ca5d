"""Tasks for outside annotators, and what the tools make of them when somebody hands them in."""

import json
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from curate.annotation_tasks import CHECKED, NORMAL, UNSURE, Job, Task, file_name, region_of
from tests.helpers.tiny import HEIGHT, WIDTH

HW = (HEIGHT, WIDTH)
PACKAGE = "00c0ffee"
TAGS = {NORMAL: "normal", UNSURE: "unsure", CHECKED: "checked"}


def job(kind: str, prefix: str = "") -> Job:
    """A job with labels that have to be escaped."""
    return Job("tiles & co", PACKAGE, kind, ("defect", "scratch", 'ü <b>"'), TAGS, prefix)


def random_mask(rng: np.random.Generator) -> np.ndarray:
    """(48, 64) bool: up to four blocks with holes and single pixels, also at the border."""
    mask = np.zeros(HW, dtype=bool)
    for _ in range(rng.integers(1, 5)):
        top, left = rng.integers(0, HEIGHT), rng.integers(0, WIDTH)
        down, across = rng.integers(1, 20, 2)
        mask[top : top + down, left : left + across] = True
        mask[top + 1 : top + 2, left + 1 : left + 3] = False
    return mask


def tasks(rng: np.random.Generator, n: int = 8) -> list[Task]:
    """Tasks with one to three regions; the last has none."""
    out = []
    for number in range(n):
        sample_id = f"{number:016x}"
        masks = [random_mask(rng) for _ in range(rng.integers(1, 4))] if number < n - 1 else []
        regions = [region_of(("defect", "scratch", 'ü <b>"')[i % 3], mask) for i, mask in enumerate(masks)]
        name = file_name(sample_id, PACKAGE, f"a/x{number}.png", ".png")
        out.append(Task(sample_id, name, HW, tuple(region for region in regions if region)))
    return out


def handed_in(tool: str, module: ModuleType, files: Mapping[str, bytes], by: int | str = 3) -> bytes:
    """What the tool exports when somebody hands in every task as it was sent."""
    content = files[module.ANNOTATIONS]
    if tool == "cvat":
        name = f"<assignee><username>{by}</username></assignee></task>"
        return content.replace(b"</task>", name.encode())
    exported = json.loads(content)
    for number, task in enumerate(exported, start=1):
        predictions = task.pop("predictions")
        task["id"] = number
        task["annotations"] = [annotation(predictions[0]["result"] if predictions else [], by)]
    return json.dumps(exported).encode()


def annotation(result: list[Any], by: int | str = 3, **more: Any) -> dict[str, Any]:
    """An annotation as Label Studio exports it."""
    return {"id": 9, "completed_by": by, "result": result, "was_cancelled": False, "lead_time": 2.5, **more}
