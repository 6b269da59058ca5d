import numpy as np
import pytest
import torch
from torch.nn import functional

from detectors.blocks.embedding import Embedder
from detectors.geometry import Prepared

CHANNELS = [0, 2, 3, 4, 6, 8]  # of 3 + 4 + 2


class Maps:
    """A runner whose maps are known: noise that depends on the first pixel of an image."""

    runtime = "known"

    def __init__(self, shapes) -> None:
        self.shapes = shapes

    def maps(self, image: np.ndarray) -> list[np.ndarray]:
        rng = np.random.default_rng(int(image[0, 0, 0]))
        return [rng.standard_normal(shape, dtype=np.float32) for shape in self.shapes]

    def run(self, images, take) -> None:
        for index, image in reversed(list(enumerate(images))):
            take(index, self.maps(image))


def prepared(n: int) -> list[Prepared]:
    return [Prepared(np.full((48, 64, 3), value, np.uint8), (48, 64)) for value in range(n)]


def expected(maps: list[np.ndarray]) -> np.ndarray:
    """(P, d): torch's nearest interpolation, concatenation, chosen channels."""
    grid = maps[0].shape[1:]
    grown = [functional.interpolate(torch.from_numpy(each)[None], tuple(grid)) for each in maps]
    return torch.cat(grown, dim=1)[0, CHANNELS].flatten(1).T.numpy()


@pytest.mark.parametrize(
    "shapes",
    [
        [(3, 12, 16), (4, 6, 8), (2, 3, 4)],  # even
        [(3, 13, 17), (4, 7, 9), (2, 4, 5)],  # odd
        [(3, 12, 17), (4, 6, 9), (2, 4, 17)],  # even in rows or columns only
    ],
)
def test_features_are_the_nearest_ones_of_every_layer(shapes):
    runner = Maps(shapes)
    embedder = Embedder(runner, shapes, CHANNELS, batch_size=2)
    seen = 0
    for batch, embedded in embedder.stream(prepared(5), 2):
        assert embedded.shape == (shapes[0][1] * shapes[0][2], 2, len(CHANNELS))
        for place, item in enumerate(batch):
            assert np.array_equal(embedded[:, place].numpy(), expected(runner.maps(item.pixels)))
            seen += 1
    assert seen == 5


def test_a_layer_without_a_chosen_channel_is_left_out():
    shapes = [(3, 12, 16), (4, 6, 8), (2, 3, 4)]
    embedder = Embedder(Maps(shapes), shapes, [1, 8], batch_size=1)
    ((_, embedded),) = embedder.stream(prepared(1), 1)
    whole = [each for each in Maps(shapes).maps(prepared(1)[0].pixels)]
    assert np.array_equal(embedded[:, 0, 0].numpy(), whole[0][1].ravel())
    assert np.array_equal(embedded[:, 0, 1].numpy(), whole[2][1].repeat(4, axis=0).repeat(4, axis=1).ravel())


def test_images_keep_their_order_and_the_last_batch_may_be_short():
    shapes = [(3, 12, 16), (4, 6, 8), (2, 3, 4)]
    stream = Embedder(Maps(shapes), shapes, CHANNELS, batch_size=3).stream(prepared(7), 3)
    assert [[item.pixels[0, 0, 0] for item in batch] for batch, _ in stream] == [[0, 1, 2], [3, 4, 5], [6]]
