"""One vector per picture that says what kind of picture it is, from a frozen network's middle blocks.

The blocks see texture and small structures; averaging over the picture forgets where these are. The network
is EfficientNet-Lite0 with its packaged ImageNet weights; nothing is trained.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from curate.errors import Missing
from curate.images import Array
from curate.measurement_cache import KEY, Cache, joined, open_cache, pictures, store

VERSION = 1  # raise it when the same pixels give other vectors
BACKBONE, WEIGHTS = "efficientnet_lite0", "packaged"
LAYERS = ("blocks.2", "blocks.4")
SIDE_PX = 256
MOST_ELONGATED = 3.0
N_AHEAD = 32
KIND = f"embeddings {VERSION} {BACKBONE} {' '.join(LAYERS)} {SIDE_PX}"
COLUMNS = {"vector": "BLOB"}
Shown = tuple[Array, tuple[int, int]]


def table(
    samples: pd.DataFrame,
    cache_path: Path,
    progress: Callable[[int], None] | None = None,
    runtime: str = "auto",
    network_folder: Path | None = None,
) -> pd.DataFrame:
    """Embed each picture that is not in the cache yet, a few at a time in memory.

    Args:
        samples: the sample table.
        cache_path: file of vectors, see curate.measurement_cache; a run that was killed goes on there.
        progress: called with the number of samples just finished.
        runtime: one of detectors.backbones.RUNTIMES.
        network_folder: where the network is kept as the fast runtimes want it; None makes it anew.

    Returns:
        sample_id and vector (float16 bytes, see matrix), one row per sample, in the order of the samples;
        files that cannot be read have no row.

    Raises:
        StorageFull: no space is left; what was embedded before is kept.
        Missing: the network's weights, or the runtime, are not installed.
    """
    with open_cache(cache_path, KIND, COLUMNS) as cache:
        store(cache, _rows(samples, cache, progress, runtime, network_folder))
        return joined(samples, cache)


def cached(samples: pd.DataFrame, cache_path: Path) -> pd.DataFrame:
    """The rows of `table` for those pictures that are embedded already; no network runs.

    Args:
        samples: sample_id and pixel_sha256 of each.
    """
    with open_cache(cache_path, KIND, COLUMNS) as cache:
        return joined(samples, cache)


def matrix(vectors: pd.Series) -> Array:
    """The column vector of a table as (N, D) float32."""
    rows = [np.frombuffer(vector, dtype=np.float16) for vector in vectors]
    return np.stack(rows).astype(np.float32) if rows else np.zeros((0, 1), dtype=np.float32)


def _rows(
    samples: pd.DataFrame,
    cache: Cache,
    progress: Callable[[int], None] | None,
    runtime: str,
    network_folder: Path | None,
) -> Iterator[dict[str, Any]]:
    ready = pictures(samples, cache, fit, progress)
    runner = None
    while batch := list(islice(ready, N_AHEAD)):
        runner = runner or _runner(runtime, network_folder)
        vectors: dict[int, bytes] = {}

        def take(index: int, maps: list[Array], batch: Any = batch, vectors: Any = vectors) -> None:
            vectors[index] = pooled(maps, batch[index][1][1]).tobytes()

        runner.run([pixels for _, (pixels, _) in batch], take)
        for index, (key, _) in enumerate(batch):
            yield {KEY: key, "vector": vectors[index]}


def _runner(runtime: str, network_folder: Path | None) -> Any:
    from detectors.backbones import Backbone, make_runner

    backbone = Backbone(BACKBONE, WEIGHTS, LAYERS)
    try:
        return make_runner(backbone, (SIDE_PX, SIDE_PX), runtime, cache_folder=network_folder)
    except (FileNotFoundError, ValueError) as error:
        raise Missing(f"Missing: pictures cannot be embedded. {error}") from error


def fit(pixels: Array) -> Shown:
    """A picture in the network's square input: scaled to its longer side, the rest mirrored.

    Pictures more elongated than 3 to 1 are squeezed to that, so that enough rows are left to see.

    Args:
        pixels: (H, W) or (H, W, 3) RGB, uint8 or uint16.

    Returns:
        (256, 256, 3) uint8, and the height and width of it that the picture itself takes, at the top left.
    """
    longest = max(pixels.shape[:2])
    height, width = (
        max(round(SIDE_PX * s / longest), round(SIDE_PX / MOST_ELONGATED)) for s in pixels.shape[:2]
    )
    method = cv2.INTER_AREA if longest > SIDE_PX else cv2.INTER_LINEAR
    small = cv2.resize(pixels, (width, height), interpolation=method)
    if small.dtype == np.uint16:
        small = np.rint(small / 257.0).astype(np.uint8)
    if small.ndim == 2:
        small = np.repeat(small[:, :, np.newaxis], 3, axis=2)
    below, right = SIDE_PX - height, SIDE_PX - width
    return np.pad(small, ((0, below), (0, right), (0, 0)), mode="reflect"), (height, width)


def pooled(maps: list[Array], own_hw: tuple[int, int]) -> Array:
    """Mean of each channel over the picture's own positions, (D,) float16.

    Args:
        maps: (C, h, w) each, of the square input.
        own_hw: height and width in the input that the picture takes.
    """
    means = []
    for values in maps:
        rows, columns = (max(1, round(own * values.shape[1] / SIDE_PX)) for own in own_hw)
        means.append(values[:, :rows, :columns].mean(axis=(1, 2)))
    return np.concatenate(means).astype(np.float16)
