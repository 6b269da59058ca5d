"""Decoding and encoding: exact pixels, facts of the file, and every kind of damage."""

import hashlib
import subprocess
import sys
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from curate.errors import Unreadable
from curate.images import encode_png, hear_warnings, listening, probe, read_hw, read_image, read_stored
from tests.helpers.ordinary_user import open_folder, ordinary_user
from tests.helpers.places import REPOSITORY

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (48, 64), np.uint8)
COLOUR = RNG.integers(0, 256, (48, 64, 3), np.uint8)
COLOUR_16 = RNG.integers(0, 65536, (48, 64, 3), np.uint16)
LOSSLESS = ("png", "bmp", "tif")


def saved(path: Path, array: np.ndarray, **options: object) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_read_gives_the_stored_colours_in_rgb_order(tmp_path: Path, suffix: str) -> None:
    assert np.array_equal(read_image(saved(tmp_path / f"a.{suffix}", COLOUR)), COLOUR)


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_read_repeats_grey(tmp_path: Path, suffix: str) -> None:
    image = read_image(saved(tmp_path / f"a.{suffix}", GREY))
    assert image.shape == (48, 64, 3)
    assert all(np.array_equal(image[:, :, channel], GREY) for channel in range(3))


def test_read_drops_alpha_and_keeps_colours_below_it(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", np.dstack([COLOUR, GREY]))
    assert np.array_equal(read_image(path), COLOUR)
    assert probe(path).channels == 4


def test_read_resolves_a_transparent_palette(tmp_path: Path) -> None:
    picture = Image.fromarray(COLOUR).quantize(16)
    picture.save(tmp_path / "a.png", transparency=bytes([0, 9] * 8))
    assert np.array_equal(read_image(tmp_path / "a.png"), np.asarray(picture.convert("RGB")))
    assert probe(tmp_path / "a.png").channels == 3


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_read_keeps_16_bits(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(cv2.imencode(suffix, COLOUR_16[:, :, ::-1])[1].tobytes())
    image = read_image(path)
    assert image.dtype == np.uint16
    assert np.array_equal(image, COLOUR_16)
    assert probe(path).bit_depth == 16


def test_read_keeps_16_bit_grey(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", COLOUR_16[:, :, 0])
    assert np.array_equal(read_stored(path), COLOUR_16[:, :, 0])


def test_read_ignores_exif_orientation_and_probe_tells_it(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    path = saved(tmp_path / "a.jpg", COLOUR, exif=exif)
    assert read_image(path).shape == (48, 64, 3)
    assert probe(path).orientation == 6


def test_read_takes_a_line_scan_picture_that_pillow_calls_a_bomb(tmp_path: Path) -> None:
    path = tmp_path / "long.png"
    path.write_bytes(encode_png(np.zeros((60000, 3000), np.uint8)))
    assert read_hw(path) == (60000, 3000)
    assert read_stored(path).shape == (60000, 3000)


def test_probe_tells_what_the_file_holds(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", GREY > 127)
    facts = probe(path)
    assert (facts.width, facts.height, facts.bit_depth, facts.channels) == (64, 48, 1, 1)
    assert facts.size_bytes == path.stat().st_size
    assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert read_hw(path) == (48, 64)


def test_pixel_checksum_is_equal_for_one_picture_in_several_files(tmp_path: Path) -> None:
    paths = [saved(tmp_path / f"grey.{suffix}", GREY) for suffix in LOSSLESS]
    paths.append(saved(tmp_path / "colour.png", np.dstack([GREY] * 3)))
    assert len({probe(path).pixel_sha256 for path in paths}) == 1
    assert len({probe(path).sha256 for path in paths}) == 4


def test_pixel_checksum_differs_for_other_shape_or_pixel(tmp_path: Path) -> None:
    other = GREY.copy()
    other[7, 5] ^= 1
    pictures = [GREY, other, GREY.reshape(64, 48), COLOUR, GREY.astype(np.uint16)]
    sums = {probe(saved(tmp_path / f"{k}.png", picture)).pixel_sha256 for k, picture in enumerate(pictures)}
    assert len(sums) == len(pictures)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.tif", "lzw.tif", "deep.png", "deep.tif"])
@pytest.mark.parametrize("kept", [0.35, 0.7, 0.97])
def test_a_file_cut_short_is_unreadable(tmp_path: Path, name: str, kept: float) -> None:
    path = tmp_path / name
    if name.startswith("deep"):
        path.write_bytes(cv2.imencode(path.suffix, COLOUR_16)[1].tobytes())
    else:
        saved(path, COLOUR, **({"compression": "tiff_lzw"} if name == "lzw.tif" else {}))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(Unreadable, match=rf"{name} (is cut short|is damaged).*(Copy or download|remove)"):
        probe(path)


def test_a_jpeg_cut_after_its_thumbnail_is_unreadable(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", COLOUR, comment=b"\xff\xd9 like the end of a thumbnail")
    assert probe(path).width == 64
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(Unreadable, match="cut short"):
        probe(path)


def test_a_flipped_bit_in_a_png_is_found(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", COLOUR)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(Unreadable, match="wrong checksum in the PNG's IDAT part"):
        read_image(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"a\.png is empty \(0 bytes\)\. Copy"),
        (b"<html>not found</html>", r"a\.png is not a PNG, JPEG, BMP or TIFF image .*<html>"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer.*git lfs pull"),
        (b"GIF89a" + bytes(50), "is not a PNG"),
        (b"\xff\xd8\xff", "cut short"),
        (b"\x89PNG\r\n\x1a\n", "cut short"),
        (b"BM" + bytes(60), "damaged|is not a"),
    ],
)
def test_what_is_no_image_is_unreadable(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=message):
        probe(path)


def test_32_bit_pixels_are_refused_with_the_way_out(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tif", GREY.astype(np.float32))
    with pytest.raises(
        Unreadable, match=r"32 bits per channel, expected 8 or 16\. Convert it to a 16-bit PNG"
    ):
        read_image(path)


def test_missing_files_folders_and_dead_links_are_unreadable(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"none\.png does not exist"):
        probe(tmp_path / "none.png")
    with pytest.raises(Unreadable, match="directory"):
        probe(tmp_path)
    (tmp_path / "dead.png").symlink_to("nowhere.png")
    with pytest.raises(Unreadable, match="link to a file that does not exist"):
        probe(tmp_path / "dead.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    with pytest.raises(Unreadable, match="leads back to itself"):
        probe(tmp_path / "loop.png")


def test_a_file_without_permission_is_unreadable() -> None:
    with open_folder() as folder:
        path = saved(folder / "a.png", GREY)
        path.chmod(0o000)
        with ordinary_user(), pytest.raises(Unreadable, match=r"no permission.*chmod u\+r"):
            probe(path)


def test_names_in_any_writing_can_be_read(tmp_path: Path) -> None:
    for name in ("brückenplatte ü.png", "基板 7.png", "caf\udce9.png"):
        assert read_image(saved(tmp_path / "plain.png", COLOUR).rename(tmp_path / name)).shape == (48, 64, 3)
    (tmp_path / "caf\udce9.png").write_bytes(b"")
    with pytest.raises(Unreadable, match=r"caf\\xe9\.png is empty"):
        probe(tmp_path / "caf\udce9.png")


def test_what_pillow_refuses_is_not_printed_too(tmp_path: Path) -> None:
    """In a process of its own: pytest takes what is logged."""
    content = saved(tmp_path / "a.tif", GREY).read_bytes()
    entry = content.find(b"\x15\x01")  # SamplesPerPixel
    (tmp_path / "a.tif").write_bytes(content[: entry + 8] + b"\x30\x75" + content[entry + 10 :])
    script = "import sys\nfrom pathlib import Path\nfrom curate.images import probe\nprobe(Path(sys.argv[1]))"
    command = [sys.executable, "-c", script, str(tmp_path / "a.tif")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert "a.tif is not a PNG, JPEG, BMP or TIFF image" in done.stderr.splitlines()[-1]
    assert "More samples per pixel than can be decoded: 30000" not in done.stderr


def test_warnings_of_pillow_are_heard_or_dropped_but_never_printed(tmp_path: Path) -> None:
    content = saved(tmp_path / "a.tif", GREY).read_bytes()
    entry = content.find(b"\x16\x01")  # RowsPerStrip: as many of them as the file has not
    damaged = content[: entry + 4] + (1 << 20).to_bytes(4, "little") + content[entry + 8 :]
    (tmp_path / "a.tif").write_bytes(damaged)
    with warnings.catch_warnings(record=True) as printed:
        hear_warnings()
        assert read_hw(tmp_path / "a.tif") == GREY.shape
        with listening() as heard:
            read_hw(tmp_path / "a.tif")
    assert printed == [] and "Skipping tag 278" in heard[0]


def test_decoders_write_nothing_to_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    saved(tmp_path / "profile.png", COLOUR, icc_profile=b"x" * 200)
    saved(tmp_path / "noise.jpg", COLOUR)
    content = bytearray((tmp_path / "noise.jpg").read_bytes())
    content[-400:-300] = bytes(100)
    (tmp_path / "noise.jpg").write_bytes(bytes(content))
    read_image(tmp_path / "profile.png")
    read_image(tmp_path / "noise.jpg")
    assert capfd.readouterr() == ("", "")


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 12), st.just(3))), st.integers(0, 9))
def test_encode_is_lossless_at_every_compression(image: np.ndarray, compression: int) -> None:
    encoded = encode_png(image, compression)
    assert np.array_equal(cv2.imdecode(np.frombuffer(encoded, np.uint8), 1)[:, :, ::-1], image)
    assert encoded == encode_png(image.copy(), compression)


def test_encode_writes_bool_as_0_and_255(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode_png(GREY > 127))
    assert np.array_equal(read_stored(tmp_path / "a.png"), np.where(GREY > 127, 255, 0))


def test_encode_refuses_other_types() -> None:
    with pytest.raises(ValueError, match=r"uint8 or uint16; found \(48, 64\) float64"):
        encode_png(GREY / 2)
    with pytest.raises(ValueError, match=r"found \(48, 64, 4\)"):
        encode_png(np.dstack([COLOUR, GREY]))
