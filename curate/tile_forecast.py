"""What tiles mean for a scoring run: how many each image has, at which scale, and how long it takes."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from curate.errors import CurateError
from curate.score_geometry import PREFIX
from curate.score_identity import resolved
from curate.score_images import Images, Pixels, Row

N_MOST = 16  # images that are tried
TRIAL_S = 5.0  # most that the fit of the trial takes


@dataclass(frozen=True)
class Tiles:
    """The tiles of an image of median size.

    Attributes:
        image_hw: of that image.
        grid: rows and columns of tiles.
        tile_hw: height and width of one, in pixels of the image.
        input_hw: height and width at which the model sees one.
    """

    image_hw: tuple[int, int]
    grid: tuple[int, int]
    tile_hw: tuple[int, int]
    input_hw: tuple[int, int]

    @property
    def n(self) -> int:
        """Tiles of an image."""
        return self.grid[0] * self.grid[1]

    @property
    def scale(self) -> float:
        """Pixels of the model's input for a pixel of the image, along the side that gets fewer."""
        return min(self.input_hw[axis] / self.tile_hw[axis] for axis in (0, 1))

    def __str__(self) -> str:
        (rows, columns), (height, width) = self.grid, self.tile_hw
        told = (
            f"{rows} x {columns} = {self.n} tiles of {height} x {width} px for an image of "
            f"{self.image_hw[0]} x {self.image_hw[1]} px, at {self.scale:.2f} times their size"
        )
        return told if self.scale >= 1 else f"{told} (a smaller tile_side keeps every pixel)"


def is_tiled(detector: str) -> bool:
    """Whether a detector puts tiles around another one."""
    return detector.startswith(PREFIX)


def tiles_of(detector: str, config: Mapping[str, Any], rows: Sequence[Row]) -> Tiles | None:
    """How a tiled detector that learns from some images will cut them; None without their sizes.

    Args:
        detector: a name that is_tiled.
        config: "profile" and fields of the detector's config.
        rows: of the normal training images of one category, with height and width.

    Raises:
        ValueError: unknown detector or setting.
    """
    import detectors
    from detectors.geometry import choose_hw
    from detectors.tiled import n_tiles, spans

    sizes = [
        (int(row["height"]), int(row["width"])) for row in rows if row.get("height") and row.get("width")
    ]
    if not sizes:
        return None
    settings: Any = detectors.create(detector, **config).config
    height, width = (int(median(size[axis] for size in sizes)) for axis in (0, 1))
    rows_of, columns = (n_tiles(length, settings.tile_side, settings.overlap) for length in (height, width))
    tile = [spans(length, n, settings.overlap)[0] for length, n in ((height, rows_of), (width, columns))]
    tile_hw = tile[0][1] - tile[0][0], tile[1][1] - tile[1][0]
    input_hw = settings.image_hw or choose_hw([tile_hw], settings.image_side)
    return Tiles((height, width), (rows_of, columns), tile_hw, input_hw)


def seconds_per_image(
    detector: str, config: Mapping[str, Any], rows: Sequence[Row], tiles: Tiles, cache: Path | None
) -> float | None:
    """Wall time from file to map of one image, measured on a few; None where the trial cannot be made.

    A detector is fitted on them for seconds at most, and thrown away. What it learned does not matter for
    the time that it takes, except where it compares with a bank of normal patches, which is smaller here.

    Args:
        rows: of normal training images; the first ones are tried, enough for a full batch of tiles.
        cache: where exported backbones are kept.
    """
    import detectors

    try:
        options = {**resolved(detector, config), "time_budget_s": TRIAL_S}
        made = detectors.create(detector, cache_folder=cache, **options)
        n_images = min(N_MOST, max(2, math.ceil(made.config.batch_size / tiles.n)))
        images = Images(rows[:n_images], Pixels())
        made.fit(images)
        next(made.predict([images[0]]))  # the first one may still compile
        started = time.perf_counter()
        n_done = sum(1 for _ in made.predict(images[index] for index in range(len(images))))
        return (time.perf_counter() - started) / n_done
    except (ValueError, FileNotFoundError, CurateError):
        return None  # the run itself will say what is wrong


def told(detector: str, by_category: Mapping[str, Tiles], n_images: int, each_s: float | None) -> list[str]:
    """Lines for the person who waits."""
    lines = [f"{detector}, {category}: {tiles}" for category, tiles in by_category.items()]
    if each_s is not None:
        lines.append(
            f"{detector}: scoring {n_images} images will take about {_duration(each_s * n_images)} "
            f"({1000 * each_s:.0f} ms each, tried on a few); the fit comes before it"
        )
    return lines


def _duration(seconds: float) -> str:
    """Roughly, in the unit that suits.

    >>> _duration(42.4), _duration(700), _duration(9000)
    ('42 s', '12 min', '2.5 h')
    """
    if seconds < 120:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
