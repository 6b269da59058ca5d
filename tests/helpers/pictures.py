"""Drawn pictures with lots and cameras, and tables of statistics and embeddings, to damage in tests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from curate import statistics
from curate.checks import Evidence
from curate.scenes.scene import render

IMAGE_HW = (96, 128)
N_DIMENSIONS = 24
Change = Callable[[np.ndarray], np.ndarray]


@dataclass
class Pictures:
    """Samples of one category with their statistics and embeddings, measured on change only.

    Attributes:
        pixels: (N, H, W, 3) uint8.
        samples, table, vectors: as in Evidence; `vectors` are drawn, not embedded.
    """

    pixels: list[np.ndarray]
    samples: pd.DataFrame
    table: pd.DataFrame
    vectors: np.ndarray = field(default_factory=lambda: np.zeros((0, N_DIMENSIONS)))

    def change(self, rows: Sequence[int], how: Change) -> None:
        """Alter some pictures and measure them again."""
        for row in rows:
            self.pixels[row] = how(self.pixels[row])
            for name, value in statistics.measure(self.pixels[row]).items():
                self.table.at[row, name] = value

    def named(self, column: str, values: Sequence[Any]) -> None:
        """Set a column of the sample table."""
        self.samples[column] = pd.Series(list(values), dtype=object, index=self.samples.index)

    def paths(self, rows: Sequence[int]) -> list[str]:
        """Relative paths of some rows."""
        return [self.samples["relative_path"].iloc[row] for row in rows]

    def evidence(self, order: Sequence[int] | None = None) -> Evidence:
        """What a check looks at, with the rows of all tables in an order."""
        order = list(range(len(self.samples))) if order is None else list(order)
        embedded = pd.DataFrame(
            {
                "sample_id": self.samples["sample_id"],
                "vector": _packed(self.vectors),
            }
        )
        samples, table, embeddings = (
            each.iloc[order].reset_index(drop=True) for each in (self.samples, self.table, embedded)
        )
        return Evidence(samples, Path("no-masks"), statistics=table, embeddings=embeddings)


def measured(pixels: Sequence[np.ndarray], category: str = "film") -> Pictures:
    """Pictures that exist in memory only, each a part of its own."""
    rows = []
    for number in range(len(pixels)):
        name = f"{category}/{number:03d}.png"
        rows.append({"sample_id": f"{category}{number:08d}", "relative_path": name, "part_id": name})
    samples = pd.DataFrame(rows)
    height, width = pixels[0].shape[:2]
    for column, value in {"category": category, "label": "normal", "height": height, "width": width}.items():
        samples[column] = value
    for column in ("lot", "camera", "site", "captured_at"):
        samples[column] = None
    samples["pixel_sha256"] = [f"{category}-{number}" for number in range(len(pixels))]
    table = pd.DataFrame([statistics.measure(each) for each in pixels])
    table.insert(0, "sample_id", samples["sample_id"])
    vectors = np.random.default_rng(len(pixels)).normal(0, 1, (len(pixels), N_DIMENSIONS))
    return Pictures([each.copy() for each in pixels], samples, table, vectors)


@cache
def _drawn(n: int, section: str, seed: int) -> tuple[np.ndarray, ...]:
    rngs = (np.random.default_rng([seed, number]) for number in range(n))
    return tuple(render(section, rng, IMAGE_HW).image for rng in rngs)


def drawn(n: int, section: str = "coverlay", seed: int = 0) -> list[np.ndarray]:
    """Photographs of different parts of one design, (96, 128, 3) uint8."""
    return [image.copy() for image in _drawn(n, section, seed)]


def exposed(gain: float) -> Change:
    """Another exposure time."""
    return lambda image: np.clip(image * gain, 0, 255).astype(np.uint8)


def blurred(sigma: float) -> Change:
    """Out of focus."""
    return lambda image: cv2.GaussianBlur(image, (0, 0), sigma)


def column_off(column: int, step: int) -> Change:
    """A column of the sensor that reads too much."""

    def change(image: np.ndarray) -> np.ndarray:
        image = image.copy()
        image[:, column] = np.clip(image[:, column].astype(int) + step, 0, 255)
        return image

    return change


def shifted(right: int, down: int) -> Change:
    """The part lies elsewhere under the camera."""
    return lambda image: cv2.warpAffine(
        image,
        np.array([[1, 0, right], [0, 1, down]], dtype=np.float32),
        image.shape[1::-1],
        borderMode=cv2.BORDER_REFLECT,
    )


def write_faulty_film(root: Path, category: str = "film") -> Path:
    """48 pictures in MVTec AD layout: one dark, one blurred, one a shifted copy; a bad column in odd ones."""
    images = drawn(48)
    images[5], images[7] = exposed(0.5)(images[5]), blurred(1.5)(images[7])
    images[9] = exposed(1.1)(shifted(3, 2)(images[8]))
    images[1::2] = [column_off(40, 14)(image) for image in images[1::2]]
    folder = root / category / "train" / "good"
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:03d}.png")
    return root


def with_pixel_evidence(evidence: Evidence, cache_path: Path, category: str = "film") -> Evidence:
    """Measure all pictures; of write_faulty_film's, one lot has drifted and two pictures lie apart."""
    samples = evidence.samples
    film = samples.index[samples["category"] == category]
    for number, index in enumerate(film):
        samples.at[index, "camera"] = "AB"[number % 2]
        samples.at[index, "lot"] = f"L{number // 16}"
    vectors = np.random.default_rng(0).normal(0, 1, (len(film), N_DIMENSIONS))
    vectors[32:, :4] += 3
    vectors[[11, 12], 4:] += 12
    embeddings = pd.DataFrame({"sample_id": samples.loc[film, "sample_id"], "vector": _packed(vectors)})
    return replace(evidence, statistics=statistics.table(samples, cache_path), embeddings=embeddings)


def _packed(vectors: np.ndarray) -> list[bytes]:
    return [vector.astype(np.float16).tobytes() for vector in vectors]
