"""Outside annotators with the real database: proposals go out as they are, answers become verdicts once."""

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate import drawn_masks, tables
from curate.annotation import cvat
from curate.annotation.cvat import files
from curate.annotation_package import mask_sent, read_package, sizes_of
from curate.annotation_tasks import key_of, mask_of
from curate.errors import CurateError, Missing, Unreadable
from curate.proposal_table import mask_of as mask_of_rows
from curate.steps import annotate_choice, annotate_receive, annotate_send, annotate_server, propose, sync
from curate.steps.annotate_receive import Asked
from curate.steps.record import Context
from curate.store import annotation_servers, receiving, verdicts
from curate.store.acting import act
from curate.store.dataset import load
from curate.store.documents import object_id
from curate.store.server import connect
from tests.helpers.evaluated import dataset, scored
from tests.helpers.outside import HW, annotation, job, tasks

pytestmark = pytest.mark.mongod
CVAT = Asked("cvat", by="eva")
Edit = Callable[[ElementTree.Element, int], None]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """A dataset with proposals, in a database that stays open."""
    made = scored(dataset(tmp_path_factory.mktemp("outside"), ("weave",)), "keen")
    propose.run(made, "keen")
    with connect(made.workspace.home):
        sync.everything(made)
        yield made


def send(context: Context, folder: Path, tool: str = "cvat") -> dict[str, Any]:
    proposals = annotate_choice.proposed(context, "keen", None)
    annotate_send.run(context, annotate_send.Asked(tool, detector="keen"), folder, proposals, overwrite=True)
    return read_package(folder / "manifest.json")


@pytest.fixture
def sent(context: Context, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A CVAT package in a dataset without verdicts."""
    log = verdicts._log()
    log.delete_many({"dataset": "toy"})
    context.paths.verdicts.unlink(missing_ok=True)
    for path in context.paths.drawn_masks.glob("*.png"):
        path.unlink()
    return tmp_path / "sent", send(context, tmp_path / "sent")


def edited(folder: Path, edit: Edit) -> Path:
    """What CVAT exports after somebody edited each image."""
    root = ElementTree.fromstring((folder / "annotations.xml").read_bytes())
    for number, image in enumerate(root.iter("image")):
        edit(image, number)
    path = folder.with_suffix(".xml")
    path.write_bytes(ElementTree.tostring(root))
    return path


def tag(image: ElementTree.Element, label: str) -> None:
    ElementTree.SubElement(image, "tag", {"label": label, "source": "manual"})


def without_shapes(image: ElementTree.Element) -> None:
    for shape in list(image):
        image.remove(shape)


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


def test_fiftyone_reads_our_cvat_file_as_we_do(context: Context, tmp_path: Path) -> None:
    from fiftyone.utils.cvat import HasCVATBinaryMask, load_cvat_image_annotations

    toy = tasks(np.random.default_rng(0), 12)
    (tmp_path / "annotations.xml").write_bytes(files(toy, job("polygon"))["annotations.xml"])
    _, _, images = load_cvat_image_annotations(str(tmp_path / "annotations.xml"))
    assert [image.name for image in images] == [task.file_name for task in toy]
    assert {(image.height, image.width) for image in images} == {HW}
    for image, task in zip(images, toy, strict=True):
        assert {p.label for p in image.polygons} == {region.label for region in task.regions}
    masks = ElementTree.fromstring(files(toy, job("brush"))["annotations.xml"]).iter("mask")
    regions = [region for task in toy for region in task.regions]
    for element, region in zip(masks, regions, strict=True):
        runs = [int(run) for run in element.attrib["rle"].split(", ")]
        width, height = int(element.attrib["width"]), int(element.attrib["height"])
        theirs = HasCVATBinaryMask._rle_to_binary_image_mask(runs, width, height)
        assert np.array_equal(theirs.astype(bool), region.mask)
        assert runs == HasCVATBinaryMask._mask_to_cvat_rle(region.mask)


def test_no_image_goes_to_a_server_that_was_not_named(
    context: Context, sent: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (name for names in annotation_servers.NEEDS.values() for name in names):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Missing, match=r"Set FIFTYONE_CVAT_URL, FIFTYONE_CVAT_USERNAME.*--out FOLDER"):
        annotate_server.check_configured("cvat")
    with pytest.raises(Missing, match="FIFTYONE_LABELSTUDIO_URL"):
        annotate_server.receive(context, Asked("label_studio"), "00c0ffee")


def test_a_server_that_is_not_there_is_told_in_words(
    context: Context, sent: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    values = dict(zip(annotation_servers.NEEDS["cvat"], (url, "eva", "secret"), strict=True))
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    annotate_server.check_configured("cvat")
    proposals = annotate_choice.proposed(context, "keen", None)
    with pytest.raises(CurateError, match="could not talk to the annotation server"):
        annotate_server.send(context, annotate_send.Asked("cvat", detector="keen"), proposals)
    fields = load("toy").get_field_schema()
    assert [name for name in fields if name.startswith("sent_")] == []
    with pytest.raises(Missing, match="was not sent to a server"):
        annotate_server.receive(context, Asked("cvat"), sent[1]["package"])
    with pytest.raises(ValueError, match="as masks only"):
        annotate_server.send(context, annotate_send.Asked("cvat", "box", "keen"), proposals)


def test_what_goes_to_a_server_is_read_back_as_untouched_and_a_tag_decides(
    context: Context, sent: tuple[Path, dict[str, Any]]
) -> None:
    manifest, dataset_of = sent[1], load("toy")
    proposals = annotate_choice.proposed(context, "keen", None)
    made = annotate_send.prepare(context, annotate_send.Asked("cvat", detector="keen"), Path("x"), proposals)
    annotation_servers.put(dataset_of, manifest, made.regions)
    answers = annotation_servers.answers_in(dataset_of, manifest)
    for image, answer in zip(manifest["images"], answers, strict=True):
        assert answer.sample_id == image["sample_id"]
        assert np.array_equal(mask_of(answer.regions, HW), mask_sent(image))
    packages = {manifest["package"]: manifest}
    told = annotate_receive.report(context, CVAT, "server", answers, packages)
    assert (told["n_untouched"], told["n_stored"]) == (len(answers), 0)
    answers[0].tags.add("checked")
    assert annotate_receive.report(context, CVAT, "server", answers, packages)["n_unedited"] == 1
    dataset_of.delete_sample_field(annotation_servers.fields_of(manifest["package"])[0])


def test_tasks_that_a_server_took_in_another_order_are_not_believed() -> None:
    name, one, other = "350b8a5a-{}__00c0ffee__000.png", "0" * 16, "1" * 16
    tasks_there = [{"id": 7, "data": {"image": f"/data/upload/4/{name.format(one)}"}, "annotations": []}]
    (own,) = annotation_servers.told_apart(tasks_there, {"7": one}, "00c0ffee")
    assert own["data"] == {"image": name.format(one), "sample_id": one, "package": "00c0ffee"}
    assert annotation_servers.told_apart(tasks_there, {}, "00c0ffee") == [own]
    with pytest.raises(
        CurateError, match=f"task 7 shows .*000.png, but FiftyOne holds it for sample {other}"
    ):
        annotation_servers.told_apart(tasks_there, {"7": other}, "00c0ffee")
    with pytest.raises(CurateError, match="none of the package 0badcafe"):
        annotation_servers.told_apart(tasks_there, {}, "0badcafe")


def test_files_for_a_server_are_told_apart_by_their_names_though_many_are_called_alike(
    context: Context, sent: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    manifest, dataset_of = sent[1], load("toy")
    annotation_servers._name_files(dataset_of, manifest, "file_00c0ffee", tmp_path)
    paths = dataset_of.values(["sample_id", "filepath", "file_00c0ffee"])
    dataset_of.delete_sample_field("file_00c0ffee")
    shown = {sample_id: (path, Path(link)) for sample_id, path, link in zip(*paths, strict=True) if link}
    assert shown.keys() == {image["sample_id"] for image in manifest["images"]}
    for sample_id, (path, link) in shown.items():
        assert key_of(f"/data/upload/4/350b8a5a-{link.name}") == (sample_id, manifest["package"])
        assert link.read_bytes() == Path(path).read_bytes()
