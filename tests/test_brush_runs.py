"""Label Studio's brush masks: by hand, against an obvious reading of the format, and what is refused."""

import numpy as np
import pytest

from curate.brush_runs import decode, encode
from tests.helpers.outside import random_mask
from tests.oracles.brush import alpha_of

# 1 x 3 pixels, the second on the defect: 12 values; runs of 4 zeros, 4 times 255, 4 zeros
HEAD = f"{12:032b}" + f"{7:05b}" + "0010" + "0011" + "0111" + "1111"
RUNS = (
    ("1" + "00" + "011" + "00000000") + ("1" + "00" + "011" + "11111111") + ("1" + "00" + "011" + "00000000")
)


def packed(bits: str) -> list[int]:
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


def test_a_mask_is_packed_as_written_by_hand() -> None:
    assert encode(np.array([[False, True, False]])) == packed(HEAD + RUNS)
    assert decode(packed(HEAD + RUNS), (1, 3)).tolist() == [[0, 255, 0]]


def test_values_that_are_not_repeated_are_read_and_alpha_counts() -> None:
    literal = (
        "0" + "01" + "1011" + "".join(f"{value:08b}" for value in (9, 9, 9, 0, 1, 2, 3, 77, 0, 0, 0, 255))
    )
    assert decode(packed(HEAD + literal), (1, 3)).tolist() == [[0, 77, 255]]


@pytest.mark.parametrize("seed", range(20))
def test_masks_are_read_as_the_obvious_reader_does_and_come_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = random_mask(rng) if seed % 2 else rng.random((int(rng.integers(1, 9)), 7)) < rng.random()
    content = encode(mask)
    assert np.array_equal(np.reshape(alpha_of(content), mask.shape), mask * 255)
    assert np.array_equal(decode(content, mask.shape), mask * 255)


def test_runs_of_every_length_class_come_back() -> None:
    mask = np.zeros((300, 301), dtype=bool)  # 361,200 values: more than one run of 65,536
    mask[0, [0, 2, 6, 40, 200]] = mask[1:3, 5:90] = mask[299, 300] = True
    assert np.array_equal(decode(encode(mask), mask.shape), mask * 255)
    assert np.array_equal(np.reshape(alpha_of(encode(mask)), mask.shape), mask * 255)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (packed(HEAD + RUNS)[:-2], "cut short"),
        (packed(HEAD), "cut short"),
        ([], "cut short"),
        (packed(HEAD + "1" + "11" + "1" * 16 + "0" * 8), "over the end of the image"),
        (packed(f"{16:032b}" + HEAD[32:] + RUNS), r"over 4 pixels of 8 bits, but the image has 3"),
        (packed(HEAD[:32] + "00000" + HEAD[37:] + RUNS), "of 1 bits"),
        ([1, 2, 256], "not a list of bytes"),
        ([1, True], "not a list of bytes"),
        (["1"], "not a list of bytes"),
    ],
)
def test_what_is_no_brush_of_the_image_is_refused(content: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode(content, (1, 3))


def test_a_brush_that_claims_a_billion_pixels_takes_no_memory() -> None:
    with pytest.raises(ValueError, match="but the image has 3"):
        decode(packed("1" * 32 + HEAD[32:] + RUNS), (1, 3))
