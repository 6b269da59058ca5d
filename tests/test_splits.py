"""Splits: every law as a property, every policy on a case worked out by hand."""

from collections import Counter
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import DataFault
from curate.splits import Fractions, assign, leaks, shortages
from tests.helpers.tables import row, table

TYPES = ("stain", "spot", "dent")


def merged(samples: pd.DataFrame, **options: Any) -> pd.DataFrame:
    return samples.merge(assign(samples, **options), on="sample_id", validate="one_to_one")


def counted(samples: pd.DataFrame, **options: Any) -> dict[tuple[str, str], int]:
    """Images by label and assigned split."""
    split = merged(samples, **options)
    return dict(Counter(zip(split["label"], split["assigned_split"], strict=True)))


@st.composite
def datasets(draw: st.DrawFn) -> pd.DataFrame:
    """Categories with enough normal parts to train on; some parts have several images, some span two."""
    rows = []
    for category in draw(st.sampled_from([("acf",), ("acf", "trace"), ("acf", "sus", "trace")])):
        n_parts = draw(st.integers(3, 20))
        for index in range(draw(st.integers(n_parts, 2 * n_parts))):
            part = f"{category}{index % n_parts}"
            if index >= n_parts:
                part = draw(st.sampled_from([part, "acf0", f"{category}x{index}"]))
            label = "normal" if index < n_parts else draw(st.sampled_from(["normal", "anomalous", "unknown"]))
            types = draw(st.lists(st.sampled_from(TYPES), unique=True)) if label == "anomalous" else []
            name = f"{category}/{index}.png"
            rows.append(row(name, label, category=category, part_id=part, defect_types=types))
    return table(rows)


@given(samples=datasets(), seed=st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_every_sample_is_assigned_once_and_no_part_is_divided(samples: pd.DataFrame, seed: int) -> None:
    split = merged(samples, seed=seed)
    assert sorted(split["sample_id"]) == sorted(samples["sample_id"])
    assert set(split["assigned_split"]) <= {"train", "calibration", "test"}
    assert split.groupby("part_id")["assigned_split"].nunique().max() == 1


@given(samples=datasets(), seed=st.integers(0, 9), order=st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_row_order_never_matters(samples: pd.DataFrame, seed: int, order: Any) -> None:
    rows = list(range(len(samples)))
    order.shuffle(rows)
    assert assign(samples.iloc[rows], seed=seed).equals(assign(samples, seed=seed))


@given(samples=datasets(), seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_other_categories_do_not_change_a_split(samples: pd.DataFrame, seed: int) -> None:
    apart = samples.copy()
    apart["part_id"] = [f"{c}/{p}" for c, p in zip(apart["category"], apart["part_id"], strict=True)]
    alone = apart[apart["category"] == "acf"]
    together = assign(apart, seed=seed)
    assert assign(alone, seed=seed).equals(
        together[together["sample_id"].isin(alone["sample_id"])].reset_index(drop=True)
    )


@given(
    n_normal=st.integers(4, 60),
    per_type=st.lists(st.integers(0, 12), min_size=3, max_size=3),
    seed=st.integers(0, 50),
)
@settings(max_examples=80, deadline=None)
def test_fractions_are_met_within_one_image_in_every_stratum(
    n_normal: int, per_type: list[int], seed: int
) -> None:
    rows = [row(f"n{i}") for i in range(n_normal)]
    for kind, number in zip(TYPES, per_type, strict=True):
        rows += [row(f"{kind}{i}", "anomalous", defect_types=[kind]) for i in range(number)]
    split = merged(table(rows), seed=seed)
    normal = Counter(split[split["label"] == "normal"]["assigned_split"])
    for name, share in (("train", 0.6), ("calibration", 0.15), ("test", 0.25)):
        assert abs(normal[name] - share * n_normal) <= 1 + 1e-9
    for kind, number in zip(TYPES, per_type, strict=True):
        found = Counter(split[[t == [kind] for t in split["defect_types"]]]["assigned_split"])
        assert found["train"] == 0
        assert abs(found["calibration"] - 0.35 * number) <= 1 + 1e-9


@given(seed=st.integers(0, 50))
@settings(max_examples=20, deadline=None)
def test_many_small_strata_do_not_add_up_their_rounding(seed: int) -> None:
    pairs = []
    for i in range(100):
        part = f"pair {i}"
        pairs += [
            row(f"{i}_temp", part_id=part),
            row(f"{i}_test", "anomalous", part_id=part, defect_types=[f"type {i % 50}"]),
        ]
    found = counted(table(pairs), seed=seed)
    assert found["normal", "train"] == found["anomalous", "train"]
    assert abs(found["normal", "train"] - 60) <= 2
    assert abs(found["normal", "calibration"] - 15) <= 2


def test_seeds_give_different_splits_and_equal_seeds_equal_ones() -> None:
    samples = table([row(f"n{i}") for i in range(40)])
    assert assign(samples, seed=1).equals(assign(samples, seed=1))
    assert not assign(samples, seed=1).equals(assign(samples, seed=2))


def test_groups_of_several_images_stay_near_the_fractions() -> None:
    rows = [row(f"n{i}", part_id=f"tile {i // 5}") for i in range(300)]
    found = counted(table(rows))
    assert abs(found["normal", "train"] - 180) <= 5
    assert abs(found["normal", "calibration"] - 45) <= 5


def test_groups_of_normal_images_only_fill_train_first() -> None:
    rows = [row(f"pure{i}") for i in range(60)]
    for i in range(40):
        rows += [row(f"ok{i}", part_id=f"p{i}"), row(f"ng{i}", "anomalous", part_id=f"p{i}")]
    found = counted(table(rows))
    assert found["normal", "train"] == 60
    assert ("anomalous", "train") not in found
    assert found["normal", "calibration"] == found["anomalous", "calibration"] == 15
    assert found["normal", "test"] == found["anomalous", "test"] == 25


def test_small_sets_still_give_calibration_and_test_both_labels() -> None:
    rows = [row(f"n{i}") for i in range(3)] + [row(f"a{i}", "anomalous") for i in range(2)]
    for seed in range(20):
        samples = table(rows)
        assert shortages(samples, assign(samples, seed=seed)) == []


def test_shortages_say_what_is_lacking() -> None:
    samples = table([row(f"n{i}") for i in range(20)] + [row("a", "anomalous")])
    lines = shortages(samples, assign(samples))
    assert lines == ['category "weave" has no anomalous image in calibration (of 1 in all)'] or lines == [
        'category "weave" has no anomalous image in test (of 1 in all)'
    ]


def test_samples_that_nobody_has_looked_at_go_to_test() -> None:
    rows = [row(f"n{i}") for i in range(10)] + [row(f"u{i}", "unknown") for i in range(5)]
    assert counted(table(rows))["unknown", "test"] == 5


def test_delivered_train_and_calibration_are_kept_and_test_is_divided() -> None:
    rows = [row(f"n{i}", split="train") for i in range(20)]
    rows += [row(f"g{i}", split="test") for i in range(10)]
    for kind in ("stain", "spot"):
        rows += [row(f"{kind}{i}", "anomalous", defect_types=[kind], split="test") for i in range(10)]
    split = merged(table(rows))
    assert set(split[split["split"] == "train"]["assigned_split"]) == {"train"}
    tested = split[split["split"] == "test"]
    for types in ([], ["stain"], ["spot"]):
        found = Counter(tested[[t == types for t in tested["defect_types"]]]["assigned_split"])
        assert found == {"calibration": 3, "test": 7}


def test_delivered_validation_becomes_calibration_and_test_gives_only_what_it_lacks() -> None:
    rows = [row(f"n{i}", split="train") for i in range(20)]
    rows += [row(f"v{i}", split="val") for i in range(6)] + [row(f"g{i}", split="test") for i in range(10)]
    rows += [row(f"a{i}", "anomalous", split="test") for i in range(10)]
    found = counted(table(rows), policy="delivered")
    assert found == {
        ("normal", "train"): 20,
        ("normal", "calibration"): 6,
        ("normal", "test"): 10,
        ("anomalous", "calibration"): 3,
        ("anomalous", "test"): 7,
    }


def test_a_complete_delivered_split_is_kept_as_it_is() -> None:
    rows = []
    for label in ("normal", "anomalous"):
        rows += [row(f"{label}{i}", label, split=("calibration", "test")[i % 2]) for i in range(8)]
    rows += [row(f"t{i}", split="train") for i in range(8)]
    split = merged(table(rows))
    assert list(split["assigned_split"]) == list(split["split"])


def test_auto_decides_for_each_category_and_random_ignores_what_was_delivered() -> None:
    rows = [row(f"d{i}", split="train" if i < 9 else "test", category="acf") for i in range(10)]
    rows += [row(f"r{i}", category="sus") for i in range(10)]
    samples = table(rows)
    split = merged(samples)
    delivered = split[split["category"] == "acf"]
    assert set(delivered[delivered["split"] == "train"]["assigned_split"]) == {"train"}
    assert set(split[split["category"] == "sus"]["assigned_split"]) == {"train", "calibration", "test"}
    assert counted(samples[samples["category"] == "acf"], policy="random")["normal", "train"] == 6


def test_parts_delivered_in_two_splits_are_refused_by_name() -> None:
    rows = [row(f"n{i}", split="train") for i in range(5)]
    rows += [row("a/1", split="train", part_id="board 7"), row("b/2", split="test", part_id="board 7")]
    samples = table(rows)
    with pytest.raises(DataFault, match=r'1 parts.*\n  part "board 7" \(2 images; test: b/2, train: a/1\)'):
        assign(samples)
    assert leaks(samples) == ['part "board 7" (2 images; test: b/2, train: a/1)']
    assert merged(samples, policy="random").groupby("part_id")["assigned_split"].nunique().max() == 1


def test_further_columns_keep_samples_together() -> None:
    rows = [row(f"n{i}", lot=f"lot {i // 4}" if i < 32 else None, product=f"p{i % 3}") for i in range(40)]
    split = merged(table(rows), group="lot")
    assert split.groupby("lot")["assigned_split"].nunique().max() == 1
    assert split[split["lot"].isna()]["assigned_split"].nunique() > 1
    with pytest.raises(ValueError, match="No column batch"):
        assign(table(rows), group="batch")


@pytest.mark.parametrize("seed", range(10))
def test_equal_pictures_stay_together(seed: int) -> None:
    rows = [row(f"n{i}") for i in range(12)] + [row(f"copy{i}", pixel_sha256="same") for i in range(4)]
    split = merged(table(rows), seed=seed)
    assert split[split["pixel_sha256"] == "same"]["assigned_split"].nunique() == 1


@pytest.mark.parametrize("seed", range(10))
def test_equal_pictures_of_a_delivered_test_stay_together(seed: int) -> None:
    rows = [row(f"t{i}", split="train") for i in range(8)] + [row(f"n{i}", split="test") for i in range(12)]
    rows += [row(f"copy{i}", split="test", pixel_sha256="same") for i in range(4)]
    split = merged(table(rows), seed=seed)
    assert split[split["pixel_sha256"] == "same"]["assigned_split"].nunique() == 1


def test_a_picture_delivered_in_train_and_test_stays_where_it_was_delivered() -> None:
    rows = [row(f"t{i}", split="train") for i in range(8)] + [row(f"n{i}", split="test") for i in range(8)]
    rows += [row(f"{part}{i}", split=part, pixel_sha256="same") for part in ("train", "test") for i in (0, 1)]
    found = merged(table(rows)).set_index("relative_path")["assigned_split"]
    assert found["train0"] == found["train1"] == "train"
    assert found["test0"] == found["test1"] != "train"


def test_delivered_policy_needs_a_delivered_split() -> None:
    with pytest.raises(DataFault, match=r"lack one:\n  weave\n.*auto"):
        assign(table([row("a"), row("b")]), policy="delivered")


def test_a_category_without_normal_images_to_train_on_is_refused() -> None:
    rows = [row(f"a{i}", "anomalous", category="sus") for i in range(5)] + [row("n"), row("m")]
    with pytest.raises(DataFault, match=r"no normal image left to train on:\n  sus"):
        assign(table(rows))


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match='Unknown policy "half"'):
        assign(table([row("a")]), policy="half")
    with pytest.raises(ValueError, match=r"train \+ calibration \+ test = 1"):
        Fractions(train=0.9)
    with pytest.raises(DataFault, match="no samples"):
        assign(table([]))


def test_own_fractions_are_used() -> None:
    samples = table([row(f"n{i}") for i in range(20)] + [row(f"a{i}", "anomalous") for i in range(10)])
    found = counted(samples, fractions=Fractions(0.5, 0.0, 0.5, anomalous_calibration=0.0))
    assert found == {("normal", "train"): 10, ("normal", "test"): 10, ("anomalous", "test"): 10}
