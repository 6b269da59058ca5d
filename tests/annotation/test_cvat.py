"""CVAT's files: the golden one, read by hand; what FiftyOne reads in ours; every kind of fault."""

import json

import numpy as np
import pytest

from curate.annotation.cvat import files, read
from curate.annotation_tasks import Answer, mask_of
from curate.errors import Unreadable
from tests.helpers.outside import HW, PACKAGE, job
from tests.helpers.places import REPOSITORY

GOLDEN = REPOSITORY / "tests/golden/annotation/cvat.xml"
SIZES = {(f"{number:016x}", PACKAGE): HW for number in range(5)}
HEAD = '<annotations><image id="3" name="0000000000000000__00c0ffee__a.png" width="64" height="48">'


def shape(text: str) -> Answer:
    (answer,) = read(f"{HEAD}{text}</image></annotations>".encode(), SIZES)
    return answer


def pixels(mask: np.ndarray) -> set[tuple[int, int]]:
    return {(int(row), int(column)) for row, column in np.argwhere(mask)}


def test_the_golden_file_is_read_as_drawn_by_hand() -> None:
    answers = read(GOLDEN.read_bytes(), SIZES)
    assert [answer.key for answer in answers] == list(SIZES)
    assert {answer.by for answer in answers} == {"eva"}
    first, second, normal, silent, turned = answers
    mask, polygon = first.regions
    # rows of four pixels, beginning outside: . X X .  and  . . X .
    assert (mask.label, pixels(mask_of([mask], HW))) == ("scratch", {(20, 11), (20, 12), (21, 12)})
    assert (polygon.label, polygon.box_xyxy) == ("dent", (40, 5, 44, 8))
    assert polygon.mask.all()
    box, ellipse = second.regions
    assert (box.is_box, box.box_xyxy) == (True, (3, 4, 7, 6))
    # centre 30, 30; turned by 90 degrees it is 2 px wide and 4 px high
    assert pixels(mask_of([ellipse], HW)) == {(r, c) for r in (28, 29, 30, 31) for c in (29, 30)}
    assert (normal.tags, normal.regions) == ({"normal"}, [])
    assert (silent.tags, silent.regions, silent.problems) == (set(), [], [])
    assert turned.problems == ["is of 48 x 64 px, but 64 x 48 px were sent: drawn on another picture"]


def test_labels_can_be_pasted_into_the_raw_editor() -> None:
    labels = json.loads(files([], job("brush"))["labels.json"])
    assert {each["name"]: each["type"] for each in labels} == {
        "defect": "mask", "scratch": "mask", 'ü <b>"': "mask",
        "normal": "tag", "unsure": "tag", "checked": "tag",
    }  # fmt: skip
    assert all(each["attributes"] == [] and each["color"].startswith("#") for each in labels)
    boxes = json.loads(files([], job("box"))["labels.json"])
    assert boxes[0]["type"] == "rectangle"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            '<mask label="a" rle="0, 4" left="63" top="1" width="2" height="2"/>',
            "leaves the image of 64 x 48 px",
        ),
        ('<mask label="a" rle="0, 4" left="-1" top="1" width="2" height="2"/>', "leaves the image"),
        (
            '<mask label="a" rle="0, 5" left="1" top="1" width="2" height="2"/>',
            "runs over 5 pixels, but its box has 4",
        ),
        ('<mask label="a" rle="5, -1" left="1" top="1" width="2" height="2"/>', "runs over 4 pixels"),
        ('<mask label="a" rle="4" left="1" top="1" width="2" height="2"/>', "marks no pixel"),
        ('<mask label="a" rle="x" left="1" top="1" width="2" height="2"/>', "not numbers"),
        ('<mask label="a" left="1" top="1" width="99999999999" height="2"/>', "leaves the image"),
        ('<polygon label="a" points="1,1;2,2"/>', "has 2 points, expected 3 or more"),
        ('<polygon label="a" points="1,1;90,1;2,9"/>', "leaves the image"),
        ('<polygon label="a" points="nan,1;9,1;2,9"/>', "is not a list of points"),
        ('<ellipse label="a" cx="nan" cy="5" rx="inf" ry="2"/>', "not numbers"),
        ('<box label="a" xtl="5" ytl="5" xbr="9" ybr="9" rotation="inf"/>', "not numbers"),
        ('<box label="&#x202e;\u2028" xtl="5" ytl="5" xbr="70" ybr="9"/>', '(box, "\\u202e"'),
        ('<polygon label="a"/>', "not numbers"),
        ('<box label="a" xtl="5" ytl="5" xbr="5" ybr="9"/>', "is empty"),
        ('<box label="a" xtl="5" ytl="5" xbr="70" ybr="9"/>', "leaves the image"),
        ('<polyline label="a" points="1,1;2,2"/>', "has no area"),
        ('<points label="a" points="1,1"/>', "has no area"),
        ('<hexagon label="a"/>', "not known"),
    ],
)
def test_a_shape_that_cannot_be_is_told_and_the_others_stay(text: str, problem: str) -> None:
    good = '<mask label="b" rle="0, 4" left="62" top="46" width="2" height="2"/>'
    answer = shape(text + good)
    assert [region.label for region in answer.regions] == ["b"]
    (told,) = answer.problems
    assert problem in told
    assert told.startswith("shape 1 (")


def test_a_turned_box_is_drawn_turned() -> None:
    straight, turned = (
        shape(f'<box label="a" xtl="20" ytl="20" xbr="30" ybr="24" rotation="{degrees}"/>').regions[0]
        for degrees in ("0.00", "90.00")
    )
    assert straight.box_xyxy == (20, 20, 30, 24)
    assert turned.box_xyxy == (23, 17, 27, 27)
    assert straight.is_box and turned.is_box


@pytest.mark.parametrize(
    "entity",
    [
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a [<!ENTITY x "xxxx">]>',
        "<!DOCTYPE a>",
    ],
)
def test_document_types_and_entities_are_refused(entity: str) -> None:
    with pytest.raises(Unreadable, match="document type or entities"):
        read(f"{entity}{HEAD}</image></annotations>".encode(), SIZES)


def test_videos_and_deep_trees_are_refused() -> None:
    with pytest.raises(Unreadable, match="format for videos"):
        read(b'<annotations><track id="0" label="a"></track></annotations>', SIZES)
    with pytest.raises(Unreadable, match="more than 24 elements lie in each other"):
        read(b"<annotations>" + b"<a>" * 50 + b"</a>" * 50 + b"</annotations>", SIZES)


def test_nobody_is_named_when_several_are_assigned() -> None:
    people = "".join(f"<assignee><username>{name}</username></assignee>" for name in ("eva", "bo"))
    (answer,) = read(f"<annotations><meta>{people}</meta>{HEAD[13:]}</image></annotations>".encode(), SIZES)
    assert answer.by is None
