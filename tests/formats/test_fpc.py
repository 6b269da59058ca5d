"""The reader for inspection machines' tables on a hand-checked tree, other spellings, and what goes wrong."""

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from curate.errors import CurateError
from curate.formats import fpc, recognise
from curate.schema import load
from tests.helpers.golden import GOLDEN, codes, column, copied, read

ROOT = GOLDEN / "fpc"
HEAD = (
    "image,product,lot,panel,piece,section,result,machine_code,verified_label,um_per_px,x_um,y_um,w_um,h_um\n"
)
FIRST, SECOND, THIRD = (f"images/L26-01/P1/{name}.png" for name in ("acf_1", "acf_2", "acf_3"))


def rewritten(folder: Path, *lines: str, head: str = HEAD) -> Path:
    """The golden images with another table, without a settings file."""
    root = copied("fpc", folder)
    (root / "curate-fpc.toml").unlink()
    (root / "inspection.csv").write_text(head + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return root


def told(faults: list[Any], code: str) -> list[str]:
    return [fault.message for fault in faults if fault.code == code]


def test_category_and_part_come_from_the_identifiers() -> None:
    rows, _ = read("fpc", ROOT)
    assert {path: (row["category"], row["part_id"], row["position"]) for path, row in rows.items()} == {
        "images/L26-01/P1/acf_1.png": ("A7_acf", "A7/L26-01/P1/1", "a"),
        "images/L26-01/P1/acf_2.png": ("A7_acf", "A7/L26-01/P1/2", "a"),
        "images/L26-01/P2/cvl_1.png": ("A7_coverlay", "A7/L26-01/P2/1", "b"),
        "images/L26-01/P2/cvl_2.png": ("A7_coverlay", "A7/L26-01/P2/1", "c"),
        "images/L26-02/P1/acf_1.png": ("A7_acf", "A7/L26-02/P1/1", "a"),
        "images/L26-02/P1/acf_9.png": ("A7_acf", "A7/L26-02/P1/1", None),
    }


def test_the_machine_is_believed_until_a_person_or_a_code_says_otherwise() -> None:
    rows, _ = read("fpc", ROOT)
    assert column(rows, "label") == {
        "images/L26-01/P1/acf_1.png": "normal",  # OK
        "images/L26-01/P1/acf_2.png": "anomalous",  # NG with known codes
        "images/L26-01/P2/cvl_1.png": "normal",  # NG, but the code is a false call
        "images/L26-01/P2/cvl_2.png": "normal",  # NG, but a person said OK
        "images/L26-02/P1/acf_1.png": "unknown",  # NG, the code means nothing sure
        "images/L26-02/P1/acf_9.png": "unknown",  # in no row
    }
    assert column(rows, "machine_code") == {
        "images/L26-01/P1/acf_1.png": None,
        "images/L26-01/P1/acf_2.png": "D01; D04",
        "images/L26-01/P2/cvl_1.png": "F99",
        "images/L26-01/P2/cvl_2.png": "D01",
        "images/L26-02/P1/acf_1.png": "U00",
        "images/L26-02/P1/acf_9.png": None,
    }


def test_boxes_in_micrometres_become_pixels_and_several_rows_one_image() -> None:
    rows, _ = read("fpc", ROOT)
    assert rows["images/L26-01/P1/acf_2.png"]["defect_types"] == ["foreign_particle", "scratch"]
    assert rows["images/L26-01/P1/acf_2.png"]["boxes"] == [
        {"box_xyxy": [5, 10, 35, 23], "defect_type": "scratch"},
        {"box_xyxy": [40, 24, 50, 32], "defect_type": "foreign_particle"},
    ]
    assert rows["images/L26-01/P2/cvl_2.png"]["boxes"] is None  # normal: the machine's box is no truth
    assert rows["images/L26-02/P1/acf_1.png"]["boxes"] == [
        {"box_xyxy": [4, 4, 14, 14], "defect_type": "defect"}
    ]


def test_the_other_facts_are_kept() -> None:
    rows, faults = read("fpc", ROOT)
    row = rows["images/L26-01/P1/acf_2.png"]
    assert (row["um_per_px"], row["captured_at"], row["station"], row["section"]) == (
        2.5,
        "2026-07-03T08:05:12",
        "AOI-2",
        "acf",
    )
    assert codes(faults) == [("image_without_row", "images/L26-02/P1/acf_9.png")]
    assert faults[0].severity == "warning"


def test_without_trust_only_what_a_person_verified_has_a_label() -> None:
    rows, _ = read("fpc", ROOT, trust="none")
    labels = column(rows, "label")
    assert labels.pop("images/L26-01/P2/cvl_2.png") == "normal"
    assert set(labels.values()) == {"unknown"}
    assert len(rows["images/L26-01/P1/acf_2.png"]["boxes"]) == 2
    assert rows["images/L26-01/P1/acf_2.png"]["machine_code"] == "D01; D04"


def test_without_a_code_table_each_code_is_a_defect_type(tmp_path: Path) -> None:
    root = copied("fpc", tmp_path)
    (root / "curate-fpc.toml").unlink()
    assert fpc.detect(root) == []
    rows, _ = read("fpc", root)
    assert rows["images/L26-01/P1/acf_2.png"]["defect_types"] == ["D01", "D04"]
    assert rows["images/L26-01/P2/cvl_1.png"]["label"] == "anomalous"


def test_codes_may_be_a_mapping() -> None:
    meanings = {
        "D01": "scratch",
        "d04": {"defect_type": "crumb"},
        "F99": "normal",
        "U00": {"label": "unknown"},
    }
    rows, faults = read("fpc", ROOT, codes=meanings)
    assert rows["images/L26-01/P1/acf_2.png"]["defect_types"] == ["crumb", "scratch"]
    assert rows["images/L26-01/P2/cvl_1.png"]["label"] == "normal"
    assert len(faults) == 1


def test_known_names_are_those_of_the_contract() -> None:
    contract = load("fpc_manifest")
    names = [name for told in contract["properties"].values() for name in told.get("aliases", ())]
    names += [name for name in contract["properties"]]
    assert len(names) == len(set(names))
    assert all(
        "description" in told or "unit" in told or told["type"] == "string"
        for told in contract["properties"].values()
        if "type" in told
    )


def test_any_column_names_by_a_mapping_also_from_a_file(tmp_path: Path) -> None:
    head = "Foto;Typ;Auftrag;Platte;Nr;Wo;Urteil\n"
    root = rewritten(tmp_path, "acf_2.png;A7;L1;P1;7;ACF;NG", head=head)
    mapping = {
        "image": "Foto", "product": "Typ", "lot": "Auftrag", "panel": "Platte", "piece": "Nr",
        "section": "Wo", "result": "Urteil",
    }  # fmt: skip
    assert any("inspection.csv has no column that names images" in why for why in fpc.detect(root))
    rows, _ = read("fpc", root, table="inspection.csv", columns=mapping)
    assert rows[SECOND]["part_id"] == "A7/L1/P1/7"
    (root / "columns.json").write_text(json.dumps(mapping))
    assert read("fpc", root, table="inspection.csv", columns="columns.json")[0] == rows
    lines = [f'{ours} = "{theirs}"' for ours, theirs in mapping.items()]
    (root / "columns.toml").write_text("[columns]\n" + "\n".join(lines))
    assert read("fpc", root, table="inspection.csv", columns="columns.toml")[0] == rows


def test_a_mapping_to_nothing_leaves_a_column_out(tmp_path: Path) -> None:
    root = rewritten(tmp_path, f"{SECOND},L1,P1,acf,Eva", head="image,lot,panel,section,operator\n")
    assert read("fpc", root)[0][SECOND]["operator"] == "Eva"
    assert read("fpc", root, columns={"operator": ""})[0][SECOND]["operator"] is None


def test_names_that_repeat_in_folders_can_be_composed(tmp_path: Path) -> None:
    lines = ["acf_1.png,L26-01,P1,acf,OK", "acf_1.png,L26-02,P1,acf,NG"]
    root = rewritten(tmp_path, *lines, head="image,lot,panel,section,result\n")
    _, faults = read("fpc", root)
    assert len(told(faults, "ambiguous_image")) == 2
    assert '"acf_1.png" is the name of 2 images' in told(faults, "ambiguous_image")[0]
    rows, faults = read("fpc", root, columns={"image": "{lot}/{panel}/{image}"})
    assert not told(faults, "ambiguous_image")
    assert rows[FIRST]["label"] == "normal"
    assert rows["images/L26-02/P1/acf_1.png"]["label"] == "anomalous"


def test_paths_of_another_machine_lose_their_beginning(tmp_path: Path) -> None:
    line = "D:\\AOI\\images\\L26-01\\P1\\acf_2.png,L1,P1,acf"
    root = rewritten(tmp_path, line, head="image,lot,panel,section\n")
    _, faults = read("fpc", root)
    assert told(faults, "path_outside") == [
        'inspection.csv, row 2: "D:\\AOI\\images\\L26-01\\P1\\acf_2.png" leads out of the folder; it is not '
        "followed, and the row is left out."
    ]
    rows, faults = read("fpc", root, prefix="d:/aoi/")
    assert not told(faults, "path_outside")
    assert rows[SECOND]["lot"] == "L1"
    (root / "inspection.csv").write_text(f"image,lot,panel,section\n{root / SECOND},L2,P1,acf\n")
    assert read("fpc", root)[0][SECOND]["lot"] == "L2"


def test_every_fault_has_its_code_file_and_row_and_good_rows_go_in(tmp_path: Path) -> None:
    root = rewritten(
        tmp_path,
        f"{FIRST},A7,L1,P1,1,acf,OK,,,2.5,,,,",
        "absent.png,A7,L1,P1,1,acf,OK,,,2.5,,,,",
        "../../outside.png,A7,L1,P1,1,acf,OK,,,2.5,,,,",
        f"{SECOND},A7,L1,P1,2,acf,NG,D01,,2.5,10,10,1000,10",
        f"{SECOND},A7,L1,P1,2,acf,NG,D01,,2.5,10,10,50,nan",
        f"{SECOND},A7,L1,P1,2,acf,NG,D01,,2.5,10,10,50,1e999",
        f"{SECOND},A7,L1,P1,2,acf,NG,D77,,2.5,10,10,50,25",
        "images/L26-01/P2/cvl_1.png,A7,L1,P2,1,coverlay,OK,,,two,,,,",
        "images/L26-01/P2/cvl_1.png,A7,L1,P2,1,coverlay,NG,D01,,,10,10,50,25",
        "images/L26-01/P2/cvl_2.png,A7,L1,P2,1,coverlay,perhaps,,,2.5,,,,",
        "images/L26-01/P2/cvl_2.png,A7,L1,P2,1,coverlay,perhaps,,,2.5,,,,",
        "images/L26-02/P1/acf_1.png,A7,L2,P1,1,acf,OK,,,2.5,,,,",
        "images/L26-02/P1/acf_1.png,A7,L3,P1,1,acf,OK,,,2.5,,,,,too much",
        "images/L26-02/P1/acf_9.png,A7,L2,P1,1,acf,OK,,,2.5,,,,",
        "images/L26-02/P1/acf_9.png,A7,L3,P1,1,acf,OK,,,2.5,,,,",
    )
    rows, faults = read("fpc", root, codes="codes.csv")
    assert column(rows, "label") == {
        FIRST: "normal",
        SECOND: "anomalous",
        "images/L26-01/P2/cvl_1.png": "unknown",
        "images/L26-01/P2/cvl_2.png": "unknown",
        "images/L26-02/P1/acf_1.png": "normal",
    }
    table = "inspection.csv"
    assert [(fault.code, fault.relative_path, row_of(fault.message)) for fault in faults] == [
        ("bad_box", SECOND, 5),
        ("bad_box", SECOND, 6),
        ("bad_box", SECOND, 7),
        ("unknown_code", SECOND, 8),
        ("bad_box", "images/L26-01/P2/cvl_1.png", 10),
        ("bad_value", "images/L26-01/P2/cvl_1.png", 9),
        ("contradicting_rows", "images/L26-01/P2/cvl_1.png", 9),
        ("unknown_label", "images/L26-01/P2/cvl_2.png", 11),
        ("contradicting_rows", "images/L26-02/P1/acf_9.png", 15),
        ("bad_row", table, 14),
        ("path_outside", table, 4),
        ("row_without_image", table, 3),
        ("duplicate_row", "images/L26-01/P2/cvl_2.png", 12),
    ]
    assert rows[SECOND]["boxes"] is None


def row_of(message: str) -> int:
    """The first row number in a message."""
    return int(message.split(", row ")[1].split(":")[0].split(",")[0].split(" ")[0])


def test_a_box_must_say_its_unit_and_scale(tmp_path: Path) -> None:
    head = "image,lot,panel,section,result,x,y,w,h\n"
    root = rewritten(tmp_path, f"{SECOND},L1,P1,acf,NG,10,20,8,6", head=head)
    _, faults = read("fpc", root)
    (message,) = told(faults, "bad_box")
    assert message == (
        f"inspection.csv, row 2: the box of {SECOND} has no unit; say the option box_unit; it is left out."
    )
    rows, _ = read("fpc", root, box_unit="px")
    assert rows[SECOND]["boxes"] == [{"box_xyxy": [10, 20, 18, 26], "defect_type": "defect"}]
    rows, _ = read("fpc", root, box_unit="px", box_anchor="centre")
    assert rows[SECOND]["boxes"][0]["box_xyxy"] == [6, 17, 14, 23]
    _, faults = read("fpc", root, box_unit="um")
    assert "is in µm, but um_per_px of the image is not known" in told(faults, "bad_box")[0]
    rows, _ = read("fpc", root, box_unit="um", constants={"um_per_px": 2})
    assert rows[SECOND]["boxes"][0]["box_xyxy"] == [5, 10, 9, 13]


def test_a_position_without_size_gives_no_box_and_one_warning(tmp_path: Path) -> None:
    root = rewritten(
        tmp_path,
        f"{FIRST},L1,P1,acf,NG,1,2",
        f"{SECOND},L1,P1,acf,NG,1,2",
        head="image,lot,panel,section,result,x_um,y_um\n",
    )
    rows, faults = read("fpc", root)
    assert column(rows, "boxes") == dict.fromkeys(rows)
    assert len(told(faults, "bad_box")) == 1


def test_dates_that_could_be_two_are_refused_until_something_tells(tmp_path: Path) -> None:
    head = "image,lot,panel,section,time\n"
    lines = [f"{FIRST},L1,P1,acf,3/7/2026 8:05", f"{SECOND},L1,P1,acf,4/7/2026 8:05"]
    root = rewritten(tmp_path, *lines, head=head)
    rows, faults = read("fpc", root)
    assert rows[FIRST]["captured_at"] is None
    assert (
        'captured_at "3/7/2026 8:05" has day and month in an order that nothing tells'
        in told(faults, "bad_value")[0]
    )
    assert read("fpc", root, day_first=True)[0][FIRST]["captured_at"] == "2026-07-03T08:05:00"
    assert read("fpc", root, day_first=False)[0][FIRST]["captured_at"] == "2026-03-07T08:05:00"
    lines[1] = f"{SECOND},L1,P1,acf,25/7/2026"
    rows, faults = read("fpc", rewritten(tmp_path / "proven", *lines, head=head))
    assert rows[FIRST]["captured_at"] == "2026-07-03T08:05:00"
    assert not told(faults, "bad_value")


def test_one_table_per_folder_is_read_with_paths_from_there(tmp_path: Path) -> None:
    root = rewritten(tmp_path)
    (root / "inspection.csv").unlink()
    for lot in ("L26-01", "L26-02"):
        text = f"image,lot,panel,section,result\nP1/acf_1.png,{lot},P1,acf,OK\n"
        (root / "images" / lot / "aoi.csv").write_text(text)
    assert fpc.detect(root)  # the tables lie two folders down
    assert fpc.detect(root / "images") == []
    rows, faults = read("fpc", root, table="images/*/aoi.csv")
    assert rows["images/L26-02/P1/acf_1.png"]["lot"] == "L26-02"
    assert not told(faults, "row_without_image")


def test_the_order_of_the_rows_does_not_matter(tmp_path: Path) -> None:
    root = copied("fpc", tmp_path)
    before, _ = read("fpc", root)
    head, *lines = (root / "inspection.csv").read_text(encoding="utf-8-sig").splitlines()
    (root / "inspection.csv").write_text("\n".join([head, *reversed(lines)]), encoding="utf-8")
    after, faults = read("fpc", root)
    assert len(faults) == 1
    for name in ("label", "defect_types", "category", "part_id", "captured_at"):
        assert column(after, name) == column(before, name)


def test_a_pipe_that_looks_like_a_table_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "inspection.csv")
    assert fpc.detect(tmp_path) == [
        "no table (CSV, Parquet, Excel) of an inspection machine, and no curate-fpc.toml"
    ]


def test_excel_and_parquet_tables_read_like_csv(tmp_path: Path) -> None:
    expected, _ = read("fpc", ROOT)
    frame = pd.read_csv(ROOT / "inspection.csv", sep=";", decimal=",", encoding="utf-8-sig")
    for suffix, write in ((".xlsx", frame.to_excel), (".parquet", frame.to_parquet)):
        root = copied("fpc", tmp_path / suffix[1:])
        (root / "inspection.csv").unlink()
        write(root / f"results{suffix}", index=False)
        assert recognise(root)[0] == "fpc"
        rows, _ = read("fpc", root)
        for path, row in rows.items():
            assert row | {"filepath": None} == expected[path] | {"filepath": None}


def test_images_without_a_row_share_what_their_folder_has_in_common(tmp_path: Path) -> None:
    root = copied("fpc", tmp_path)
    rows, _ = read("fpc", root)
    assert rows["images/L26-02/P1/acf_9.png"]["lot"] == "L26-02"
    (root / "images/new").mkdir()
    (root / "images/L26-02/P1/acf_9.png").rename(root / "images/new/x.png")
    rows, faults = read("fpc", root)
    assert "images/new/x.png" not in rows
    assert codes(faults) == [("image_without_row", "images/new/x.png")]
    assert faults[0].severity == "error"
    (root / "images/new").rename(root / "images/Gold-Finger")
    rows, _ = read("fpc", root)
    assert rows["images/Gold-Finger/x.png"]["category"] == "A7_gold_finger"


def test_persons_who_differ_on_one_defect_leave_the_image_unknown(tmp_path: Path) -> None:
    head = "image,lot,panel,section,result,machine_code,review\n"
    lines = [f"{FIRST},L1,P1,acf,NG,D01,NG", f"{FIRST},L1,P1,acf,NG,D01,OK", f"{SECOND},L1,P1,acf,NG,D01,NG"]
    lines.append(f"{SECOND},L1,P1,acf,NG,D04,OK")
    rows, faults = read("fpc", rewritten(tmp_path, *lines, head=head), codes="codes.csv")
    assert (rows[FIRST]["label"], rows[SECOND]["label"]) == ("unknown", "anomalous")
    assert rows[SECOND]["defect_types"] == ["scratch"]
    assert [code for code in codes(faults) if code[0] == "contradicting_rows"] == [
        ("contradicting_rows", FIRST)
    ]


def test_ok_with_a_defect_is_a_contradiction(tmp_path: Path) -> None:
    line = f"{FIRST},L1,P1,acf,OK,D01"
    root = rewritten(tmp_path, line, head="image,lot,panel,section,result,machine_code\n")
    rows, faults = read("fpc", root, codes="codes.csv")
    assert rows[FIRST]["label"] == "unknown"
    assert 'says result "OK" but names a defect' in told(faults, "contradicting_rows")[0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("machine_code,defect_type\nD01,\n", "no code that can be used"),
        ("code_of,defect\nD01,scratch\n", "no column of codes.csv is known as machine_code"),
        ("", "the table codes.csv is empty"),
    ],
)
def test_a_table_of_codes_without_codes_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    root = copied("fpc", tmp_path)
    (root / "codes.csv").write_text(text)
    with pytest.raises(CurateError, match=problem):
        read("fpc", root)


def test_wrong_rows_of_the_code_table_are_reported(tmp_path: Path) -> None:
    root = copied("fpc", tmp_path)
    lines = ["machine_code,defect_type,label", "D01,scratch,", "D04,foreign_particle,", "F99,,fine"]
    (root / "codes.csv").write_text("\n".join([*lines, "D01,stain,", "U00,,unknown"]))
    rows, faults = read("fpc", root)
    assert [fault.message for fault in faults if fault.code == "bad_code_row"] == [
        'codes.csv, row 4: the code F99 has the label "fine"; known: anomalous, normal, unknown; '
        "the row is not used.",
        "codes.csv, row 5: says of D01 otherwise than row 2; the row is not used.",
    ]
    assert rows["images/L26-01/P1/acf_2.png"]["defect_types"] == ["foreign_particle", "scratch"]
    assert ("unknown_code", "images/L26-01/P2/cvl_1.png") in codes(faults)


def test_the_settings_file_cannot_name_files_outside_or_unknown_options(tmp_path: Path) -> None:
    root = copied("fpc", tmp_path)
    (tmp_path / "codes.csv").write_text("machine_code,defect_type\nD01,scratch\n")
    for text, problem in (
        ('codes = "../codes.csv"', 'there is no file "../codes.csv"'),
        (f"codes = '{tmp_path / 'codes.csv'}'", "there is no file"),
        ('code = "codes.csv"', "unknown option code"),
        ("trust = true", "trust must be text, not True"),
        ('trust = "machine', "not a readable TOML file"),
        ('[columns]\nimge = "Image Name"', 'columns maps "imge", which is unknown. Did you mean image'),
        ('[columns]\nlot = "Los"', 'has no column "Los"'),
    ):
        (root / "curate-fpc.toml").write_text(text)
        with pytest.raises(CurateError) as caught:
            read("fpc", root)
        assert problem in str(caught.value)
    (root / "curate-fpc.toml").write_text("")
    assert read("fpc", root, codes=str(tmp_path / "codes.csv"))[0]


def test_two_columns_for_one_are_not_guessed(tmp_path: Path) -> None:
    root = rewritten(tmp_path, f"{FIRST},L1,P1,acf,OK,NG", head="image,lot,panel,section,Judge,Verdict\n")
    with pytest.raises(CurateError, match='several columns that could be result: "Judge", "Verdict"'):
        read("fpc", root)
    rows, _ = read("fpc", root, columns={"result": "Verdict"})
    assert rows[FIRST]["label"] == "anomalous"


def test_codes_that_map_to_nothing_known_are_wrong_usage_or_a_wrong_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the code D01 must map to a defect type or a label, not to 3"):
        read("fpc", ROOT, codes={"D01": 3})
    root = copied("fpc", tmp_path)
    (root / "curate-fpc.toml").write_text("[codes]\nD01 = 3\n")
    with pytest.raises(CurateError, match="the code D01 must map"):
        read("fpc", root)
