"""Step: draws where on a part the defects of each category lie."""

from pathlib import Path
from typing import Any

import numpy as np

from curate.defect_density import counted, types_of
from curate.errors import AlreadyExists, Missing
from curate.images import Array, read_image
from curate.progress import bar
from curate.steps.record import Context

MOST_CATEGORIES = 12
LOWEST = 40  # as in the App: the darkest colours cannot be told from a dark image
OPACITY = 0.85
SAID = {"truth": "marked defects", "proposals": "proposals", "alarms": "false alarms"}
Row = dict[str, Any]


def run(
    context: Context,
    source: str,
    category: str | None = None,
    defect_type: str | None = None,
    out: Path | None = None,
    overwrite: bool = False,
) -> Row:
    """Count in the cells of a grid, and draw it; the database must be up to date and connected.

    Args:
        source: "truth", "proposals:DETECTOR" or "alarms:DETECTOR".
        category: only this one; None: all.
        defect_type: only this one; None: all.
        out: PNG file; None: no picture.
        overwrite: replace the file.

    Returns:
        source, defect_type, and by category: n_images looked at, n_marked, n_unmarked, grid_hw, types,
        highest (most images in one cell) and cells (images by row and column of the grid); picture where one
        was drawn.

    Raises:
        AlreadyExists: the file is there.
        Missing: there is no such category.
        ValueError: nothing is known of this source.
    """
    from curate.store import density
    from curate.store.dataset import load

    if out is not None and out.exists() and not overwrite:
        raise AlreadyExists(f"AlreadyExists: {out} is there. Choose another name, or replace it: --overwrite")
    collection = load(context.paths.name)._sample_collection
    known = sorted(collection.distinct("category"))
    if category is not None and category not in known:
        raise Missing(f'Missing: there is no category "{category}". There are: {", ".join(known)}.')
    by_category, drawn = {}, []
    for name in known if category is None else [category]:
        found = _collected(context, density.Asked(name, source))
        seen = counted(found.marks, found.grid_hw, defect_type)
        by_category[name] = {
            "n_images": found.n_images,
            "n_marked": seen.n_images,
            "n_unmarked": found.n_unmarked,
            "grid_hw": list(found.grid_hw),
            "types": types_of(found.marks),
            "highest": int(seen.n_in_cell.max()),
            "cells": seen.n_in_cell.tolist(),
        }
        drawn.append((name, seen.n_in_cell, density.example(collection, name, found.grid_hw)))
    result: Row = {"source": source, "defect_type": defect_type, "by_category": by_category}
    if out is not None:
        said = SAID[source.partition(":")[0]] + (f", {defect_type}" if defect_type else "")
        draw(out, drawn[:MOST_CATEGORIES], by_category, said)
        result["picture"] = str(out)
    return result


def _collected(context: Context, asked: Any) -> Any:
    from curate.store import density

    with bar(f"reading masks of {asked.category}", None) as advance:
        done = 0

        def progress(n: int, of: int) -> None:
            nonlocal done
            advance(n - done)
            done = n

        return density.collect(context.paths.name, asked, progress=progress)


def draw(out: Path, drawn: list[tuple[str, Array, Row | None]], by_category: Row, said: str) -> None:
    """One picture per category: a normal image with the counts over it, and a scale.

    Args:
        drawn: category, (R, C) counts, and the normal image to draw upon.
        by_category: see run.
        said: what was counted, in words.

    Raises:
        StorageFull: no space is left.
    """
    import io

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from curate.files import write_bytes

    columns = min(3, len(drawn))
    rows = -(-len(drawn) // columns)
    figure = Figure(figsize=(4.6 * columns, 4.2 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, (name, cells, example) in zip(axes, drawn, strict=False):
        _draw_one(figure, axis, cells, example)
        about = by_category[name]
        axis.set_title(f"{name}: {said}\nin {about['n_marked']} of {about['n_images']} images", fontsize=11)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    write_bytes(out, content.getvalue())


def _draw_one(figure: Any, axis: Any, cells: Array, example: Row | None) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    from curate.store.colours import turbo

    extent = (0, cells.shape[1], cells.shape[0], 0)
    below = np.zeros((1, 1)) if example is None else _grey(Path(example["file"]))
    axis.imshow(below, extent=extent, cmap="gray", vmin=0, vmax=1.35, interpolation="bilinear")
    highest = max(1, int(cells.max()))
    colours = ListedColormap(turbo()[LOWEST:] / 255)
    scale = Normalize(1, max(2, highest))
    axis.imshow(
        np.ma.masked_equal(cells, 0), extent=extent, cmap=colours, norm=scale, alpha=OPACITY,
        interpolation="nearest",
    )  # fmt: skip
    shown = figure.colorbar(ScalarMappable(scale, colours), ax=axis, shrink=0.8, label="images per cell")
    shown.set_ticks(sorted({1, (1 + highest) // 2, highest}))


def _grey(path: Path) -> Array:
    """(H, W) in [0, 1]."""
    pixels = read_image(path)
    return np.asarray(pixels.mean(axis=2) / np.iinfo(pixels.dtype).max)
