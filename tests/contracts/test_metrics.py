"""Promises every metric keeps."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import curate.metrics
from curate.metrics import METRICS

EVERY = pytest.mark.parametrize("metric", [entry.load() for entry in METRICS.values()], ids=list(METRICS))


def example(metric: ModuleType, quality: float) -> tuple[Any, Any]:
    """Predictions and truth at the metric's level; quality 1 is perfect, 0 is the opposite."""
    rng = np.random.default_rng(0)
    masks = [np.zeros((48, 64), dtype=bool) for _ in range(6)]
    for mask in masks[::2]:
        mask[5:12, 30:47] = True
    maps = [rng.uniform(0, 0.4, mask.shape) + (mask == (quality == 1)) for mask in masks]
    if metric.LEVEL == "pixel":
        return maps, masks
    if metric.LEVEL == "region":
        return [one >= 0.5 for one in maps], masks
    scores, labels = np.stack(maps), np.stack(masks)
    return (scores >= 0.5, labels) if metric.LEVEL == "decision" else (scores, labels)


def test_every_file_is_registered_under_its_name() -> None:
    files = {path.stem for path in Path(curate.metrics.__path__[0]).glob("*.py")} - {"__init__"}
    assert files == set(METRICS)
    assert all(entry.target == f"curate.metrics.{name}" for name, entry in METRICS.items())


@EVERY
def test_perfect_is_one_and_the_opposite_is_zero(metric: ModuleType) -> None:
    best, worst = metric.compute(*example(metric, 1)), metric.compute(*example(metric, 0))
    assert type(best) is float
    assert best == pytest.approx(1.0)
    assert worst == pytest.approx(0.0, abs=1e-12)


@EVERY
def test_nothing_anomalous_is_refused(metric: ModuleType) -> None:
    predicted, truth = example(metric, 1)
    empty = [mask & False for mask in truth] if isinstance(truth, list) else truth & False
    with pytest.raises(ValueError, match="found no"):
        metric.compute(predicted, empty)
