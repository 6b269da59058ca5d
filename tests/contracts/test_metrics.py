"""Promises every metric keeps."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import curate.metrics
from curate.metrics import METRICS
from curate.ranking import Counts

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
def test_perfect_is_one_and_the_opposite_is_low(metric: ModuleType) -> None:
    best, worst = metric.compute(*example(metric, 1)), metric.compute(*example(metric, 0))
    assert type(best) is float
    assert best == pytest.approx(1.0)
    # AP and F1-max end above 0: where every item is called anomalous, 2 of 100 of them are
    assert 0 <= worst == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("name", [name for name, e in METRICS.items() if hasattr(e.load(), "of")])
def test_replicates_of_a_ranking_are_counted_at_once(name: str) -> None:
    metric = METRICS[name].load()
    rng = np.random.default_rng(3)
    scores, labels = rng.integers(0, 9, 40) / 9, rng.random(40) < 0.4
    weights = rng.integers(0, 4, (2, 5, 40))
    found = metric.of(Counts.of_scores(scores, labels, weights))
    assert found.shape == (2, 5)
    for place in np.ndindex(2, 5):
        repeated = np.repeat(scores, weights[place]), np.repeat(labels, weights[place])
        assert found[place] == pytest.approx(
            float(metric.of(Counts.of_scores(*repeated))), abs=1e-12, nan_ok=True
        )
    one_label = metric.of(Counts.of_scores(scores, labels, np.stack([labels, ~labels])))
    assert np.isnan(one_label).all()


@EVERY
def test_nothing_anomalous_is_refused(metric: ModuleType) -> None:
    predicted, truth = example(metric, 1)
    empty = [mask & False for mask in truth] if isinstance(truth, list) else truth & False
    with pytest.raises(ValueError, match="found no"):
        metric.compute(predicted, empty)
