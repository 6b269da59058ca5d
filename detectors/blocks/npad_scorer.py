"""N-pad's score of an image as one graph, for export."""

import torch
from torch import Tensor, nn

from detectors.blocks.gaussian import Gaussian
from detectors.blocks.kmeans import Centres
from detectors.blocks.merging import Merged


class NpadScorer(nn.Module):
    """(1, h, w, 3) uint8 pixels to the (1, gh, gw) grid of the two distances' z scores, summed."""

    def __init__(
        self,
        merged: Merged,
        gaussian: Gaussian,
        centres: Centres,
        z: Tensor,
        centre_weight: float,
        grid_hw: tuple[int, int],
        around: Tensor | None,
    ) -> None:
        super().__init__()
        self.merged, self.grid_hw, self.centre_weight = merged, grid_hw, centre_weight
        (self.mean_m, self.deviation_m), (self.mean_e, self.deviation_e) = z.tolist()
        around = torch.arange(len(gaussian.mean))[:, None] if around is None else around
        n_around = around.shape[1]
        back = around.clamp(min=0) * n_around + torch.arange(n_around - 1, -1, -1)
        far = torch.where(around < 0, torch.inf, 0.0)
        for name, tensor in (
            ("mean", gaussian.mean), ("whitener", gaussian.whitener), ("offset", centres.offset),
            ("scale", centres.scale), ("centres", centres.centres.T.contiguous()),
            ("squares", centres.centres.square().sum(dim=1)), ("around", around.clamp(min=0)),
            ("back", back), ("far", far),
        ):  # fmt: skip
            self.register_buffer(name, tensor)

    def forward(self, pixels: Tensor) -> Tensor:
        """See the class."""
        vectors: Tensor = self.merged(pixels)
        get = self.get_buffer
        delta = vectors[get("around")] - get("mean")[:, None]  # (P, K, d)
        squared = torch.matmul(delta, get("whitener")).square().sum(dim=2)
        near = (squared.reshape(-1)[get("back")] + get("far")).amin(dim=1).sqrt()
        scaled = (vectors - get("offset")) * get("scale")
        least = (get("squares") - 2 * scaled @ get("centres")).amin(dim=1)
        to_centre = (least + scaled.square().sum(dim=1)).clamp(min=0).sqrt()
        z_near = (near - self.mean_m) / self.deviation_m
        z_centre = (to_centre - self.mean_e) / self.deviation_e
        found: Tensor = (z_near + self.centre_weight * z_centre).reshape(1, *self.grid_hw)
        return found
