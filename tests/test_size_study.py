"""Size studies: distribution and bins by hand, recall by size, and what is said without detector or scale."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from curate.errors import DataFault
from curate.intervals import proportion
from curate.region_table import diameter
from curate.size_bins import bins_by
from curate.size_study import size_study
from curate.tables import from_rows
from tests.helpers.stored import sample_id


def table(
    areas: list[int], um: float | None = None, per_image: int = 1, **columns: list[Any]
) -> pd.DataFrame:
    rows = []
    for index, area in enumerate(areas):
        across = float(diameter(area))
        row = {
            "sample_id": sample_id(str(index // per_image)), "region": index % per_image + 1,
            "area_px": area, "diameter_px": across, "area_fraction": area / (48 * 64),
            "area_um2": None if um is None else area * um**2,
            "diameter_um": None if um is None else across * um,
        }  # fmt: skip
        rows.append({**row, **{name: values[index] for name, values in columns.items()}})
    return from_rows(rows, list(rows[0]) if rows else ["sample_id", "area_px", "diameter_px", "area_fraction",
                                                       "area_um2", "diameter_um"])  # fmt: skip


def test_distribution_by_hand() -> None:
    study = size_study(table([4, 8, 12, 16, 100], um=2.0))
    area = study["sizes"]["area_px"]
    assert (area["n"], area["min"], area["median"], area["max"]) == (5, 4, 12, 100)
    assert area["p5"] == pytest.approx(np.quantile([4, 8, 12, 16, 100], 0.05))
    assert study["sizes"]["area_um2"]["median"] == 48
    assert study["sizes"]["diameter_um"]["median"] == pytest.approx(2 * 2 * (12 / np.pi) ** 0.5)
    assert study["sizes"]["area_fraction"]["max"] == 100 / 3072
    histogram = study["histogram"]
    assert sum(histogram["counts"]) == 5 and len(histogram["edges"]) == len(histogram["counts"]) + 1
    assert histogram["edges"][4] == pytest.approx(2 * histogram["edges"][0])
    json.dumps(study, allow_nan=False)


def test_octaves_are_the_same_for_every_dataset() -> None:
    assert bins_by("octaves", np.array([3.0, 20.0])).edges == (2.0, 4.0, 8.0, 16.0, 32.0)
    assert bins_by("octaves", np.array([4.0])).edges == (4.0, 8.0)
    assert bins_by("octaves", np.zeros(0)).edges == ()


def test_each_region_is_in_the_bin_that_holds_it() -> None:
    bins = bins_by([2, 4, 8], np.zeros(0))
    assert bins.of(np.array([1.9, 2.0, 3.99, 4.0, 8.0, 8.01])).tolist() == [-1, 0, 0, 1, 1, -1]


@pytest.mark.parametrize("n_each", [1, 7, 20])
def test_quantile_bins_hold_enough_regions_and_all_of_them(n_each: int) -> None:
    diameters = np.random.default_rng(n_each).integers(3, 12, 90).astype(float)
    bins = bins_by(f"quantiles:{n_each}", diameters)
    counts = np.bincount(bins.of(diameters))
    assert counts.sum() == 90 and counts.min() >= n_each
    assert len(counts) > 1
    few = bins_by("quantiles:200", diameters)
    assert np.bincount(few.of(diameters)).tolist() == [90]
    assert np.bincount(bins_by("quantiles", np.full(5, 3.0)).of(np.full(5, 3.0))).tolist() == [5]


@pytest.mark.parametrize("wrong", ["octave", "quantiles:0", "quantiles:x", "3", "5,2", "-1,2", "1,nan", ""])
def test_wrong_bins_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="Expected"):
        bins_by(wrong, np.array([3.0]))


def test_recall_by_size_has_exact_intervals_under_both_meanings() -> None:
    study = size_study(
        table([9] * 4 + [900] * 2, found_any=[True, True, True, False, True, True],
              found_overlap=[0.5, 0.3, 0.29, 0.0, 1.0, 0.1]),
        bins="1,10,50",
    )  # fmt: skip
    small, large = study["bins"]
    assert (small["bin"], small["n"], small["n_images"]) == ("1-10 px", 4, 4)
    expected = proportion(3, 4)
    assert (small["found_any"]["value"], small["found_any"]["low"]) == (0.75, expected.low)
    assert small["found_any"]["method"] == "clopper-pearson"
    assert small["found_overlap"]["value"] == 0.5
    assert large["found_overlap"]["value"] == 0.5
    assert study["rule"]["name"] == "given" and study["n_outside"] == 0
    assert size_study(table([9, 900]), bins="1,10")["n_outside"] == 1


def test_decided_overlap_counts_as_its_decision() -> None:
    shares = size_study(table([9] * 3, found_any=[True] * 3, found_overlap=[0.5, 0.2, 0.9]))
    decided = size_study(table([9] * 3, found_any=[True] * 3, found_overlap=[True, False, True]))
    assert shares["bins"] == decided["bins"]


def test_regions_of_one_part_are_no_independent_trials() -> None:
    hits = [index % 10 < 3 + index // 10 for index in range(40)]
    alone = size_study(table([9] * 40, found_any=hits, found_overlap=[1.0] * 40))
    parts = [f"part {index // 10}" for index in range(40)]
    together = size_study(table([9] * 40, found_any=hits, found_overlap=[1.0] * 40, part_id=parts))
    assert alone["bins"][0]["found_any"]["method"] == "clopper-pearson"
    assert together["bins"][0]["found_any"]["method"] == "group bootstrap"
    assert together["n_groups"] == 4


def test_smallest_size_found_follows_the_unit() -> None:
    rng = np.random.default_rng(4)
    areas = np.exp(rng.normal(4.5, 1.5, 300)).astype(int) + 1
    chance = expit(3 * np.log(diameter(areas) / 9))
    hits = (rng.uniform(size=300) < chance).tolist()
    regions = table(areas.tolist(), um=5.0, found_any=hits, found_overlap=[float(hit) for hit in hits])
    px = size_study(regions, n_replicates=40)["smallest"]["found_any"]
    um = size_study(regions, n_replicates=40, unit="um")["smallest"]["found_any"]
    assert px["status"] == "fitted" and px["low"] < px["value"]
    assert um["value"] == pytest.approx(5 * px["value"], rel=1e-3)
    assert set(px["curve"]) == {"offset", "slope", "guess", "lapse"}


def test_without_a_detector_sizes_are_told_and_recall_is_not() -> None:
    study = size_study(table([9, 16]))
    assert study["smallest"] == {"found_any": None, "found_overlap": None}
    assert study["bins"][0]["found_any"] is None and study["bins"][0]["n"] == 1
    assert study["sizes"]["diameter_um"] == {
        "n": 0, "min": None, "p5": None, "median": None, "p95": None, "max": None
    }  # fmt: skip


def test_without_regions_everything_is_empty() -> None:
    study = size_study(table([]))
    assert (study["n_regions"], study["bins"], study["histogram"]) == (0, [], {"edges": [], "counts": []})


def test_micrometres_need_a_scale() -> None:
    with pytest.raises(DataFault, match="2 images with defects have no um_per_px"):
        size_study(table([9, 16]), unit="um")
    with pytest.raises(ValueError, match='"px" or "um"; found "mm"'):
        size_study(table([9]), unit="mm")
