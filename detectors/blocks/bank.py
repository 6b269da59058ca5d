"""A memory of embedded patches: a coreset that covers them, and the exact distance to the nearest one.

Source of the coreset: Sener, Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set
Approach", ICLR 2018, arXiv:1708.00489, of which it is the greedy k-centre rule only; of the random
projection: Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022, arXiv:2106.08265.
Both from memory of the papers.
"""

from collections.abc import Callable

import torch
from torch import Tensor

MAX_PRODUCTS = 4 << 20  # query times bank products that are held at once: 16 MB
POLL_EVERY = 50  # centres


def greedy_coreset(
    vectors: Tensor,
    n_kept: int,
    *,
    seed: int,
    n_projected: int | None = None,
    stop: Callable[[int, int], bool] | None = None,
) -> Tensor:
    """Rows that cover all others: each next one is the row farthest from those chosen before.

    Besides a projected copy, memory is three numbers for each row, whatever n_kept is.

    Args:
        vectors: (N, D) float32.
        n_kept: how many rows to choose; all of them when there are no more.
        seed: of the first row and of the projection.
        n_projected: distances are those of a random projection to so few dimensions; None, or no fewer than
            D, takes the vectors as they are.
        stop: called now and then with the rows chosen and n_kept; True fills up with random rows.

    Returns:
        (min(n_kept, N),) int64 distinct row numbers, in the order of choice: a smaller coreset is the
        beginning of a larger one.

    Raises:
        ValueError: n_kept is less than one, or there are no vectors.
    """
    n_rows = len(vectors)
    if n_kept < 1 or n_rows < 1:
        raise ValueError(f"Expected at least one vector and one to keep, found {n_rows} and {n_kept}.")
    generator = torch.Generator().manual_seed(seed)
    shuffled = torch.randperm(n_rows, generator=generator)
    if n_kept >= n_rows:
        return torch.arange(n_rows)
    points = _projected(vectors, n_projected, generator)
    squares = (points * points).sum(dim=1)
    nearest = torch.full_like(squares, torch.inf)  # squared distance of each row to its nearest choice
    found = torch.empty_like(squares)
    chosen = torch.empty(n_kept, dtype=torch.int64)
    chosen[0] = shuffled[0]
    for n in range(n_kept):
        if n > 0:
            chosen[n] = nearest.argmax()
        centre = int(chosen[n])
        torch.addmv(squares, points, points[centre], alpha=-2, out=found)
        found.add_(squares[centre])
        torch.minimum(nearest, found, out=nearest)
        nearest[centre] = -torch.inf  # never again, even where all others are copies of a choice
        if stop and n % POLL_EVERY == 0 and stop(n + 1, n_kept):
            return _filled(chosen[: n + 1], shuffled, n_kept)
    return chosen


def _projected(vectors: Tensor, n_projected: int | None, generator: torch.Generator) -> Tensor:
    d = vectors.shape[1]
    if n_projected is None or n_projected >= d:
        return vectors.float()
    matrix = torch.randn(d, n_projected, generator=generator) / n_projected**0.5
    projected: Tensor = vectors.float() @ matrix.to(vectors.device)
    return projected


def _filled(chosen: Tensor, shuffled: Tensor, n_kept: int) -> Tensor:
    others = shuffled[~torch.isin(shuffled, chosen)]
    return torch.cat([chosen, others[: n_kept - len(chosen)]])


def nearest_distance(queries: Tensor, bank: Tensor) -> Tensor:
    """Euclidean distance of each query to the nearest vector of a bank; exact, and 0 for a copy of one.

    The nearest one is looked for through matrix products, a piece of the bank at a time; the distance to it
    is then taken from the differences, which does not lose digits where the two are close.

    Args:
        queries: (Q, D) float32.
        bank: (N, D) float32, at least one vector.

    Returns:
        (Q,) float32.
    """
    best, nearest = None, None
    n_piece = max(1, MAX_PRODUCTS // len(queries))
    for start in range(0, len(bank), n_piece):
        piece = bank[start : start + n_piece]
        half_squares = 0.5 * (piece * piece).sum(dim=1)
        values = half_squares[None] - queries @ piece.T  # half the squared distance, without the query's own
        low, index = values.min(dim=1)
        vectors = piece[index]
        if best is None or nearest is None:
            best, nearest = low, vectors
        else:
            closer = low < best
            best = torch.where(closer, low, best)
            nearest = torch.where(closer[:, None], vectors, nearest)
    if nearest is None:
        raise ValueError("Expected at least one vector in the bank, found none.")
    distance: Tensor = (queries - nearest).square().sum(dim=1).sqrt()
    return distance


def sampled_rows(n_rows: int, n_kept: int, seed: int) -> Tensor:
    """(min(n_kept, n_rows),) int64, ascending: distinct row numbers drawn from a seed."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(n_rows, generator=generator)[:n_kept].sort().values
