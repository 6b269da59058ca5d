"""MVTec AD 2: eight categories, each scene of the public test under several lights, private tests unlabelled.

Layout: <category>/train/good, validation/good, test_public/good, test_public/bad and, for each image of the
latter, test_public/ground_truth/bad/<stem>_mask.png; test_private and test_private_mixed hold images without
folders. A name is <number>_<light>: 004_regular.png, 004_shift_1.png. The light goes into the column
lighting; images of the private tests have the label unknown. All three tests have the split "test"; the
relative path tells them apart. The folder bad says no defect type.

Part: in test_public a number is one scene in all its lights, so a part is the number within its folder.
Numbers begin anew in every folder: train 000 is not test 000. The two private tests hold equal numbers of
images of the same scenes, so a number is one part in both: a part that is too large can harm no split.

Licence: CC BY-NC-SA 4.0.
Source: Heckler-Kram, Neudeck, Scheler, König, Steger: The MVTec AD 2 Dataset: Advanced Scenarios for
Unsupervised Anomaly Detection, arXiv:2503.21622 (2025).
"""

import re
from pathlib import Path
from typing import Any

import pandas as pd

from curate.faults import Fault
from curate.mvtec_layout import (
    Category,
    Has,
    Kind,
    Manner,
    Source,
    candidates,
    categories,
    joined,
    kinds,
    on_disk,
    rows,
)
from curate.readings import leftovers, stem, table, without_shared_masks
from curate.walking import walk

PRIVATE = ("test_private", "test_private_mixed")
TESTS = ("test_public", *PRIVATE)
MANNER = Manner(
    splits={"train": "train", "validation": "val", "test_public": "test"},
    mixed=("test_public",),
    anomalous="bad",
    masks="test_public/ground_truth/{kind}",
    beside=PRIVATE,
)
NAME = re.compile(r"(\d+)_(\w+)")
CATEGORIES = frozenset("can fabric fruit_jelly rice sheet_metal vial wallplugs walnuts".split())
SOURCE = Source(
    CATEGORIES,
    "CC BY-NC-SA 4.0",
    "Heckler-Kram, L., Neudeck, J.-H., Scheler, U., König, R., Steger, C.: The MVTec AD 2 Dataset: Advanced "
    "Scenarios for Unsupervised Anomaly Detection. arXiv:2503.21622 (2025)",
)


def detect(root: Path) -> list[str]:
    """Unmet requirements; empty when the folder has the layout."""
    if any(_is_category(on_disk(root), folder) for folder in candidates(root)):
        return []
    return [f"no <category> folder with {', '.join(TESTS[:-1])} or {TESTS[-1]}, and none of them here"]


def _is_category(has: Has, folder: str) -> bool:
    return any(has(joined(folder, name)) for name in TESTS)


def read(root: Path) -> pd.DataFrame:
    """One row per image; see curate.readings for the columns."""
    tree = walk(root)
    faults = list(tree.faults)
    entries: list[dict[str, Any]] = []
    for category in categories(tree, _is_category, f"a category with {TESTS[0]}", faults):
        known = {"category": category.name, **SOURCE.terms(tree, category, faults)}
        private = [Kind(category.path(name), "unknown", "test") for name in PRIVATE]
        for kind in [*kinds(tree, category, MANNER, faults), *private]:
            entries += [
                entry | known | _scene(category, kind, entry["relative_path"], faults)
                for entry in rows(tree, kind, faults)
            ]
    faults += leftovers(tree, entries, faults)
    return table(without_shared_masks(entries, faults), faults)


def _scene(category: Category, kind: Kind, path: str, faults: list[Fault]) -> dict[str, str]:
    """Part and lighting from the file's name."""
    match = NAME.fullmatch(stem(path))
    if match is None:
        message = f"{path} is not named <number>_<light>, which tells its scene; it counts as one of its own."
        faults.append(Fault("unknown_part", "warning", path, message, "Rename it, or leave it so."))
        return {}
    folder = kind.images[len(category.folder) :].strip("/") if category.folder else kind.images
    folder = PRIVATE[0] if folder in PRIVATE else folder
    return {"part_id": f"{category.name}/{folder}/{match[1]}", "lighting": match[2]}
