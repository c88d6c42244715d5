"""Building blocks that several networks share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

LEAK = 0.1
"""Slope of the leaky ReLU below zero."""


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a leaky ReLU between them, added to the input.

    Without a norm the second convolution begins at zero, so that a deep network begins as a shallow one
    (Fixup, Zhang et al. 2019). With one, a batch norm stands behind the first convolution; `fold` makes it
    part of that, so that it costs nothing in use and nothing of one picture reaches another place of it.
    With branches a 1x1 convolution, zero at first, is trained beside each; `fold` adds it to the kernel's
    middle (re-parameterised, Ding et al. 2021, "RepVGG").

    Input and output: `(batch, width, height, width)` float tensors of equal shape.
    Source: Lim et al. 2017, "Enhanced Deep Residual Networks" (EDSR), as used by DRUNet (Zhang et al. 2021).
    """

    def __init__(self, width: int, *, norm: bool = False, bias: bool = False, branches: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=bias)
        self.norm: nn.Module = nn.BatchNorm2d(width, momentum=0.02) if norm else nn.Identity()
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=bias)
        self.points = nn.ModuleList(nn.Conv2d(width, width, 1, bias=False) for _ in range(2 * branches))
        for point in self.points:
            nn.init.zeros_(point.get_parameter("weight"))
        if not norm:
            nn.init.kaiming_normal_(self.first.weight, a=LEAK)
            nn.init.zeros_(self.second.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Return `features` plus what the two convolutions add."""
        inner: Tensor = self.first(features)
        if self.points:
            inner = inner + self.points[0](features)
        inner = F.leaky_relu(self.norm(inner), LEAK)
        change: Tensor = self.second(inner)
        if self.points:
            change = change + self.points[1](inner)
        return features + change

    def fold(self) -> None:
        """Make branches, and the norm with the statistics that it has collected, part of the convolutions."""
        with torch.no_grad():
            for convolution, point in zip((self.first, self.second), self.points, strict=False):
                convolution.weight[:, :, 1:2, 1:2] += point.get_parameter("weight")
        self.points = nn.ModuleList()
        if isinstance(self.norm, nn.BatchNorm2d):
            self.first = fuse_conv_bn_eval(self.first.eval(), self.norm.eval())
            self.norm = nn.Identity()

    def unfold(self, folded: nn.Module) -> None:
        """Take the weights of a convolution that a norm was folded into; the norm only adds its bias."""
        weight, bias = folded.get_parameter("weight"), folded.get_parameter("bias")
        with torch.no_grad():
            self.first.weight.copy_(weight)
            self._set_norm(torch.zeros_like(bias), torch.ones_like(bias), offset=bias)

    def settle(self, mean: Tensor, variance: Tensor) -> None:
        """Give the norm its statistics, and the filters in front of it unit length; answers stay the same.

        `mean` and `variance`, of shape `(width,)`, are those of what the first convolution gives now, behind
        a norm that only adds a bias.
        """
        with torch.no_grad():
            scale = 1 / self.first.weight.flatten(1).norm(dim=1).clamp(min=1e-6)
            offset = self.norm.get_parameter("bias") + mean
            self.first.weight.mul_(scale[:, None, None, None])
            self._set_norm(mean * scale, variance * scale**2, offset=offset)
            self.norm.get_parameter("weight").div_(scale)

    def _set_norm(self, mean: Tensor, variance: Tensor, *, offset: Tensor) -> None:
        """Set the statistics of the norm, and a gain that undoes its division."""
        norm = self.norm
        if not isinstance(norm, nn.BatchNorm2d):
            raise TypeError("the norm of this block was folded away")
        norm.get_buffer("running_mean").copy_(mean)
        norm.get_buffer("running_var").copy_(variance)
        norm.weight.copy_(torch.sqrt(variance + norm.eps))
        norm.bias.copy_(offset)


def stack(
    width: int, blocks: int, *, norm: bool = False, bias: bool = False, branches: bool = False
) -> nn.Sequential:
    """Return `blocks` residual blocks of the same width, one behind the other."""
    return nn.Sequential(
        *(ResidualBlock(width, norm=norm, bias=bias, branches=branches) for _ in range(blocks))
    )
