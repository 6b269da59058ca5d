"""What an embedding sees of a picture, and that it is kept."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from curate import embeddings
from curate.embeddings import SIDE_PX, fit, matrix, pooled
from curate.errors import Missing
from curate.ingest import build_table
from tests.helpers.pictures import drawn, exposed


def test_a_picture_keeps_its_aspect_and_the_rest_is_mirrored() -> None:
    image = np.zeros((96, 128, 3), np.uint8)
    image[:, :, 0] = np.arange(128)
    square, own_hw = fit(image)
    assert square.shape == (SIDE_PX, SIDE_PX, 3)
    assert own_hw == (192, 256)
    np.testing.assert_array_equal(square[192], square[190])
    assert np.ptp(square[:, 40, 0]) == 0


def test_very_elongated_pictures_are_squeezed_to_three_to_one() -> None:
    assert fit(np.zeros((10, 900), np.uint8))[1] == (85, 256)
    assert fit(np.zeros((900, 1), np.uint8))[1] == (256, 85)


def test_sixteen_bits_and_grey_look_as_eight_bits_and_colour() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
    colour = np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    np.testing.assert_array_equal(fit(grey)[0], fit(colour)[0])
    assert np.abs(fit(grey.astype(np.uint16) * 257)[0].astype(int) - fit(grey)[0]).max() <= 1


def test_only_the_pictures_own_positions_are_averaged() -> None:
    maps = [np.zeros((2, 32, 32), np.float32), np.zeros((3, 16, 16), np.float32)]
    maps[0][:, :24], maps[0][:, 24:] = 1, 99
    maps[1][:, :12], maps[1][:, 12:] = 2, 99
    assert pooled(maps, (192, 256)).tolist() == [1, 1, 2, 2, 2]


@pytest.fixture
def samples(tmp_path: Path) -> pd.DataFrame:
    images = [*drawn(3), *drawn(3, "acf"), exposed(1.05)(drawn(1)[0])]
    folder = tmp_path / "data" / "film" / "train" / "good"
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number}.png")
    (folder / "8.png").write_bytes((folder / "0.png").read_bytes())
    return build_table(tmp_path / "data", "mvtec_ad")[0]


def test_the_real_network_tells_products_apart_and_is_asked_once(
    samples: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cache.sqlite"
    table = embeddings.table(samples, path, network_folder=tmp_path)
    vectors = matrix(table["vector"])
    assert vectors.shape == (8, 40 + 112)
    distances = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    film, other = [0, 1, 2, 6], [3, 4, 5]
    assert distances[np.ix_(film, other)].min() > 3 * distances[np.ix_(film, film)].max()
    np.testing.assert_array_equal(vectors[0], vectors[7])
    monkeypatch.setattr(embeddings, "_runner", lambda *_: pytest.fail("embedded again"))
    again = embeddings.table(samples.iloc[::-1], path)
    pd.testing.assert_frame_equal(again.iloc[::-1].reset_index(drop=True), table)


def test_a_network_that_is_not_installed_is_named(
    samples: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "WEIGHTS", str(tmp_path / "gone.pth"))
    with pytest.raises(Missing, match=r"cannot be embedded.*gone\.pth"):
        embeddings.table(samples, tmp_path / "cache.sqlite")


def test_no_vectors_are_an_empty_matrix() -> None:
    assert matrix(pd.Series([], dtype=object)).shape[0] == 0
