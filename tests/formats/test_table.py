"""The reader for images with a table of any column names."""

from pathlib import Path
from typing import Any

import pytest

from curate.errors import CurateError, DataFault
from curate.formats import table
from tests.helpers.golden import GOLDEN, codes, column, copied, read

ROOT = GOLDEN / "table"
A, B, C, D = "shots/a.png", "shots/b.png", "shots/line 2/c.png", "shots/line 2/d.png"


def rewritten(folder: Path, text: str) -> Path:
    """The golden images with another table and no settings."""
    root = copied("table", folder)
    (root / "curate-table.toml").unlink()
    (root / "labels.csv").write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    "line", ['decimal = "x"', 'encoding = "rot13"', "header_row = -5", 'mask_rule = "<"']
)
def test_a_wrong_option_in_the_settings_is_a_fault_of_that_file(tmp_path: Path, line: str) -> None:
    root = copied("table", tmp_path)
    settings = root / "curate-table.toml"
    settings.write_text(f"{line}\n{settings.read_text()}")
    with pytest.raises(DataFault, match=r"DataFault: curate-table\.toml: "):
        read("table", root)


def test_the_mapping_gives_label_types_boxes_mask_and_split() -> None:
    rows, faults = read("table", ROOT)
    assert faults == []
    assert column(rows, "label") == {A: "normal", B: "anomalous", C: "anomalous", D: "unknown"}
    assert column(rows, "split") == {A: "train", B: "test", C: "test", D: None}
    assert set(column(rows, "category").values()) == {"gasket"}
    assert rows[B]["gt_mask_path"] == str(ROOT / "masks/b.png")
    assert rows[B]["boxes"] == [{"box_xyxy": [9, 5, 30, 16], "defect_type": "scratch"}]
    assert rows[C]["defect_types"] == ["spot", "stain"]
    assert rows[C]["boxes"] == [
        {"box_xyxy": [4, 6, 14, 13], "defect_type": "spot"},
        {"box_xyxy": [30, 20, 42, 29], "defect_type": "stain"},
    ]
    assert rows[A]["boxes"] is None


def test_options_overrule_the_settings_file_and_paths_start_at_the_root() -> None:
    rows, _ = read("table", ROOT, category="seal", values={"label": {"ok": "unknown", "ng": "anomalous"}})
    assert set(column(rows, "category").values()) == {"seal"}
    assert rows[A]["label"] == "unknown"


def test_a_table_elsewhere_is_found_from_the_working_directory(tmp_path: Path, monkeypatch: Any) -> None:
    root = rewritten(tmp_path, "")
    (tmp_path / "mine.csv").write_text("image,label\nshots/a.png,good\n")
    monkeypatch.chdir(tmp_path)
    rows, faults = read("table", root, table="mine.csv")
    assert column(rows, "label") == {A: "normal"}
    assert codes(faults) == [("image_without_row", path) for path in ("masks/b.png", B, C, D)]
    with pytest.raises(CurateError, match=r'no file "yours.csv". Looked in .* and from '):
        read("table", root, table="yours.csv")


@pytest.mark.parametrize(("separator", "text"), [(",", "1,5"), (";", "1.5"), ("\t", "1,5"), ("|", "1,5")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_any_separator(tmp_path: Path, separator: str, text: str, encoding: str) -> None:
    cell = f'"{text}"' if separator == "," else text
    lines = [separator.join(["image", "label", "um_per_px", "lot"]), separator.join([A, "ok", cell, "é; 1"])]
    if separator == ";":
        lines[1] = lines[1].replace("é; 1", '"é; 1"')
    root = rewritten(tmp_path, "")
    (root / "labels.csv").write_bytes("\r\n".join(lines).encode(encoding))
    rows, _ = read("table", root, table="labels.csv")
    assert (rows[A]["um_per_px"], rows[A]["lot"]) == (1.5, "é; 1")


def test_another_encoding_is_an_error_that_names_the_option(tmp_path: Path) -> None:
    root = rewritten(tmp_path, "")
    (root / "labels.csv").write_bytes("image,label,lot\nshots/a.png,ok,Prüflos\n".encode("cp1252"))
    with pytest.raises(CurateError, match=r"labels.csv is not UTF-8 text \(line 2, byte 33\)") as caught:
        read("table", root, table="labels.csv")
    assert "option encoding" in str(caught.value)
    assert read("table", root, table="labels.csv", encoding="cp1252")[0][A]["lot"] == "Prüflos"
    with pytest.raises(ValueError, match='Unknown encoding "hex"'):
        read("table", root, table="labels.csv", encoding="hex")


def test_without_labels_what_shows_a_defect_is_anomalous_and_the_rest_unknown(tmp_path: Path) -> None:
    root = rewritten(tmp_path, f"image,defect_type,x0,y0,x1,y1\n{A},,,,,\n{B},scratch,,,,\n{C},,1,2,3,5\n")
    rows, _ = read("table", root, table="labels.csv")
    assert column(rows, "label") == {A: "unknown", B: "anomalous", C: "anomalous"}
    assert rows[C]["boxes"] == [{"box_xyxy": [1, 2, 3, 5], "defect_type": "defect"}]


def test_every_fault_has_its_code_and_row_and_good_rows_go_in(tmp_path: Path) -> None:
    root = rewritten(
        tmp_path,
        "image,label,defect_type,x,y,w,h,mask,split,part_id\n"
        f"{A},ok,,,,,,,train,1\n"
        f"{B},ng,scratch,60,40,10,4,masks/none.png,final,2\n"
        f"{B},ng,scratch,1,2,-3,4,,,\n"
        f"{B},ng,scratch,1,2,3,4,,,\n"
        f"{C},ok,spot,,,,,,,3\n"
        f"{D},ok,,,,,,,,4\n"
        f"{D},ng,,,,,,,,4\n"
        "nowhere.png,ok,,,,,,,,5\n"
        "/etc/passwd,ok,,,,,,,,5\n"
        ",ok,,,,,,,,5\n",
    )
    rows, faults = read("table", root, table="labels.csv")
    assert column(rows, "label") == {A: "normal", B: "anomalous", C: "unknown", D: "unknown"}
    assert [(fault.code, fault.relative_path, row_of(fault.message)) for fault in faults] == [
        ("path_outside", "labels.csv", 10),
        ("row_without_image", "labels.csv", 11),
        ("row_without_image", "labels.csv", 9),
        ("bad_box", B, 3),
        ("bad_box", B, 4),
        ("bad_value", B, 3),
        ("missing_mask", B, 3),
        ("contradicting_rows", C, 6),
        ("contradicting_rows", D, 7),
        ("image_without_row", "masks/b.png", None),
    ]
    assert rows[B]["boxes"] == [{"box_xyxy": [1, 2, 4, 6], "defect_type": "scratch"}]


def row_of(message: str) -> int | None:
    """The first row number in a message."""
    _, found, rest = message.partition(", row ")
    return int("".join(sign for sign in rest.split(" ")[0] if sign.isdigit())) if found else None


def test_rows_that_differ_in_the_part_leave_the_image_out(tmp_path: Path) -> None:
    root = rewritten(
        tmp_path, f"image,label,part_id,camera\n{A},ok,1,left\n{A},ok,2,left\n{B},ok,1,left\n{B},ok,1,right\n"
    )
    rows, faults = read("table", root, table="labels.csv")
    assert list(rows) == [B]
    assert rows[B]["camera"] is None
    assert codes(faults)[:2] == [("contradicting_rows", A), ("contradicting_rows", B)]
    assert (
        'row 2, says part_id "1" but labels.csv, row 3, says part_id "2"; the image is left out'
        in faults[0].message
    )


def test_two_images_cannot_have_one_mask(tmp_path: Path) -> None:
    root = rewritten(tmp_path, f"image,label,mask\n{A},ng,masks/b.png\n{B},ng,masks/b.png\n")
    rows, faults = read("table", root, table="labels.csv")
    assert {row["gt_mask_path"] for row in rows.values()} == {None}
    assert ("ambiguous_mask", A) in codes(faults)


def test_what_is_wrong_with_the_options_is_said(tmp_path: Path) -> None:
    root = rewritten(tmp_path, f"image,label,label\n{A},ok,ng\n")
    with pytest.raises(ValueError, match="needs the option table"):
        read("table", root)
    with pytest.raises(CurateError, match='several columns named "label"'):
        read("table", root, table="labels.csv")
    with pytest.raises(ValueError, match='columns maps "colour", which is unknown'):
        read("table", root, table="labels.csv", columns={"colour": "label"})
    with pytest.raises(ValueError, match=r'values maps "result", which is unknown'):
        read("table", root, table="labels.csv", values={"result": {}})
    with pytest.raises(ValueError, match=r"The option category must be text, not \[3\]\."):
        read("table", root, table="labels.csv", category=[3])
    with pytest.raises(CurateError, match=r"no column of labels\.csv is known as image"):
        (root / "labels.csv").write_text("picture,label\n")
        read("table", root, table="labels.csv")
    with pytest.raises(ValueError, match=r'ends in "\.ods"'):
        (root / "labels.ods").write_text("x")
        read("table", root, table="labels.ods")


def test_a_category_that_is_a_number_is_a_name() -> None:
    assert set(column(read("table", ROOT, category=4711)[0], "category").values()) == {"4711"}


def test_only_a_settings_file_makes_the_layout(tmp_path: Path) -> None:
    root = rewritten(tmp_path, "image,label\n")
    assert table.detect(root) == ["no curate-table.toml that says what the table means"]
