"""Label Studio's files: what its own page made of our tasks, and every kind of fault."""

import json
import random
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest

from curate import brush_runs
from curate.annotation.label_studio import files, read
from curate.annotation_tasks import Answer, mask_of, region_of_box
from curate.errors import Unreadable
from tests.helpers.outside import HW, PACKAGE, annotation, job, tasks
from tests.helpers.places import REPOSITORY
from tests.oracles.brush import alpha_of

# exported by Label Studio 1.23.2 after a person worked on a package of ours in its page
GOLDEN = REPOSITORY / "tests/golden/annotation/label_studio_1.23.2.json"
SIZE = {"original_width": 64, "original_height": 48, "image_rotation": 0}
DATA = {"image": "/data/upload/1/1a2b3c4d-0000000000000000__00c0ffee__a.png"}
SIZES = {("0" * 16, "00c0ffee"): HW}


def answers(*annotations: dict[str, Any], **data: Any) -> list[Answer]:
    task = {"id": 5, "data": {**DATA, **data}, "annotations": list(annotations)}
    return read(json.dumps([task]).encode(), SIZES)


def drawn(kind: str, **value: Any) -> dict[str, Any]:
    return {"type": kind, **SIZE, "value": {**value, kind: ["a"]}}


BOX = drawn("rectanglelabels", x=1, y=1, width=5, height=5)


def one(kind: str, **value: Any) -> Answer:
    (answer,) = answers(annotation([drawn(kind, **value)]))
    return answer


def test_what_the_page_handed_in_is_read() -> None:
    content = GOLDEN.read_bytes()
    sent = [(task["data"]["sample_id"], "7e2ca1bb") for task in json.loads(content)]
    kept, edited, unsure, untouched = read(content, dict.fromkeys(sent, HW))
    assert [each.submitted for each in (kept, edited, unsure, untouched)] == [True, True, True, False]
    assert {each.by for each in (kept, edited, unsure)} == {"label_studio user 1"}
    assert [each.seconds for each in (kept, edited)] == [4.465, 5.333]
    assert [region.label for region in edited.regions] == ["defect", "defect", "defect", "spot"]
    assert unsure.tags == {"unsure"}
    assert (untouched.regions, untouched.by, untouched.package) == ([], None, "7e2ca1bb")
    assert all(not each.problems for each in (kept, edited, unsure, untouched))


def test_a_stroke_of_the_page_counts_where_it_covers_half_of_a_pixel() -> None:
    edited = json.loads(GOLDEN.read_bytes())[1]
    stroke = edited["annotations"][0]["result"][3]["value"]["rle"]
    alpha = np.reshape(alpha_of(stroke), HW)
    assert len(np.unique(alpha)) > 10  # it fades at its rim
    region = read(GOLDEN.read_bytes(), {(edited["data"]["sample_id"], "7e2ca1bb"): HW})[1].regions[3]
    assert np.array_equal(mask_of([region], HW), alpha >= 128)
    assert (alpha > 0).sum() > 1.5 * region.mask.sum()


def test_a_stroke_that_covers_no_pixel_by_half_does_not_vanish() -> None:
    faint = np.zeros((*HW, 4), dtype=np.uint8)
    faint[7, 9] = 60
    bits = f"{faint.size:032b}" + "00111" + "0010" + "0011" + "0111" + "1111"
    for start in range(0, faint.size, 4096):
        part = faint.ravel()[start : start + 4096]
        bits += "0" + "11" + f"{len(part) - 1:016b}" + "".join(f"{value:08b}" for value in part)
    content = list(int(bits + "0" * (-len(bits) % 8), 2).to_bytes((len(bits) + 7) // 8, "big"))
    (region,) = one("brushlabels", format="rle", rle=content).regions
    assert region.box_xyxy == (9, 7, 10, 8)


def test_the_interface_has_the_labels_and_the_choices() -> None:
    for kind, tag in (("brush", "BrushLabels"), ("polygon", "PolygonLabels"), ("box", "RectangleLabels")):
        root = ElementTree.fromstring(files([], job(kind))["label_config.xml"])
        assert [each.attrib["value"] for each in root.find(tag) or ()] == ["defect", "scratch", 'ü <b>"']
        assert [each.attrib["value"] for each in root.find("Choices") or ()] == ["normal", "unsure"]


def test_tasks_carry_sample_package_and_address() -> None:
    sent = tasks(np.random.default_rng(0), 3)
    content = json.loads(files(sent, job("brush", "https://images/x/"))["tasks.json"])
    for task, made in zip(sent, content, strict=True):
        assert made["data"] == {
            "image": f"https://images/x/{task.file_name}", "sample_id": task.sample_id, "package": "00c0ffee",
        }  # fmt: skip
        results = [each for prediction in made["predictions"] for each in prediction["result"]]
        assert len({each["id"] for each in results}) == len(results) == len(task.regions)


def test_each_annotation_is_an_answer_of_its_own() -> None:
    people = [{"id": 4, "email": "eva@example.com"}, 7, None, {"id": 8}, True]
    found = answers(*(annotation([], by) for by in people))
    assert [each.by for each in found] == [
        "eva@example.com", "label_studio user 7", None, "label_studio user 8", None,
    ]  # fmt: skip
    (skipped,) = answers(annotation([], 7, was_cancelled=True))
    assert (skipped.skipped, skipped.submitted) == (True, False)


def test_the_sample_is_known_by_the_task_or_by_the_name_of_its_image() -> None:
    assert answers(annotation([]))[0].sample_id == "0000000000000000"
    told = answers(annotation([]), image="s3://b/renamed.png", sample_id="0" * 16, package="00c0ffee")[0]
    assert (told.sample_id, told.package, told.problems) == ("0" * 16, "00c0ffee", [])
    (other,) = answers(annotation([]), sample_id="1" * 16)
    assert "tells the sample 1111111111111111, but the name of its image says 0000" in other.problems[0]


def test_what_a_tool_rounds_makes_a_box_no_pixel_larger() -> None:
    entry = {"box_xyxy": [0.9999999, 1.0, 20.0000001, 9.9999999], "defect_type": "a"}
    found = region_of_box(entry, HW)
    assert found is not None
    assert found.box_xyxy == (1, 1, 20, 10)


def test_a_turned_box_turns_about_its_corner_and_an_ellipse_about_its_centre() -> None:
    box = one("rectanglelabels", x=50, y=50, width=12.5, height=100 / 12, rotation=90).regions[0]
    assert (box.box_xyxy, box.is_box) == ((28, 24, 32, 32), True)
    ellipse = one("ellipselabels", x=50, y=50, radiusX=200 / 64, radiusY=100 / 48, rotation=90).regions[0]
    assert ellipse.box_xyxy == (31, 22, 33, 26)


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (drawn("polygonlabels", points=[[1, 1], [2, 2]]), "has 2 points"),
        (drawn("polygonlabels", points=[[1, 1], [2, "2"], [3, 3]]), "not numbers"),
        (drawn("polygonlabels", points=[[1, 1], [120, 1], [3, 9]]), "leaves the image of 64 x 48 px"),
        (drawn("polygonlabels"), "not numbers"),
        (drawn("rectanglelabels", x=1, y=1, width=0, height=5), "is empty"),
        (drawn("rectanglelabels", x=1, y=1, width=5), "has no x, y, width and height"),
        (drawn("ellipselabels", x=1, y=1), "has no x, y, radiusX"),
        (drawn("brushlabels", format="png", rle=[1]), "no run lengths"),
        (drawn("brushlabels", format="rle", rle=[1, 2]), "cut short"),
        (drawn("brushlabels", format="rle", rle=brush_runs.encode(np.zeros(HW, bool))), "marks no pixel"),
        (drawn("keypointlabels", x=1, y=1), "kind that is not read"),
        ({**BOX, "image_rotation": 90}, "turned by 90 degrees"),
        ({**BOX, "original_width": 65}, "65 x 48 px, but 64 x 48"),
        ({**BOX, "value": {"x": 1, "y": 1, "width": 5, "height": 5}}, "one label"),
        ({"type": "rectanglelabels"}, "has no value"),
        ("text", "has no value"),
    ],
)  # fmt: skip
def test_a_result_that_cannot_be_is_told_and_the_others_stay(result: Any, problem: str) -> None:
    good = drawn("rectanglelabels", x=50, y=50, width=10, height=10)
    (answer,) = answers(annotation([result, good]))
    assert len(answer.regions) == 1
    (told,) = answer.problems
    assert problem in told
    assert told.startswith("result 1")


def test_other_exports_of_the_tool_are_refused() -> None:
    with pytest.raises(Unreadable, match="not as JSON-MIN"):
        read(b'[{"image": "x", "id": 1, "label": []}]', {})
    with pytest.raises(Unreadable, match="NaN"):
        read(b'[{"data": {"x": NaN}}]', {})


def test_anything_in_the_place_of_anything_gives_answers_or_is_refused() -> None:
    sent = tasks(np.random.default_rng(2), 3)
    whole = json.loads(files(sent, job("polygon"))["tasks.json"])
    for number, task in enumerate(whole):
        predictions = task.pop("predictions")
        task["annotations"] = [annotation(each["result"], number) for each in predictions]
    sizes = {(task.sample_id, PACKAGE): HW for task in sent}
    rng = random.Random(3)
    for _ in range(400):
        damaged = json.loads(json.dumps(whole))
        for _ in range(rng.randint(1, 3)):
            node: Any = damaged
            while isinstance(node, list | dict) and node:
                keys = list(node) if isinstance(node, dict) else list(range(len(node)))
                key = rng.choice(keys)
                if rng.random() < 0.25 or not isinstance(node[key], list | dict):
                    node[key] = rng.choice([None, True, -1, 1e300, "x", [], {}, [[]], {"a": 1}, 10**400])
                    break
                node = node[key]
        try:
            found = read(json.dumps(damaged).encode(), sizes)
        except Unreadable:
            continue
        for answer in found:
            assert mask_of(answer.regions, HW).shape == HW
