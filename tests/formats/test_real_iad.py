"""The Real-IAD reader on a hand-checked tree, on its other lists, and on what goes wrong."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from curate.faults import Fault
from curate.formats.real_iad import detect
from curate.masks import read_mask, regions
from tests.helpers.golden import GOLDEN, codes, column, copied, read

ROOT = GOLDEN / "real_iad"
IMAGES = "realiad_512"
LIST = "realiad_jsons/realiad_jsons/audiojack.json"
PIT = "NG/AK/S0001/audiojack_0001_NG_AK_C1_20230925164810"
BENT = "NG/BX/S0001/audiojack_0001_NG_BX_C1_20230925164810"
BENT_UNSEEN = "NG/BX/S0001/audiojack_0001_NG_BX_C2_20230925164820"
FIRST = "OK/S0001/audiojack_0001_OK_C1_20230925164810"
SECOND = "OK/S0001/audiojack_0001_OK_C2_20230925164820"
THIRD = "OK/S0002/audiojack_0002_OK_C1_20230925164810"


def audiojack(rows: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    return rows[f"{IMAGES}/audiojack/{name}.jpg"]


def told(fault: Fault) -> tuple[str, str]:
    """Code of a fault and the place in the list that it names."""
    return fault.code, fault.message.split(", ", 1)[1].split(":")[0]


def change(root: Path, **parts: Any) -> None:
    """Replace parts of audiojack's list."""
    content = json.loads((root / LIST).read_text())
    (root / LIST).write_text(json.dumps(content | parts))


def entry(name: str, code: Any = "OK", mask: Any = None) -> dict[str, Any]:
    return {"category": "audiojack", "anomaly_class": code, "image_path": f"{name}.jpg", "mask_path": mask}


def test_label_is_that_of_the_view_and_the_object_is_the_part() -> None:
    rows, faults = read("real_iad", ROOT)
    assert faults == [] and len(rows) == 8
    names = ("label", "defect_types", "split", "part_id", "camera")
    told = {path.split("/", 1)[1]: tuple(row[name] for name in names) for path, row in rows.items()}
    assert told == {
        f"audiojack/{PIT}.jpg": ("anomalous", ["AK_pit"], "test", "audiojack_0001_NG_AK", "C1"),
        f"audiojack/{BENT}.jpg": ("anomalous", ["BX_deformation"], "test", "audiojack_0001_NG_BX", "C1"),
        f"audiojack/{BENT_UNSEEN}.jpg": ("normal", [], "test", "audiojack_0001_NG_BX", "C2"),
        f"audiojack/{FIRST}.jpg": ("normal", [], "train", "audiojack_0001_OK", "C1"),
        f"audiojack/{SECOND}.jpg": ("normal", [], "train", "audiojack_0001_OK", "C2"),
        f"audiojack/{THIRD}.jpg": ("normal", [], "test", "audiojack_0002_OK", "C1"),
        "usb/NG/ZW/S0001/usb_0001_NG_ZW_C5_20230925164850.jpg": (
            "anomalous",
            ["ZW_contamination"],
            "test",
            "usb_0001_NG_ZW",
            "C5",
        ),
        "usb/OK/S0001/usb_0001_OK_C1_20230925164810.jpg": ("normal", [], "train", "usb_0001_OK", "C1"),
    }
    assert set(column(rows, "category").values()) == {"audiojack", "usb"}
    assert audiojack(rows, SECOND)["captured_at"] == "2023-09-25T16:48:20"


def test_the_mask_is_that_of_the_view() -> None:
    rows, _ = read("real_iad", ROOT)
    row = audiojack(rows, BENT)
    (region,) = regions(read_mask(Path(row["gt_mask_path"]), row["mask_rule"]))
    assert region.box_xyxy == (20, 8, 31, 14) and row["mask_kind"] == "binary"
    assert audiojack(rows, BENT_UNSEEN)["gt_mask_path"] is None


def test_a_single_view_list_leaves_the_others_out_and_says_so() -> None:
    rows, faults = read("real_iad", ROOT, json="realiad_jsons_sv")
    assert codes(faults) == [("unlisted", f"{IMAGES}/audiojack")]
    assert "2 images" in faults[0].message and len(rows) == 6
    assert set(column(rows, "camera").values()) == {"C1", "C5"}


def test_a_noisy_list_keeps_its_anomalous_training_images_and_says_so() -> None:
    rows, faults = read("real_iad", ROOT, json="realiad_jsons_fuiad_0.4")
    assert codes(faults) == [("anomalous_in_train", "")]
    assert (audiojack(rows, BENT)["label"], audiojack(rows, BENT)["split"]) == ("anomalous", "train")
    assert (audiojack(rows, BENT_UNSEEN)["label"], audiojack(rows, BENT_UNSEEN)["split"]) == (
        "normal",
        "train",
    )


def test_contradictions_keep_the_lists_label(tmp_path: Path) -> None:
    root = copied("real_iad", tmp_path)
    masks = {name: f"{name}_mask.png" for name in (BENT, PIT)}
    shutil.copy(root / IMAGES / "audiojack" / masks[PIT], root / IMAGES / "audiojack" / f"{FIRST}_mask.png")
    train = [entry(FIRST, "HS", f"{FIRST}_mask.png"), entry(SECOND), entry(BENT, "OK", masks[BENT])]
    test = [entry(THIRD), entry(BENT_UNSEEN), entry(PIT, "OK")]
    change(root, train=train, test=test)
    rows, faults = read("real_iad", root)
    assert codes(faults) == [
        ("unlisted_mask", f"{IMAGES}/audiojack/{PIT}_mask.png"),
        ("label_conflict", f"{IMAGES}/audiojack/{BENT}.jpg"),
        ("label_conflict", f"{IMAGES}/audiojack/{FIRST}.jpg"),
        ("anomalous_in_train", ""),
    ]
    assert audiojack(rows, FIRST)["defect_types"] == ["HS_scratch"]
    assert audiojack(rows, BENT)["label"] == "normal"
    assert audiojack(rows, BENT)["gt_mask_path"].endswith(masks[BENT])


def test_an_image_listed_twice_is_a_leak_a_conflict_or_a_repetition(tmp_path: Path) -> None:
    root = copied("real_iad", tmp_path)
    train = [entry(FIRST), entry(SECOND), entry(SECOND)]
    test = [entry(FIRST), entry(THIRD), entry(BENT_UNSEEN), entry(PIT, "AK", f"{PIT}_mask.png")]
    test += [entry(PIT, "HS", f"{PIT}_mask.png"), entry(BENT, "BX", f"{BENT}_mask.png")]
    change(root, train=train, test=test)
    rows, faults = read("real_iad", root)
    assert codes(faults)[:3] == [
        ("label_conflict", f"{IMAGES}/audiojack/{PIT}.jpg"),
        ("split_conflict", f"{IMAGES}/audiojack/{FIRST}.jpg"),
        ("unlisted_mask", f"{IMAGES}/audiojack/{PIT}_mask.png"),
    ]
    assert codes(faults)[3:] == [("listed_twice", f"{IMAGES}/audiojack/{SECOND}.jpg")]
    assert faults[1].severity == "error" and "a leak" in faults[1].message
    assert audiojack(rows, FIRST)["split"] is None
    assert audiojack(rows, PIT)["label"] == "unknown" and audiojack(rows, PIT)["gt_mask_path"] is None


def test_nothing_in_a_list_is_trusted(tmp_path: Path) -> None:
    root = copied("real_iad", tmp_path)
    outside: dict[str, Any] = {"image_path": "../../../../etc/passwd", "anomaly_class": "OK"}
    bad: list[Any] = [
        outside,
        {"image_path": 7, "anomaly_class": "OK"},
        {},
        None,
        [entry(FIRST)],
        entry("OK/S0009/gone"),
        {"image_path": f"../../{LIST}", "anomaly_class": "OK"},
        {"image_path": "/etc/passwd"},
    ]
    half_good = [
        entry(FIRST, ["OK"]),
        entry(SECOND, ""),
        entry(BENT, "BX", "../../../../etc/shadow.png"),
        entry(PIT, "AK", {"path": 1}),
        entry(BENT_UNSEEN, "XX", f"{BENT}_mask.png"),
        entry(THIRD) | {"category": 3},
    ]
    change(root, meta=["x"], train={"0": 1}, test=bad + half_good)
    rows, faults = read("real_iad", root)
    n = len(bad)
    lists = {told(fault) for fault in faults if fault.relative_path == LIST}
    assert lists == {
        ("path_outside", "audiojack test[0]"),
        ("missing_image", "audiojack test[1]"),
        ("missing_image", "audiojack test[2]"),
        ("bad_annotation", "audiojack test[3]"),
        ("bad_annotation", "audiojack test[4]"),
        ("missing_image", "audiojack test[5]"),
        ("bad_annotation", "audiojack test[6]"),
        ("path_outside", "audiojack test[7]"),
        ("path_outside", f"audiojack test[{n + 2}]"),
        ("bad_annotation", "audiojack train"),
    }
    jpg = f"{IMAGES}/audiojack/{{}}.jpg".format
    assert [(code, path) for code, path in codes(faults) if path != LIST] == [
        ("missing_mask", jpg(PIT)),
        ("bad_annotation", jpg(FIRST)),
        ("bad_annotation", jpg(SECOND)),
        ("unlisted_mask", f"{IMAGES}/audiojack/{PIT}_mask.png"),
        ("label_conflict", jpg(BENT_UNSEEN)),
        ("unknown_code", jpg(BENT_UNSEEN)),
    ]
    assert {audiojack(rows, name)["label"] for name in (FIRST, SECOND)} == {"unknown"}
    assert audiojack(rows, BENT_UNSEEN)["defect_types"] == ["XX"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 100_000,
        b'{"train": ' * 100_000,
        b'"text"',
        b"[]",
        b'{"meta": {}}',
        b'{"a": \xe9}',
        b"{} {}",
        b'{"test": ["\\ud800"]}',
    ],
)
def test_a_list_that_is_none_is_reported_and_folders_tell_the_labels(tmp_path: Path, content: bytes) -> None:
    root = copied("real_iad", tmp_path)
    (root / LIST).write_bytes(content)
    rows, faults = read("real_iad", root)
    assert codes(faults) == [("bad_annotation_file", LIST), ("no_list", "")]
    assert audiojack(rows, FIRST)["split"] is None
    assert {row["split"] for row in rows.values() if row["category"] == "usb"} == {"train", "test"}


def test_without_lists_folders_tell_what_they_can(tmp_path: Path) -> None:
    root = copied("real_iad", tmp_path)
    shutil.rmtree(root / "realiad_jsons")
    folder = root / IMAGES / "audiojack"
    (folder / f"{BENT}_mask.png").rename(folder / f"{BENT}.png")  # both names are in use
    shutil.copy(folder / f"{PIT}_mask.png", folder / "NG/AK/S0001/lost_mask.png")
    (folder / f"{THIRD}.jpg").rename(folder / "OK/S0002/third.JPG")
    rows, faults = read("real_iad", root)
    assert codes(faults) == [
        ("no_list", ""),
        ("orphan_mask", f"{IMAGES}/audiojack/NG/AK/S0001/lost_mask.png"),
    ]
    assert "8 images" in faults[0].message and "1 NG views" in faults[0].message
    assert audiojack(rows, BENT)["gt_mask_path"].endswith(f"{BENT}.png")
    assert audiojack(rows, BENT)["defect_types"] == ["BX_deformation"]
    assert audiojack(rows, BENT_UNSEEN)["label"] == "unknown"
    third = rows[f"{IMAGES}/audiojack/OK/S0002/third.JPG"]
    assert (third["label"], third["part_id"], third["camera"]) == ("normal", "audiojack_0002_OK", None)
    assert set(column(rows, "split").values()) == {None}


def test_the_folder_of_the_categories_alone_is_read() -> None:
    assert detect(ROOT / IMAGES) == []
    rows, faults = read("real_iad", ROOT / IMAGES)
    assert codes(faults) == [("no_list", "")]
    assert rows[f"audiojack/{FIRST}.jpg"]["part_id"] == "audiojack_0001_OK"


def test_one_list_for_all_categories_and_doubled_folders_are_read(tmp_path: Path) -> None:
    root = copied("real_iad", tmp_path)
    lists = {
        name: json.loads((root / LIST).with_name(f"{name}.json").read_text()) for name in ("audiojack", "usb")
    }
    shutil.rmtree(root / "realiad_jsons")
    (root / "realiad_jsons").mkdir()
    (root / "realiad_jsons/all.json").write_text(json.dumps(lists | {"note": 3}), encoding="utf-8-sig")
    (root / IMAGES / "usb").rename(root / "usb")
    (root / IMAGES / "usb").mkdir()
    (root / "usb").rename(root / IMAGES / "usb/usb")
    rows, faults = read("real_iad", root)
    assert codes(faults) == [("bad_annotation", "realiad_jsons/all.json")]
    before, _ = read("real_iad", ROOT)
    assert column(rows, "label") == {
        path.replace("512/usb", "512/usb/usb"): row["label"] for path, row in before.items()
    }


def test_resolutions_and_lists_are_chosen_by_name(tmp_path: Path) -> None:
    root = copied("real_iad", tmp_path)
    shutil.copytree(root / IMAGES, root / "realiad_1024")
    (root / "realiad_raw").mkdir()
    rows, faults = read("real_iad", root)
    assert all(path.startswith("realiad_1024/") for path in rows)
    assert codes(faults) == [("other_resolution", IMAGES)]
    for resolution in (512, "512", IMAGES):
        rows, faults = read("real_iad", root, resolution=resolution)
        assert all(path.startswith(f"{IMAGES}/") for path in rows)
        assert codes(faults) == [("other_resolution", "realiad_1024")]
    with pytest.raises(ValueError, match=r"resolution 256\. Found: 1024, 512"):
        read("real_iad", root, resolution=256)
    with pytest.raises(ValueError, match=r"no list sv\. Found: realiad_jsons, realiad_jsons_fuiad_0\.4"):
        read("real_iad", root, json="sv")


def test_other_lists_are_named_when_the_usual_one_is_missing(tmp_path: Path) -> None:
    root = copied("real_iad", tmp_path)
    shutil.rmtree(root / "realiad_jsons/realiad_jsons")
    _, faults = read("real_iad", root)
    assert codes(faults) == [("no_list", ""), ("no_list", "")]
    assert any('json = "realiad_jsons_fuiad_0.4"' in fault.remedy for fault in faults)


def test_strays_are_reported(tmp_path: Path) -> None:
    root = copied("real_iad", tmp_path)
    shutil.copytree(root / "realiad_jsons/realiad_jsons_sv", root / "realiad_jsons_sv")
    (root / IMAGES / "audiojack.zip").touch()
    (root / IMAGES / "audiojack/OK/notes.txt").touch()
    shutil.copy(root / IMAGES / f"audiojack/{FIRST}.jpg", root / IMAGES / "loose.jpg")
    (root / IMAGES / "tape").mkdir()
    shutil.copy(root / IMAGES / f"audiojack/{FIRST}.jpg", root / IMAGES / "tape/a.jpg")
    (root / "maps").mkdir()
    rows, faults = read("real_iad", root, json="realiad_jsons_sv")
    assert len(rows) == 6
    assert codes(faults) == [
        ("unknown_folder", "maps"),
        ("unlisted", f"{IMAGES}/audiojack"),
        ("unknown_file", f"{IMAGES}/audiojack.zip"),
        ("unknown_file", f"{IMAGES}/audiojack/OK/notes.txt"),
        ("unused_image", f"{IMAGES}/loose.jpg"),
        ("unknown_folder", f"{IMAGES}/tape"),
        ("list_twice", "realiad_jsons_sv"),
    ]


def test_detect_wants_images_below_a_category(tmp_path: Path) -> None:
    assert "realiad_256" in detect(tmp_path)[0]
    (tmp_path / "realiad_256/usb").mkdir(parents=True)
    assert detect(tmp_path) == ["no realiad_256/<category>/OK or NG folder"]
