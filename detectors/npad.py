"""N-pad: PaDiM with Gaussians of neighbouring positions, plus the distance to cluster centres.

Source: Jang, Hwang, Park, "N-pad: Neighboring Pixel-based Industrial Anomaly Detection", CVPR 2023 workshops,
arXiv:2210.08768. Only its abstract was read, and no code. Its three ingredients are the paper's: Gaussians
that take in the features of neighbouring positions, a Mahalanobis distance to them, and a Euclidean distance
to the centroids of normal features. All else is our derivation: the window's size, the clipping at borders,
the search for the nearest Gaussian of a window, k-means and its k, z scores from held-out normals, and the
sum of them. The "paper" profile has the paper's input and our guesses for the rest.

Why the default is a window of 5, of which a vector is compared with 5 Gaussians (the position's own and those
two steps above, below, left and right), and a small weight of the centres. Image AUROC / AUPRO at image side
192, d = 100 channels, one seed, on what the choice was made on (FPC sections are shifted and turned):

                                       PaDiM      own        cross      cross,       cross,
                                                                        centres 1/4  centres 1/2
    FPC acf, 60 normals, 1 design      .831/.870  .538/.826  .866/.866  .861/.872    .862/.874
    FPC coverlay, 60 normals, 1 design .888/.883  .874/.955  .956/.960  .943/.959    .932/.957
    magnetic tiles, 150 normals        .815/.737  .780/.782  .829/.779  .830/.790    .829/.796

A search of all 25 Gaussians was hardly more accurate on acf (.874/.871 with centres 1/4). Pooling without a
search lost image AUROC everywhere. End to end, an image of 256 px took 8 ms of processor time with PaDiM,
19 with the default and 69 with search="all", on a busy machine.

On other data, two seeds (benchmarks/results/npad_padim.json), N-pad is better than PaDiM on coverlay
(.897/.923, PaDiM .885/.837) and tiles (.835/.713, PaDiM .814/.688), not on acf (.864/.754, PaDiM .864/.776),
and mixed on sus (.994/.935, PaDiM .998/.922).

The centres learn from the normals that are not held out; the Gaussians learn from all, as PaDiM's do, and
memory does not grow with the number of images.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from detectors.base import Example, MapKind, Prediction
from detectors.blocks.embedded import EmbeddedConfig, EmbeddedDetector
from detectors.blocks.gaussian import Gaussian, StreamingGaussian
from detectors.blocks.kmeans import Centres, Reservoir
from detectors.blocks.npad_scorer import NpadScorer
from detectors.blocks.pooling import (
    Pool,
    cross,
    finish_pooled,
    least_distances,
    neighbours,
    pooled_distances,
    square,
)
from detectors.config import Config
from detectors.geometry import Prepared
from detectors.loop import Loop
from detectors.threads import one_torch_thread

Search = Literal["own", "cross", "all"]


@dataclass(frozen=True)
class NpadConfig(EmbeddedConfig):
    """Settings of N-pad.

    Attributes:
        window: side of the square of positions whose features one Gaussian takes in; odd, 1 is PaDiM's.
        search: the Gaussians that a vector is compared with, to keep the least distance: its "own"
            position's; also those in the middles of the window's sides ("cross"); or "all" of the window.
        n_clusters: cluster centres of normal features.
        n_sampled: feature vectors kept for the clustering, drawn from all images and positions.
        centre_weight: of the distance to the nearest centre, beside Mahalanobis; 0 leaves it out.
        standardise: whether every channel counts alike for the clusters.
    """

    window: int = 5
    search: Search = "cross"
    n_clusters: int = 256
    n_sampled: int = 20_000
    centre_weight: float = 0.25
    standardise: bool = False

    PROFILES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "image_hw": (256, 256), "crop_hw": (224, 224), "n_channels": 550,
            "backbone": "wide_resnet50_2", "weights": "torchvision",
            "window": 3, "search": "own", "centre_weight": 1.0, "n_clusters": 1000,
            "n_sampled": 50_000,
            "epsilon": 0.01, "blur_sigma": 4.0, "score": "max",
        },
        "cpu": {},
        "smoke": {
            "image_hw": (64, 64), "n_channels": 40, "batch_size": 8, "n_clusters": 32, "n_sampled": 2000,
        },
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window < 1 or self.window % 2 == 0:
            raise ValueError(f"Expected an odd window of at least 1 position, found {self.window}.")
        if self.search not in get_args(Search):
            raise ValueError(f'Expected search as one of own, cross, all, found "{self.search}".')
        if not 1 <= self.n_clusters <= self.n_sampled:
            raise ValueError(
                f"Expected n_clusters from 1 to n_sampled, found {self.n_clusters} and {self.n_sampled}."
            )
        if self.centre_weight < 0:
            raise ValueError(f"Expected a centre_weight of at least 0, found {self.centre_weight}.")


class Npad(EmbeddedDetector):
    """See the module. Image score: the maximum of the map, which is a sum of z scores and may be negative."""

    name: ClassVar[str] = "npad"
    map_kind: ClassVar[MapKind] = "native"
    config_class: ClassVar[type[Config]] = NpadConfig
    config: NpadConfig

    def __init__(self, config: NpadConfig, *, cache_folder: Path | None = None) -> None:
        super().__init__(config, cache_folder=cache_folder)
        self.gaussian_: Gaussian | None = None
        self.centres_: Centres | None = None
        self.z_: Tensor | None = None  # (2, 2): mean and deviation of each of the two distances
        self._statistics: StreamingGaussian | None = None  # between _fit and _finish_fit
        self._sample: tuple[Tensor, Tensor] | None = None

    # fitting

    def _fit(
        self, images: Iterable[Prepared], n_images: int, anomalies: Sequence[Example], loop: Loop
    ) -> int:
        self.gaussian_, self.centres_, self.z_ = None, None, None
        reservoir = Reservoir(self.config.n_sampled, self.config.seed)

        def see(values: Tensor) -> None:
            for index in range(values.shape[1]):
                reservoir.add(values[:, index].cpu().numpy())

        self._statistics = self._accumulate(self._begin(images), n_images, loop, see)
        self._sample = reservoir.sample()
        return self._statistics.n_samples

    def _finish_fit(self, held_out: Iterable[Prepared]) -> Iterator[Prediction]:
        statistics, sample = self._statistics, self._sample
        self._statistics, self._sample = None, None
        if statistics is None or sample is None:
            raise ValueError("There is no fit to finish.")
        config, grid_hw = self.config, self._grid_hw()
        vectors, places = sample
        with one_torch_thread():
            centres = Centres.of(vectors, config.n_clusters, config.seed, config.standardise)
        self.centres_ = centres.to(config.device)
        sizes, features = self._collect(held_out)
        grids = torch.zeros((0, 2, len(statistics.sums)))
        if features:
            pool = Pool(statistics, grid_hw, config.window)
            near = pooled_distances(pool, config.epsilon, features, self._around(), config.n_threads)
            del pool
            grids = torch.stack([near, self._to_centres(features)], dim=1)
            for each in features:
                statistics.add(each)
        features.clear()
        pool = Pool(statistics, grid_hw, config.window)
        self.gaussian_ = finish_pooled(pool, config.epsilon, config.n_threads)
        self.z_ = z_statistics(self._seen(grids, sizes) if sizes else self._own(vectors, places))
        self.n_normals_ += len(sizes)
        for image_hw, pair in zip(sizes, grids, strict=True):
            yield self._prediction(self._joined(pair).numpy(), image_hw)

    def _to_centres(self, features: Sequence[Tensor]) -> Tensor:
        """(n, P) distances to the nearest centre."""
        centres = self._made_centres()
        with one_torch_thread():
            return torch.cat([centres.distances(each).T for each in features]).cpu()

    def _seen(self, grids: Tensor, sizes: Sequence[tuple[int, int]]) -> Tensor:
        """(2, n): both distances at all cells that show a held-out image."""
        inside = [self.geometry.inside(self._grid_hw(), each).reshape(-1) for each in sizes]
        return torch.cat(
            [grid[:, torch.from_numpy(each)] for grid, each in zip(grids, inside, strict=True)], dim=1
        )

    def _own(self, vectors: Tensor, places: Tensor) -> Tensor:
        """(2, n): both distances of sampled vectors that were learned, where no image was held out."""
        gaussian, centres = self._ready()
        delta = vectors.to(gaussian.mean.device) - gaussian.mean[places]
        edges = [*range(0, len(places), 256), len(places)]
        near = [
            torch.bmm(delta[at, None], gaussian.whitener_at(places[at]))[:, 0].norm(dim=1)
            for at in map(torch.arange, edges[:-1], edges[1:])
        ]
        return torch.stack([torch.cat(near).cpu(), centres.distances(vectors).cpu()])

    # predicting

    def predict_prepared(self, prepared: Iterable[Prepared]) -> Iterator[Prediction]:
        """See Detector."""
        gaussian, centres = self._ready()
        around = self._around()
        for batch, embedded in self._embedded(prepared):
            # always a full batch, so that distances do not depend on what comes together
            with one_torch_thread():
                vectors = embedded.to(gaussian.mean.device)
                near = least_distances(gaussian, vectors, around)
                pairs = torch.stack([near, centres.distances(vectors).T], dim=1).cpu()
                grids = [self._joined(pair).numpy() for pair in pairs]
            for item, values in zip(batch, grids, strict=False):
                yield self._prediction(values, item.image_hw)

    def _joined(self, pair: Tensor) -> Tensor:
        """(P,) map values from (2, P) distances."""
        if self.z_ is None:
            raise self._not_fitted()
        (mean, deviation), (mean_e, deviation_e) = self.z_.tolist()
        near, to_centre = (pair[0] - mean) / deviation, (pair[1] - mean_e) / deviation_e
        found: Tensor = near + self.config.centre_weight * to_centre
        return found

    def _ready(self) -> tuple[Gaussian, Centres]:
        if self.gaussian_ is None:
            raise self._not_fitted()
        return self.gaussian_, self._made_centres()

    def _made_centres(self) -> Centres:
        if self.centres_ is None:
            raise self._not_fitted()
        return self.centres_

    def _grid_hw(self) -> tuple[int, int]:
        _, height, width = self._shapes()[0]
        return height, width

    def _around(self) -> Tensor | None:
        if self.config.search == "own":
            return None
        offsets = cross if self.config.search == "cross" else square
        return neighbours(self._grid_hw(), offsets(self.config.window))

    def _work_bytes(self, grid_hw: tuple[int, int], d: int, n_threads: int) -> int:
        row, window = grid_hw[1] * d * d, self.config.window
        bands = min(n_threads, max(1, grid_hw[0] // (8 * max(window // 2, 1))))
        copies = 2 * (window // 2) * row * 4  # of the rows around a band
        sample = 2 * self.config.n_sampled * (d + self.config.n_clusters) * 4
        return bands * (copies + (window + 5) * row * 8) + sample

    def scorer(self) -> nn.Module:
        """See Detector."""
        gaussian, centres = self._ready()
        if self.z_ is None:
            raise self._not_fitted()
        around = self._around()
        weight = self.config.centre_weight
        found = NpadScorer(self._merged(), gaussian, centres, self.z_, weight, self._grid_hw(), around)
        return found.requires_grad_(False).eval()

    # saving

    def _state(self) -> dict[str, Tensor]:
        gaussian, centres = self._ready()
        if self.z_ is None:
            raise self._not_fitted()
        return {**gaussian.state(), **centres.state(), "z": self.z_, **self._features_state()}

    def _set_state(self, state: dict[str, Tensor], meta: dict[str, Any]) -> None:
        self._set_backbone(state, meta)
        self.gaussian_ = Gaussian.from_state(state).to(self.config.device)
        centres = Centres(state["offset"], state["scale"], state["centres"])
        self.centres_ = centres.to(self.config.device)
        self.z_ = state["z"]

    def n_parameters(self) -> int:
        """Means, triangular covariance factors and centres."""
        if self.gaussian_ is None or self.centres_ is None:
            return 0
        return self.gaussian_.n_parameters() + self.centres_.centres.numel()


def z_statistics(pairs: Tensor) -> Tensor:
    """(2, 2) float32: mean and deviation of each row of (2, n); a deviation of 0 counts as 1."""
    deviation, mean = torch.std_mean(pairs.double(), dim=1, correction=0)
    deviation = torch.where(deviation > 1e-6, deviation, 1.0)
    return torch.stack([mean, deviation], dim=1).float()
