"""Equal scores: no rule may cut through them by rounding, or promise a rate that they forbid."""

import numpy as np
import pytest

from curate.threshold_evidence import Evidence
from curate.thresholds import evt, k_sigma, quantile


def normals(scores: object) -> Evidence:
    values = np.asarray(scores, dtype=float)
    return Evidence.of(values, np.zeros(len(values), dtype=bool))


@pytest.mark.parametrize("n", [7, 10])
@pytest.mark.parametrize("q", [0.9, 0.99])
def test_quantile_of_equal_scores_alarms_none_of_them(n: int, q: float) -> None:
    cut = quantile.choose(normals(np.full(n, 0.123456)), q=q)
    assert cut.facts["rate"] == 0


def test_k_sigma_of_equal_scores_has_no_spread() -> None:
    for value in np.random.default_rng(0).random(50):
        cut = k_sigma.choose(normals(np.full(37, value)))
        assert value < cut.threshold < value * 1.000001
        assert cut.facts["spread"] == 0
        assert "spread" in cut.warnings[-1]


def test_evt_refuses_a_rate_among_the_scores_where_the_tail_starts() -> None:
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(size=500), np.full(480, 3.0), 3 + rng.exponential(size=20)])
    cut = evt.choose(normals(scores), alpha=0.05, n_check=0)
    assert cut.threshold == np.inf
    assert not cut.supported
    assert "alpha = 0.05 is no rate of the tail" in cut.reason
    assert "21 have a score above its start, and 480 that of its start, 3." in cut.reason
    assert np.isfinite(evt.choose(normals(scores), alpha=0.005, n_check=0).threshold)
