"""Small files that stand for much: read in a process of its own, which tells time and memory of each.

`python -m tests.fuzz.bombs FOLDER` reads all of them and prints JSON.
"""

import json
import resource
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random

from PIL import Image

from curate.engines.local import Workers
from tests.fuzz.invariants import check
from tests.fuzz.pictures import png_of, saved
from tests.fuzz.settings import alias_bomb
from tests.fuzz.structured import DEEP
from tests.fuzz.tables import excel, laughs, zip_bomb
from tests.fuzz.trees import Stage, Tree, load
from tests.helpers.golden import GOLDEN


def _zeros(n_bytes: int) -> bytes:
    """So many zero bytes, compressed."""
    packer, block = zlib.compressobj(9), bytes(1 << 20)
    parts = [packer.compress(block) for _ in range(n_bytes >> 20)]
    return b"".join([*parts, packer.compress(bytes(n_bytes & ((1 << 20) - 1))), packer.flush()])


def png(side_px: int, bits: int, data: bytes, extra: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    """A square grey PNG with right checksums."""
    head = struct.pack(">IIBBBBB", side_px, side_px, bits, 0, 0, 0, 0)
    return png_of([(b"IHDR", head), *extra, (b"IDAT", data), (b"IEND", b"")])


def black_png(side_px: int, bits: int) -> bytes:
    """A black square, of so many bits per pixel."""
    return png(side_px, bits, _zeros(side_px * ((side_px * bits + 7) // 8 + 1)))


def text_png() -> bytes:
    """A picture with several times 256 MB of text and colour profile."""
    packed = _zeros(1 << 28)
    extra = ((b"zTXt", b"a\x00\x00"), (b"iCCP", b"a\x00\x00"), (b"iTXt", b"a\x00\x01\x00\x00\x00"))
    return png(8, 8, zlib.compress(bytes(72)), tuple((kind, head + packed) for kind, head in extra))


def tiff(pages: list[tuple[int, int, int, bytes]], shared: bool = False) -> bytes:
    """A TIFF of grey pages: height, width, compression and data of each, or the data of the first for all."""
    found = bytearray(b"II*\x00\x08\x00\x00\x00")
    place = 0
    for number, (height, width, compression, data) in enumerate(pages):
        if not shared or number == 0:
            struct.pack_into("<I", found, _pointer(found, number), len(found) + len(data))
            place = len(found)
            found += data
        else:
            struct.pack_into("<I", found, _pointer(found, number), len(found))
        entries = (
            (256, width), (257, height), (258, 8), (259, compression), (262, 1), (273, place), (277, 1),
            (278, height), (279, len(data)),
        )  # fmt: skip
        found += struct.pack("<H", len(entries))
        found += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries) + bytes(4)
    return bytes(found)


def _pointer(found: bytearray, number: int) -> int:
    """Where the place of the next page is written."""
    return 4 if number == 0 else len(found) - 4


def many_pages() -> bytes:
    """Three thousand pages of 16 megapixels that share one strip."""
    return tiff([(4000, 4000, 8, _zeros(16_000_000))] * 3000, shared=True)


def many_scans() -> bytes:
    """A progressive JPEG with the same scan thousands of times."""
    content = saved(Image.new("L", (8000, 8000)), "JPEG", progressive=True)
    start = content.rfind(b"\xff\xda")
    end = content.rfind(b"\xff\xd9")
    return content[:end] + content[start:end] * 3000 + content[end:]


def wide_jpeg() -> bytes:
    """A JPEG of a few hundred bytes that claims 30000 x 30000 pixels."""
    content = bytearray(saved(Image.new("RGB", (64, 48)), "JPEG"))
    struct.pack_into(">HH", content, content.find(b"\xff\xc0") + 5, 30_000, 30_000)
    return bytes(content)


def run_length_bmp() -> bytes:
    """A run-length BMP of which each four bytes skip 255 lines."""
    side = 30_000
    head = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, 0, 0, 0, 256, 0) + bytes(1024)
    data = b"\x00\x02\xff\xff" * 200 + b"\xff\x00" * 100_000 + b"\x00\x01"
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(data), 0, 0, 14 + len(head)) + head + data


def folder_of(pictures: Mapping[str, bytes]) -> Tree:
    """A tree in folders by label with these pictures as anomalous ones."""
    whole = load(GOLDEN / "folder")
    return whole | {f"anomalous/bomb/{name}": content for name, content in pictures.items()}


def golden_with(name: str, changed: Mapping[str, Callable[[bytes], bytes]]) -> Tree:
    """A golden tree with some of its files made anew."""
    whole = load(GOLDEN / name)
    return whole | {path: make(bytes(whole[path])) for path, make in changed.items()}  # type: ignore[arg-type]


def bombs() -> Iterator[tuple[str, str, Tree]]:
    """Name, reader and tree of each, the cheap ones first: the memory of a process never shrinks."""
    rng = Random(0)
    deep_json = b"[" * DEEP + b"]" * DEEP
    yield (
        "claims of PNG, JPEG, BMP",
        "folder",
        folder_of(
            {"a.png": png(30_000, 8, zlib.compress(b"")), "b.jpg": wide_jpeg(), "c.bmp": run_length_bmp()}
        ),
    )
    yield "text of PNG", "folder", folder_of({"a.png": text_png()})
    yield "pages that share a strip", "folder", folder_of({"a.tif": many_pages()})
    yield "thousands of scans", "folder", folder_of({"a.jpg": many_scans()})
    yield (
        "deep JSON",
        "coco",
        golden_with("coco", {"annotations/instances_train2017.json": lambda _: deep_json}),
    )
    voc = "VOCdevkit/VOC2012/Annotations/2007_000027.xml"
    yield "laughs", "voc", golden_with("voc", {voc: lambda content: laughs(content, rng)})
    yield (
        "aliases",
        "yolo_seg",
        golden_with("yolo_seg", {"data.yaml": lambda content: alias_bomb(content, rng)}),
    )
    table = load(GOLDEN / "table")
    sheet = zip_bomb(excel(bytes(table["labels.csv"])), rng)  # type: ignore[arg-type]
    settings = bytes(table["curate-table.toml"]).replace(b"labels.csv", b"labels.xlsx")  # type: ignore[arg-type]
    yield "zip", "table", table | {"labels.xlsx": sheet, "curate-table.toml": settings}
    yield (
        "black squares",
        "folder",
        folder_of({"a.png": black_png(8_000, 8), "b.tif": tiff([(8_000, 8_000, 8, _zeros(64_000_000))])}),
    )
    yield "a black square of 900 megapixels", "folder", folder_of({"a.png": black_png(30_000, 1)})


def main(folder: Path) -> None:
    """Take all bombs in, and print how many seconds and megabytes each took, as JSON."""
    stage, told = Stage(folder / "source"), []
    (folder / "canary.png").write_bytes(b"x")
    with Workers() as workers:
        for name, reader, tree in bombs():
            stage.show(tree)
            started, before = time.monotonic(), _peak_mb()
            check(reader, stage.root, folder / "work", folder / "canary.png", workers, set(), limit_s=60.0)
            told.append({"bomb": name, "took_s": time.monotonic() - started, "grown_mb": _peak_mb() - before})
    print(json.dumps(told))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]))
