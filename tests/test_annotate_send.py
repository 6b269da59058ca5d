"""The folder for an annotator: what is in it, that it is whole or absent, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.annotation import cvat
from curate.annotation_package import mask_sent, read_package, sizes_of
from curate.annotation_tasks import Region, key_of, mask_of, region_of
from curate.errors import AlreadyExists, DataFault, Missing, Unreadable
from curate.files import sha256_file
from curate.images import read_stored
from curate.recipe import Source
from curate.schema import check_rows
from curate.steps import annotate_send, ingest
from curate.steps.annotate_send import Asked
from curate.steps.record import Context
from curate.tables import read, to_rows
from tests.helpers.evaluated import dataset

CVAT = Asked("cvat", detector="keen")


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """Toy images, one of them with 16 bits in a TIFF."""
    folder: Path = tmp_path_factory.mktemp("send")
    made = dataset(folder, ("weave",), n_train=3, n_good=3, n_per_defect=2)
    deep = np.random.default_rng(0).integers(1000, 4000, (48, 64)).astype(np.uint16)
    Image.fromarray(deep).save(folder / "source/weave/test/good/deep.tif")
    ingest.run(made, Source(folder / "source", "mvtec_ad"))
    return made


@pytest.fixture(scope="module")
def proposals(context: Context) -> dict[str, list[Region]]:
    """A region on every image of the test part, the TIFF among them."""
    mask = np.zeros((48, 64), dtype=bool)
    mask[5:15, 7:20] = True
    mask[8:10, 9:12] = False
    region = region_of("", mask)
    assert region is not None
    rows = to_rows(read(context.paths.samples))
    return {row["sample_id"]: [region] for row in rows if "/test/" in row["relative_path"]}


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_folder_holds_images_tasks_labels_a_manifest_and_how_to_go_on(
    context: Context, proposals: dict[str, list[Region]], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    told = annotate_send.run(context, CVAT, out, proposals)
    manifest = read_package(out / "manifest.json")
    assert (told["n_images"], told["n_with_proposals"], told["n_regions"], told["n_converted"]) == (
        8,
        8,
        8,
        1,
    )
    assert (told["package"], told["out"]) == (manifest["package"], str(out))
    assert manifest["labels"] == {"defect": None, "spot": "spot", "stain": "stain"}
    named = {row["file_name"] for row in manifest["images"]}
    assert {path.name for path in (out / "images").iterdir()} == named
    assert {row["path"]: row["sha256"] for row in manifest["files"]} == {
        name: sha256_file(out / name) for name in content_of(out) if name != "manifest.json"
    }
    for row in manifest["images"]:
        assert key_of(row["file_name"]) == (row["sample_id"], manifest["package"])
        is_converted = row["relative_path"].endswith(".tif")
        assert (sha256_file(out / "images" / row["file_name"]) == row["sha256"]) != is_converted
    answers = cvat.read((out / "annotations.xml").read_bytes(), sizes_of([manifest]))
    for row, answer in zip(manifest["images"], answers, strict=True):
        assert np.array_equal(mask_sent(row), mask_of(answer.regions, (48, 64)))
        kind = row["relative_path"].split("/")[-2]
        assert [each.label for each in answer.regions] == [kind if kind != "good" else "defect"]
    kept = json.loads((context.paths.sent / f"{manifest['package']}.json").read_text())
    assert kept == {**manifest, "files": []}
    assert "curate annotate receive toy --tool cvat" in (out / "README.txt").read_text()


def test_a_picture_that_no_browser_shows_is_sent_as_png_of_its_own_size(
    context: Context, proposals: dict[str, list[Region]], tmp_path: Path
) -> None:
    annotate_send.run(context, CVAT, tmp_path / "out", proposals)
    (path,) = (tmp_path / "out/images").glob("*__deep.png")
    pixels = read_stored(path)
    assert (pixels.shape, pixels.dtype) == ((48, 64), np.uint8)
    assert pixels.min() < 10 and pixels.max() > 245


def test_equal_tasks_are_equal_bytes_and_others_have_another_package(
    context: Context, proposals: dict[str, list[Region]], tmp_path: Path
) -> None:
    first = annotate_send.run(context, CVAT, tmp_path / "one", proposals)
    annotate_send.run(context, CVAT, tmp_path / "two", dict(reversed(proposals.items())))
    assert content_of(tmp_path / "one") == content_of(tmp_path / "two")
    fewer = dict(list(proposals.items())[1:])
    assert annotate_send.run(context, CVAT, tmp_path / "three", fewer)["package"] != first["package"]


def test_what_is_there_is_replaced_only_when_asked_for(
    context: Context, proposals: dict[str, list[Region]], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    annotate_send.run(context, CVAT, out, proposals)
    before = content_of(out)
    with pytest.raises(AlreadyExists, match="--overwrite"):
        annotate_send.run(context, CVAT, out, dict(list(proposals.items())[:1]))
    assert content_of(out) == before
    one = annotate_send.run(context, CVAT, out, dict(list(proposals.items())[:1]), overwrite=True)
    assert one["n_images"] == len(list((out / "images").iterdir())) == 1
    (out / "exported.zip").write_bytes(b"answers of weeks")
    with pytest.raises(AlreadyExists, match=r"exported\.zip"):
        annotate_send.run(context, CVAT, out, proposals, overwrite=True)


def test_a_run_that_is_killed_leaves_no_folder_and_the_next_one_ends_it(
    context: Context, proposals: dict[str, list[Region]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotate_send.run(context, CVAT, tmp_path / "whole", proposals)
    inspect, seen = annotate_send.inspect, []

    def dying(path: Path) -> Any:
        seen.append(path)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return inspect(path)

    monkeypatch.setattr(annotate_send, "inspect", dying)
    with pytest.raises(KeyboardInterrupt):
        annotate_send.run(context, CVAT, tmp_path / "out", proposals)
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(annotate_send, "inspect", inspect)
    annotate_send.run(context, CVAT, tmp_path / "out", proposals)
    assert content_of(tmp_path / "out") == content_of(tmp_path / "whole")


def test_images_can_be_linked_but_not_those_that_are_converted(
    context: Context, proposals: dict[str, list[Region]], tmp_path: Path
) -> None:
    annotate_send.run(context, Asked("cvat", links=True), tmp_path / "linked", proposals)
    annotate_send.run(context, Asked("cvat"), tmp_path / "copied", proposals)
    links = {path.name: path.stat().st_nlink > 1 for path in (tmp_path / "linked/images").iterdir()}
    assert [name for name, linked in links.items() if not linked] == [
        n for n in links if n.endswith("__deep.png")
    ]
    assert all(path.stat().st_nlink == 1 for path in (tmp_path / "copied/images").iterdir())
    assert content_of(tmp_path / "linked") == content_of(tmp_path / "copied")


def test_stated_images_are_sent_with_or_without_a_proposal(context: Context, tmp_path: Path) -> None:
    ids = tuple(row["sample_id"] for row in to_rows(read(context.paths.samples))[:2])
    told = annotate_send.run(context, Asked("label_studio", detector=None, only=ids), tmp_path / "out", {})
    assert (told["n_images"], told["n_with_proposals"]) == (2, 0)
    content = json.loads((tmp_path / "out/tasks.json").read_text())
    assert {task["data"]["sample_id"] for task in content} == set(ids)
    assert all(task["data"]["image"].startswith("/data/local-files/?d=out/images/") for task in content)
    manifest = read_package(tmp_path / "out/manifest.json")
    check_rows([manifest], "annotation_manifest")
    assert [row["sent"] for row in manifest["images"]] == [None, None]


def test_what_cannot_be_sent_is_refused(
    context: Context, proposals: dict[str, list[Region]], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(Missing, match="curate propose toy --detector keen"):
        annotate_send.run(context, CVAT, out, {})
    with pytest.raises(ValueError, match=r"no samples of these ids:\n  f{16}"):
        annotate_send.run(context, Asked("cvat", only=("f" * 16,)), out, {})
    with pytest.raises(Missing, match="no image is chosen"):
        annotate_send.run(context, Asked("cvat", only=()), out, {})
    with pytest.raises(ValueError, match='Unknown kind "brushes"'):
        annotate_send.run(context, Asked("cvat", kind="brushes"), out, proposals)
    with pytest.raises(ValueError, match='Did you mean "cvat"'):
        annotate_send.run(context, Asked("cvatt"), out, proposals)
    with pytest.raises(DataFault, match="among what curate keeps"):
        annotate_send.run(context, CVAT, context.paths.root / "out", proposals)
    assert not out.exists()


def test_an_image_that_changed_since_is_not_sent(tmp_path: Path) -> None:
    made = dataset(tmp_path, ("weave",), n_train=2, n_good=2, n_per_defect=1)
    row = to_rows(read(made.paths.samples))[0]
    other = Path(row["filepath"]).with_name("001.png")
    Path(row["filepath"]).write_bytes(other.read_bytes())
    asked = Asked("cvat", only=(row["sample_id"],))
    with pytest.raises(DataFault, match="changed since it was ingested"):
        annotate_send.run(made, asked, tmp_path / "out", {})
    assert not (tmp_path / "out").exists()


def test_a_manifest_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text('{"layout": "mvtec_ad"}')
    with pytest.raises(Unreadable, match="is not the manifest of tasks that curate sent"):
        read_package(path)
