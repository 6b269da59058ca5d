"""The demo tree: complete, repeatable, finished after an interruption, never mixed with other files."""

from pathlib import Path

import numpy as np
import pytest

from curate import demo_data
from curate.demo_data import DEFECTS_OF, write_demo
from curate.errors import AlreadyExists
from curate.files import read_json
from curate.images import read_image
from curate.scenes import SCENES

SMALL = {"n_train": 2, "n_good": 1, "n_per_defect": 1, "image_hw": (96, 128), "sections": ("acf", "sus")}


def written(root: Path, **options: object) -> Path:
    return write_demo(root, **(SMALL | options))  # type: ignore[arg-type]


def content(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def test_tree_is_mvtec_ad_with_one_mask_for_each_anomalous_image(tmp_path: Path) -> None:
    root = written(tmp_path / "demo")
    names = set(content(root))
    for section in ("acf", "sus"):
        expected = {f"{section}/train/good/000.png", f"{section}/train/good/001.png"}
        expected.add(f"{section}/test/good/000.png")
        for defect in DEFECTS_OF[section]:
            expected |= {f"{section}/test/{defect}/000.png"}
            expected |= {f"{section}/ground_truth/{defect}/000_mask.png"}
        assert {name for name in names if name.startswith(f"{section}/")} == expected
    assert {name for name in names if "/" not in name} == {"license.txt", "scene.json"}


def test_masks_are_black_and_white_of_the_image_size(tmp_path: Path) -> None:
    import cv2

    root = written(tmp_path / "demo")
    for path in sorted(root.rglob("*_mask.png")):
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert mask is not None and mask.shape == (96, 128)
        assert set(np.unique(mask)) == {0, 255}
    image = read_image(root / "sus/test/good/000.png")
    assert image.shape == (96, 128, 3) and image.dtype == np.uint8


def test_record_states_seed_scale_and_version(tmp_path: Path) -> None:
    record = read_json(written(tmp_path / "demo", seed=5) / "scene.json")
    assert record["seed"] == 5
    assert record["generator_version"] == demo_data.GENERATOR_VERSION
    assert record["sections"]["acf"]["um_per_px"] == 1.0
    assert record["sections"]["sus"]["um_per_px"] == 10.0


def test_same_seed_gives_same_bytes_and_another_seed_other_images(tmp_path: Path) -> None:
    first, again = content(written(tmp_path / "a")), content(written(tmp_path / "b"))
    other = content(written(tmp_path / "c", seed=1))
    assert first == again
    assert first["sus/train/good/000.png"] != other["sus/train/good/000.png"]
    images = [first[name] for name in first if name.endswith(".png") and "ground_truth" not in name]
    assert len(set(images)) == len(images)


def test_an_interrupted_run_is_finished_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = content(written(tmp_path / "whole"))
    wrote = 0
    write_bytes = demo_data.write_bytes

    def stop_after_seven(path: Path, data: bytes) -> None:
        nonlocal wrote
        wrote += 1
        if wrote > 7:
            raise KeyboardInterrupt
        write_bytes(path, data)

    monkeypatch.setattr(demo_data, "write_bytes", stop_after_seven)
    with pytest.raises(KeyboardInterrupt):
        written(tmp_path / "cut")
    monkeypatch.undo()
    kept = content(tmp_path / "cut")
    assert 1 <= len(kept) < len(whole)
    left_behind = tmp_path / "cut/sus/train/good/.000.png.x7.partial"
    left_behind.parent.mkdir(parents=True, exist_ok=True)
    left_behind.write_bytes(b"half")

    assert content(written(tmp_path / "cut")) == whole


def test_a_complete_tree_is_left_untouched(tmp_path: Path) -> None:
    root = written(tmp_path / "demo")
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    written(root)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_a_removed_image_comes_back_with_the_same_bytes(tmp_path: Path) -> None:
    root = written(tmp_path / "demo")
    before = content(root)
    (root / "acf/test/stain/000.png").unlink()
    (root / "sus/ground_truth/scratch/000_mask.png").unlink()
    assert content(written(root)) == before


def test_other_settings_in_the_same_folder_are_refused(tmp_path: Path) -> None:
    root = written(tmp_path / "demo")
    before = content(root)
    with pytest.raises(AlreadyExists, match=r"other settings:\n  seed: 0 there, 9 wanted"):
        written(root, seed=9)
    assert content(root) == before


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"photo")
    with pytest.raises(AlreadyExists, match=r"is no demo folder .*\n  holiday\.jpg"):
        written(tmp_path)


def test_every_section_has_four_defect_types_that_can_be_drawn(tmp_path: Path) -> None:
    assert set(DEFECTS_OF) == set(SCENES)
    root = written(tmp_path / "demo", sections=tuple(SCENES))
    for section in SCENES:
        assert len(list((root / section / "ground_truth").iterdir())) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed must not be negative"),
        ({"sections": ()}, "sections must name at least one"),
        ({"sections": ("sus", "sus")}, "sections must name at least one section, each once"),
        ({"sections": ("steel",)}, 'Unknown scene "steel"'),
        ({"n_train": 0}, "n_train must be 1 to 1000, not 0"),
        ({"n_per_defect": 1001}, "n_per_defect must be 1 to 1000"),
        ({"image_hw": (8, 8)}, "image_hw must be two sides"),
    ],
)
def test_an_argument_out_of_range_is_named_and_nothing_is_written(
    tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        written(tmp_path / "demo", **options)
    assert not (tmp_path / "demo").exists()
