"""Verification of exports: every kind of damage is found, all at once, and named."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from curate import manifest
from curate.errors import Missing
from curate.exporters.mvtec_ad import write
from curate.files import sha256_file
from curate.verify import verify
from tests.helpers.exported import RECIPE, ingested

STAIN = "weave/test/stain/001.png"
STAIN_MASK = "weave/ground_truth/stain/001_mask.png"
GOOD = "weave/test/good/001.png"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify")
    toy = ingested(folder, n_train=2, n_good=2, n_per_defect=2)
    write(toy.samples, folder / "out", masks=toy.masks, recipe=RECIPE)
    return folder / "out"


@pytest.fixture
def export(pristine: Path, tmp_path: Path) -> Iterator[Path]:
    yield Path(shutil.copytree(pristine, tmp_path / "export"))


def codes(folder: Path) -> list[tuple[str, str]]:
    return sorted((fault.code, fault.relative_path) for fault in verify(folder))


def rewrite(folder: Path, change: Any) -> None:
    """Change the manifest as one who knows how it is written."""
    content = json.loads((folder / manifest.NAME).read_text())
    change(content)
    for file in content["files"]:
        if isinstance(file, dict) and (folder / file["path"]).is_file():
            file |= {
                "sha256": sha256_file(folder / file["path"]),
                "size_bytes": (folder / file["path"]).stat().st_size,
            }
    content["content_sha256"] = manifest.content_sha256(content)
    (folder / manifest.NAME).write_bytes(manifest.to_bytes(content))


def test_an_export_as_written_has_no_fault(pristine: Path) -> None:
    assert verify(pristine) == []


@given(data=st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_flipped_bit_is_found(pristine: Path, data: st.DataObject) -> None:
    files = sorted(path for path in pristine.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(files))
    before = path.read_bytes()
    at, bit = data.draw(st.integers(0, len(before) - 1)), data.draw(st.integers(0, 7))
    try:
        path.write_bytes(before[:at] + bytes([before[at] ^ 1 << bit]) + before[at + 1 :])
        assert [fault for fault in verify(pristine) if fault.severity == "error"]
    finally:
        path.write_bytes(before)


def test_every_byte_of_the_manifest_counts(pristine: Path) -> None:
    path = pristine / manifest.NAME
    before = path.read_bytes()
    try:
        for changed in (
            before + b"\n",
            before.replace(b'": ', b'":  ', 1),
            before[:-1],
            b"\xef\xbb\xbf" + before,
        ):
            path.write_bytes(changed)
            assert {fault.code for fault in verify(pristine)} & {"changed_manifest", "bad_manifest"}
    finally:
        path.write_bytes(before)


def test_missing_added_and_changed_files_are_all_named(export: Path) -> None:
    (export / GOOD).unlink()
    (export / STAIN).write_bytes((export / "weave/test/spot/001.png").read_bytes())
    (export / "weave/test/good/new.png").write_bytes((export / STAIN).read_bytes())
    (export / "weave/.DS_Store").write_text("clutter")
    (export / "weave/link").symlink_to(export)
    assert codes(export) == [
        ("changed_file", STAIN),
        ("extra_file", "weave/.DS_Store"),
        ("extra_file", "weave/test/good/new.png"),
        ("link", "weave/link"),
        ("missing_file", GOOD),
    ]
    assert [fault.relative_path for fault in verify(export) if fault.severity == "warning"] == [
        "weave/.DS_Store"
    ]


def test_a_changed_file_is_described_in_both_its_states(export: Path) -> None:
    size = (export / "LICENCES.txt").stat().st_size
    (export / "LICENCES.txt").write_text("none")
    (fault,) = verify(export)
    assert "it has 4 bytes, checksum" in fault.message
    assert f"expected {size} bytes, checksum" in fault.message


def test_images_and_masks_that_do_not_decode_are_named(export: Path) -> None:
    for name in (GOOD, STAIN_MASK):
        (export / name).write_bytes((export / name).read_bytes()[:60])
    rewrite(export, lambda content: None)
    assert codes(export) == [("unreadable", STAIN_MASK), ("unreadable", GOOD)]


@pytest.mark.parametrize(
    ("mask", "code"),
    [
        (np.zeros((48, 64), np.uint8), "empty_mask"),
        (np.full((64, 48), 255, np.uint8), "mask_size"),
        (np.eye(48, 64, dtype=np.uint8), "mask_values"),
        (np.full((48, 64, 3), 255, np.uint8), "mask_values"),
    ],
)
def test_masks_that_cannot_be_used_are_named(export: Path, mask: np.ndarray, code: str) -> None:
    Image.fromarray(mask).save(export / STAIN_MASK)
    rewrite(export, lambda content: None)
    assert codes(export) == [(code, STAIN_MASK)]


def test_masks_without_an_image_and_images_without_a_mask_are_named(export: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        for image in content["images"]:
            if image["path"] == STAIN:
                image["mask_path"] = None
        content["images"] = [image for image in content["images"] if image["path"] != GOOD]

    rewrite(export, change)
    assert codes(export) == [
        ("mask_without_image", STAIN_MASK),
        ("missing_mask", STAIN),
        ("unlisted_image", GOOD),
    ]


def test_files_without_a_checksum_or_listed_twice_are_named(export: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        files = [file for file in content["files"] if file["path"] != GOOD]
        content["files"] = [*files, files[-1]]

    rewrite(export, change)
    found = codes(export)
    assert ("no_checksum", GOOD) in found
    assert ("extra_file", GOOD) in found
    assert ("listed_twice", "weave/train/good/001.png") in found


def test_equal_pictures_and_parts_in_two_splits_are_errors(export: Path) -> None:
    with Image.open(export / "weave/train/good/000.png") as image:
        image.save(export / GOOD, compress_level=1)

    def change(content: dict[str, Any]) -> None:
        for image in content["images"]:
            if image["path"] in (STAIN, "calibration/weave/test/good/000.png"):
                image["part_id"] = "board 9"

    rewrite(export, change)
    faults = verify(export)
    assert [(fault.code, fault.severity, fault.related) for fault in faults] == [
        ("part_across_splits", "error", (STAIN,)),
        ("duplicate_across_splits", "error", ("weave/train/good/000.png",)),
    ]
    assert f"{GOOD} (test), weave/train/good/000.png (train) show the same picture" in faults[1].message


def test_a_manifest_against_its_contract_is_reported_beside_the_other_damage(export: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["images"][0]["split"] = "validation"
        del content["layout"]
        content["files"].append("weave")

    (export / STAIN).unlink()
    content = json.loads((export / manifest.NAME).read_text())
    change(content)
    (export / manifest.NAME).write_text(json.dumps(content))
    found = verify(export)
    assert {(fault.code, fault.relative_path) for fault in found} == {
        ("bad_manifest", manifest.NAME),
        ("changed_manifest", manifest.NAME),
        ("missing_file", STAIN),
    }
    messages = " ".join(fault.message for fault in found)
    assert "images.0.split: 'validation' is not one of" in messages
    assert "'layout' is a required property" in messages


@pytest.mark.parametrize("content", [None, b"", b"[1]", b'{"files": ', b"\xff\xfe", b"[" * 100_000])
def test_without_a_usable_manifest_it_says_so(export: Path, content: bytes | None) -> None:
    (export / manifest.NAME).unlink()
    if content is not None:
        (export / manifest.NAME).write_bytes(content)
    (fault,) = verify(export)
    assert (fault.code, fault.severity) == ("bad_manifest", "error")


def test_paths_that_lead_out_of_the_export_are_refused(export: Path) -> None:
    content = json.loads((export / manifest.NAME).read_text())
    content["files"][0]["path"] = "../export/LICENCES.txt"
    (export / manifest.NAME).write_text(json.dumps(content))
    assert "bad_manifest" in {fault.code for fault in verify(export)}
    (export / "weave/train/good/001.png").unlink()
    (export / "weave/train/good/001.png").symlink_to(export.parent / "elsewhere.png")
    (export.parent / "elsewhere.png").write_bytes(b"x")
    assert ("link", "weave/train/good/001.png") in codes(export)


def test_a_folder_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="nowhere is not a folder"):
        verify(tmp_path / "nowhere")
