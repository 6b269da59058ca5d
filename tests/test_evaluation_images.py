"""Image figures of one category: slices by size, parts seen in several images, columns to slice by."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from curate.evaluation import Options
from curate.evaluation_decision import Threshold
from curate.evaluation_images import check_columns, evaluate
from tests.helpers.tables import row, table

QUICK = Options(n_replicates=20)


def rows(n_each: int = 6, **known: Any) -> pd.DataFrame:
    """Normal images that score 0 to 5, anomalous ones that score 3 to 8, two images of each part."""
    made = [row(f"n{index}", part_id=f"n{index // 2}", **known) for index in range(n_each)]
    made += [row(f"a{index}", "anomalous", part_id=f"a{index // 2}", **known) for index in range(n_each)]
    found = table(made)
    found["anomaly_score"] = [*map(float, range(n_each)), *(3.0 + index for index in range(n_each))]
    return found


def regions(samples: pd.DataFrame, diameters: list[float]) -> pd.DataFrame:
    """One region of each anomalous image."""
    ids = samples[samples["label"] == "anomalous"]["sample_id"].tolist()
    sizes = {"area_px": diameters, "diameter_px": diameters, "diameter_um": [None] * len(diameters)}
    return pd.DataFrame({"sample_id": ids[: len(diameters)], **sizes}).astype({"diameter_um": object})


def test_images_are_sliced_by_their_largest_region() -> None:
    samples = rows()
    found = evaluate(samples, Threshold(5.0), QUICK, regions(samples, [3, 3, 3, 20, 20]))
    by_size = {part["value"]: part for part in found["slices"] if part["column"] == "largest_diameter_px"}
    assert list(by_size) == ["< 4", ">= 16", "not stated"]  # powers of 2 between 3 px and 20 px
    assert sum(part["n_anomalous"] for part in by_size.values()) == 6
    assert all(part["n_normal"] == 6 for part in by_size.values())
    assert [part["n_anomalous"] for part in by_size.values()] == [3, 2, 1]  # small, large, not known
    assert [part["miss_rate"]["value"] for part in by_size.values()] == [pytest.approx(2 / 3), 0, 0]
    assert "largest_diameter_px" not in {
        part["column"] for part in evaluate(samples, Threshold(5.0), QUICK)["slices"]
    }


def test_a_part_counts_once_by_its_highest_score() -> None:
    samples = rows()
    found = evaluate(samples, Threshold(5.0), QUICK)
    assert found["counts"]["n_groups"] == 6
    normal, anomalous = np.array([1, 3, 5]), np.array([4, 6, 8])
    wins = (anomalous[:, None] > normal[None, :]).mean()
    assert found["object"]["image_auroc"]["value"] == pytest.approx(wins)
    single = samples.assign(part_id=samples["sample_id"])
    assert evaluate(single, Threshold(5.0), QUICK)["object"] is None


def test_columns_to_slice_by_need_values() -> None:
    samples = rows(camera="left", site=None)
    check_columns(samples, ("camera", "defect_type", "view"))
    with pytest.raises(ValueError, match='"site" is empty'):
        check_columns(samples, ("site",))
    with pytest.raises(ValueError, match='Unknown column "sight"'):
        check_columns(samples, ("sight",))


def test_offered_columns_are_few_on_one_line_and_tell_images_apart() -> None:
    samples = rows(camera="left", site=None)
    samples["lot"] = ["1", "2"] * (len(samples) // 2)
    samples["piece"] = [str(number) for number in range(len(samples))]
    samples["station"] = ["", *["one"] * (len(samples) - 1)]
    with pytest.raises(ValueError, match=r'^The column "site" is empty for .* here: lot\.$'):
        check_columns(samples, ("site",))
    with pytest.raises(ValueError, match=r"No column has several values here; looked at product, category,"):
        check_columns(samples.assign(lot=None), ("site",))
    with pytest.raises(ValueError, match='"lot" is empty'):
        check_columns(samples.assign(lot=""), ("lot",))
