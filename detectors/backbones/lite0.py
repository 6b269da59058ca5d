"""EfficientNet-Lite0 for inference, with timm's names for its tensors.

The same network as timm's tf_efficientnet_lite0, without importing timm, which takes 2 s and 190 MB. A test
compares the two.

Source: Tan and Le, "EfficientNet", ICML 2019, arXiv:1905.11946. Lite: ReLU6, no squeeze-and-excitation.
"""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

STEM, HEAD, N_CLASSES = 32, 1280, 1000
# expansion, channels, blocks, stride, kernel
STAGES = (
    (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5), (6, 320, 1, 1, 3),
)  # fmt: skip


class SamePadConv(nn.Conv2d):
    """A convolution that pads as TensorFlow does: with stride 2, an odd pixel goes right and below."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(n_in, n_out, kernel, stride, padding, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', ceil(H / stride), ceil(W / stride))."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride > 1:
            height, width = (
                max((-(-side // stride) - 1) * stride + kernel - side, 0)
                for side in (int(s) for s in x.shape[-2:])
            )
            x = functional.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        return super().forward(x)


class Norm(nn.BatchNorm2d):
    """Batch normalisation, then ReLU6 where asked for."""

    def __init__(self, n: int, act: bool = True) -> None:
        super().__init__(n, eps=1e-3)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as x."""
        x = super().forward(x)
        return functional.relu6(x) if self.act else x


class Separable(nn.Module):
    """Depthwise, then pointwise convolution: the first block."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv_dw, self.bn1 = SamePadConv(n_in, n_in, kernel, stride, groups=n_in), Norm(n_in)
        self.conv_pw, self.bn2 = SamePadConv(n_in, n_out, 1), Norm(n_out, act=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, n_in, H, W) to (N, n_out, ...)."""
        return cast(Tensor, self.bn2(self.conv_pw(self.bn1(self.conv_dw(x)))))


class Inverted(nn.Module):
    """Expand, depthwise, project; with a shortcut where the shape stays."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        n_mid = n_in * expansion
        self.conv_pw, self.bn1 = SamePadConv(n_in, n_mid, 1), Norm(n_mid)
        self.conv_dw, self.bn2 = SamePadConv(n_mid, n_mid, kernel, stride, groups=n_mid), Norm(n_mid)
        self.conv_pwl, self.bn3 = SamePadConv(n_mid, n_out, 1), Norm(n_out, act=False)
        self.shortcut = stride == 1 and n_in == n_out

    def forward(self, x: Tensor) -> Tensor:
        """(N, n_in, H, W) to (N, n_out, ...)."""
        y = self.bn2(self.conv_dw(self.bn1(self.conv_pw(x))))
        y = self.bn3(self.conv_pwl(y))
        return cast(Tensor, x + y if self.shortcut else y)


class EfficientNetLite0(nn.Module):
    """The whole classifier: (N, 3, H, W) normalised pixels to (N, 1000) logits of ImageNet."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem, self.bn1 = SamePadConv(3, STEM, 3, 2), Norm(STEM)
        stages, n_in = [], STEM
        for expansion, n_out, n_blocks, stride, kernel in STAGES:
            blocks: list[nn.Module] = []
            for index in range(n_blocks):
                step = stride if index == 0 else 1
                if expansion == 1:
                    blocks.append(Separable(n_in, n_out, kernel, step))
                else:
                    blocks.append(Inverted(n_in, n_out, kernel, step, expansion))
                n_in = n_out
            stages.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*stages)
        self.conv_head, self.bn2 = SamePadConv(n_in, HEAD, 1), Norm(HEAD)
        self.classifier = nn.Linear(HEAD, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = self.bn2(self.conv_head(self.blocks(self.bn1(self.conv_stem(x)))))
        return cast(Tensor, self.classifier(x.mean(dim=(2, 3))))
