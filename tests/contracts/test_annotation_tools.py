"""Promises every annotation tool keeps."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy import ndimage

import curate.annotation
from curate.annotation import TOOLS
from curate.annotation_guides import GUIDES, readme
from curate.annotation_tasks import KINDS, Region, Task, as_kind, mask_of
from curate.errors import Unreadable
from curate.masks import label_regions
from tests.helpers.outside import HW, PACKAGE, handed_in, job, tasks
from tests.helpers.places import REPOSITORY

EVERY = pytest.mark.parametrize("name", list(TOOLS))
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


def tool(name: str) -> ModuleType:
    module: ModuleType = TOOLS[name].load()
    return module


def round_trip(name: str, kind: str, sent: list[Task]) -> list[list[Region]]:
    module = tool(name)
    content = handed_in(name, module, module.files(sent, job(kind)))
    answers = module.read(content, {(task.sample_id, PACKAGE): task.image_hw for task in sent})
    assert [answer.sample_id for answer in answers] == [task.sample_id for task in sent]
    assert {answer.package for answer in answers} == {PACKAGE}
    assert [answer.problems for answer in answers] == [[]] * len(sent)
    return [answer.regions for answer in answers]


def by_label(regions: list[Region]) -> dict[str, np.ndarray]:
    return {
        label: mask_of([r for r in regions if r.label == label], HW) for label in {r.label for r in regions}
    }


def filled(mask: np.ndarray) -> np.ndarray:
    """A mask whose 8-connected regions have no holes, each filled for itself."""
    labels, n = label_regions(mask)
    out = np.zeros_like(mask)
    for number in range(1, n + 1):
        out |= ndimage.binary_fill_holes(labels == number)
    return out


def test_every_file_is_registered_under_its_name_with_a_guide() -> None:
    files = {path.stem for path in Path(curate.annotation.__path__[0]).glob("*.py")} - {"__init__"}
    assert files == set(TOOLS) == set(GUIDES)
    assert all(entry.target == f"curate.annotation.{name}" for name, entry in TOOLS.items())


@EVERY
def test_every_tool_has_a_part_of_the_documentation(name: str) -> None:
    assert f"--tool {name}" in (REPOSITORY / "docs/annotate.md").read_text(encoding="utf-8")
    text = readme(name, job("brush"), 7)
    assert f"curate annotate receive tiles & co --tool {name}" in text
    assert all(label in text for label in ("scratch", "normal", "unsure"))


@EVERY
def test_masks_come_back_bit_for_bit(name: str) -> None:
    sent = tasks(np.random.default_rng(0), 30)
    for task, regions in zip(sent, round_trip(name, "brush", sent), strict=True):
        assert [region.label for region in regions] == [region.label for region in task.regions]
        for before, after in zip(task.regions, regions, strict=True):
            assert after.box_xyxy == before.box_xyxy
            assert np.array_equal(after.mask, before.mask)
            assert not after.is_box


@EVERY
def test_polygons_come_back_with_their_holes_filled_and_nothing_else(name: str) -> None:
    sent = tasks(np.random.default_rng(1), 30)
    for task, regions in zip(sent, round_trip(name, "polygon", sent), strict=True):
        for before in task.regions:
            expected = filled(mask_of([before], HW))
            kept = mask_of(as_kind(before, "polygon"), HW)
            assert np.array_equal(kept, expected)
        labels = {region.label for region in task.regions}
        assert set(by_label(regions)) == labels
        for label, mask in by_label(regions).items():
            own = [filled(mask_of([region], HW)) for region in task.regions if region.label == label]
            assert np.array_equal(mask, np.any(own, axis=0))


@EVERY
def test_boxes_come_back_as_boxes(name: str) -> None:
    sent = tasks(np.random.default_rng(2), 30)
    for task, regions in zip(sent, round_trip(name, "box", sent), strict=True):
        assert [r.box_xyxy for r in regions] == [r.box_xyxy for r in task.regions]
        assert all(region.is_box and region.mask.all() for region in regions)


@EVERY
@EVERY_KIND
def test_what_the_manifest_calls_sent_is_what_comes_back(name: str, kind: str) -> None:
    sent = tasks(np.random.default_rng(3), 12)
    for task, regions in zip(sent, round_trip(name, kind, sent), strict=True):
        kept = [part for region in task.regions for part in as_kind(region, kind)]
        assert np.array_equal(mask_of(kept, HW), mask_of(regions, HW))
        assert sorted(part.label for part in kept) == sorted(region.label for region in regions)


@EVERY
@EVERY_KIND
def test_equal_tasks_give_equal_bytes_and_no_order_counts(name: str, kind: str) -> None:
    module, sent = tool(name), tasks(np.random.default_rng(4), 6)
    files = module.files(sent, job(kind))
    assert files == module.files(tasks(np.random.default_rng(4), 6), job(kind))
    assert set(files) == {module.ANNOTATIONS, module.LABELS}
    sizes = {(task.sample_id, PACKAGE): task.image_hw for task in sent}
    shuffled = module.files(sent[::-1], job(kind))
    answers = module.read(handed_in(name, module, shuffled), sizes)
    masks = {answer.sample_id: mask_of(answer.regions, HW) for answer in answers}
    for task, regions in zip(sent, round_trip(name, kind, sent), strict=True):
        assert np.array_equal(masks[task.sample_id], mask_of(regions, HW))


@EVERY
def test_an_image_of_another_size_or_that_was_not_sent_is_not_drawn(name: str) -> None:
    module, sent = tool(name), tasks(np.random.default_rng(5), 3)
    content = handed_in(name, module, module.files(sent, job("brush")))
    answers = module.read(
        content, {(sent[0].sample_id, PACKAGE): (HW[1], HW[0]), (sent[1].sample_id, "deadbeef"): HW}
    )
    assert "64 x 48 px, but 48 x 64 px were sent" in answers[0].problems[0]
    assert [answer.regions for answer in answers] == [[], [], []]
    assert [answer.problems for answer in answers[1:]] == [[], []]


@EVERY
@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"{}", b"[1]", b"<a/>", b"<annotations>", b"[" * 100_000]
)
def test_a_file_of_another_kind_is_refused(name: str, content: bytes) -> None:
    with pytest.raises(Unreadable, match=r"Export|again"):
        tool(name).read(content, {})


@EVERY
def test_any_damage_to_a_file_gives_answers_or_is_refused(name: str) -> None:
    module, sent = tool(name), tasks(np.random.default_rng(6), 3)
    content = handed_in(name, module, module.files(sent, job("brush")))
    sizes = {(task.sample_id, PACKAGE): task.image_hw for task in sent}
    rng = np.random.default_rng(7)
    for _ in range(300):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), rng.integers(1, 4)):
            damaged[place] = rng.choice(list(b'0179-," <>[]{}ex\x00'))
        try:
            answers = module.read(bytes(damaged), sizes)
        except Unreadable:
            continue
        for answer in answers:
            for region in answer.regions:
                x0, y0, x1, y1 = region.box_xyxy
                assert 0 <= x0 < x1 <= HW[1] and 0 <= y0 < y1 <= HW[0]
                assert region.mask.shape == (y1 - y0, x1 - x0)
