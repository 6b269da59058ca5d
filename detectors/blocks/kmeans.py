"""Cluster centres of a long stream of vectors: a random sample of fixed size, then mini-batch k-means.

Sources, from memory of the papers: Sculley, "Web-scale k-means clustering", WWW 2010,
doi:10.1145/1772690.1772862 (the mini-batch steps); Arthur, Vassilvitskii, "k-means++: the advantages of
careful seeding", SODA 2007 (the first centres, each the best of several draws). Ours: the sample, and the
last full passes over it.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

MAX_PRODUCTS = 4 << 20  # vectors times centres that are held at once: 16 MB
ROUNDING = 1e-5  # of a squared distance, as a share of a squared length
N_SEEDED = 4096  # vectors that the first centres are drawn from, or four for each centre
N_STEPS, BATCH, N_FULL = 60, 2048, 5


class Reservoir:
    """Keeps a uniform random sample, of at most n_kept vectors, of all that come by.

    Every vector draws a number, and the smallest ones stay: the sample depends on the order of the vectors
    but not on how they are batched.

    Args:
        n_kept: most vectors kept.
        seed: of the numbers.
    """

    def __init__(self, n_kept: int, seed: int) -> None:
        self.n_kept = n_kept
        self.rng = np.random.default_rng(seed)
        self.numbers = np.empty(0)
        self.places = np.empty(0, dtype=np.int64)
        self.vectors: np.ndarray | None = None  # (n, d) float32

    def add(self, vectors: np.ndarray) -> None:
        """Offer the vectors of one image, (P, d) float32; they are copied where they are kept."""
        numbers = self.rng.random(len(vectors))
        kept = np.empty((0, vectors.shape[1]), np.float32) if self.vectors is None else self.vectors
        limit = self.numbers.max() if len(self.numbers) == self.n_kept else np.inf
        new = np.flatnonzero(numbers < limit)
        joined = np.concatenate([self.numbers, numbers[new]])
        chosen = np.argsort(joined, kind="stable")[: self.n_kept]
        self.numbers = joined[chosen]
        self.places = np.concatenate([self.places, new])[chosen]
        self.vectors = np.concatenate([kept, vectors[new]])[chosen]

    def sample(self) -> tuple[Tensor, Tensor]:
        """The vectors, (n, d) float32, and their places among those of their image, (n,) int64.

        Raises:
            ValueError: none came by.
        """
        if self.vectors is None:
            raise ValueError("No vectors were added.")
        return torch.from_numpy(self.vectors), torch.from_numpy(self.places)


def nearest(vectors: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distance of each vector to its nearest centre, (n,) float32, and which one it is, (n,) int64.

    Args:
        vectors: (n, d) float32.
        centres: (k, d) float32.
    """
    squares = centres.square().sum(dim=1)
    distances, numbers = torch.empty(len(vectors)), torch.empty(len(vectors), dtype=torch.int64)
    step = max(1, MAX_PRODUCTS // len(centres))
    for start in range(0, len(vectors), step):
        at = slice(start, start + step)
        least = torch.addmm(squares, vectors[at], centres.T, alpha=-2).min(dim=1)
        numbers[at] = least.indices
        distances[at] = least.values + vectors[at].square().sum(dim=1)
    return distances.clamp_(min=0), numbers


def least(vectors: Tensor, centres: Tensor) -> Tensor:
    """The distances of `nearest` alone, which take half the time without the numbers."""
    squares = centres.square().sum(dim=1)
    step = max(1, MAX_PRODUCTS // len(centres))
    found = [
        torch.addmm(squares, part, centres.T, alpha=-2).amin(dim=1) for part in torch.split(vectors, step)
    ]
    return torch.cat(found).add_(vectors.square().sum(dim=1)).clamp_(min=0)


def mini_batch_kmeans(vectors: Tensor, n_clusters: int, seed: int) -> Tensor:
    """Centres of clusters.

    Seeds at random, far from each other; moves each centre towards the mean of what came to it in random
    batches, by ever smaller steps; ends with a few full passes.

    Args:
        vectors: (n, d) float32.
        n_clusters: k; of fewer different vectors, all become centres.
        seed: of everything random.

    Returns:
        (min(k, n), d) float32, perhaps fewer where vectors are equal.

    Raises:
        ValueError: no vectors, or n_clusters is less than one.
    """
    if len(vectors) < 1 or n_clusters < 1:
        raise ValueError(f"Expected vectors and at least one cluster, found {len(vectors)} and {n_clusters}.")
    generator = torch.Generator().manual_seed(seed)
    few = vectors[torch.randperm(len(vectors), generator=generator)[: max(N_SEEDED, 4 * n_clusters)]]
    centres = seeds(few, min(n_clusters, len(few)), generator)
    counts = torch.zeros(len(centres))
    for _ in range(N_STEPS if len(vectors) > BATCH else 0):
        batch = vectors[torch.randint(len(vectors), (BATCH,), generator=generator)]
        sums, found = _sums(batch, centres)
        counts += found
        share = (found / counts.clamp(min=1))[:, None]
        centres += share * (sums / found.clamp(min=1)[:, None] - centres)
    for _ in range(N_FULL):
        sums, found = _sums(vectors, centres)
        centres = torch.where(found[:, None] > 0, sums / found.clamp(min=1)[:, None], centres)
    return centres


def seeds(vectors: Tensor, n_seeds: int, generator: torch.Generator) -> Tensor:
    """First centres: far from each other, and where there are many vectors.

    For each next one, a few are drawn with a chance in proportion to the squared distance to those before,
    and the one that leaves least is taken.
    """
    chosen = vectors[torch.randint(len(vectors), (1,), generator=generator)]
    squares = vectors.square().sum(dim=1)
    left = _without_rounding(nearest(vectors, chosen)[0], squares)
    rows = [chosen]
    n_drawn = 2 + int(math.log(n_seeds))
    while len(rows) < n_seeds and left.max() > 0:
        total = left.double().cumsum(0)
        drawn = torch.rand(n_drawn, generator=generator, dtype=torch.float64) * total[-1]
        drawn_rows = vectors[torch.searchsorted(total, drawn).clamp(max=len(vectors) - 1)]
        apart = torch.addmm(squares[:, None], vectors, drawn_rows.T, alpha=-2)
        apart += drawn_rows.square().sum(dim=1)
        apart = torch.minimum(left[:, None], apart.clamp_(min=0))
        best = apart.sum(dim=0, dtype=torch.float64).argmin()
        rows.append(drawn_rows[best : best + 1])
        left = _without_rounding(apart[:, best], squares)
    return torch.cat(rows)


def _without_rounding(distances: Tensor, squares: Tensor) -> Tensor:
    """Squared distances, 0 where they are no more than the rounding of vectors with such squared lengths."""
    return torch.where(distances <= ROUNDING * squares, 0.0, distances)


def inertia(vectors: Tensor, centres: Tensor) -> float:
    """Mean squared distance to the nearest centre."""
    return float(least(vectors, centres).double().mean())


def _sums(vectors: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Sum and number of the vectors nearest to each centre, (k, d) and (k,)."""
    _, numbers = nearest(vectors, centres)
    found = torch.bincount(numbers, minlength=len(centres)).to(vectors)
    order = numbers.argsort(stable=True)  # sums in a fixed order, so that a seed gives equal bits
    bounds = torch.cat([torch.zeros(1, dtype=torch.int64), found.long().cumsum(0)])
    total = torch.cat([torch.zeros_like(vectors[:1], dtype=torch.float64), vectors[order].double().cumsum(0)])
    return (total[bounds[1:]] - total[bounds[:-1]]).to(vectors), found


@dataclass
class Centres:
    """Cluster centres of scaled vectors.

    Attributes:
        offset, scale: (d,) float32; a vector x counts as (x - offset) * scale.
        centres: (k, d) float32, of such vectors.
    """

    offset: Tensor
    scale: Tensor
    centres: Tensor

    @classmethod
    def of(cls, vectors: Tensor, n_clusters: int, seed: int, standardise: bool) -> "Centres":
        """Centres of (n, d) vectors; standardised to deviation 1 in every channel, or only centred."""
        offset = vectors.double().mean(dim=0)
        scale = torch.ones_like(offset)
        if standardise:
            spread = vectors.double().std(dim=0, correction=0)
            scale = torch.where(spread > 1e-6, 1 / spread.clamp(min=1e-6), scale)
        offset, scale = offset.float(), scale.float()
        return cls(offset, scale, mini_batch_kmeans((vectors - offset) * scale, n_clusters, seed))

    def distances(self, vectors: Tensor) -> Tensor:
        """Euclidean distance of each vector, (..., d), to its nearest centre, (...) float32.

        The vectors may be on any device; the distances are where the centres are.
        """
        flat = (vectors.to(self.offset.device).reshape(-1, vectors.shape[-1]) - self.offset) * self.scale
        return least(flat, self.centres).sqrt_().reshape(vectors.shape[:-1])

    def to(self, device: torch.device | str) -> "Centres":
        """The same on another device."""
        return Centres(self.offset.to(device), self.scale.to(device), self.centres.to(device))

    def state(self) -> dict[str, Tensor]:
        """Tensors to save, on the CPU."""
        return {"offset": self.offset.cpu(), "scale": self.scale.cpu(), "centres": self.centres.cpu()}
