"""Patch networks while they learn: with batch normalisation, which is folded into their weights afterwards.

Our derivation, for fits of a few hundred steps: without it the networks of blocks/patch_nets.py, which have
no normalisation, need tens of thousands. Batch normalisation: Ioffe and Szegedy, "Batch Normalization",
ICML 2015, arXiv:1502.03167. What is left after folding is the plain network.
"""

from typing import cast

import torch
from torch import Tensor, nn

from detectors.blocks.patch_nets import PatchNet


class Learner(nn.Module):
    """A PatchNet with a batch normalisation behind each convolution but the last."""

    def __init__(self, net: PatchNet, normed: bool = True) -> None:
        """Without `normed`, the network learns as it is."""
        super().__init__()
        self.net = net
        convolutions = cast(list[nn.Conv2d], list(net.convolutions))[:-1] if normed else []
        self.norms = nn.ModuleList(nn.BatchNorm2d(conv.out_channels) for conv in convolutions)

    def forward(self, images: Tensor, stride: int = 1) -> Tensor:
        """See PatchNet."""
        found: Tensor = self.net(images, stride, self.norms)
        return found

    @torch.no_grad()
    def fold(self) -> None:
        """Put what the normalisations do on average into the network; learning is over then."""
        for conv, norm in zip(self.net.convolutions, self.norms, strict=False):  # none behind the last
            mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
            scale = cast(Tensor, norm.weight) / (variance + cast(float, norm.eps)).sqrt()
            weight, bias = cast(Tensor, conv.weight), cast(Tensor, conv.bias)
            weight.mul_(scale.view(-1, 1, 1, 1))
            bias.copy_((bias - mean) * scale + cast(Tensor, norm.bias))
        self.norms = nn.ModuleList()
