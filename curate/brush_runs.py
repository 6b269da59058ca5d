"""Label Studio's brush masks: run lengths packed into bits.

The format is thi.ng's rle-pack: 32 bits with the number of values, 5 bits with the bits of a value less one,
four times 4 bits with the sizes of a run length less one. Then groups: one bit that says whether one value is
repeated, two bits that choose the size of the run length, the run length less one, and the value, or as many
values as the run is long. Label Studio packs the red, green, blue and alpha bytes of each pixel, row by row,
and takes alpha for the mask.

Source: https://github.com/thi-ng/umbrella/tree/develop/packages/rle-pack
"""

from collections.abc import Sequence

import numpy as np

from curate.images import Array

WORD = 8
SIZES = (3, 4, 8, 16)
LONGEST = 1 << 16
CHANNELS = 4
HEAD_BITS = 32 + 5 + 4 * 4
MAX_BYTES = 256 << 20


def encode(mask: Array) -> list[int]:
    """A mask as Label Studio's brush keeps it: bytes, 255 in all channels on the defect.

    Args:
        mask: (H, W) bool.
    """
    flat = mask.ravel()
    starts = (
        np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]])) if flat.size else np.zeros(0, int)
    )
    lengths = np.diff(np.append(starts, flat.size)) * CHANNELS
    bits = [f"{mask.size * CHANNELS:032b}", f"{WORD - 1:05b}", *(f"{size - 1:04b}" for size in SIZES)]
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        value = "1" * WORD if flat[start] else "0" * WORD
        for begin in range(0, length, LONGEST):
            run = min(LONGEST, length - begin)
            choice = next(i for i, size in enumerate(SIZES) if run <= 1 << size)
            bits.append(f"1{choice:02b}{run - 1:0{SIZES[choice]}b}{value}")
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def decode(packed: Sequence[int], image_hw: tuple[int, int]) -> Array:
    """How much of each pixel a brush covers: (H, W) uint8, its alpha. A stroke fades at its rim.

    Args:
        packed: bytes as numbers.
        image_hw: height and width that it must have; nothing larger is ever made.

    Raises:
        ValueError: it is no such text, is cut short, or is for another number of pixels; in words that
            follow its name.
    """
    if len(packed) > MAX_BYTES or not all(type(byte) is int and 0 <= byte < 256 for byte in packed):
        raise ValueError("has a brush that is not a list of bytes")
    reader = _Bits(bytes(packed))
    n_values, word = reader.read(32), reader.read(5) + 1
    sizes = [reader.read(4) + 1 for _ in SIZES]
    expected = image_hw[0] * image_hw[1] * CHANNELS
    if n_values != expected or word != WORD:
        raise ValueError(
            f"has a brush over {n_values / CHANNELS:g} pixels of {word} bits, but the image has "
            f"{expected // CHANNELS} and values have {WORD}"
        )
    values = np.zeros(n_values, dtype=np.uint8)
    done = 0
    while done < n_values:
        repeated = reader.read(1)
        run = reader.read(sizes[reader.read(2)]) + 1
        if done + run > n_values:
            raise ValueError("has a brush that runs over the end of the image")
        values[done : done + run] = reader.read(WORD) if repeated else reader.several(run)
        done += run
    return np.asarray(values.reshape(*image_hw, CHANNELS)[:, :, CHANNELS - 1])


class _Bits:
    """Reads numbers of any bit length off bytes, the highest bit first."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def read(self, n_bits: int) -> int:
        first, window = self._taken(n_bits)
        end = self._at - 8 * first
        return (int.from_bytes(window, "big") >> (8 * len(window) - end)) & ((1 << n_bits) - 1)

    def several(self, n_values: int) -> Array:
        """The next values of WORD bits each."""
        begin = self._at % 8
        _, window = self._taken(WORD * n_values)
        bits = np.unpackbits(np.frombuffer(window, dtype=np.uint8))[begin : begin + WORD * n_values]
        return np.packbits(bits)

    def _taken(self, n_bits: int) -> tuple[int, bytes]:
        """The next bits: the bytes that hold them, and the number of the first of these bytes."""
        first, last = self._at // 8, (self._at + n_bits + 7) // 8
        if last > len(self._content):
            raise ValueError("has a brush that is cut short")
        self._at += n_bits
        return first, self._content[first:last]
