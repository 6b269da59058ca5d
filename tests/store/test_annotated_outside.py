"""Outside annotators with the real database: proposals go out as they are, answers become verdicts once."""

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate import drawn_masks, tables
from curate.annotation import cvat
from curate.annotation_package import mask_sent, sizes_of
from curate.annotation_tasks import mask_of
from curate.errors import Missing, Unreadable
from curate.proposal_table import mask_of as mask_of_rows
from curate.steps import annotate_receive, propose
from curate.steps.annotate_receive import Asked
from curate.steps.record import Context
from curate.store import receiving, verdicts
from curate.store.acting import act
from curate.store.documents import object_id
from tests.helpers.outside import HW, annotation
from tests.helpers.sent_out import edited, proposing, send, sent_afresh, tag, without_shapes

pytestmark = pytest.mark.mongod
CVAT = Asked("cvat", by="eva")


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    with proposing(tmp_path_factory.mktemp("outside")) as made:
        yield made


@pytest.fixture
def sent(context: Context, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    return sent_afresh(context, tmp_path / "sent")


def some_of_each(image: ElementTree.Element, number: int) -> None:
    """Checked, edited, normal, unsure, silent, contradicting; then the same again."""
    kind = number % 6
    if kind == 0:
        tag(image, "checked")
    if kind == 1:
        place = {"left": "3", "top": "4", "width": "5", "height": "2", "rle": "0, 10"}
        ElementTree.SubElement(image, "mask", {"label": "spot", "occluded": "0", "source": "manual", **place})
    if kind == 2:
        without_shapes(image)
        tag(image, "normal")
    if kind == 3:
        tag(image, "unsure")
    if kind == 5:
        tag(image, "normal")


def test_proposals_go_out_as_the_app_has_them(context: Context, sent: tuple[Path, dict[str, Any]]) -> None:
    _, manifest = sent
    rows = tables.to_rows(propose.read(context, "keen"))
    assert len(manifest["images"]) == len({row["sample_id"] for row in rows}) > 6
    for image in manifest["images"]:
        own = [row for row in rows if row["sample_id"] == image["sample_id"]]
        assert image["proposals"] == [row["digest"] for row in own]
        assert np.array_equal(mask_sent(image), mask_of_rows(own, HW))


def test_answers_become_verdicts_with_masks_and_each_only_once(
    context: Context, sent: tuple[Path, dict[str, Any]]
) -> None:
    folder, manifest = sent
    path, n = edited(folder, some_of_each), len(manifest["images"])
    told = annotate_receive.run(context, CVAT, path)
    per_kind = [len(range(kind, n, 6)) for kind in range(6)]
    assert (told["n_answers"], told["n_images"], told["n_untouched"]) == (n, n, per_kind[4])
    assert (told["n_anomalous"], told["n_normal"]) == (per_kind[0] + per_kind[1], per_kind[2])
    assert (told["n_edited"], told["n_deleted"]) == (per_kind[1], per_kind[2])
    assert told["n_unedited"] == per_kind[0] + per_kind[3]
    assert told["n_stored"] == sum(per_kind[:4]) > 3
    assert [each["code"] for each in told["faults"]] == ["no_answer"] * per_kind[5]
    log = verdicts.read_log("toy")
    assert len(log) == told["n_stored"] == len(context.paths.verdicts.read_text().splitlines())
    shown = {"place": "cvat", "detector": "keen", "threshold": None}
    drawn = {a.sample_id: a for a in cvat.read(path.read_bytes(), sizes_of([manifest]))}
    for row in log:
        image = next(each for each in manifest["images"] if each["sample_id"] == row["sample_id"])
        assert row["shown"] == {**shown, "proposals": image["proposals"]}
        assert (row["by"], row["seconds"], row["after"]["verdict"]) == ("eva", None, row["verdict"])
        if row["verdict"] == "anomalous":
            mask = drawn_masks.read(context.paths.drawn_masks, row["sample_id"], row["mask"])
            assert np.array_equal(mask, mask_of(drawn[row["sample_id"]].regions, HW))
        else:
            assert row["mask"] is None
    again = annotate_receive.run(context, CVAT, path)
    assert (again["n_stored"], again["n_known"]) == (0, told["n_stored"])
    assert verdicts.read_log("toy") == log


def test_a_dry_run_reports_and_stores_nothing(context: Context, sent: tuple[Path, dict[str, Any]]) -> None:
    path = edited(sent[0], some_of_each)
    told = annotate_receive.run(context, Asked("cvat", by="eva", dry_run=True), path)
    assert told["n_new"] > 3
    assert (told["n_stored"], verdicts.read_log("toy")) == (0, [])
    assert list(context.paths.drawn_masks.glob("*.png")) == []


def test_what_a_kill_cut_off_is_stored_by_the_next_run(
    context: Context, sent: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = edited(sent[0], some_of_each)
    monkeypatch.setattr(receiving, "BATCH", 2)
    add, calls = verdicts.add, []

    def dying(*arguments: Any) -> int:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return add(*arguments)

    monkeypatch.setattr(verdicts, "add", dying)
    with pytest.raises(KeyboardInterrupt):
        annotate_receive.run(context, CVAT, path)
    assert len(verdicts.read_log("toy")) == 4
    monkeypatch.setattr(verdicts, "add", add)
    told = annotate_receive.run(context, CVAT, path)
    assert (told["n_known"], told["n_stored"]) == (4, len(verdicts.read_log("toy")) - 4)
    assert len({row["sample_id"] for row in verdicts.read_log("toy")}) == len(verdicts.read_log("toy"))


def test_a_verdict_that_was_taken_back_or_changed_stays_so_until_the_annotator_says_something_else(
    context: Context, sent: tuple[Path, dict[str, Any]]
) -> None:
    folder, manifest = sent
    only = manifest["images"][0]["sample_id"]
    path = edited(folder, lambda image, number: tag(image, "checked") if number == 0 else None)
    assert annotate_receive.run(context, CVAT, path)["n_stored"] == 1
    act("toy", "undo", [str(object_id(only, "sample"))], by="eva")
    assert annotate_receive.run(context, CVAT, path)["n_stored"] == 0
    act("toy", "accept_normal", [str(object_id(only, "sample"))], by="eva")
    assert annotate_receive.run(context, CVAT, path)["n_stored"] == 0  # an old file outdoes no later word
    path = edited(folder, lambda image, number: tag(image, "unsure") if number == 0 else None)
    assert annotate_receive.run(context, CVAT, path)["n_stored"] == 1


def test_two_people_on_one_task_are_two_verdicts(
    context: Context, sent: tuple[Path, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "studio"
    send(context, folder, "label_studio")
    content = json.loads((folder / "tasks.json").read_bytes())
    result = content[0].pop("predictions")[0]["result"]
    normal = {"type": "choices", "value": {"choices": ["normal"]}}
    content[0]["annotations"] = [annotation(result, 3), annotation([normal], 4, lead_time=7)]
    path = tmp_path / "export.json"
    path.write_text(json.dumps(content[:1]))
    asked = Asked("label_studio")
    told = annotate_receive.run(context, asked, path)
    assert (told["n_stored"], told["people"]) == (2, ["label_studio user 3", "label_studio user 4"])
    first, second = verdicts.read_log("toy")
    assert [(row["verdict"], row["seconds"]) for row in (first, second)] == [
        ("anomalous", 2.5),
        ("normal", 7),
    ]
    assert first["at"] < second["at"]
    assert second["before"]["mask"] == first["mask"]
    assert annotate_receive.run(context, asked, path)["n_stored"] == 0
    with pytest.raises(ValueError, match=r"has answers of 2 people.*Leave it out"):
        annotate_receive.run(context, Asked("label_studio", by="eva"), path)


def test_new_types_on_several_images_get_values_that_agree(
    context: Context, sent: tuple[Path, dict[str, Any]]
) -> None:
    def two_types(image: ElementTree.Element, number: int) -> None:
        if number < 2:
            labels = ("spot", "stain") if number == 0 else ("stain", "defect")
            without_shapes(image)
            for left, label in zip(("3", "20"), labels, strict=True):
                place = {"left": left, "top": "4", "width": "5", "height": "2", "rle": "0, 10"}
                ElementTree.SubElement(image, "mask", {"label": label, "source": "manual", **place})

    annotate_receive.run(context, CVAT, edited(sent[0], two_types))
    classes = [row["mask_classes"] for row in verdicts.read_log("toy")]
    values = {(each["defect_type"], each["value"]) for told in classes for each in told}
    assert values == {("spot", 1), ("stain", 2), (None, 255)}


def test_an_archive_is_read_and_what_was_not_sent_from_here_needs_its_folder(
    context: Context, sent: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    import zipfile

    folder, manifest = sent
    path = edited(folder, lambda image, number: tag(image, "checked") if number == 0 else None)
    packed = tmp_path / "task.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(path, "annotations.xml")
    assert annotate_receive.run(context, CVAT, packed)["n_stored"] == 1
    for name in context.paths.sent.glob("*.json"):
        name.unlink()
    with pytest.raises(Missing, match="nothing of dataset"):
        annotate_receive.run(context, CVAT, path)
    told = annotate_receive.run(context, Asked("cvat", by="eva", package=folder), path)
    assert (told["n_known"], told["n_images"]) == (1, len(manifest["images"]))


def test_archives_that_hide_something_are_refused(
    context: Context, sent: tuple[Path, Any], tmp_path: Path
) -> None:
    import zipfile

    path = tmp_path / "task.zip"
    for names, message in (
        ((), "0 called annotations.xml"),
        (("annotations.xml", "a/annotations.xml"), "2 called"),
    ):
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, "<annotations/>")
        with pytest.raises(Unreadable, match=message):
            annotate_receive.run(context, CVAT, path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(Unreadable, match="damaged or encrypted"):
        annotate_receive.run(context, CVAT, path)
    with pytest.raises(Missing, match="is not a file"):
        annotate_receive.run(context, CVAT, tmp_path)
