"""Promises every check keeps."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import curate.checks
from curate import fixes
from curate.checks import CHECKS, Evidence
from curate.faults import SEVERITIES, Fault, from_rows, to_rows
from curate.ingest import build_table, write_masks
from tests.helpers.mask_facts import counted
from tests.helpers.pictures import with_pixel_evidence, write_faulty_film
from tests.helpers.places import REPOSITORY
from tests.helpers.tiny import write_mvtec

EVERY = pytest.mark.parametrize("check", [entry.load() for entry in CHECKS.values()], ids=list(CHECKS))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures with a fault for every check that looks at pixels; drawn once."""
    return write_faulty_film(tmp_path_factory.mktemp("film") / "data")


@pytest.fixture
def evidence(tmp_path: Path, film: Path) -> Evidence:
    """A dataset with a fault for every check."""
    shutil.copytree(film, tmp_path / "data")
    root = write_mvtec(tmp_path / "data") / "weave"
    good = root / "train/good"
    (good / "000.png").write_bytes(b"")
    (root / "test/good/009.png").write_bytes((good / "001.png").read_bytes())
    Image.open(good / "003.png").crop((0, 0, 60, 48)).save(good / "003.png")
    (root / "ground_truth/spot/000_mask.png").rename(root / "ground_truth/spot/009_mask.png")
    shapes = {"000": (48, 64), "001": (48, 63), "002": (48, 64)}
    for name, shape in shapes.items():
        mask = np.zeros(shape, np.uint8)
        mask[9, 4] = 255 if name == "002" else 0
        save_mask(root / f"ground_truth/stain/{name}_mask.png", mask)
    soft = np.zeros((48, 64), np.uint8)
    soft[:12, 20:30], soft[12, 20:30] = 255, 127
    save_mask(root / "ground_truth/spot/002_mask.png", soft)
    table, faults = build_table(tmp_path / "data")
    table.loc[table["gt_mask_path"].notna(), "mask_kind"] = "binary"
    change(table, "weave/test/spot/001.png", gt_mask_path=None, mask_kind=None)
    marked = str(root / "ground_truth/spot/002_mask.png")
    change(table, "weave/test/good/001.png", gt_mask_path=marked, mask_rule="> 0", mask_kind="binary")
    change(table, "weave/train/good/004.png", label="anomalous", defect_types=["spot"])
    faults += write_masks(table, tmp_path / "masks")
    faults += [met(code) for code in ("decoder_warning", "wrong_extension")]
    evidence = Evidence(table, tmp_path / "masks", to_rows(faults), mask_facts=counted(table))
    return with_pixel_evidence(evidence, film.parent / "statistics.sqlite")


def save_mask(path: Path, mask: np.ndarray) -> None:
    Image.fromarray(mask).save(path)


def change(table: pd.DataFrame, relative_path: str, **values: object) -> None:
    (index,) = table.index[table["relative_path"] == relative_path]
    for name, value in values.items():
        table.at[index, name] = value


def met(code: str) -> Fault:
    """A fault as ingest reports it."""
    return Fault(code, "warning", "weave/train/good/005.png", "005.png is odd.", "Save it again.")


def test_every_file_is_registered_under_its_name() -> None:
    files = {path.stem for path in Path(curate.checks.__path__[0]).glob("*.py")} - {"__init__"}
    assert files == set(CHECKS)
    assert all(entry.target == f"curate.checks.{name}" for name, entry in CHECKS.items())


def test_every_check_has_a_row_in_the_documentation() -> None:
    page = (REPOSITORY / "docs/checks.md").read_text(encoding="utf-8")
    assert [name for name in CHECKS if f"| `{name}` |" not in page] == []


@EVERY
def test_a_check_says_its_code_and_finds_what_is_wrong(check: ModuleType, evidence: Evidence) -> None:
    assert check.CODE == check.__name__.rsplit(".", 1)[-1]
    assert check.SEVERITY in SEVERITIES
    assert set(getattr(check, "NEEDS", ())) <= {"mask_facts", "split", "statistics", "embeddings"}
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
    other = replace(evidence, samples=shuffled, faults=evidence.faults[::-1])
    assert check.run(other) == found
    assert evidence.samples.equals(before)


@pytest.mark.parametrize("name", [name for name, entry in CHECKS.items() if hasattr(entry.load(), "fix")])
def test_a_fix_concerns_samples_that_are_there_and_can_be_stored(
    name: str, evidence: Evidence, tmp_path: Path
) -> None:
    check = CHECKS[name].load()
    two = np.zeros((48, 64), np.uint8)
    two[5:15, 7:20] = two[40, 3] = 255
    spot = evidence.samples.loc[evidence.samples["relative_path"] == "weave/test/spot/002.png"].iloc[0]
    save_mask(Path(spot["gt_mask_path"]), two)
    evidence = replace(evidence, mask_facts=counted(evidence.samples))
    found = check.fix(evidence, check.run(evidence))
    assert found and check.fix(evidence, []) == []
    checksums = dict(zip(evidence.samples["sample_id"], evidence.samples["sha256"], strict=True))
    assert all(checksums[fix.sample_id] == fix.sha256 for fix in found)
    fixes.append(tmp_path / "fixes.jsonl", fixes.stamped(found, name, "2031-05-01T08:00:00+00:00", "1.2"))
    assert len(fixes.read(tmp_path / "fixes.jsonl")) == len(found)
