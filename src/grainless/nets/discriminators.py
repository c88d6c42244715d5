"""Networks that tell clean pictures from cleaned ones; they teach, and are never exported."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from grainless.errors import InputError

SLOPE = 0.2
"""Slope of the leaky ReLU below zero (Radford et al. 2016)."""
LEVELS = 4
"""Convolutions of stride 2, one behind the other; the width doubles with each but the first."""


class Discriminator(nn.Module):
    """A network from a picture to one logit, high where it takes the picture for a clean one.

    Pictures are `(batch, channels, height, width)` in [0, 1], of any size from `min_side` on. The last layer
    gives a logit for each patch of the picture, and their mean is the answer (Isola et al. 2017). The sigmoid
    belongs to the loss. A discriminator that is to see the noisy picture beside the one to be judged takes
    both along the channels, and twice as many `channels`.
    """

    min_side: int = 1
    """Least height and width, in pixels."""

    def __init__(self, channels: int, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.channels = channels
        self.layers = nn.Sequential(*layers)

    def forward(self, picture: Tensor) -> Tensor:
        """Return the logit of each picture, `(batch, 1)`; raise InputError for one that is too small."""
        if min(picture.shape[-2:]) < self.min_side:
            raise InputError(
                "The picture is too small for this discriminator",
                got=f"{picture.shape[-1]}x{picture.shape[-2]} pixels",
                expected=f"{self.min_side} pixels or more on each side",
            )
        patches: Tensor = self.layers(picture)
        return patches.mean(dim=(2, 3))


class StridedDiscriminator(Discriminator):
    """Four 3x3 convolutions of stride 2, each with a leaky ReLU and a batch norm behind it, and a last one.

    The widths are `width` times 1, 2, 4 and 8; the last convolution, of stride 2 too, gives the logits.
    `dropout` is that of single values, behind the norms. Raises ValueError or TypeError for settings that
    make no network.
    """

    def __init__(self, *, channels: int = 3, width: int = 64, dropout: float = 0.0) -> None:
        layers: list[nn.Module] = []
        widths = _widths(channels, width, dropout)
        for width_in, width_out in pairwise(widths):
            layers += [_halving(width_in, width_out), nn.LeakyReLU(SLOPE), nn.BatchNorm2d(width_out)]
            layers += [nn.Dropout(dropout)] if dropout else []
        super().__init__(channels, [*layers, _halving(widths[-1], 1)])


class DropoutDiscriminator(Discriminator):
    """Four 3x3 convolutions of stride 2, with batch norm (but for the first), leaky ReLU and dropout.

    A 3x3 convolution without padding gives the logits: for pictures of 48x48 pixels, of which 3x3 values are
    left there, it is a linear layer over all of them. Raises ValueError or TypeError for settings that
    make no network.
    """

    # Three values and no fewer are left of 33 pixels, each half being rounded up.
    min_side = 2 * 2**LEVELS + 1

    def __init__(self, *, channels: int = 3, width: int = 64, dropout: float = 0.25) -> None:
        layers: list[nn.Module] = []
        widths = _widths(channels, width, dropout)
        for width_in, width_out in pairwise(widths):
            norm = [nn.BatchNorm2d(width_out)] if layers else []
            layers += [_halving(width_in, width_out), *norm, nn.LeakyReLU(SLOPE), nn.Dropout(dropout)]
        super().__init__(channels, [*layers, nn.Conv2d(widths[-1], 1, 3)])


def _halving(width_in: int, width_out: int) -> nn.Conv2d:
    return nn.Conv2d(width_in, width_out, 3, padding=1, stride=2)


def _widths(channels: int, width: int, dropout: float) -> list[int]:
    """Return the widths from the picture on; raise ValueError where no network can be made."""
    if any(not isinstance(number, int) or number < 1 for number in (channels, width)):
        raise ValueError(
            f"channels and width must be whole numbers of 1 or more, not {channels!r} and {width!r}"
        )
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be at least 0 and less than 1, not {dropout!r}")
    return [channels, *(width * 2**level for level in range(LEVELS))]
