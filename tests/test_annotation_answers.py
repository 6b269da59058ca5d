"""From answers to decisions: what counts, what is silence, what is wrong, and what was changed."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from curate.annotation_answers import Decision, How, Judged, judge, summary
from curate.annotation_package import as_sent, image_row, labels_of, manifest, tags_of, tasks_of
from curate.annotation_tasks import Answer, Job, Region, file_name, region_of
from curate.drawn_masks import digest
from curate.schema import check_rows
from tests.helpers.outside import HW

A, B, C = (f"{number:016x}" for number in (10, 11, 12))
SHA = dict(zip((A, B, C), ("a" * 64, "b" * 64, "c" * 64), strict=True))
HOW = How("back.xml", by="eva")


def block(label: str, top: int, left: int, down: int = 4, across: int = 6, is_box: bool = False) -> Region:
    mask = np.zeros(HW, dtype=bool)
    mask[top : top + down, left : left + across] = True
    region = region_of(label, mask)
    assert region is not None
    return replace(region, is_box=is_box)


def package() -> dict[str, Any]:
    """A and B with a proposal each, C without."""
    labels = labels_of(["scratch", "dent"])
    job = Job("toy", "", "brush", tuple(labels), tags_of(labels))
    regions = {A: [block("scratch", 3, 5)], B: [block("defect", 20, 30)]}
    samples = [
        {
            "sample_id": name,
            "relative_path": f"{name[-1]}.png",
            "sha256": SHA[name],
            "height": 48,
            "width": 64,
        }
        for name in (A, B, C)
    ]
    rows = [image_row(sample, regions.get(sample["sample_id"], [])) for sample in samples]
    content = manifest("cvat", job, labels, rows, "padim")
    for image in content["images"]:
        name = image["sample_id"]
        image["file_name"] = file_name(name, content["package"], image["relative_path"], ".png")
        image["sent"] = as_sent(regions.get(name, []), HW)
    check_rows([content], "annotation_manifest")
    assert [len(task.regions) for task in tasks_of(content, regions)] == [1, 1, 0]
    return content


SENT = package()


def answer(name: str, *regions: Region, tags: set[str] | None = None, **more: Any) -> Answer:
    said = Answer(f"image {name[-1]}", f"{name}.png", name, SENT["package"], regions=list(regions))
    return replace(said, tags=tags or set(), **more)


def judged(*answers: Answer, how: How = HOW, checksums: dict[str, str] | None = None) -> Judged:
    return judge(answers, {SENT["package"]: SENT}, checksums or SHA, how)


def decided(given: Answer, how: How = HOW) -> Decision:
    found = judged(given, how=how)
    assert found.faults == []
    (decision,) = found.decisions
    return decision


def fault(*answers: Answer, how: How = HOW, checksums: dict[str, str] | None = None) -> str:
    found = judged(*answers, how=how, checksums=checksums)
    assert found.decisions == []
    (told,) = found.faults
    assert told.severity == "error"
    assert told.message.startswith("back.xml")
    return str(told)


def test_an_edited_mask_is_anomalous_with_its_overlap() -> None:
    found = decided(answer(A, block("scratch", 3, 5, 4, 3)))
    assert (found.verdict, found.change, found.iou) == ("anomalous", "edited", 0.5)
    assert (found.by, found.detector, found.proposals) == (
        "eva",
        "padim",
        tuple(SENT["images"][0]["proposals"]),
    )
    drawn = found.drawn({})
    assert (drawn.defect_type, drawn.classes, int(drawn.mask.sum())) == ("scratch", None, 12)
    assert found.key() == ("anomalous", "scratch", digest(drawn.mask))


def test_what_came_back_as_it_was_sent_is_silence_until_somebody_says_so() -> None:
    same = answer(A, block("scratch", 3, 5))
    assert judged(same).silent == {"untouched": 1, "skipped": 0}
    for given, how in (
        (answer(A, block("scratch", 3, 5), tags={"checked"}), HOW),
        (same, replace(HOW, finished=True)),
        (replace(same, submitted=True), replace(HOW, submits=True)),
    ):
        found = decided(given, how)
        assert (found.verdict, found.change, found.iou) == ("anomalous", "unedited", 1.0)


def test_another_label_on_the_same_mask_is_no_silence() -> None:
    found = decided(answer(B, block("dent", 20, 30)))
    assert (found.change, found.drawn({}).defect_type) == ("unedited", "dent")


def test_silence_is_never_normal() -> None:
    assert judged(answer(C), how=replace(HOW, finished=True)).silent["untouched"] == 1
    assert judged(answer(C), how=replace(HOW, submits=True)).silent["untouched"] == 1
    assert "nothing is drawn, and it is not called normal" in fault(
        answer(C, submitted=True), how=replace(HOW, submits=True)
    )
    assert "all proposals were deleted, and it is not called normal" in fault(answer(A))
    assert "but it is called checked" in fault(answer(C, tags={"checked"}))


def test_a_tool_that_knows_who_handed_in_is_believed() -> None:
    found = judged(answer(A), answer(B, skipped=True), how=replace(HOW, submits=True))
    assert (found.silent, found.faults) == ({"untouched": 1, "skipped": 1}, [])


def test_tags_say_normal_or_unsure() -> None:
    found = decided(answer(A, tags={"normal"}))
    assert (found.verdict, found.change, found.key()) == ("normal", "deleted", ("normal", None, None))
    assert decided(answer(C, tags={"normal"})).change == "none"
    found = decided(answer(B, block("defect", 20, 30), tags={"unsure"}))
    assert (found.verdict, found.regions, found.change) == ("unsure", (), "unedited")


def test_contradictions_are_told() -> None:
    assert "called normal, but has 1 regions" in fault(answer(A, block("dent", 1, 1), tags={"normal"}))
    assert "called normal and unsure" in fault(answer(C, tags={"normal", "unsure"}))


def test_regions_of_several_types_become_a_mask_with_values() -> None:
    found = decided(answer(C, block("dent", 1, 1), block("scratch", 10, 10), block("defect", 20, 20)))
    drawn = found.drawn({"scratch": 7})
    assert drawn.classes == [
        {"value": 1, "defect_type": "dent", "area_px": 24},
        {"value": 7, "defect_type": "scratch", "area_px": 24},
        {"value": 255, "defect_type": None, "area_px": 24},
    ]
    assert (drawn.defect_type, found.change) == (None, "new")


def test_a_box_says_that_there_is_a_defect_but_not_its_outline() -> None:
    given = answer(C, block("dent", 1, 1, is_box=True), block("dent", 30, 30))
    found = decided(given)
    assert (found.verdict, found.defect_type, found.regions) == ("anomalous", "dent", ())
    assert found.key() == ("anomalous", "dent", None)
    whole = decided(given, replace(HOW, boxes_as_masks=True))
    assert int(whole.drawn({}).mask.sum()) == 48
    several = judged(answer(C, block("dent", 1, 1, is_box=True), block("scratch", 9, 9, is_box=True)))
    assert [each.defect_type for each in several.decisions] == [None]
    assert [(each.code, each.severity) for each in several.faults] == [("several_types", "warning")]


def test_a_label_that_was_not_sent_is_told_with_the_nearest_and_can_be_named() -> None:
    given = answer(A, block("scrach", 1, 1))
    told = fault(given)
    assert 'has the label "scrach" (did you mean "scratch"?), which was not sent' in told
    assert "--label NAME=LABEL" in told
    found = decided(given, replace(HOW, renamed={"scrach": "scratch"}))
    assert found.drawn({}).defect_type == "scratch"
    assert 'has the label "blurred"' in fault(answer(C, tags={"blurred"}))


def test_a_picture_that_changed_since_is_not_decided() -> None:
    given = answer(A, block("dent", 1, 1))
    assert "a.png is another picture now" in fault(given, checksums={**SHA, A: "f" * 64})
    assert "a.png is no longer in the dataset" in fault(given, checksums={B: SHA[B]})


def test_images_that_nobody_sent_are_told() -> None:
    assert '"renamed.png" does not carry the id' in fault(Answer("image 7", "renamed.png", None, None))
    assert "of the package deadbeef, not sent from here" in fault(replace(answer(A), package="deadbeef"))
    assert "has no sample of the image" in fault(replace(answer(A), sample_id="f" * 16))


def test_what_is_wrong_with_an_answer_is_told_and_nothing_of_it_counts() -> None:
    told = fault(answer(A, block("dent", 1, 1), problems=["shape 1 leaves", "shape 2 is empty"]))
    assert "image a: a.png shape 1 leaves; shape 2 is empty. Correct it in the tool" in told
    assert "shape 1" in fault(answer(C, problems=["shape 1 has no area"]))


def test_somebody_must_have_done_it() -> None:
    given = answer(A, block("dent", 1, 1))
    assert "does not tell who annotated it. Say who it was: --by PERSON" in fault(given, how=How("back.xml"))
    assert decided(replace(given, by="bo"), How("back.xml")).by == "bo"


@pytest.mark.parametrize("by", ["eva\u2028", "\x1b[31meva", "\ud800", "", "e" * 5000])
def test_a_name_that_a_verdict_cannot_hold_is_told_and_not_stored(by: str) -> None:
    given = answer(A, block("dent", 1, 1), by=by)
    assert "which a verdict cannot hold. Say who" in fault(given, how=How("back.xml"))
    assert len(judged(given).decisions) == 1


def test_what_strangers_wrote_cannot_steer_a_terminal_or_fill_it() -> None:
    said = answer(A, problems=["has \x1b]0;title\x07", "y" * 5000])
    unknown = answer(A, block("\x1b[2J\n", 1, 1))
    strange = replace(said, image="\x1b[31m", package="\u202e" + "z" * 5000)
    for fault_ in judged(said, unknown, strange).faults:
        assert fault_.message.isprintable()
        assert len(fault_.message) < 1100


def test_equal_answers_of_a_person_count_once_and_differing_ones_not_at_all() -> None:
    one, other = answer(A, block("dent", 1, 1)), answer(A, block("dent", 1, 2))
    assert len(judged(one, one).decisions) == 1
    found = judged(one, other, answer(B, tags={"normal"}))
    assert [each.sample_id for each in found.decisions] == [B]
    assert "2 answers of eva on a.png differ; none is stored" in str(found.faults[0])
    people = judged(replace(one, by="bo"), replace(other, by="cy"), how=How("back.xml"))
    assert [each.by for each in people.decisions] == ["bo", "cy"]


def test_the_summary_counts_by_verdict_and_change() -> None:
    found = judged(
        answer(A, block("scratch", 3, 5, 4, 3)),
        answer(B, tags={"normal"}),
        answer(C, block("dent", 1, 1, is_box=True)),
    )
    assert summary(found.decisions) == {
        "n_normal": 1, "n_anomalous": 2, "n_unsure": 0, "n_unedited": 0, "n_edited": 1, "n_deleted": 1,
        "n_new_masks": 1, "n_without_mask": 1, "median_iou": 0.5, "people": ["eva"],
    }  # fmt: skip


def test_labels_and_tags_never_have_the_same_name() -> None:
    labels = labels_of(["Defect", "normal", "checked"])
    assert labels == {"any defect": None, "Defect": "Defect", "checked": "checked", "normal": "normal"}
    tags = tags_of(labels)
    assert tags == {"normal": "no defect", "unsure": "unsure", "checked": "proposals right"}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/b c.PNG", "b_c"),
        ("x/..png", "image"),
        ("z/" + "n" * 200 + ".png", "n" * 80),
        ("q/日本.png", "image"),
    ],
)
def test_names_are_plain_and_carry_the_keys(path: str, name: str) -> None:
    assert file_name(A, "00c0ffee", path, ".png") == f"{A}__00c0ffee__{name}.png"
