"""Finds damage of image files that decoders skip: wrong checksums and missing ends."""

import struct
import zlib

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def found(content: bytes) -> str | None:
    """What is wrong with a PNG or JPEG file, in words; None when nothing is, or it is of another kind.

    >>> found(PNG_SIGNATURE)
    'is cut short (the PNG ends after 8 bytes without its end mark)'
    """
    if content.startswith(PNG_SIGNATURE):
        return _png(content)
    return _jpeg(content) if content.startswith(b"\xff\xd8\xff") else None


def _png(content: bytes) -> str | None:
    """What a walk over the chunks of a PNG finds wrong: a wrong checksum, or no end."""
    at = len(PNG_SIGNATURE)
    view = memoryview(content)
    while at + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        end = at + 12 + length
        if end > len(content):
            break
        (stated,) = struct.unpack_from(">I", content, end - 4)
        if zlib.crc32(view[at + 4 : end - 4]) != stated:
            return f"is damaged (wrong checksum in the PNG's {kind.decode('latin-1')} part)"
        if kind == b"IEND":
            return None
        at = end
    return f"is cut short (the PNG ends after {len(content)} bytes without its end mark)"


def _jpeg(content: bytes) -> str | None:
    """A JPEG whose last scan has no end mark; a thumbnail's own end mark, before the scan, does not count."""
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xDA:
            break
        at += 1 if marker == 0xFF else 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    # nearly all end with it, and need not be looked through
    if not content.endswith(b"\xff\xd9", at) and content.find(b"\xff\xd9", at) < 0:
        return f"is cut short (the JPEG ends after {len(content)} bytes without its end mark)"
    return None
