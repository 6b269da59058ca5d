"""Promises every check keeps."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

import curate.checks
from curate.checks import CHECKS, Evidence
from curate.faults import Fault, from_rows, to_rows
from curate.ingest import build_table, write_masks
from tests.helpers.tiny import write_mvtec

EVERY = pytest.mark.parametrize("check", [entry.load() for entry in CHECKS.values()], ids=list(CHECKS))


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    """A dataset with a fault for every check."""
    root = write_mvtec(tmp_path / "data") / "weave"
    (root / "train/good/000.png").write_bytes(b"")
    (root / "test/good/009.png").write_bytes((root / "train/good/001.png").read_bytes())
    (root / "ground_truth/spot/000_mask.png").unlink()
    shapes = {"000": (48, 64), "001": (48, 63), "002": (48, 64)}
    for name, shape in shapes.items():
        mask = np.zeros(shape, np.uint8)
        mask[9, 4] = 255 if name == "002" else 0
        Image.fromarray(mask).save(root / f"ground_truth/stain/{name}_mask.png")
    table, faults = build_table(tmp_path / "data")
    (unmasked,) = table.index[table["relative_path"] == "weave/test/spot/001.png"]
    table.at[unmasked, "gt_mask_path"] = None
    faults += write_masks(table, tmp_path / "masks")
    return Evidence(table, tmp_path / "masks", to_rows(faults))


def test_every_file_is_registered_under_its_name() -> None:
    files = {path.stem for path in Path(curate.checks.__path__[0]).glob("*.py")} - {"__init__"}
    assert files == set(CHECKS)
    assert all(entry.target == f"curate.checks.{name}" for name, entry in CHECKS.items())


@EVERY
def test_a_check_says_its_code_and_finds_what_is_wrong(check: ModuleType, evidence: Evidence) -> None:
    assert check.CODE == check.__name__.rsplit(".", 1)[-1]
    assert check.SEVERITY in ("error", "warning")
    found = check.run(evidence)
    assert found and all(isinstance(fault, Fault) for fault in found)
    for fault in found:
        assert Path(fault.relative_path).name in fault.message
        assert fault.message.endswith(".") and fault.remedy.endswith(".")
    assert from_rows(to_rows(found)) == found


@EVERY
def test_row_order_does_not_matter_and_nothing_is_changed(check: ModuleType, evidence: Evidence) -> None:
    before = evidence.samples.copy(deep=True)
    found = check.run(evidence)
    shuffled = evidence.samples.sample(frac=1, random_state=3).reset_index(drop=True)
    assert check.run(Evidence(shuffled, evidence.masks, evidence.faults[::-1])) == found
    assert evidence.samples.equals(before)
