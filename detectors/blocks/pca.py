"""Second moments of many vectors, and how many principal components hold a share of their variance."""

from collections.abc import Iterator

import torch
from torch import Tensor

CHUNK = 4096  # vectors converted to float64 at a time


def moments(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (C,) and covariance (C, C), float64, of (M, C) vectors; the covariance is divided by M.

    Raises:
        ValueError: there is no vector.
    """
    if not len(vectors):
        raise ValueError("Expected at least one vector, found none.")
    mean = torch.zeros(vectors.shape[1], dtype=torch.float64)
    for part in _chunks(vectors):
        mean += part.sum(dim=0) / len(vectors)
    covariance = torch.zeros(vectors.shape[1], vectors.shape[1], dtype=torch.float64)
    for part in _chunks(vectors):  # centred first: sums of squares would lose digits of large means
        centred = part - mean
        covariance.addmm_(centred.T, centred)
    return mean, covariance / len(vectors)


def _chunks(vectors: Tensor) -> Iterator[Tensor]:
    for start in range(0, len(vectors), CHUNK):
        yield vectors[start : start + CHUNK].double()


def n_components(covariance: Tensor, share: float) -> int:
    """The fewest principal components that hold more than a share of the variance; at least one.

    Args:
        covariance: (C, C) float64, symmetric.
        share: in (0, 1]; 1 gives all C.

    >>> n_components(torch.diag(torch.tensor([6.0, 3.0, 0.9, 0.1], dtype=torch.float64)), 0.8)
    2
    """
    if share >= 1:
        return len(covariance)
    variances = torch.linalg.eigvalsh(covariance).flip(0).clamp(min=0)
    total = variances.sum()
    if total == 0:
        return 1
    held = variances.cumsum(0) / total
    return min(int((held <= share).sum()) + 1, len(covariance))
