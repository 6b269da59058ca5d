"""How the chance to find a defect grows with its size: a psychometric curve, and the size found with 90 %.

P(found | d) = guess + (1 - guess - lapse) / (1 + exp(-offset - slope ln d)). The guess rate is what alarms
hit by chance however small a defect is, the lapse rate what is missed however large it is. Both are fitted,
since a curve that is forced to reach 0 and 1 tells too large or too small a size.

Source: Wichmann and Hill 2001, doi:10.3758/BF03194544
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import expit, logit
from scipy.stats import chi2, norm

from curate.images import Array
from curate.intervals import FEW_GROUPS, LEVEL, Estimate, group_weights

PROBABILITY = 0.9
MIN_EACH = 10  # regions found, and missed, below which a curve of so many parameters is not fitted
MAX_SLOPE = 50.0  # from 10 % to 90 % within a tenth of the diameter: a step, as far as anybody can tell
MAX_RATE = 0.49
TREND_P = 0.05
N_REPLICATES = 400
STEPS = 40
STARTS = (0.01, 0.2)  # of both rates
CHUNK = 200_000  # replicates times regions worked on at a time
TOLERANCE, TINY = 1e-5, 1e-12
LOWER = np.array([-np.inf, 0.0, 0.0, 0.0])
Status = Literal[
    "fitted", "extrapolated", "not_reached", "separated", "no_increase", "too_few", "all_found", "none_found"
]


@dataclass(frozen=True)
class Curve:
    """Parameters of curves; arrays of one shape, or floats.

    Attributes:
        offset, slope: the logit is offset + slope ln d, with a slope of at least 0.
        guess, lapse: in [0, 0.49].
    """

    offset: Array
    slope: Array
    guess: Array
    lapse: Array

    def probability(self, diameters: Array) -> Array:
        """Chance that a defect of some diameter is found."""
        core = expit(self.offset + self.slope * np.log(diameters))
        return np.asarray(self.guess + (1 - self.guess - self.lapse) * core)

    def size_at(self, probability: float) -> Array:
        """Smallest diameter with at least this chance; 0 where all have it, infinite where none has."""
        height = 1 - self.guess - self.lapse
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            share = (probability - self.guess) / height
            size = np.exp((np.log(share) - np.log1p(-share) - self.offset) / self.slope)
        flat = np.where(self.guess + height * expit(self.offset) >= probability, 0.0, np.inf)
        size = np.where(self.slope > 0, size, flat)
        size = np.where(self.guess >= probability, 0.0, size)
        return np.asarray(np.where(1 - self.lapse <= probability, np.inf, size))


@dataclass(frozen=True)
class SmallestFound:
    """The smallest diameter found with some probability, or why the data do not tell it.

    Attributes:
        status: "fitted"; "extrapolated" (beyond the sizes that there are); "not_reached" (missed too often
            however large); "separated" (no overlap of the sizes found and missed); "no_increase" (larger ones
            are not found more often); "too_few"; "all_found"; "none_found".
        size: the diameter with its interval; an end is None where the data leave it open.
        probability: the chance that is asked for.
        curve: None without a fit.
        trend_p: of the likelihood ratio test that the chance grows with size, one-sided; None without a test.
    """

    status: Status
    size: Estimate
    probability: float
    curve: Curve | None = None
    trend_p: float | None = None


def smallest_found(
    diameters: Array,
    hits: Array,
    groups: Sequence[object],
    *,
    probability: float = PROBABILITY,
    n_replicates: int = N_REPLICATES,
    seed: int = 0,
    level: float = LEVEL,
    unit: str = "px",
) -> SmallestFound:
    """Fit the curve by maximum likelihood; interval by bootstrap over groups (bias-corrected percentiles).

    The test for a trend takes regions for independent, so it refuses too seldom where groups hold many.

    Args:
        diameters: (R,) above 0, in any unit; the size comes in the same.
        hits: (R,) bool, whether each region was found.
        groups: (R,) the part or image of each region; regions of one are drawn together.
        probability: in (0, 1).
        unit: of the diameters, for the words.

    Raises:
        ValueError: the lengths differ, a diameter is not above 0, or the probability is not in (0, 1).
    """
    sizes, positive = np.asarray(diameters, dtype=np.float64), np.asarray(hits, dtype=np.bool_)
    if not len(sizes) == len(positive) == len(groups):
        raise ValueError(f"Expected one hit and group per diameter; found {len(positive)} for {len(sizes)}.")
    if not 0 < probability < 1 or not (np.isfinite(sizes) & (sizes > 0)).all():
        raise ValueError(f"Expected diameters above 0 and a probability in (0, 1); found {probability}.")
    n_groups = len(set(groups))
    trend_p = None
    told = _untold(sizes, positive, unit)
    if told is None and (trend_p := _trend_p(sizes, positive)) > TREND_P:
        told = "no_increase", f"Larger regions are not found more often than small ones (p = {trend_p:.2g})."
    if told is not None:
        empty = Estimate(None, None, None, level, "", n_groups, told[1])
        return SmallestFound(told[0], empty, probability, None, trend_p)
    weights = group_weights(list(groups), [0] * len(sizes), n_replicates, np.random.default_rng(seed))
    fitted = fit(sizes, positive, np.ones((1, len(sizes))))
    replicates = fit(sizes, positive, weights.astype(np.float64)).size_at(probability)
    value = float(fitted.size_at(probability)[0])
    ends = _ends(replicates, value, level) if n_groups > 1 else (0.0, np.inf)
    status, notes = _reached(fitted, value, sizes, unit)
    if n_groups > 1 and np.isinf(ends[1]):
        n_never = int(np.isinf(replicates).sum())
        notes.append(f"Open above: {n_never} of {n_replicates} replicates never reach {probability:g}.")
    if 1 < n_groups < FEW_GROUPS:
        notes.append(f"Only {n_groups} parts were drawn from: an interval of so few is too narrow as a rule.")
    low, high = (float(end) if 0 < end < np.inf else None for end in ends)
    method = "group bootstrap" if n_groups > 1 else ""
    told_value = value if np.isfinite(value) else None
    size = Estimate(told_value, low, high, level, method, n_groups, " ".join(notes))
    curve = Curve(fitted.offset[0], fitted.slope[0], fitted.guess[0], fitted.lapse[0])
    return SmallestFound(status, size, probability, curve, trend_p)


def _untold(sizes: Array, positive: Array, unit: str) -> tuple[Status, str] | None:
    """Why no curve is fitted to these sizes, and the words for it; None when one is."""
    n_hit, n_missed = int(positive.sum()), int((~positive).sum())
    if not len(sizes):
        return "too_few", "There is no region."
    if not n_missed:
        return "all_found", f"All {n_hit} regions were found, the smallest of {sizes.min():.3g} {unit}."
    if not n_hit:
        return "none_found", f"None of {n_missed} regions was found, the largest of {sizes.max():.3g} {unit}."
    if min(n_hit, n_missed) < MIN_EACH:
        words = (
            f"{n_hit} regions were found and {n_missed} missed; a curve needs at least {MIN_EACH} of each."
        )
        return "too_few", words
    if (below := sizes[~positive].max()) < (above := sizes[positive].min()):
        return "separated", (
            f"Every region up to {below:.3g} {unit} was missed and every one from {above:.3g} {unit} on "
            "found: the size lies in between, and nothing is there that would tell more."
        )
    return None


def _reached(fitted: Curve, value: float, sizes: Array, unit: str) -> tuple[Status, list[str]]:
    """Whether the size lies within what was seen."""
    if np.isinf(value):
        return "not_reached", [f"However large, only a share of {1 - float(fitted.lapse[0]):.2g} is found."]
    if sizes.min() <= value <= sizes.max():
        return "fitted", []
    span = f"{sizes.min():.3g} to {sizes.max():.3g} {unit}"
    return "extrapolated", [f"Extrapolated: there are only regions from {span}."]


def _ends(replicates: Array, value: float, level: float) -> Array:
    """(2,) percentiles of the replicates, corrected for the share of them below the fit's own value.

    Source: Efron 1987, doi:10.1080/01621459.1987.10478410 (bias correction, without acceleration)
    """
    below = (np.mean(replicates < value) + np.mean(replicates <= value)) / 2
    shift = norm.ppf(np.clip(below, 1 / len(replicates), 1 - 1 / len(replicates)))
    tail = norm.ppf((1 - level) / 2)
    shares = norm.cdf([2 * shift + tail, 2 * shift - tail])
    return np.asarray(np.quantile(replicates, shares, method="inverted_cdf"))


def fit(diameters: Array, hits: Array, weights: Array) -> Curve:
    """Curves of highest likelihood, one for each row of weights.

    Args:
        diameters: (R,) above 0.
        hits: (R,) bool.
        weights: (B, R) how often each region counts.
    """
    logs = np.log(diameters)
    centre, spread = float(logs.mean()), float(logs.std()) or 1.0
    x, y = (logs - centre) / spread, np.asarray(hits, dtype=np.float64)
    upper = np.array([np.inf, MAX_SLOPE * spread, MAX_RATE, MAX_RATE])
    n_rows = max(1, CHUNK // len(x))
    found = [_best(x, y, weights[at : at + n_rows], upper) for at in range(0, len(weights), n_rows)]
    params = np.concatenate(found)
    slope = params[:, 1] / spread
    return Curve(params[:, 0] - slope * centre, slope, params[:, 2], params[:, 3])


def _best(x: Array, y: Array, weights: Array, upper: Array) -> Array:
    """(B, 4) the better one of two climbs from the plain logistic curve: with small and with large rates."""
    plain, _ = _climb(_plain_start(len(weights)), x, y, weights, np.where(np.arange(4) < 2, upper, 0.0))
    outcomes = []
    for rate in STARTS:
        start = plain.copy()
        start[:, 2:] = rate
        outcomes.append(_climb(start, x, y, weights, upper))
    (first, one), (second, other) = outcomes
    return np.asarray(np.where((other > one)[:, None], second, first))


def _plain_start(n_rows: int) -> Array:
    return np.tile([0.0, 1.0, 0.0, 0.0], (n_rows, 1))


def _climb(start: Array, x: Array, y: Array, weights: Array, upper: Array) -> tuple[Array, Array]:
    """Fisher scoring within bounds, damped, for many rows at once; the parameters and their log likelihood.

    Args:
        start: (B, 4) offset, slope, guess, lapse on the standardised logarithm x.
        upper: (4,) bounds; the lower ones are 0, and none for the offset.
    """
    params, value = start.copy(), _likelihood(start, x, y, weights)
    damping, todo = np.full(len(start), 1e-3), np.arange(len(start))
    for _ in range(STEPS):
        trial = _step(params[todo], damping[todo], x, y, weights[todo], upper)
        reached = _likelihood(trial, x, y, weights[todo])
        gain = reached - value[todo]
        better = gain >= 0
        params[todo[better]], value[todo[better]] = trial[better], reached[better]
        damping[todo] = np.clip(damping[todo] * np.where(better, 0.1, 10.0), 1e-9, 1e9)
        todo = todo[~(better & (gain < TOLERANCE)) & (damping[todo] < 1e9)]
        if not len(todo):
            break
    return params, value


def _step(params: Array, damping: Array, x: Array, y: Array, weights: Array, upper: Array) -> Array:
    """(B, 4) where a damped step leads; parameters at a bound that pull outwards stay there."""
    gradient, information = _derivatives(params, x, y, weights)
    frozen = ((params <= LOWER) & (gradient <= 0)) | ((params >= upper) & (gradient >= 0))
    gradient = np.where(frozen, 0.0, gradient)
    information = np.where(frozen[:, :, None] | frozen[:, None, :], 0.0, information)
    diagonal = np.einsum("bkk->bk", information)
    diagonal += np.where(frozen, 1.0, diagonal * damping[:, None] + 1e-9)
    step = np.linalg.solve(information, gradient[:, :, None])[:, :, 0]
    return np.asarray(np.clip(params + step, LOWER, upper))


def _chance(params: Array, x: Array) -> tuple[Array, Array]:
    """(B, R) the logistic part, and the chance to be found, kept off 0 and 1."""
    offset, slope, guess, lapse = (params[:, k, None] for k in range(4))
    core = expit(offset + slope * x)
    return core, np.clip(guess + (1 - guess - lapse) * core, TINY, 1 - TINY)


def _likelihood(params: Array, x: Array, y: Array, weights: Array) -> Array:
    """(B,) log likelihood."""
    _, chance = _chance(params, x)
    return np.asarray((weights * np.log(np.where(y > 0, chance, 1 - chance))).sum(axis=1))


def _derivatives(params: Array, x: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    """(B, 4) gradient of the log likelihood and (B, 4, 4) its expected information."""
    core, chance = _chance(params, x)
    rise = (1 - params[:, 2, None] - params[:, 3, None]) * core * (1 - core)
    slopes = np.stack([rise, rise * x, 1 - core, -core], axis=1)
    scale = weights / (chance * (1 - chance))
    gradient = np.einsum("bkr,br->bk", slopes, scale * (y - chance))
    return gradient, (slopes * scale[:, None]) @ slopes.transpose(0, 2, 1)


def _trend_p(diameters: Array, hits: Array) -> float:
    """One-sided p value of the likelihood ratio test of a logistic curve against one chance for all."""
    logs = np.log(diameters)
    x, y, once = logs - logs.mean(), np.asarray(hits, dtype=np.float64), np.ones((1, len(logs)))
    _, value = _climb(_plain_start(1), x, y, once, np.array([np.inf, MAX_SLOPE, 0.0, 0.0]))
    flat = _likelihood(np.array([[float(logit(y.mean())), 0.0, 0.0, 0.0]]), x, y, once)
    return float(chi2.sf(max(0.0, 2 * float(value[0] - flat[0])), 1) / 2)
