"""Advice on thresholds as a table: it says what it counts, in 100 columns."""

from typing import Any

import pytest

from curate.threshold_tables import advice

PIXELS = (21_696_706, 818_769, 33_539_714, 1_732_227)


def estimate(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": high}


def content(level: str, rate: float | None, reason: str = "") -> dict[str, Any]:
    """Advice with the counts and the widest figures of a real dataset."""
    expected = {
        "false_alarms_per_1000": estimate(182.1, 140.2, 230.4),
        "misses": estimate(0.04384, 0.01832, 0.07623),
        "escapes_per_million": estimate(332_411.0, 174_021.0, 478_320.0),
    }
    rule = {
        "rule": "f1_max", "when": "To compare.", "levels": [level], "band": "none", "threshold": 21.96123,
        "interval": {"low": 19.00123, "high": 24.53123}, "supported": not reason, "reason": reason,
        "expected": expected, "recommended": False, "why": "",
    }  # fmt: skip
    counts = [{"n_normal": n, "n_anomalous": m} for n, m in (PIXELS[:2], PIXELS[2:])]
    row = {"calibration": counts[0], "test": counts[1], "warnings": [], "rules": [rule]}
    return {"detector": "padim", "level": level, "defect_rate": rate, "by_category": {"magnetic_tile": row}}


@pytest.mark.parametrize("level", ["image", "region", "pixel"])
@pytest.mark.parametrize("rate", [None, 0.001])
def test_advice_fits_into_100_columns_and_columns_stay_apart(level: str, rate: float | None) -> None:
    lines = advice(content(level, rate)).splitlines()
    assert max(map(len, lines)) <= 100
    (header,) = [line for line in lines if line.startswith("  rule")]
    assert "escapes per million  " in header if rate else "share missed  " in header


def test_the_legend_says_what_is_counted_at_each_level() -> None:
    told = advice(content("image", None))
    assert "of 1,000 normal images, how many raise an alarm" in told
    assert "share of the anomalous images that pass" in told
    assert "share of the anomalous pixels that pass" in advice(content("pixel", None))
    assert "of a million parts of which 0.001 are anomalous" in advice(content("image", 0.001))
    assert "interval of 0.95" in told


def test_unsupported_rules_are_listed_only_where_there_are_any() -> None:
    assert "x not supported" not in advice(content("image", None))
    told = advice(content("image", None, "alpha needs 99 images."))
    assert "x not supported by these data:\n  f1_max          alpha needs 99 images." in told
