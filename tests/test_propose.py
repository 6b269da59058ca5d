"""Regions of a map as proposals: specks, numbers about each, what is refused."""

import numpy as np
import pytest

from curate.proposal_table import confidence, crop_of, mask_of, rows_of
from curate.propose import SHRINKS_TO, How, Proposal, contrast, drawn, propose
from curate.registry import Entry
from curate.schema import check_rows


def image_of(grey: int = 100) -> np.ndarray:
    return np.full((48, 64, 3), grey, dtype=np.uint8)


def spotted() -> np.ndarray:
    """A map with regions of 4, 5 and 12 pixels; the second holds on by a corner."""
    values = np.zeros((48, 64), dtype=np.float32)
    values[3:5, 3:5] = 9
    values[20:22, 30:32] = 4
    values[22, 32] = 5
    values[40:43, 50:54] = 3
    return values


def test_specks_are_no_proposals() -> None:
    found = propose(image_of(), spotted(), 3)
    assert [(each.box_xyxy, each.area_px, each.map_max) for each in found] == [
        ((30, 20, 33, 23), 5, 5.0),
        ((50, 40, 54, 43), 12, 3.0),
    ]
    assert found[0].map_mean == pytest.approx(21 / 5)
    assert [each.area_px for each in propose(image_of(), spotted(), 3, How(min_area_px=12))] == [12]
    assert len(propose(image_of(), spotted(), 3, How(min_area_px=1))) == 3


def test_no_pixel_at_the_threshold_is_no_proposal() -> None:
    assert propose(image_of(), spotted(), 9.01) == []
    assert propose(image_of(), spotted(), np.inf) == []
    assert drawn([], (48, 64)).sum() == 0


def test_contrast_is_in_deviations_of_the_ring() -> None:
    image, mask = image_of(100), np.zeros((48, 64), dtype=bool)
    mask[10:14, 10:14] = True
    image[9, 8:16] = 104  # of the ring, not of the region
    image[mask] = 160
    ring = np.zeros_like(mask)
    rows, columns = np.nonzero(mask)
    for row in range(48):
        for column in range(64):
            ring[row, column] = ((rows - row) ** 2 + (columns - column) ** 2).min() <= 16
    ring &= ~mask
    values = image[ring][:, 0].astype(float)
    expected = (160 - values.mean()) / values.std()
    assert contrast(image, mask, np.zeros_like(mask)) == pytest.approx(expected)
    dark = 255 - image
    assert contrast(dark, mask, np.zeros_like(mask)) == pytest.approx(expected)


def test_contrast_of_an_even_ring_is_finite_and_other_regions_are_no_ring() -> None:
    image, mask, other = image_of(100), np.zeros((48, 64), dtype=bool), np.zeros((48, 64), dtype=bool)
    mask[10:14, 10:14], other[10:14, 15:19] = True, True
    image[mask], image[other] = 130, 250
    assert contrast(image, mask, other) == 30.0
    assert contrast(image, mask, other & False) != 30.0
    assert contrast(image, mask, ~mask) == 0.0


@pytest.mark.parametrize("kept", [0.0, 4 / 600, SHRINKS_TO / 2])
def test_an_outline_that_is_not_believed_leaves_the_coarse_region(
    monkeypatch: pytest.MonkeyPatch, kept: float
) -> None:
    import curate.proposals.contrast as module

    def shrink(image: np.ndarray, anomaly_map: np.ndarray, coarse: np.ndarray) -> np.ndarray:
        found = np.zeros_like(coarse)
        rows, columns = np.nonzero(coarse)
        n = round(kept * len(rows))
        found[rows[:n], columns[:n]] = True
        return found

    monkeypatch.setattr(module, "refine", shrink)
    values = np.zeros((48, 64), dtype=np.float32)
    values[5:25, 10:40] = 1
    found = propose(image_of(), values, 1, How("contrast"))
    assert [(each.method, each.area_px) for each in found] == [("plain", 600)]


def test_holes_are_filled_and_regions_that_meet_become_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import curate.proposals.contrast as module

    def wider(image: np.ndarray, anomaly_map: np.ndarray, coarse: np.ndarray) -> np.ndarray:
        rows, columns = np.nonzero(coarse)
        found = np.zeros_like(coarse)
        found[rows.min() : rows.max() + 1, columns.min() - 1 : columns.max() + 2] = True
        found[rows.min() + 2, columns.min() + 2] = False
        return found

    monkeypatch.setattr(module, "refine", wider)
    values = np.zeros((48, 64), dtype=np.float32)
    values[5:11, 20:26], values[5:11, 28:34] = 1, 2
    found = propose(image_of(), values, 1, How("contrast"))
    assert [(each.box_xyxy, each.area_px, each.method) for each in found] == [
        ((19, 5, 35, 11), 16 * 6, "contrast")
    ]


@pytest.mark.parametrize(
    ("image", "anomaly_map", "threshold", "how", "message"),
    [
        (image_of()[:, :, 0], spotted(), 1.0, How(), r"\(H, W, 3\) uint8"),
        (image_of().astype(np.uint16), spotted(), 1.0, How(), "uint16"),
        (image_of(), spotted()[:40], 1.0, How(), r"\(48, 64\); found \(40, 64\)"),
        (image_of(), spotted() * np.nan, 1.0, How(), "NaN or infinity"),
        (image_of(), spotted(), np.nan, How(), "a number as threshold"),
        (image_of(), spotted(), 1.0, How(min_area_px=0), "1 px or more; found 0"),
        (image_of(), spotted(), 1.0, How("grabcutt"), 'Did you mean "grabcut"'),
    ],
)
def test_propose_refuses_what_it_cannot_work_on(
    image: np.ndarray, anomaly_map: np.ndarray, threshold: float, how: How, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        propose(image, anomaly_map, threshold, how)


def test_confidence_is_one_minus_the_conformal_p_value() -> None:
    normals = [1.0, 2.0, 3.0, 4.0]
    assert [confidence(value, normals) for value in (0.5, 2.0, 4.5)] == pytest.approx([0.0, 0.2, 0.8])
    assert confidence(3.0, []) is None


def facts(**changed: object) -> dict[str, object]:
    return {"sample_id": "00ff" * 4, "detector": "padim", "threshold": 3, "um_per_px": None, **changed}


def test_rows_keep_the_contract_and_give_the_masks_back() -> None:
    found = propose(image_of(), spotted(), 3)
    rows = rows_of(found, facts(um_per_px=2.5), [4.5])
    check_rows(rows, "proposal")
    assert [row["area_um2"] for row in rows] == [5 * 6.25, 12 * 6.25]
    assert [row["confidence"] for row in rows] == [0.5, 0.0]
    assert np.array_equal(mask_of(rows, (48, 64)), drawn(found, (48, 64)))
    for row, each in zip(rows, found, strict=True):
        assert np.array_equal(crop_of(row), each.mask)


def test_a_digest_tells_of_sample_place_and_pixels_only() -> None:
    mask = np.ones((3, 4), dtype=bool)

    def digests(mask: np.ndarray, left: int = 5, **changed: object) -> str:
        box = (left, 7, left + mask.shape[1], 7 + mask.shape[0])
        each = Proposal(box, mask, int(mask.sum()), 1.0, 2.0, 1.0, str(changed.pop("method", "plain")))
        return str(rows_of([each], facts(**changed), [])[0]["digest"])

    holed = mask.copy()
    holed[1, 1] = False
    same = [digests(mask), digests(mask, threshold=9, detector="npad", method="grabcut")]
    others = [digests(holed), digests(mask, left=6), digests(mask.T), digests(mask, sample_id="11" * 8)]
    assert len(set(same)) == 1
    assert len({*same, *others}) == 5


def test_mask_of_refuses_a_box_outside() -> None:
    rows = rows_of(propose(image_of(), spotted(), 3), facts(), [])
    with pytest.raises(ValueError, match=r"inside of 52 x 48 px; found \[50, 40, 54, 43\]"):
        mask_of(rows, (48, 52))


def test_a_refinement_is_asked_with_its_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    from curate.proposals import REFINEMENTS

    monkeypatch.setitem(REFINEMENTS, "watershed", Entry("curate.proposals.watershed", ""))
    with pytest.raises(TypeError, match="no_such"):
        propose(image_of(), spotted(), 3, How("watershed", {"no_such": 1}))


def test_a_region_that_refinement_makes_a_speck_keeps_its_own_outline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import curate.proposals.contrast as module

    def one_pixel(image: np.ndarray, anomaly_map: np.ndarray, coarse: np.ndarray) -> np.ndarray:
        found = np.zeros_like(coarse)
        found[tuple(np.argwhere(coarse)[0])] = True
        return found

    monkeypatch.setattr(module, "refine", one_pixel)
    found = propose(image_of(), spotted(), 3, How("contrast"))
    assert [(each.area_px, each.method) for each in found] == [(5, "plain"), (12, "plain")]
