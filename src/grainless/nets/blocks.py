"""Building blocks that several networks share."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a ReLU between them, added to the input; no normalisation, no bias.

    Input and output: `(batch, width, height, width)` float tensors of equal shape.
    Source: Lim et al. 2017, "Enhanced Deep Residual Networks" (EDSR), as used by DRUNet (Zhang et al. 2021).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        # A small start keeps the sum near its input, so that deep stacks train at a high rate from step one.
        with torch.no_grad():
            self.second.weight.mul_(0.1)

    def forward(self, features: Tensor) -> Tensor:
        """Return `features` plus what the two convolutions add."""
        change: Tensor = self.second(torch.relu(self.first(features)))
        return features + change


def stack(width: int, blocks: int) -> nn.Sequential:
    """Return `blocks` residual blocks of the same width, one behind the other."""
    return nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))
