"""What other programs make of what is sent: FiftyOne reads our files, and talks to annotation servers."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.annotation.cvat import files
from curate.annotation_package import mask_sent
from curate.annotation_tasks import key_of, mask_of
from curate.errors import CurateError, Missing
from curate.steps import annotate_choice, annotate_receive, annotate_send, annotate_server
from curate.steps.annotate_receive import Asked
from curate.steps.record import Context
from curate.store import annotation_servers
from curate.store.dataset import load
from tests.helpers.outside import HW, job, tasks
from tests.helpers.sent_out import proposing, sent_afresh

pytestmark = pytest.mark.mongod
CVAT = Asked("cvat", by="eva")


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    with proposing(tmp_path_factory.mktemp("outside")) as made:
        yield made


@pytest.fixture
def sent(context: Context, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    return sent_afresh(context, tmp_path / "sent")


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
