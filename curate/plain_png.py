"""PNG files as masks are: 8-bit grey and nearly empty. Decoded and encoded much faster than others.

Nothing that curate.decoding would find is passed over: what is not in order in every respect is left to it.
"""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from curate.damage import PNG_SIGNATURE

HEAD = len(PNG_SIGNATURE) + 8  # where the fields of the first chunk begin
GREY_8 = b"\x08\x00\x00\x00\x00"  # bits, colour type, compression, filters, no interlace
PLAIN = {b"IHDR": 13, b"gAMA": 4, b"sRGB": 1, b"pHYs": 9, b"IEND": 0}  # chunks and their lengths
SUB, LAST_FILTER = 1, 4
NEARLY_EMPTY = 16  # bytes of pixels for each of the file; photographs have 1 to 3
MAX_PIXELS = 1 << 24
LEVEL = 1


def decoded(content: bytes) -> NDArray[np.uint8] | None:
    """Pixels of a file, (H, W) uint8; None where it is of another kind, or anything in it is not as usual.

    Args:
        content: a file in which curate.damage finds nothing.
    """
    if content[:HEAD] != PNG_SIGNATURE + b"\x00\x00\x00\x0dIHDR" or content[HEAD + 8 : HEAD + 13] != GREY_8:
        return None
    width, height = struct.unpack_from(">II", content, HEAD)
    n_bytes = height * (width + 1)
    if not 0 < width * height <= MAX_PIXELS or n_bytes < NEARLY_EMPTY * len(content):
        return None
    raw = _inflated(content, n_bytes)
    return None if raw is None else _unfiltered(np.frombuffer(raw, np.uint8).reshape(height, width + 1))


def _inflated(content: bytes, n_bytes: int) -> bytes | None:
    """What the file's stream of data holds; None unless that is just so many bytes, with their checksum."""
    at, data, after = len(PNG_SIGNATURE), list[bytes](), False
    while at < len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        if kind == b"IDAT" and not after:
            data.append(content[at + 8 : at + 8 + length])
        elif PLAIN.get(kind) != length:
            return None
        else:
            after = bool(data)
        if kind == b"IEND":
            break
        at += 12 + length
    stream = zlib.decompressobj()
    try:
        raw = stream.decompress(b"".join(data), n_bytes + 1)
    except zlib.error:
        return None
    return raw if len(raw) == n_bytes and stream.eof and not stream.unused_data else None


def _unfiltered(lines: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Pixels of lines that each begin with the number of their filter; None where sums do not do."""
    filters, pixels = lines[:, 0], lines[:, 1:]
    if filters.max() > LAST_FILTER:
        return None
    whole = np.zeros(pixels.shape, np.uint8)
    filled = np.flatnonzero(pixels.any(axis=1))
    if not len(filled):  # every filter makes zeros of zeros
        return whole
    if filters.max() > SUB:
        return None
    part = slice(filled[0], filled[-1] + 1)  # both filters make zeros of zeros
    np.add.accumulate(pixels[part], axis=1, out=whole[part])
    unfiltered = part.start + np.flatnonzero(filters[part] != SUB)
    whole[unfiltered] = pixels[unfiltered]
    return whole


def encoded(mask: NDArray[np.bool_]) -> bytes:
    """A mask as an 8-bit grey PNG file, 0 or 255; equal masks give equal bytes.

    Args:
        mask: (H, W) bool.
    """
    height, width = mask.shape
    lines = np.zeros((height, width + 1), np.uint8)  # each begins with the number of its filter: none
    np.multiply(mask, np.uint8(255), out=lines[:, 1:])
    stream = zlib.compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    data = stream.compress(lines.data) + stream.flush()
    head = struct.pack(">II", width, height) + GREY_8
    return PNG_SIGNATURE + _chunk(b"IHDR", head) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
