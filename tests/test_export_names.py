"""Names of exported files: unique, safe, and in an order that pairs images with masks."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from curate.export_names import stems, unsafe

STEMS = st.text(alphabet="aA1_é.:\n ", min_size=1, max_size=5)


def ids(paths: list[str]) -> dict[str, str]:
    return {hashlib.sha256(path.encode()).hexdigest()[:16]: path for path in paths}


@given(st.lists(st.tuples(st.sampled_from(["x", "y"]), STEMS), unique=True, max_size=12))
def test_stems_are_unique_safe_and_sort_like_their_masks(names: list[tuple[str, str]]) -> None:
    chosen = list(stems(ids([f"{folder}/{stem}.png" for folder, stem in names])).values())
    assert len({stem.casefold() for stem in chosen}) == len(names)
    assert not [stem for stem in chosen if unsafe(stem)]
    images = sorted(chosen, key=lambda stem: f"{stem}.png")
    masks = sorted(chosen, key=lambda stem: f"{stem}_mask.png")
    assert images == masks


def test_unique_stems_are_kept() -> None:
    assert set(stems(ids(["a/001.png", "b/Träger 2.bmp", "c/x.y.jpg"])).values()) == {
        "001",
        "Träger 2",
        "x.y",
    }


def test_equal_stems_get_the_start_of_their_ids_whatever_comes_first() -> None:
    paths = ids(["a/001.png", "b/001.png", "c/001.JPG", "d/002.png"])
    chosen = stems(paths)
    assert chosen == stems(dict(reversed(paths.items())))
    for sample_id, path in paths.items():
        assert chosen[sample_id] == ("002" if "002" in path else f"001_{sample_id[:8]}")


def test_very_long_names_are_cut() -> None:
    (stem,) = stems(ids(["a/" + "é" * 120 + ".png"])).values()
    assert len(f"{stem}_mask.png".encode()) <= 255
