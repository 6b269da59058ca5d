"""The folder reader on a hand-checked tree, with other names, and with a mapping."""

from pathlib import Path
from typing import Any

import pytest

from curate.formats import folder as folder_format
from tests.helpers.golden import GOLDEN, codes, column, copied, read

ROOT = GOLDEN / "folder"


def test_labels_types_and_masks_come_from_the_folders() -> None:
    rows, faults = read("folder", ROOT)
    assert faults == []
    assert {path: (row["label"], row["defect_types"], row["gt_mask_path"]) for path, row in rows.items()} == {
        "normal/a.png": ("normal", [], None),
        "normal/line 2/a.png": ("normal", [], None),
        "unknown/d.png": ("unknown", [], None),
        "anomalous/c.png": ("anomalous", [], str(ROOT / "masks/anomalous/c_mask.png")),
        "anomalous/scratch/b.png": ("anomalous", ["scratch"], str(ROOT / "masks/scratch/b.png")),
    }
    assert set(column(rows, "category").values()) == {"folder"}


@pytest.mark.parametrize("names", [("good", "bad"), ("OK", "NG"), ("ok", "ko"), ("Nominal", "Defective")])
def test_common_names_are_known(tmp_path: Path, names: tuple[str, str]) -> None:
    root = copied("folder", tmp_path)
    (root / "normal").rename(root / names[0])
    (root / "anomalous").rename(root / names[1])
    assert folder_format.detect(root) == [] or names[0] == "Nominal"
    rows, _ = read("folder", root)
    assert rows[f"{names[0]}/a.png"]["label"] == "normal"
    assert rows[f"{names[1]}/scratch/b.png"]["label"] == "anomalous"


def test_a_mapping_names_any_folder_and_the_innermost_wins(tmp_path: Path) -> None:
    root = copied("folder", tmp_path)
    rows, faults = read("folder", root, mapping={"normal": "unknown", "normal/line 2": "normal"})
    assert column(rows, "label") == {"normal/a.png": "unknown", "normal/line 2/a.png": "normal"}
    assert ("unknown_folder", "anomalous") in codes(faults)
    rows, _ = read("folder", root / "normal", mapping={".": "unknown"})
    assert set(column(rows, "label").values()) == {"unknown"} and len(rows) == 2


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"normal": "fine"}, '"normal" the label "fine". Expected normal, anomalous, unknown'),
        ({"pass": "normal"}, 'folder "pass", which is not there. Folders: anomalous, masks, normal, unknown'),
        ({"line 2": "normal"}, 'folder "line 2", which is not there. Folders: normal/line 2'),
        ("normal", "must map folders to labels, .*; found 'normal'"),
        (["normal"], "must map folders to labels"),
    ],
)
def test_a_wrong_mapping_says_what_is_wrong(mapping: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read("folder", ROOT, mapping=mapping)


def test_masks_are_optional_but_then_for_all(tmp_path: Path) -> None:
    root = copied("folder", tmp_path)
    (root / "masks/scratch/b.png").rename(root / "masks/scratch/x.png")
    _, faults = read("folder", root)
    assert codes(faults) == [
        ("missing_mask", "anomalous/scratch/b.png"),
        ("orphan_mask", "masks/scratch/x.png"),
    ]
    assert "masks/anomalous/scratch/b.png and masks/scratch/b.png" in faults[0].message
    (root / "masks").rename(tmp_path / "elsewhere")
    assert read("folder", root)[1] == []


def test_a_mask_that_two_images_could_claim_goes_to_neither(tmp_path: Path) -> None:
    root = copied("folder", tmp_path)
    (root / "NG/scratch").mkdir(parents=True)
    (root / "NG/scratch/b.png").write_bytes((root / "anomalous/scratch/b.png").read_bytes())
    rows, faults = read("folder", root)
    assert codes(faults) == [
        ("ambiguous_mask", "NG/scratch/b.png"),
        ("ambiguous_mask", "anomalous/scratch/b.png"),
    ]
    assert rows["NG/scratch/b.png"]["gt_mask_path"] is None


def test_what_does_not_belong_is_reported(tmp_path: Path) -> None:
    root = copied("folder", tmp_path)
    (root / "normal/notes.txt").write_text("x")
    (root / "stray.png").write_bytes((root / "normal/a.png").read_bytes())
    (root / "old").mkdir()
    rows, faults = read("folder", root)
    assert len(rows) == 5
    assert codes(faults) == [
        ("unknown_file", "normal/notes.txt"),
        ("unknown_folder", "old"),
        ("unused_image", "stray.png"),
    ]
