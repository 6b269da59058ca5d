"""Strangers are found, alone and in crowds, and defects are not taken for strangers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from curate import embeddings
from curate.apart import apart
from curate.checks import Evidence, outliers
from curate.ingest import build_table
from tests.helpers.pictures import Pictures, drawn, measured
from tests.helpers.places import SHARED_DATA


def vectors(n: int, rng: np.random.Generator, n_dimensions: int = 24) -> np.ndarray:
    """A bulk with directions of very different width, as embeddings have."""
    mixing = rng.normal(size=(n_dimensions, n_dimensions)) * np.geomspace(1, 0.05, n_dimensions)
    return rng.normal(size=(n, n_dimensions)) @ mixing


def found(values: np.ndarray) -> set[int]:
    return {row for group in apart(values.astype(np.float32)) for row in group.rows}


@pytest.mark.parametrize("n", [10, 25, 80, 400])
def test_an_even_bulk_has_no_strangers(n: int) -> None:
    for seed in range(12):
        assert found(vectors(n, np.random.default_rng(seed))) == set()


@pytest.mark.parametrize(("n", "n_strangers"), [(12, 1), (40, 2), (100, 3), (100, 10), (245, 22), (100, 40)])
@pytest.mark.parametrize("spread", [0.1, 1.0, 2.0])
def test_strangers_are_found_however_many_and_however_alike(n: int, n_strangers: int, spread: float) -> None:
    rng = np.random.default_rng(n + n_strangers)
    bulk = vectors(n, rng)
    strangers = spread * vectors(n_strangers, rng) + 8 * bulk.std(axis=0) * rng.choice([-1, 1], 24)
    assert found(np.concatenate([bulk, strangers])) == set(range(n, n + n_strangers))


def test_two_kinds_of_strangers_are_two_groups() -> None:
    rng = np.random.default_rng(0)
    bulk = vectors(100, rng)
    kinds = [0.3 * vectors(6, rng) + side * 9 * bulk.std(axis=0) for side in (-1, 1)]
    groups = apart(np.concatenate([bulk, *kinds]).astype(np.float32))
    assert [group.rows for group in groups] == [tuple(range(100, 106)), tuple(range(106, 112))]
    assert all(group.gap > 1.8 for group in groups)


def test_exposures_of_one_part_are_not_apart() -> None:
    rng = np.random.default_rng(0)
    parts = vectors(30, rng)
    exposures = np.repeat(parts, 6, axis=0) + 0.02 * rng.normal(size=(180, 24))
    assert found(exposures) == set()


def test_half_of_a_category_is_no_stranger_to_the_other() -> None:
    rng = np.random.default_rng(0)
    bulk = vectors(60, rng)
    assert found(np.concatenate([bulk, bulk + 30])) == set()


@pytest.fixture
def pictures() -> Pictures:
    pictures = measured(drawn(1) * 40)
    pictures.vectors[[4, 9, 30]] += 10
    return pictures


def test_strangers_are_named_with_their_distance(pictures: Pictures) -> None:
    (fault,) = outliers.run(pictures.evidence())
    assert (fault.relative_path, fault.related) == ("film/004.png", ("film/009.png", "film/030.png"))
    assert fault.message.startswith(
        'film/004.png and 2 more pictures look unlike the other 37 pictures of category "film": the nearest'
    )
    assert float(fault.message.split("is ")[1].split(" ")[0]) > 1.8


def test_pictures_labelled_anomalous_are_not_judged(pictures: Pictures) -> None:
    pictures.named("label", ["anomalous" if row in (4, 9) else "normal" for row in range(40)])
    (fault,) = outliers.run(pictures.evidence())
    assert (fault.relative_path, fault.related) == ("film/030.png", ())


def test_row_order_does_not_matter_and_few_pictures_are_not_judged(pictures: Pictures) -> None:
    order = np.random.default_rng(1).permutation(40)
    assert outliers.run(pictures.evidence(order)) == outliers.run(pictures.evidence())
    assert outliers.run(pictures.evidence([4, 0, 1, 2, 3, 5, 6, 7, 8])) == []


@pytest.mark.parametrize(("section", "strange", "n_strange"), [("coverlay", "acf", 1), ("trace", "sus", 5)])
def test_another_section_is_found_by_the_real_network(
    tmp_path: Path, section: str, strange: str, n_strange: int
) -> None:
    images = [*drawn(24, section), *drawn(n_strange, strange)]
    (fault,) = outliers.run(_evidence(tmp_path, images))
    assert 1 + len(fault.related) == n_strange
    assert fault.relative_path == "film/train/good/024.png"


def _evidence(folder: Path, images: list[np.ndarray]) -> Evidence:
    from PIL import Image

    target = folder / "data/film/train/good"
    target.mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(target / f"{number:03d}.png")
    samples, _ = build_table(folder / "data", "mvtec_ad")
    table = embeddings.table(samples, folder / "cache.sqlite", runtime="torch")
    return Evidence(samples, folder, embeddings=table)


@pytest.fixture(scope="module")
def tiles_and_boards() -> tuple[pd.DataFrame, pd.DataFrame]:
    tiles, _ = build_table(SHARED_DATA / "magnetic_tile", "magnetic_tile")
    boards, _ = build_table(SHARED_DATA / "deep_pcb", "deep_pcb")
    return tiles[tiles["label"] == "normal"].iloc[::6], boards.iloc[:: len(boards) // 10].head(10)


@pytest.mark.real_images
@pytest.mark.parametrize("n_boards", [0, 1, 3, 10])
def test_boards_among_tiles_are_found_and_no_tile(
    n_boards: int, tiles_and_boards: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path
) -> None:
    tiles, boards = tiles_and_boards
    boards = boards.head(n_boards).assign(label="normal")
    samples = pd.concat([tiles, boards], ignore_index=True).assign(category="tile")
    table = embeddings.table(samples, tmp_path / "cache.sqlite")
    faults = outliers.run(Evidence(samples, tmp_path, embeddings=table))
    named = {path for fault in faults for path in (fault.relative_path, *fault.related)}
    assert named == set(boards["relative_path"])
