"""How often 95 % intervals of Cohen's kappa hold the true one; the table of docs/verdicts.md.

Simulated pairs of people who give one of two answers: three ways to an interval on the same tables of counts.

    python benchmarks/kappa_intervals.py
"""

import numpy as np

from curate.agreement import of_pair

CASES = (
    (0.5, 0.4, 20), (0.5, 0.8, 50), (0.5, 0.95, 20), (0.5, 0.95, 200), (0.2, 0.8, 20), (0.05, 0.8, 50),
    (0.05, 0.95, 20), (0.05, 0.95, 1000),
)  # fmt: skip
N_PAIRS, N_BOOTSTRAPPED, N_REPLICATES = 4000, 300, 400
Z = 1.959964
Array = np.ndarray


def probabilities(rarer: float, kappa: float) -> Array:
    """(4,) of the pairs of answers 00, 01, 10, 11 of two people who give the rarer answer equally often."""
    chance = rarer**2 + (1 - rarer) ** 2
    apart = (1 - kappa) * (1 - chance) / 2
    return np.array([1 - rarer - apart, apart, apart, rarer - apart])


def kappas(counts: Array) -> Array:
    """Kappa of each of (N, 4) counts; NaN where it is not defined."""
    share = counts / counts.sum(axis=1, keepdims=True)
    first, second = share[:, 2] + share[:, 3], share[:, 1] + share[:, 3]
    chance = first * second + (1 - first) * (1 - second)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((share[:, 0] + share[:, 3] - chance) / (1 - chance))


def by_error(counts: Array, truth: float) -> Array:
    """Whether the interval by the large-sample error holds it; Fleiss, Cohen and Everitt 1969."""
    n = counts.sum(axis=1)
    share = (counts / n[:, None]).reshape(-1, 2, 2)
    rows, columns, kappa = share.sum(axis=2), share.sum(axis=1), kappas(counts)
    chance = (rows * columns).sum(axis=1)
    same = np.diagonal(share, axis1=1, axis2=2)
    alike = (same * (1 - (rows + columns) * (1 - kappa)[:, None]) ** 2).sum(axis=1)
    crossed = share * (columns[:, :, None] + rows[:, None, :]) ** 2
    apart = (1 - kappa) ** 2 * (crossed.sum(axis=(1, 2)) - np.trace(crossed, axis1=1, axis2=2))
    rest = (kappa - chance * (1 - kappa)) ** 2
    error = np.sqrt(np.maximum(0, alike + apart - rest) / n) / (1 - chance)
    return np.asarray(np.abs(kappa - truth) <= Z * error + 1e-9)


def by_bootstrap(counts: Array, truth: float, rng: np.random.Generator) -> list[bool]:
    held = []
    for row in counts[:N_BOOTSTRAPPED]:
        drawn = kappas(rng.multinomial(row.sum(), row / row.sum(), N_REPLICATES))
        low, high = np.nanquantile(drawn, [0.025, 0.975])
        held.append(bool(low - 1e-9 <= truth <= high + 1e-9))
    return held


def by_ours(counts: Array, truth: float) -> list[bool]:
    held = []
    for row in counts:
        pairs = [pair for pair, n in zip(("00", "01", "10", "11"), row, strict=True) for _ in range(n)]
        found = of_pair([pair[0] for pair in pairs], [pair[1] for pair in pairs]).kappa
        held.append(found.low is not None and found.high is not None and found.low <= truth <= found.high)
    return held


def main() -> None:
    """Print one line of the table for each case."""
    print("| rarer answer | kappa | images | standard error | bootstrap | here |\n|---|---|---|---|---|---|")
    rng = np.random.default_rng(1)
    for rarer, truth, n_images in CASES:
        counts = rng.multinomial(n_images, probabilities(rarer, truth), N_PAIRS)
        counts = counts[np.isfinite(kappas(counts))]
        shares = [by_error(counts, truth), by_bootstrap(counts, truth, rng), by_ours(counts, truth)]
        told = " | ".join(f"{np.mean(share):.2f}".replace("0.", ".", 1) for share in shares)
        print(f"| {rarer:.2f} | {truth:.2f} | {n_images:,} | {told} |".replace("| 0.", "| ."))


if __name__ == "__main__":
    main()
