"""The report is one file that loads nothing, escapes what it tells, stays small, and is always the same."""

import base64
import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate import check_report, spreadsheets
from curate.check_report import Report, render
from curate.gate import Limit
from curate.steps.check import COLUMNS
from curate.tables import to_rows
from curate.thumbnails import thumbnail
from tests.helpers.tables import row, table

HOSTILE = 'a"><script>alert(1)</script>\u202egnp.exe\n<b>&amp;{{head}}.png'


def finding(path: str, check: str = "specks", severity: str = "warning", *related: str) -> dict[str, Any]:
    return {
        "check": check, "code": check, "severity": severity, "relative_path": path,
        "message": f"{path} has specks.", "remedy": "Remove them.", "related": list(related),
    }  # fmt: skip


def report(*findings: dict[str, Any], **known: Any) -> Report:
    ran = ("specks", "layout", "exact_duplicates", "border_regions")
    return Report(**{
        "dataset": "weave", "date": "2031-05-01 08:00 UTC", "version": "1.2", "n_images": 40,
        "findings": findings, "ran": ran, **known,
    })  # fmt: skip


@pytest.fixture
def picture(tmp_path: Path) -> dict[str, Any]:
    """A sample with a picture of 480 x 640 px, and a mask of a single pixel in the folder masks."""
    rng = np.random.default_rng(5)
    Image.fromarray(rng.integers(0, 255, (480, 640, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    known = {"filepath": str(tmp_path / "a.png"), "width": 640, "height": 480}
    (sample,) = to_rows(table([row("a.png", "anomalous", **known)]))
    mask = np.zeros((480, 640), np.uint8)
    mask[300, 100] = 255
    (tmp_path / "masks").mkdir()
    Image.fromarray(mask).save(tmp_path / "masks" / f"{sample['sample_id']}.png")
    return sample


class Page(HTMLParser):
    """What a page consists of: tags with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def test_names_of_files_cannot_become_part_of_the_page(tmp_path: Path) -> None:
    names = report(finding(HOSTILE, "exact_duplicates", "error", HOSTILE), dataset=HOSTILE, fixes=[HOSTILE])
    page = Page(render(names, [], tmp_path))
    assert (
        page.count("script") == 1 and page.count("b") == Page(render(report(), [], tmp_path)).count("b") + 1
    )
    assert "alert(1)" not in "".join(str(attributes) for _, attributes in page.tags)
    assert "\u202e" not in page.text and "\\u202egnp.exe\\u000a" in page.text
    assert "{{head}}" in page.text


def test_the_page_asks_nothing_of_any_network(picture: dict[str, Any], tmp_path: Path) -> None:
    text = render(report(finding("a.png")), [picture], tmp_path / "masks")
    assert not re.search(r"(https?:|file:)?//[a-z]", re.sub(r"base64,[^\"]*", "", text))
    for tag, attributes in Page(text).tags:
        assert tag not in ("link", "iframe", "object", "base", "form")
        assert (attributes.get("src") or "data:").startswith("data:")
        assert (attributes.get("href") or "#").startswith("#")
    assert "default-src 'none'" in text


def test_every_check_is_told_found_or_not_run_or_not(tmp_path: Path) -> None:
    given = report(
        finding("a.png"), finding("b.png"), finding("b.png", "border_regions", "note"),
        finding("c.png", "exact_duplicates", "error", "d.png"),
        not_run={"split_duplicates": "there is no split"},
    )  # fmt: skip
    text = Page(render(given, [], tmp_path)).text
    assert "could not run: there is no split" in text
    assert re.search(r"specks\s*Regions of at most 4 px in a mask\s*2 warnings\s*2\s*\.050", text)
    assert re.search(r"layout[^\n]*nothing", text.replace("\n", " "))
    assert "tiny_mask" not in text
    assert re.search(r"1\s*error\b", text) and re.search(r"1\s*note\b", text)


@pytest.mark.parametrize(("found", "told"), [(1, "kept"), (3, "not kept")])
def test_the_gate_is_told(tmp_path: Path, found: int, told: str) -> None:
    given = report(
        finding("a.png"), gate=[Limit("warnings", 1, False, found), Limit("specks", 0.1, True, 0.025)]
    )
    text = Page(render(given, [], tmp_path)).text
    assert re.search(rf"\s{told}\s*gate", text)
    assert re.search(r"specks \(share of images\)\s*\.1000\s*\.0250\s*ok", text)


def test_equal_input_gives_equal_bytes(picture: dict[str, Any], tmp_path: Path) -> None:
    given = report(finding("a.png"), finding("b.png"))
    assert render(given, [picture], tmp_path / "masks") == render(given, [picture], tmp_path / "masks")


def test_findings_about_several_files_show_them_side_by_side(picture: dict[str, Any], tmp_path: Path) -> None:
    samples = [picture, picture | {"relative_path": "b.png"}, picture | {"relative_path": "c.png"}]
    many = finding("a.png", "exact_duplicates", "warning", "b.png", "c.png", "d.png", "e.png")
    page = Page(render(report(many), samples, tmp_path / "masks"))
    assert [a["alt"] for tag, a in page.tags if tag == "img"] == ["a.png", "b.png", "c.png"]
    assert "e.png" in page.text


def test_a_thousand_findings_stay_below_ten_megabytes(
    picture: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = [picture | {"relative_path": f"{number}.png"} for number in range(1000)]
    checks = ("specks", "layout", "border_regions", "tiny_mask", "empty_mask")
    found = [finding(f"{number}.png", checks[number % 5]) for number in range(1000)]
    page = render(report(*found, ran=checks), samples, tmp_path / "masks")
    assert Page(page).count("img") == 5 * check_report.PICTURED
    assert all(f"{number}.png has specks" in page for number in range(1000))
    assert len(page) < 10_000_000
    monkeypatch.setattr(check_report, "MAX_PICTURE_BYTES", 100_000)
    small = render(report(*found, ran=checks), samples, tmp_path / "masks")
    assert 0 < Page(small).count("img") < 30 and len(small) < 600_000


def test_a_very_long_list_is_cut_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_report, "LISTED", 3)
    text = render(report(*(finding(f"{number}.png") for number in range(9))), [], tmp_path)
    assert "6 more are not listed here" in text and "3.png" not in text


def test_of_many_related_files_the_first_are_named(tmp_path: Path) -> None:
    related = [f"copy-{number}.png" for number in range(50)]
    text = Page(render(report(finding("a.png", "exact_duplicates", "error", *related)), [], tmp_path)).text
    assert "copy-19.png and 30 more" in text and "copy-20.png" not in text


def test_files_without_a_readable_picture_are_listed(picture: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    page = Page(render(report(finding("a.png"), finding("gone.png")), [picture], tmp_path / "masks"))
    assert page.count("img") == 0 and "a.png has specks" in page.text and "gone.png has specks" in page.text


def opened(jpeg: bytes | None) -> np.ndarray:
    assert jpeg is not None
    return np.asarray(Image.open(io.BytesIO(jpeg)))


def cyan(picture: np.ndarray) -> np.ndarray:
    """Where a picture has the colour of the outline, as JPEG keeps it."""
    red, green, blue = (picture[..., channel].astype(int) for channel in range(3))
    return np.argwhere((green - red > 70) & (blue - red > 70))


def test_one_defect_pixel_among_many_is_outlined(picture: dict[str, Any], tmp_path: Path) -> None:
    Image.fromarray(np.full((480, 640, 3), 128, np.uint8)).save(tmp_path / "a.png")
    small = opened(thumbnail(picture, tmp_path / "masks"))
    assert small.shape == (144, 192, 3)
    marked = cyan(small)
    assert len(marked) >= 4
    assert np.abs(marked - np.array([300, 100]) * 0.3).max() <= 5


def test_boxes_are_outlined_where_there_is_no_mask(picture: dict[str, Any], tmp_path: Path) -> None:
    Image.fromarray(np.full((480, 640, 3), 128, np.uint8)).save(tmp_path / "a.png")
    box = {"box_xyxy": [200.0, 100.0, 400.0, 300.0], "defect_type": "dent"}
    assert not len(cyan(opened(thumbnail(picture | {"sample_id": "0"}, tmp_path))))
    marked = cyan(opened(thumbnail(picture | {"sample_id": "0", "boxes": [box]}, tmp_path)))
    assert abs(marked.min(axis=0) - [30, 60]).max() <= 4 and abs(marked.max(axis=0) - [90, 120]).max() <= 4


def test_dark_16_bit_pictures_are_spread_and_small_ones_enlarged(
    picture: dict[str, Any], tmp_path: Path
) -> None:
    ramp = np.linspace(100, 900, 48 * 64).reshape(48, 64).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    small = opened(thumbnail(picture | {"sample_id": "0"}, tmp_path))
    assert small.shape == (144, 192, 3)
    assert small.min() < 8 and small.max() > 247


def test_pictures_in_the_page_are_whole_jpegs(picture: dict[str, Any], tmp_path: Path) -> None:
    text = render(report(finding("a.png")), [picture], tmp_path / "masks")
    (data,) = re.findall(r"data:image/jpeg;base64,([^\"]+)", text)
    assert opened(base64.b64decode(data)).shape == (144, 192, 3)


def test_a_table_for_spreadsheets_has_no_formula_and_keeps_every_letter(tmp_path: Path) -> None:
    path = tmp_path / "findings.csv"
    spreadsheets.write(
        [finding("=HYPERLINK(1).png", "specks", "note", "-1.png", "névé;日本.png")], COLUMNS, path
    )
    ((_, *cells),) = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))[1:]
    assert cells[2:4] == ["'=HYPERLINK(1).png", "'=HYPERLINK(1).png has specks."]
    assert cells[5] == "'-1.png; névé;日本.png"
