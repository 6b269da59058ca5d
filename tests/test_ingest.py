"""From a folder to the sample table and the canonical masks."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from curate.errors import DataFault, Missing
from curate.files import sha256_file
from curate.formats import FORMATS, recognise
from curate.images import read_stored
from curate.ingest import build_table, read_source, sample_id, write_masks
from curate.schema import check_table
from curate.tables import to_rows
from tests.helpers.golden import GOLDEN, codes, copied
from tests.helpers.ordinary_user import open_folder, ordinary_user
from tests.helpers.places import DEEP_PCB
from tests.helpers.tiny import write_mvtec


def test_the_table_keeps_its_contract_and_holds_the_facts_of_each_file() -> None:
    table, faults = build_table(GOLDEN / "mvtec_ad", source="line 3")
    assert faults == []
    check_table(table, "sample")
    row = to_rows(table)[0]
    path = GOLDEN / "mvtec_ad/weave/test/cut/000.png"
    assert row["relative_path"] == "weave/test/cut/000.png"
    assert row["filepath"] == str(path)
    assert row["sha256"] == sha256_file(path)
    assert (row["width"], row["height"], row["bit_depth"], row["channels"]) == (64, 48, 8, 1)
    assert row["source"] == "line 3"
    assert row["part_id"] == "line 3/weave/test/cut/000.png"
    assert list(table["relative_path"]) == sorted(table["relative_path"])


@pytest.mark.parametrize("name", list(FORMATS))
def test_equal_folders_give_equal_tables(name: str, tmp_path: Path) -> None:
    first, _ = build_table(GOLDEN / name)
    again, _ = build_table(copied(name, tmp_path))
    paths = ["filepath", "gt_mask_path", "mask_channels"]
    assert to_rows(first.drop(columns=paths)) == to_rows(again.drop(columns=paths))


def test_the_id_depends_on_source_and_relative_path_only(tmp_path: Path) -> None:
    root = copied("folder", tmp_path)
    before, _ = build_table(root, source="a")
    picture = root / "normal/a.png"
    picture.write_bytes((root / "unknown/d.png").read_bytes())
    (root / "unknown/d.png").unlink()
    after, _ = build_table(root, source="a")
    ids = dict(zip(before["relative_path"], before["sample_id"], strict=True))
    assert dict(zip(after["relative_path"], after["sample_id"], strict=True)).items() <= ids.items()
    other, _ = build_table(root, source="b")
    assert not set(other["sample_id"]) & set(ids.values())


@given(
    st.lists(st.text("abé/ .0", min_size=1), min_size=2, max_size=2, unique=True), st.text("ab ", min_size=1)
)
def test_ids_are_16_hex_digits_and_tell_paths_and_sources_apart(paths: list[str], source: str) -> None:
    ids = {sample_id(source, path) for path in paths} | {sample_id(f"{source}2", path) for path in paths}
    assert len(ids) == 4
    assert all(len(one) == 16 and int(one, 16) >= 0 for one in ids)


def test_the_id_does_not_depend_on_how_an_accent_is_written() -> None:
    assert sample_id("s", "caf\u00e9.png") == sample_id("s", "cafe\u0301.png")


def test_bad_images_are_left_out_reported_together_and_the_rest_is_kept(tmp_path: Path) -> None:
    root = write_mvtec(tmp_path / "data")
    good = root / "weave/train/good"
    (good / "000.png").write_bytes(b"")
    content = (good / "001.png").read_bytes()
    (good / "001.png").write_bytes(content[: len(content) // 2])
    (good / "002.png").write_text("not an image")
    (good / "003.png").unlink()
    (good / "003.png").symlink_to("003.png")
    (good / "caf\udce9.png").write_bytes(content)
    table, faults = build_table(root, "mvtec_ad")
    assert len(table) == 8 + 4 + 6 - 4
    assert codes(faults) == [
        ("unreadable", "weave/train/good/000.png"),
        ("unreadable", "weave/train/good/001.png"),
        ("unreadable", "weave/train/good/002.png"),
        ("link_loop", "weave/train/good/003.png"),
        ("name_encoding", r"weave/train/good/caf\xe9.png"),
    ]
    assert faults[0].message == "weave/train/good/000.png is empty (0 bytes); it is left out."
    assert faults[0].remedy.startswith("Copy or download the file again")
    check_table(table, "sample")


def test_closed_images_masks_and_folders_are_reported() -> None:
    with open_folder() as folder:
        root = write_mvtec(folder / "data")
        (root / "weave/train/good/000.png").chmod(0o000)
        (root / "weave/ground_truth/spot/000_mask.png").chmod(0o000)
        (root / "weave/test/stain").chmod(0o000)
        (folder / "masks").mkdir()
        (folder / "masks").chmod(0o777)
        with ordinary_user():
            table, faults = build_table(root)
            faults += write_masks(table, folder / "masks")
        assert len(table) == 7 + 4 + 3
        errors = [fault for fault in codes(faults) if fault[0] != "orphan_mask"]
        assert errors == [
            ("no_permission", "weave/test/stain"),
            ("unreadable", "weave/train/good/000.png"),
            ("unreadable_mask", "weave/test/spot/000.png"),
        ]


def test_a_box_outside_of_the_image_and_a_turned_photograph_are_reported(tmp_path: Path) -> None:
    root = copied("folder", tmp_path)
    exif = Image.Exif()
    exif[274] = 6
    Image.open(root / "normal/a.png").save(root / "normal/a.jpg", exif=exif)
    _, faults = build_table(root)
    assert codes(faults) == [("exif_orientation", "normal/a.jpg")]


def test_auto_takes_the_most_telling_format_and_says_why_not_the_others() -> None:
    for name in FORMATS:
        chosen, others = recognise(GOLDEN / name)
        assert chosen == name
        assert set(others) == set(FORMATS) - {name}
        assert all(reasons for reasons in others.values())


def test_auto_prefers_the_more_specific_of_two_matches(tmp_path: Path) -> None:
    root = copied("magnetic_tile", tmp_path)
    shutil.copytree(GOLDEN / "folder/normal", root / "normal")
    chosen, others = recognise(root)
    assert chosen == "magnetic_tile"
    assert others["folder"] == ["matches too, but magnetic_tile is more specific"]


def test_auto_says_what_each_format_misses_and_where_one_fits(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    with pytest.raises(DataFault) as error:
        recognise(tmp_path)
    message = str(error.value)
    for reason in (
        "no MT_Free/Imgs folder",
        "no group<number> folder",
        "no <category>/train/good folder",
        "no folder",
    ):
        assert reason in message
    copied("deep_pcb", tmp_path / "pictures").rename(tmp_path / "boards")
    with pytest.raises(DataFault, match=r"boards does match deep_pcb: give that folder"):
        build_table(tmp_path)


def test_an_unknown_layout_tells_what_to_do_with_its_own_folders(tmp_path: Path) -> None:
    with pytest.raises(DataFault, match=r"No image lies in it \(\.bmp, "):
        recognise(tmp_path)
    for name in ("gut", "Kratzer 1"):
        (tmp_path / "Linie" / name).mkdir(parents=True)
        shutil.copy(GOLDEN / "folder/normal/a.png", tmp_path / "Linie" / name)
    with pytest.raises(DataFault) as raised:
        recognise(tmp_path)
    assert "Images lie in: Linie/Kratzer 1, Linie/gut. Say which" in str(raised.value)
    assert """--option 'mapping={"Linie/Kratzer 1": "normal", "Linie/gut": "anomalous"}'.""" in str(
        raised.value
    )
    assert "curate-table.toml what" not in str(raised.value)
    (tmp_path / "Liste.CSV").write_text("Datei;Urteil\na.png;gut\n", "utf-8")
    with pytest.raises(DataFault, match=r"curate-table\.toml what the columns of Liste\.CSV mean"):
        recognise(tmp_path)


def test_a_category_that_is_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match='category must be a text, not 815: write it as "815"'):
        read_source(GOLDEN / "folder", options={"category": 815})


def test_wrong_arguments_are_named(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="does not exist"):
        build_table(tmp_path / "none")
    with pytest.raises(ValueError, match='Unknown format "mvtec"\\. Did you mean "mvtec_ad"'):
        build_table(GOLDEN / "mvtec_ad", "mvtec")
    with pytest.raises(ValueError, match="mvtec_ad has no option mapping"):
        build_table(GOLDEN / "mvtec_ad", options={"mapping": {}})


def test_options_reach_the_reader() -> None:
    table, _ = build_table(GOLDEN / "folder/normal", "folder", options={"mapping": {".": "unknown"}})
    assert list(table["label"]) == ["unknown", "unknown"]


def test_masks_become_0_and_255_in_the_images_size(tmp_path: Path) -> None:
    table, _ = build_table(GOLDEN / "mvtec_ad")
    steps: list[int] = []
    assert write_masks(table, tmp_path, steps.append) == []
    assert len(steps) == 3 == len(list(tmp_path.iterdir()))
    ids = dict(zip(table["relative_path"], table["sample_id"], strict=True))
    mask = read_stored(tmp_path / f"{ids['weave/test/hole/000.png']}.png")
    expected = np.zeros((48, 64), np.uint8)
    expected[40:46, 50:60] = 255  # stored as 1 in the source
    assert mask.dtype == np.uint8 and np.array_equal(mask, expected)


def test_masks_already_written_stay_untouched_and_changed_ones_are_renewed(tmp_path: Path) -> None:
    root = copied("mvtec_ad", tmp_path)
    table, _ = build_table(root)
    out = tmp_path / "masks"
    write_masks(table, out)
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    source = root / "weave/ground_truth/hole/000_mask.png"
    Image.fromarray(np.full((48, 64), 255, np.uint8)).save(source)
    write_masks(table, out)
    after = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    renewed = [name for name in before if before[name] != after[name]]
    assert len(renewed) == 1 and read_stored(out / renewed[0]).min() == 255


def test_a_mask_of_another_size_or_a_broken_one_is_not_written(tmp_path: Path) -> None:
    root = copied("mvtec_ad", tmp_path)
    table, _ = build_table(root)
    out = tmp_path / "masks"
    write_masks(table, out)
    Image.fromarray(np.zeros((64, 48), np.uint8)).save(root / "weave/ground_truth/cut/000_mask.png")
    (root / "weave/ground_truth/cut/001.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    faults = write_masks(table, out)
    assert codes(faults) == [
        ("mask_size", "weave/test/cut/000.png"),
        ("unreadable_mask", "weave/test/cut/001.bmp"),
    ]
    assert faults[0].message == (
        "weave/test/cut/000.png has 64 x 48 px, but its mask 000_mask.png has 48 x 64 px. "
        "The mask is not used."
    )
    assert faults[1].message.startswith("The mask 001.png of weave/test/cut/001.bmp is cut short")
    assert len(list(out.iterdir())) == 1


@pytest.mark.real_images
def test_the_real_boards_keep_the_contract() -> None:
    table, faults = build_table(DEEP_PCB)
    assert faults == []
    assert len(table) == 1524
    assert set(zip(table["width"], table["height"], strict=True)) == {(640, 640)}
