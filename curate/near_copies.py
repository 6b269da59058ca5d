"""Finds pictures of one category that show the same part: shifted, re-exposed, compressed or cut copies.

Each picture is reduced to what it has of its own: its thumb without lighting, without the design that the
category has in common (curate.designs), and with all frequencies made equally strong. Two different parts
then hardly correlate, however alike they look. Pairs to compare come from short descriptors, so the work
grows with the number of pictures, apart from one blocked matrix product.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from curate.images import Array
from curate.neighbours import nearest
from curate.own_appearance import LEAST_SIDE_PX, Pool, pools

COLUMNS = ["a", "b", "similarity", "dx", "dy"]
FEWEST = 12
N_SAMPLE = 150
N_NEIGHBOURS = 20
LEAST_LIKENESS = 0.2  # of the descriptors; copies reach 0.22 and more on the same sets
# Least similarity of a pair, laid over a design and not. On the sets that benchmarks/near_duplicates.py
# measures, different parts reach 0.37 and 0.18, copies fall to 0.5 and 0.3.
LEAST_PLACED, LEAST_FREE = 0.45, 0.28
N_NULL = 64
MARGIN = 1.15
Pair = tuple[str, str, float, float, float]


def pairs(thumbs: pd.DataFrame, least: float | None = None, seed: int = 0) -> pd.DataFrame:
    """All pairs of near copies within one category.

    Args:
        thumbs: sample_id, thumb, thumb_h, thumb_w, thumb_scale (curate.statistics) of the category.
        least: similarity from which on pairs are given; None: one that different parts should not reach.
        seed: of the sample that designs and usual similarity are learned from.

    Returns:
        a, b (sample ids, a < b), similarity (at most 1), dx, dy (by how much b is shifted against a, in
        picture pixels), most similar first. Empty below 12 pictures: too few to know what is usual.
    """
    large = thumbs[["thumb_h", "thumb_w"]].min(axis=1) >= LEAST_SIDE_PX
    table = thumbs[large].sort_values("sample_id").reset_index(drop=True)
    if len(table) < FEWEST:
        return pd.DataFrame(columns=COLUMNS)
    rng = np.random.default_rng(seed)
    rows: list[Pair] = []
    for pool in pools(table, rng, N_SAMPLE):
        rows += _pairs_of(pool, table["sample_id"].tolist(), least, rng)
    found = pd.DataFrame(rows, columns=COLUMNS)
    return found.sort_values(["similarity", "a", "b"], ascending=[False, True, True]).reset_index(drop=True)


def _pairs_of(
    pool: Pool, ids: Sequence[str], least: float | None, rng: np.random.Generator
) -> Iterator[Pair]:
    members, descriptors = pool.describe()
    if len(members) < 2:
        return
    least = _least(pool, members, rng) if least is None else least
    for i, j in _neighbours(descriptors):
        one, other = members[i], members[j]
        if pool.counts(one, other):
            similarity, dx, dy = pool.compare(one, other)
            if similarity >= least:
                yield ids[one], ids[other], round(similarity, 4), round(dx, 1), round(dy, 1)


def _least(pool: Pool, members: Sequence[int], rng: np.random.Generator) -> float:
    """Similarity that no pair of different pictures of the pool should reach, from what is usual there."""
    some = rng.choice(members, min(len(members), N_NULL), replace=False)
    usual = np.array([pool.compare(int(a), int(b))[0] for i, a in enumerate(some) for b in some[:i]])
    quarter, middle = np.quantile(usual, [0.25, 0.5])
    spread = (middle - quarter) / 0.6745  # the lower half, since copies are in the upper one
    n_pairs = len(members) * (len(members) - 1) / 2
    reached = middle + MARGIN * spread * np.sqrt(2 * np.log(max(n_pairs, 2)))
    return float(max(LEAST_FREE if pool.is_free else LEAST_PLACED, reached))


def _neighbours(descriptors: Array) -> list[tuple[int, int]]:
    """Pairs (i, j), i < j, in which one is among the 20 nearest of the other and near enough for a copy."""
    distances, indices = nearest(descriptors, N_NEIGHBOURS)
    near = distances <= np.sqrt(2 * (1 - LEAST_LIKENESS))
    ends = zip(np.nonzero(near)[0].tolist(), indices[near].tolist(), strict=True)
    return sorted({(min(pair), max(pair)) for pair in ends})
