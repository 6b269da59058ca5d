"""Copies are told from different parts of one design, and from other pictures of a texture."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from curate.checks import near_duplicates
from curate.designs import find_designs, local_contrast
from curate.ingest import build_table
from curate.statistics import table
from tests.helpers.pictures import Pictures, drawn, exposed, measured, shifted
from tests.helpers.places import SHARED_DATA

SECTIONS = ["acf", "coverlay", "shield", "sus", "trace"]


def compressed(image: np.ndarray) -> np.ndarray:
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR))


def cut(image: np.ndarray) -> np.ndarray:
    return image[3:-2, 4:-1]


def texture(rng: np.random.Generator, image_hw: tuple[int, int] = (160, 220)) -> np.ndarray:
    """Scratches with a bright rim: alike in style, but no two the same."""
    grain = cv2.GaussianBlur(rng.normal(0, 60, image_hw), (0, 0), sigmaX=1, sigmaY=6)
    grey = 110 + grain + cv2.GaussianBlur(rng.normal(0, 30, image_hw), (0, 0), 1.5)
    grey[:, :8] += 70
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, :, np.newaxis], 3, axis=2)


@pytest.mark.parametrize("section", SECTIONS)
def test_different_parts_of_one_design_are_no_copies(section: str) -> None:
    pairs = near_duplicates.pairs(measured(drawn(40, section)).evidence())
    assert pairs.empty
    assert list(pairs.columns) == near_duplicates.COLUMNS


@pytest.mark.parametrize(
    "copied",
    [shifted(4, -3), exposed(1.15), compressed, cut],
    ids=["shifted", "exposed", "compressed", "cut"],
)
@pytest.mark.parametrize("section", ["coverlay", "sus"])
def test_a_copy_is_found_among_parts_of_one_design(
    section: str, copied: Callable[[np.ndarray], np.ndarray]
) -> None:
    images = drawn(40, section)
    images[31] = copied(images[8])
    (fault,) = near_duplicates.run(measured(images).evidence())
    assert (fault.relative_path, fault.related) == ("film/008.png", ("film/031.png",))
    assert fault.severity == "warning"
    assert fault.message.startswith("film/008.png and film/031.png are near copies: similarity 0.")


def test_the_shift_is_told_in_pixels_of_the_picture() -> None:
    images = drawn(40)
    images[31] = shifted(5, -3)(images[8])
    (pair,) = near_duplicates.pairs(measured(images).evidence()).itertuples()
    assert (pair.a, pair.b) == ("film00000008", "film00000031")
    assert (pair.dx, pair.dy) == (pytest.approx(5, abs=0.5), pytest.approx(-3, abs=0.5))
    assert pair.similarity > 0.5


def test_a_copy_of_a_texture_is_found_over_a_wide_shift() -> None:
    rng = np.random.default_rng(0)
    images = [texture(rng) for _ in range(30)]
    whole = texture(rng, (180, 250))
    images[4], images[20] = whole[:160, :220], exposed(0.7)(whole[20:, 30:])
    pictures = measured(images)
    assert find_designs([local_contrast(cv2.cvtColor(each, cv2.COLOR_RGB2GRAY)) for each in images]) == []
    (pair,) = near_duplicates.pairs(pictures.evidence()).itertuples()
    assert (pair.a, pair.b) == ("film00000004", "film00000020")
    assert (pair.dx, pair.dy) == (pytest.approx(-30, abs=4), pytest.approx(-20, abs=4))


def test_two_products_in_one_category_are_compared_each_with_its_own() -> None:
    images = [*drawn(20), *drawn(20, "trace")]
    assert near_duplicates.pairs(measured(images).evidence()).empty
    images[33] = shifted(2, 2)(images[25])
    pairs = near_duplicates.pairs(measured(images).evidence())
    assert pairs[["a", "b"]].to_numpy().tolist() == [["film00000025", "film00000033"]]


@pytest.fixture
def copies() -> Pictures:
    images = drawn(40)
    for row in (20, 21):
        images[row] = shifted(row - 18, 1)(images[8])
    return measured(images)


def test_copies_of_copies_are_one_fault(copies: Pictures) -> None:
    (fault,) = near_duplicates.run(copies.evidence())
    assert {fault.relative_path, *fault.related} == {f"film/{name}.png" for name in ("008", "020", "021")}
    assert "3 pictures of 3 parts hang together" in fault.message
    copies.named("part_id", [f"P{row}" for row in range(40)])
    (fault,) = near_duplicates.run(copies.evidence())
    assert fault.message.startswith("film/020.png (part P20) and film/021.png (part P21) are near copies")


def test_pictures_of_one_part_are_no_finding_but_in_the_table(copies: Pictures) -> None:
    parts = copies.samples["part_id"].tolist()
    copies.named("part_id", ["P8" if row in (8, 20, 21) else part for row, part in enumerate(parts)])
    assert near_duplicates.run(copies.evidence()) == []
    assert near_duplicates.pairs(copies.evidence())["same_part"].tolist() == [True] * 3


def test_equal_pixels_are_left_to_another_check(copies: Pictures) -> None:
    sums = copies.samples["pixel_sha256"].tolist()
    copies.named("pixel_sha256", ["same" if row in (8, 20, 21) else each for row, each in enumerate(sums)])
    assert near_duplicates.run(copies.evidence()) == []


def test_copies_with_contradicting_labels_say_so_and_are_no_error(copies: Pictures) -> None:
    copies.named("label", ["anomalous" if row == 21 else "normal" for row in range(40)])
    (fault,) = near_duplicates.run(copies.evidence())
    assert fault.severity == "warning"
    assert "Some are labelled normal, others anomalous." in fault.message
    copies.named("label", ["unknown" if row == 21 else "normal" for row in range(40)])
    assert "Some are labelled" not in near_duplicates.run(copies.evidence())[0].message


def test_the_pair_that_the_message_names_comes_first_among_the_files(copies: Pictures) -> None:
    for fault in near_duplicates.run(copies.evidence()):
        pair = (fault.relative_path, fault.related[0])
        assert fault.message.startswith(pair[0]) and f" and {pair[1]}" in fault.message


def test_row_order_does_not_matter(copies: Pictures) -> None:
    order = np.random.default_rng(2).permutation(40)
    pd.testing.assert_frame_equal(
        near_duplicates.pairs(copies.evidence(order)), near_duplicates.pairs(copies.evidence())
    )


def test_few_small_or_empty_pictures_are_not_judged(copies: Pictures) -> None:
    assert near_duplicates.run(copies.evidence([8, 20, 21, 0, 1, 2, 3])) == []
    assert near_duplicates.run(measured([image[:15, :15] for image in drawn(10)]).evidence()) == []
    assert near_duplicates.run(measured([np.full((96, 128, 3), 7, np.uint8)] * 12).evidence()) == []
    assert near_duplicates.run(replace(copies.evidence(), statistics=None)) == []


@pytest.mark.real_images
def test_exposures_of_one_tile_are_found_and_no_others(tmp_path: Path) -> None:
    samples, _ = build_table(SHARED_DATA / "magnetic_tile", "magnetic_tile")
    parts = sorted(samples["part_id"].unique())[::6]
    samples = samples[samples["part_id"].isin(parts)].reset_index(drop=True)
    pictures = measured(drawn(1))
    evidence = replace(
        pictures.evidence(), samples=samples, statistics=table(samples, tmp_path / "cache.sqlite")
    )
    pairs = near_duplicates.pairs(evidence)
    assert len(pairs) > 2 * len(samples) / 3
    assert pairs["same_part"].all()
