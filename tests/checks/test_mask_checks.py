"""The checks of what masks hold: values, specks, borders, defects on normal images; and the known answers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.checks import CHECKS, Evidence
from curate.faults import Fault
from curate.ingest import build_table, write_masks
from curate.registry import lookup
from curate.tables import from_rows
from tests.helpers.mask_facts import COLUMNS, counted, facts
from tests.helpers.places import MAGNETIC_TILE
from tests.helpers.tables import row, table


def found(name: str, *rows: dict[str, Any], **known: Any) -> list[Fault]:
    """What a check finds in samples given as rows of the sample table with their mask facts beside them."""
    samples = [{key: value for key, value in one.items() if key not in COLUMNS[1:]} for one in rows]
    counts = [{key: one.get(key) for key in COLUMNS} for one in rows]
    evidence = Evidence(table(samples), Path("none"), mask_facts=from_rows(counts, COLUMNS), **known)
    faults: list[Fault] = lookup(CHECKS, name, "check").run(evidence)
    return faults


def masked(
    name: str, mask: np.ndarray | None = None, values: tuple[int, ...] = (255,), **known: Any
) -> dict[str, Any]:
    """An anomalous sample with a mask: a rectangle inside of the image unless told."""
    if mask is None:
        mask = painted((slice(7, 20), slice(5, 30)))
    one = row(
        name, **{"label": "anomalous", "gt_mask_path": f"/data/{name}-mask", "mask_kind": "binary", **known}
    )
    return one | facts(one["sample_id"], mask, list(values))


def painted(*places: tuple[Any, Any]) -> np.ndarray:
    mask = np.zeros((48, 64), dtype=bool)
    for place in places:
        mask[place] = True
    return mask


@pytest.mark.parametrize(("values", "rule", "n_found"), [
    ((255,), "> 0", 0), ((1,), "> 0", 0), ((), "> 0", 0), ((1, 255), "> 0", 1), ((3, 129, 255), "> 127", 0),
    ((128, 255), None, 1),
])  # fmt: skip
def test_a_binary_mask_has_one_value_unless_its_rule_cuts(
    values: tuple[int, ...], rule: str | None, n_found: int
) -> None:
    faults = found("mask_values", masked("a.png", values=values, mask_rule=rule))
    assert [fault.relative_path for fault in faults] == ["a.png"] * n_found


def test_a_mask_of_many_shades_is_told_with_the_first_of_them() -> None:
    (fault,) = found("mask_values", masked("a.png", values=tuple(range(1, 256))))
    assert fault.severity == "warning"
    assert "should have one value beside 0, but has 255: 1, 2, 3, 4, 5 and 250 more; all of" in fault.message


def test_a_value_that_the_source_names_nowhere_is_found() -> None:
    named = [
        {"value": 1, "defect_type": "scratch", "area_px": 9},
        {"value": 2, "defect_type": "dent", "area_px": 3},
    ]
    first = masked("a.png", values=(1, 2), mask_kind="classes", mask_classes=named)
    second = masked("b.png", values=(2, 7), mask_kind="classes", mask_classes=None)
    other = masked("c.png", values=(7,), mask_kind="classes", category="film")
    (fault,) = found("mask_values", first, second, other)
    assert fault.relative_path == "b.png"
    assert (
        "has the values 7, for which the source names no defect (it names 1 scratch, 2 dent)" in fault.message
    )


@pytest.mark.parametrize(("n_values", "n_found"), [(32, 0), (33, 1)])
def test_classes_without_names_may_be_a_small_number(n_values: int, n_found: int) -> None:
    one = masked("a.png", values=tuple(range(1, n_values + 1)), mask_kind="classes")
    assert len(found("mask_values", one)) == n_found


@pytest.mark.parametrize("kind", ["grey", None])
def test_grey_masks_may_have_any_value(kind: str | None) -> None:
    assert found("mask_values", masked("a.png", values=tuple(range(1, 256)), mask_kind=kind)) == []


def test_a_normal_image_with_a_marked_defect_is_an_error() -> None:
    wrong = masked("a.png", label="normal")
    empty = masked("b.png", painted(), label="normal")
    (fault,) = found("mask_on_normal", wrong, empty, masked("c.png"))
    assert (fault.severity, fault.relative_path) == ("error", "a.png")
    assert "its mask marks 325 px as defect" in fault.message


def test_specks_are_counted_and_only_they_can_be_taken_out() -> None:
    mixed = masked("a.png", painted((slice(5, 9), slice(5, 9)), (20, slice(3, 7)), (30, 30)))
    only_specks = masked("b.png", painted((10, 10)))
    clean = masked("c.png", painted((20, slice(3, 8))))
    faults = found("specks", mixed, only_specks, clean)
    assert [fault.relative_path for fault in faults] == ["a.png", "b.png"]
    assert "2 of the 3 regions in its mask have at most 4 px, the smallest 1" in faults[0].message
    samples = [
        {key: value for key, value in one.items() if key not in COLUMNS[1:]} for one in (mixed, only_specks)
    ]
    counts = from_rows([{key: one[key] for key in COLUMNS} for one in (mixed, only_specks)], COLUMNS)
    evidence = Evidence(table(samples), Path("none"), mask_facts=counts)
    (fix,) = lookup(CHECKS, "specks", "check").fix(evidence, faults)
    assert (fix.sample_id, fix.sha256, fix.action) == (mixed["sample_id"], mixed["sha256"], "drop_specks")


@pytest.mark.parametrize(
    "place", [(slice(0, 3), slice(5, 9)), (slice(40, 48), 9), (9, slice(0, 7)), (9, slice(60, 64))]
)
def test_regions_at_each_border_are_noted_once_per_image(place: tuple[Any, Any]) -> None:
    inner = (slice(20, 30), slice(20, 31))
    (fault,) = found(
        "border_regions", masked("a.png", painted(place, inner)), masked("b.png", painted(inner))
    )
    assert (fault.severity, fault.relative_path) == ("note", "a.png")
    assert "1 of the 2 regions in its mask touches the image's border" in fault.message


def test_masks_of_normal_images_have_no_specks_and_no_border() -> None:
    one = masked("a.png", painted((0, 0)), label="normal")
    assert found("specks", one) == found("border_regions", one) == []


def test_outlines_and_channels_are_truth_too() -> None:
    outline = {
        "kind": "polygon",
        "points_xy": [1.0, 1.0, 9.0, 1.0, 9.0, 7.0],
        "counts": None,
        "defect_type": "x",
    }
    channel = {"path": "/a", "defect_type": None, "value": None, "saturation_threshold": None,
               "relative_saturation": None}  # fmt: skip
    rows = [row("a.png", "anomalous", shapes=[outline]), row("b.png", "anomalous", mask_channels=[channel])]
    assert found("no_mask", *rows) == []
    assert len(found("no_mask", *rows, row("c.png", "anomalous"))) == 1


@pytest.mark.real_images
def test_the_magnetic_tiles_have_three_empty_masks_and_seventeen_specks(tmp_path: Path) -> None:
    samples, _ = build_table(MAGNETIC_TILE, "magnetic_tile")
    write_masks(samples, tmp_path)
    counts = counted(samples[samples["label"] == "anomalous"])
    evidence = Evidence(samples, tmp_path, mask_facts=counts)

    def faults(name: str) -> list[Fault]:
        return list(lookup(CHECKS, name, "check").run(evidence))

    assert len(faults("empty_mask")) == 3
    assert int(counts["n_specks"].sum()) == 17
    assert int(counts["n_regions"].sum()) == 350
    assert faults("mask_values") == faults("mask_on_normal") == []
