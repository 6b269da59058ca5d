"""Images for fitting and scoring: rows by category, decoded once where memory allows."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from curate import tables
from curate.images import Array, read_stored

Row = dict[str, Any]
NEEDED = ("sample_id", "sha256", "filepath", "category")
SIZES = ("height", "width")
CHUNK_BYTES = 64 << 20  # of pixels that are worked on together
KEPT_BYTES = 512 << 20  # most that is kept decoded between the detectors of a call
SHARE = 8  # part of the free memory that is kept decoded, or as features, at most: an eighth


class Pixels:
    """Decodes images and keeps the first ones, up to some bytes; safe to use from several threads.

    Images come in the same order again and again, so that those kept first are of use every time.
    """

    def __init__(self, limit_bytes: int = 0) -> None:
        self.free_bytes = limit_bytes
        self._kept: dict[str, Array] = {}
        self._lock = threading.Lock()

    def __call__(self, row: Row) -> Array:
        """(H, W, 3) uint8; read-only where it is kept.

        Raises:
            Unreadable: see curate.images.read_image.
        """
        if (known := self._kept.get(row["sample_id"])) is not None:
            return known
        image = repeated(to_uint8(read_stored(Path(row["filepath"]))))
        with self._lock:
            if image.nbytes <= self.free_bytes and row["sample_id"] not in self._kept:
                image.flags.writeable = False
                self._kept[row["sample_id"]] = image
                self.free_bytes -= image.nbytes
        return image


class Images(Sequence[Array]):
    """Images of rows, decoded when asked for; safe to use from several threads."""

    def __init__(self, rows: Sequence[Row], pixels: Pixels) -> None:
        self.rows, self.pixels = rows, pixels

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Array:  # type: ignore[override]
        return self.pixels(self.rows[index])

    @property
    def sizes_hw(self) -> list[tuple[int, int]] | None:
        """Heights and widths of all images as the table has them; None where it lacks one.

        Images are decoded as they are stored, without turning, so these are those of the arrays.
        """
        sizes = [(row.get("height"), row.get("width")) for row in self.rows]
        known = [(int(height), int(width)) for height, width in sizes if height and width]
        return known if len(known) == len(sizes) else None


def repeated(image: Array) -> Array:
    """(H, W, 3) of a grey image, read-only, that takes no more memory than it; a colour image as it is."""
    return np.broadcast_to(image[:, :, np.newaxis], (*image.shape, 3)) if image.ndim == 2 else image


def to_uint8(image: Array) -> Array:
    """8 bits of a channel: 16-bit values are divided by 257, so that 0 to 65535 becomes 0 to 255.

    The full range of 16 bits is assumed: 12-bit data in a 16-bit file (0 to 4095) ends up dark, in 0 to 16.
    """
    if image.dtype == np.uint8:
        return image
    eight: Array = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return eight


def by_category(table: pd.DataFrame, more: Sequence[str] = ()) -> dict[str, list[Row]]:
    """Rows of each category, both sorted.

    Args:
        more: further columns of the rows, where the table has them; height and width always come along.
    """
    found: dict[str, list[Row]] = {}
    columns = [*NEEDED, *(name for name in (*SIZES, *more) if name in table.columns)]
    for row in sorted(tables.to_rows(table[columns]), key=lambda row: (row["category"], row["sample_id"])):
        found.setdefault(row["category"], []).append(row)
    return found


def chunks(rows: Sequence[Row], n_most: int) -> Iterator[list[Row]]:
    """Rows in order, at most n_most and about 64 MiB of pixels at a time; one that is larger comes alone."""
    chunk: list[Row] = []
    n_bytes = 0
    for row in rows:
        size = 3 * int(row.get("height") or 0) * int(row.get("width") or 0)
        if chunk and (len(chunk) == n_most or n_bytes + size > CHUNK_BYTES):
            yield chunk
            chunk, n_bytes = [], 0
        chunk.append(row)
        n_bytes += size
    if chunk:
        yield chunk


def spare_bytes() -> int:
    """How many bytes may be kept only to save work: 512 MiB, but at most an eighth of the free memory."""
    from detectors.memory import available_bytes

    free = available_bytes()
    return KEPT_BYTES if free is None else min(KEPT_BYTES, free // SHARE)


@contextmanager
def shared_features(several: bool = True) -> Iterator[None]:
    """Inside the block detectors share what they take from the same backbone, within a limit of memory.

    Args:
        several: False changes nothing: one detector alone has nothing to share.
    """
    if not several:
        yield
        return
    from detectors.backbones.sharing import share_features

    with share_features(spare_bytes()):
        yield
