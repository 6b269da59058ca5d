"""The generalised Pareto distribution: fit to excesses by maximum likelihood, check of the fit, quantiles.

All functions take the excesses along the last axis, so that many samples are fitted at once.
"""

import math

import numpy as np
from scipy.stats import t as student

from curate.images import Array

LOWEST_SHAPE = -0.5  # below it the usual theory of maximum likelihood fails (Smith 1985)
GOLDEN = (math.sqrt(5) - 1) / 2
N_COARSE, N_STEPS = 48, 30
N_SHAPES, N_BLUR = 31, 7


def fit(excesses: Array) -> tuple[Array, Array]:
    """Shape and scale with the highest likelihood, shape at least -0.5.

    With theta = shape / scale the shape is the mean of log(1 + theta x), so one number is searched, on a grid
    and then by golden section.

    Args:
        excesses: (..., M) above 0.

    Returns:
        shape, scale: (...).

    Source: Grimshaw 1993, doi:10.1080/00401706.1993.10485040

    >>> shape, scale = fit(np.array([0.1, 0.4, 0.2, 1.1, 0.7, 0.3, 2.5, 0.6]))
    >>> round(float(shape), 2), round(float(scale), 2)
    (-0.01, 0.75)
    """
    values = np.asarray(excesses, dtype=np.float64)
    top = values.max(axis=-1)
    grid = np.linspace(-14.0, 12.0, N_COARSE)
    heights = np.stack([_height(values, np.full(top.shape, at), top) for at in grid])
    best = grid[np.argmax(heights, axis=0)]
    step = grid[1] - grid[0]
    low, high = best - step, best + step
    for _ in range(N_STEPS):
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        go_left = _height(values, left, top) >= _height(values, right, top)
        low, high = np.where(go_left, low, left), np.where(go_left, right, high)
    theta = _theta((low + high) / 2, top)
    shape = np.log1p(theta[..., None] * values).mean(axis=-1)
    flat = np.abs(theta * top) < 1e-8
    return np.where(flat, 0.0, shape), np.where(flat, values.mean(axis=-1), shape / np.where(flat, 1, theta))


def _theta(place: Array, top: Array) -> Array:
    """Places on a line to all theta above -1 / top."""
    return np.asarray(np.expm1(place) / top)


def _height(values: Array, place: Array, top: Array) -> Array:
    """Log likelihood per excess at a theta, best over the rest."""
    theta = _theta(place, top)
    shape = np.log1p(theta[..., None] * values).mean(axis=-1)
    flat = np.abs(theta * top) < 1e-8
    scale = np.where(flat, values.mean(axis=-1), shape / np.where(flat, 1, theta))
    return np.where(shape < LOWEST_SHAPE, -np.inf, -np.log(scale) - shape - 1)


def quantile(probability: float | Array, shape: Array, scale: Array) -> Array:
    """The excess that is exceeded with a probability.

    >>> float(quantile(0.25, np.array(1.0), np.array(2.0)))
    6.0
    """
    return np.asarray(scale * _stretch(np.asarray(shape), -np.log(np.asarray(probability))))


def _stretch(shape: Array, length: Array) -> Array:
    """(exp(shape x length) - 1) / shape, which is the length itself for a shape of 0."""
    flat = np.abs(shape) < 1e-9
    return np.asarray(np.where(flat, length, np.expm1(shape * length) / np.where(flat, 1, shape)))


def cumulative(excesses: Array, shape: Array, scale: Array) -> Array:
    """(..., M) share of the distribution below each excess."""
    scaled = excesses / np.asarray(scale)[..., None]
    bent = np.asarray(shape)[..., None]
    flat = np.abs(bent) < 1e-9
    bent_log = np.log1p(np.maximum(bent * scaled, -1 + 1e-15))
    log_above = np.where(flat, -scaled, -bent_log / np.where(flat, 1, bent))
    return np.asarray(-np.expm1(log_above))


def anderson_darling(excesses: Array, shape: Array, scale: Array) -> Array:
    """(...) distance of the excesses from the distribution; both tails weigh more than the middle.

    Source: Choulakis and Stephens 2001, doi:10.1198/00401700152672573
    """
    below = np.clip(cumulative(np.sort(excesses, axis=-1), shape, scale), 1e-12, 1 - 1e-12)
    m = below.shape[-1]
    odd = 2 * np.arange(1, m + 1) - 1
    return np.asarray(-m - (odd * (np.log(below) + np.log1p(-below[..., ::-1]))).mean(axis=-1))


def fit_p_value(
    excesses: Array, shape: float, scale: float, n_samples: int, rng: np.random.Generator
) -> float:
    """How often samples of the fitted distribution, fitted again, lie as far from their own fit.

    Parametric bootstrap of the Anderson-Darling distance.
    """
    drawn = quantile(1 - rng.random((n_samples, len(excesses))), np.array(shape), np.array(scale))
    again = fit(drawn)
    found = float(anderson_darling(excesses, np.array(shape), np.array(scale)))
    return float((1 + (anderson_darling(drawn, *again) >= found).sum()) / (n_samples + 1))


def quantile_interval(excesses: Array, probability: float, level: float) -> tuple[float, float]:
    """Profile-likelihood interval of the excess that is exceeded with a probability.

    It is not symmetric: data say little about how heavy a tail is, so the upper end lies further away. How
    many items exceed the start of the tail is chance, too, which blurs the probability. For few excesses the
    quantile of Student's t takes the place of the normal one.

    Args:
        excesses: (M,) above 0, at least 3.

    Source: Coles 2001, An Introduction to Statistical Modeling of Extreme Values, 4.3.3.
    """
    m = len(excesses)
    shape, scale = (float(value) for value in fit(excesses))
    centre = float(quantile(probability, np.array(shape), np.array(scale)))
    reach = 5 * (1 + max(shape, 0.0)) / math.sqrt(m)
    shapes = np.linspace(max(LOWEST_SHAPE, shape - reach), shape + reach, N_SHAPES)
    blur = np.linspace(-2.5, 2.5, N_BLUR) / math.sqrt(m)
    lengths = -math.log(probability) + blur
    bent, length = (each.ravel() for each in np.meshgrid(shapes, lengths[lengths > 0]))
    penalty = m * (length + math.log(probability)) ** 2 / 2
    drop = float(student.ppf((1 + level) / 2, m - 2)) ** 2 / 2
    worst = _best_height(excesses, centre, bent, length, penalty) - drop

    def outside(at: float) -> bool:
        return _best_height(excesses, at, bent, length, penalty) < worst

    ends = []
    for factor in (0.8, 1.25):
        inner, outer = centre, centre * factor
        for _ in range(40):
            if outside(outer):
                break
            inner, outer = outer, outer * factor
        for _ in range(14):
            middle = (inner + outer) / 2
            inner, outer = (inner, middle) if outside(middle) else (middle, outer)
        ends.append(outer)
    return ends[0], ends[1]


def _best_height(excesses: Array, at: float, shapes: Array, lengths: Array, penalty: Array) -> float:
    """Highest log likelihood of distributions whose quantile is `at`."""
    scales = at / _stretch(shapes, lengths)
    inside = 1 + (shapes / scales)[:, None] * excesses
    possible = inside.min(axis=-1) > 0
    logs = np.log(inside[possible]).sum(axis=-1)
    bent, wide = shapes[possible], scales[possible]
    flat = np.abs(bent) < 1e-9
    tail = np.where(flat, excesses.sum() / wide, (1 + 1 / np.where(flat, 1, bent)) * logs)
    heights = -len(excesses) * np.log(wide) - tail - penalty[possible]
    return float(heights.max(initial=-np.inf))
