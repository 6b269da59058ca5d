"""Image files that lie: claimed sizes, wrong parts with right checksums, other kinds and sizes."""

import io
import struct
import zlib
from collections.abc import Iterator
from random import Random
from typing import Any

import cv2
import numpy as np
from PIL import Image

from curate.damage import PNG_SIGNATURE
from tests.fuzz.mutations import ANY, Mutation

HUGE = (0, 1, 65535, 30_000, 1 << 20, (1 << 31) - 1, (1 << 32) - 1)
TAGS = (254, 256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 320, 322, 324, 339, 34665)


def _opened(content: bytes) -> Image.Image:
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return image


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """An encoded picture."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _png(content: bytes) -> bytes:
    return content if content.startswith(PNG_SIGNATURE) else saved(_opened(content), "PNG")


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        yield kind, content[at + 8 : at + 8 + length]
        at += 12 + length


def chunk(kind: bytes, data: bytes) -> bytes:
    """A part of a PNG with its right checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(parts: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG of parts."""
    return PNG_SIGNATURE + b"".join(chunk(kind, data) for kind, data in parts)


def png_claims(content: bytes, rng: Random) -> bytes:
    """Another height and width in the head."""
    parts = list(_chunks(_png(content)))
    parts[0] = (b"IHDR", struct.pack(">II", rng.choice(HUGE), rng.choice(HUGE)) + parts[0][1][8:])
    return png_of(parts)


def png_head(content: bytes, rng: Random) -> bytes:
    """Depth, colour type and methods that do not go together."""
    parts = list(_chunks(_png(content)))
    kind = bytes(
        [rng.choice((0, 1, 2, 4, 8, 16, 32)), rng.randrange(8), *(rng.choice((0, 1)) for _ in range(3))]
    )
    parts[0] = (b"IHDR", parts[0][1][:8] + kind)
    return png_of(parts)


def png_parts(content: bytes, rng: Random) -> bytes:
    """Parts that are lost, twice, damaged under a right checksum, or of a kind that nobody knows."""
    parts = list(_chunks(_png(content)))
    at = rng.randrange(len(parts))
    kind, data = parts[at]
    before = (
        (b"tEXt", b"a\x00" + data), (b"zTXt", b"a\x00\x00" + zlib.compress(bytes(1 << 24))), (kind, data),
        (b"acTL", struct.pack(">II", 1 << 20, 0)), (b"eXIf", rng.randbytes(40)), (b"PLTE", data[:7]),
        (b"iCCP", b"a\x00\x00" + rng.randbytes(40)), (b"tRNS", data[:3]),
    )  # fmt: skip
    new = rng.choice((
        [], [(kind, rng.choice(ANY)(data, rng))], [(b"quIz", data)], [(kind, data[:4]), (kind, data[4:])],
        *([one, (kind, data)] for one in before),
    ))  # fmt: skip
    return png_of([*parts[:at], *new, *parts[at + 1 :]])


def jpeg_segments(content: bytes, rng: Random) -> bytes:
    """Markers, lengths and sizes in the head of a JPEG are changed."""
    found = bytearray(_jpeg(content, rng))
    at = rng.choice([n for n in range(len(found) - 12) if found[n] == 0xFF and found[n + 1] not in (0, 0xFF)])
    how = rng.randrange(4)
    if how == 0:
        found[at + 1] = rng.randrange(0xC0, 0xFF)
    elif how == 1:
        found[at + 2 : at + 4] = struct.pack(">H", rng.choice((0, 1, 2, 65535, 100)))
    elif how == 2:
        start = found.find(b"\xff\xc0") if b"\xff\xc0" in found else max(0, found.find(b"\xff\xc2"))
        found[start + 5 : start + 9] = struct.pack(
            ">HH", rng.choice((0, 1, 65500)), rng.choice((1, 7, 65500))
        )
    else:
        found[at + 2] ^= 1 << rng.randrange(8)
    return bytes(found)


def _jpeg(content: bytes, rng: Random) -> bytes:
    if content.startswith(b"\xff\xd8"):
        return content
    return saved(_opened(content).convert("RGB"), "JPEG", progressive=rng.random() < 0.5)


def bmp_head(content: bytes, rng: Random) -> bytes:
    """Fields of the head of a BMP."""
    found = bytearray(saved(_opened(content).convert(rng.choice(("L", "RGB", "1"))), "BMP"))
    at = rng.choice((10, 14, 18, 22, 26, 28, 30, 34, 46))
    struct.pack_into("<I", found, at, rng.choice((*HUGE, 2, 3, 16, 24, 40, (1 << 32) - 48)))
    return bytes(found)


def tiff_tags(content: bytes, rng: Random) -> bytes:
    """Fields of the head of a TIFF: types, counts and values, a next page that is this one."""
    how = rng.choice((None, "tiff_deflate", "tiff_lzw", "packbits"))
    found = bytearray(saved(_opened(content).convert(rng.choice(("L", "RGB", "P"))), "TIFF", compression=how))
    (at,) = struct.unpack_from("<I", found, 4)
    (n_entries,) = struct.unpack_from("<H", found, at)
    for _ in range(rng.randint(1, 2)):
        place = at + 2 + 12 * rng.randrange(n_entries + 1)
        if place == at + 2 + 12 * n_entries:
            struct.pack_into("<I", found, place, rng.choice((at, 8, 1, len(found), 1 << 31)))
        elif rng.random() < 0.6:
            struct.pack_into("<I", found, place + 8, rng.choice((*HUGE, rng.randrange(1 << 16))))
        else:
            field = rng.choice(
                (("<H", 0, rng.choice(TAGS)), ("<H", 2, rng.randrange(20)), ("<I", 4, rng.choice(HUGE)))
            )
            struct.pack_into(field[0], found, place + field[1], field[2])
    return bytes(found)


def other_kind(content: bytes, rng: Random) -> bytes:
    """The same picture in any way in which a file may hold it."""
    image = _opened(content)
    grey = image.convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    turned = Image.Exif()
    turned[274] = rng.randint(0, 9)
    colour = cv2.imencode(
        rng.choice((".png", ".tiff")), np.asarray(image.convert("RGB")).astype(np.uint16) * 200
    )[1]
    ways = (
        lambda: saved(image.convert("P"), "PNG"), lambda: saved(image.convert("1"), "PNG"),
        lambda: saved(image.convert("LA"), "PNG"), lambda: saved(image.convert("RGBA"), "PNG"),
        lambda: saved(deep, "PNG"), lambda: saved(deep, "TIFF"), colour.tobytes,
        lambda: saved(image.convert("CMYK"), "JPEG"), lambda: saved(image.convert("CMYK"), "TIFF"),
        lambda: saved(image.convert("RGB"), "JPEG", exif=turned), lambda: saved(grey, "PNG", exif=turned),
        lambda: saved(grey.convert("F"), "TIFF"), lambda: saved(grey.convert("I"), "TIFF"),
        lambda: saved(image.convert("LAB") if image.mode == "RGB" else grey, "TIFF"),
        lambda: saved(image.convert("RGB"), "GIF"), lambda: saved(image.convert("RGB"), "WEBP"),
        lambda: saved(grey, "PNG", save_all=True, append_images=[grey.rotate(9)] * 3),
        lambda: saved(image.convert("P"), "BMP"),
        lambda: saved(image.convert("1"), "TIFF", compression="group4"),
        lambda: saved(image.convert("YCbCr"), "JPEG", subsampling=2, progressive=True),
    )  # fmt: skip
    return rng.choice(ways)()


def other_size(content: bytes, rng: Random) -> bytes:
    """The same picture with other sides, down to 1 px."""
    width, height = rng.choice(((1, 1), (1, 500), (500, 1), (3, 2), (63, 48), (48, 64), (64, 47), (128, 96)))
    return saved(_opened(content).convert("L").resize((width, height)), rng.choice(("PNG", "BMP", "TIFF")))


def pages(content: bytes, rng: Random) -> bytes:
    """A TIFF of several pages of several kinds, whole or damaged."""
    image = _opened(content).convert("RGB")
    others = [
        image.convert(rng.choice(("L", "1", "RGB", "P", "F", "CMYK"))).resize((9, 7))
        for _ in range(rng.randint(1, 5))
    ]
    found = saved(image, "TIFF", save_all=True, append_images=others)
    return found if rng.random() < 0.4 else rng.choice(ANY)(found, rng)


def other_values(content: bytes, rng: Random) -> bytes:
    """Pixels as nobody would draw a mask: noise, or all the same."""
    width, height = _opened(content).size
    level = rng.choice((0, 1, 127, 128, 254, 255))
    pixels = np.full((height, width), level, np.uint8)
    if rng.random() < 0.5:
        pixels = np.frombuffer(rng.randbytes(height * width), np.uint8).reshape(height, width)
    return saved(Image.fromarray(pixels), "PNG")


PICTURES: tuple[Mutation, ...] = (
    *ANY, *ANY[:3], png_claims, png_claims, png_head, png_parts, png_parts, png_parts, jpeg_segments,
    jpeg_segments, jpeg_segments, *[bmp_head] * 3, *[tiff_tags] * 5, *[other_kind] * 4, *[other_size] * 3,
    *[pages] * 2, *[other_values] * 2,
)  # fmt: skip
