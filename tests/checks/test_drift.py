"""Groups that moved are found; groups drawn by lot are not."""

import numpy as np
import pandas as pd
import pytest

from curate.checks import drift
from curate.drift_test import moved
from tests.helpers.pictures import Pictures, drawn, exposed, measured


def plain(n: int, rng: np.random.Generator, n_measures: int = 8) -> pd.DataFrame:
    """Measures that belong together, some of them skewed."""
    values = rng.normal(size=(n, n_measures)) @ rng.normal(size=(n_measures, n_measures))
    values[:, ::2] = np.exp(values[:, ::2] / 2)
    return pd.DataFrame(values, columns=[f"m{number}" for number in range(n_measures)])


def test_random_groups_are_hardly_ever_called_moved() -> None:
    alarms = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        n_parts, n_groups = int(rng.integers(30, 80)), int(rng.integers(2, 5))
        values = plain(n_parts, rng)
        groups = rng.choice([f"L{number}" for number in range(n_groups)], n_parts).tolist()
        alarms += bool(moved(values, groups, [f"p{part}" for part in range(n_parts)], 1, rng))
    assert alarms <= 10


def test_many_pictures_of_a_part_are_no_evidence() -> None:
    alarms = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        parts = np.repeat(np.arange(24), 20)
        values = plain(24, rng).iloc[parts].reset_index(drop=True) + 0.01 * rng.normal(size=(480, 8))
        group_of = rng.permutation(["L1", "L2"] * 12)
        alarms += bool(moved(values, group_of[parts].tolist(), parts.astype(str).tolist(), 1, rng))
    assert alarms <= 4


def test_the_group_that_moved_is_named_with_what_moved() -> None:
    rng = np.random.default_rng(0)
    values = pd.DataFrame(rng.normal(size=(80, 4)), columns=["a", "b", "c", "d"])
    groups = [f"L{row % 4}" for row in range(80)]
    values.loc[2::4, "b"] -= 3
    (found,) = moved(values, groups, [str(row) for row in range(80)], 1, rng)
    assert (found.name, found.others) == ("L2", ("L0", "L1", "L3"))
    assert set(found.effects) == {"b"}
    assert -1 <= found.effects["b"] < -0.8
    assert found.p <= 0.002


def test_cliffs_delta_is_one_where_all_are_above() -> None:
    values = pd.DataFrame({"a": np.arange(40.0)})
    (found,) = moved(
        values, ["low"] * 25 + ["high"] * 15, [str(row) for row in range(40)], 1, np.random.default_rng(0)
    )
    assert found.name == "high"
    assert found.effects["a"] == pytest.approx(1)


def test_small_groups_and_small_effects_are_left_out() -> None:
    rng = np.random.default_rng(0)
    values = pd.DataFrame({"a": rng.normal(size=2000)})
    values.loc[:999, "a"] += 0.3  # certain, but small
    parts = [str(row) for row in range(2000)]
    assert moved(values, ["L1"] * 1000 + ["L2"] * 1000, parts, 1, rng) == []
    values.loc[:8, "a"] += 50
    assert moved(values, ["few"] * 9 + ["many"] * 1991, parts, 1, rng) == []


@pytest.fixture
def pictures() -> Pictures:
    pictures = measured(drawn(48))
    pictures.named("lot", [f"L{number // 16}" for number in range(48)])
    return pictures


def test_exchangeable_lots_are_in_order(pictures: Pictures) -> None:
    pictures.named("site", ["north", "south"] * 24)
    pictures.named("captured_at", [f"2031-03-{1 + number % 28:02d}" for number in range(48)])
    assert drift.run(pictures.evidence()) == []


def test_a_darker_lot_is_found_by_its_statistics(pictures: Pictures) -> None:
    pictures.change(range(16, 32), exposed(0.9))
    (fault,) = drift.run(pictures.evidence())
    assert fault.message.startswith('Lot L1 of category "film" differs from 2 other lots: ')
    assert "median brightness 0.408 instead of 0.455" in fault.message
    assert "16 of 48 pictures" in fault.message
    assert [fault.relative_path, *fault.related] == pictures.paths(range(16, 32))


def test_another_appearance_is_found_by_the_embeddings(pictures: Pictures) -> None:
    pictures.vectors[32:, :8] += 2.5
    (fault,) = drift.run(pictures.evidence())
    assert fault.message.startswith('Lot L2 of category "film"')
    assert "appearance (direction 1)" in fault.message


def test_a_change_over_time_is_found_without_lots(pictures: Pictures) -> None:
    pictures.named("lot", [None] * 48)
    pictures.named(
        "captured_at", [f"2031-03-01T{number // 2:02d}:{number % 2 * 30:02d}" for number in range(48)]
    )
    pictures.change(range(36, 48), exposed(0.85))
    (fault,) = drift.run(pictures.evidence())
    assert fault.message.startswith("Period 2031-03-01T18:00 to 2031-03-01T23:30 of category")


def test_pictures_labelled_anomalous_do_not_count(pictures: Pictures) -> None:
    pictures.change(range(16, 32), exposed(0.8))
    pictures.named("label", ["anomalous" if 16 <= row < 32 else "normal" for row in range(48)])
    assert drift.run(pictures.evidence()) == []


def test_row_order_does_not_matter_and_few_pictures_are_not_judged(pictures: Pictures) -> None:
    pictures.change(range(16, 32), exposed(0.85))
    found = drift.run(pictures.evidence())
    assert drift.run(pictures.evidence(np.random.default_rng(1).permutation(48))) == found
    assert drift.run(pictures.evidence([*range(9), *range(16, 25)])) == []
