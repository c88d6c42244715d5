"""The impulse hint, and networks that can be given it or answer with a residual."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grainless.nets.picture_net import PictureNet

SHARP_HIT, SOFT_HIT = 1 / 255, 5 / 255
"""Distances from the black or white point at which the two marks have fallen to 1/e, in [0, 1] units."""
FILL_HIT = 2 / 255
"""The same for the values that the fill does not trust: dark and bright detail must not be lost to it."""
FALLOFF, OWN_SHARE = 6, 2.6
"""Weights of the fill: neighbours by inverse distance to this power, a value itself so often all of them.

Measured on validation pictures: the fourth power blurs sparse impulses' fill by 1 dB, the eighth has too few
neighbours left where most values are hit.
"""


EVIDENCE, DOUBT = 0.05, 0.05
"""How much of the surroundings must be known in two channels before their difference counts half, and what
the mean of a channel's own neighbours counts beside it.

Picked on validation pictures, on which both matter little between 0.02 and 0.1.
"""


class ImpulseHint(nn.Module):
    """Marks values near the picture's black and white points, and fills them from their neighbours.

    Two marks, Gaussians of the distance: the sharp one tells exact extremes, the soft one near-extreme
    impulses. The fill is the mean of the values around, those near an extreme left out, weighted by inverse
    distance to the sixth power (Shepard 1968), channel by channel. Jointly, what is known of the other
    channels at a marked value is used too: colour differences are smoother than colours, as demosaicing has
    it (Adams and Hamilton 1997).
    """

    kernel: Tensor

    def __init__(self, channels: int, *, radius: int, majority: bool = False, joint: bool = False) -> None:
        """Make a hint for pictures of so many channels that looks `radius` pixels far.

        With `majority` a value in the midst of extremes is filled by those that are more there, black or
        white, which keeps black and white areas of the picture as they are; else by the mean of all. `joint`
        fills from all channels; with one channel it changes nothing.
        """
        super().__init__()
        self.majority = majority
        self.joint = joint and channels == 3
        offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
        squares = offsets[:, None] ** 2 + offsets[None, :] ** 2
        weights = squares.clamp(min=1) ** (-FALLOFF / 2)
        self.around = float(weights.sum()) - 1
        # The pixel itself weighs much, not infinitely: an unmarked value is its own best estimate.
        weights[radius, radius] = OWN_SHARE * self.around
        self.register_buffer("kernel", weights.expand(channels, 1, -1, -1).clone(), persistent=False)
        self.channels = channels
        self.radius = radius

    def forward(self, picture: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the two marks, sharp before soft along the channels, and the filled picture.

        `picture` is `(batch, channels, height, width)`; `levels` is `(batch, 2)`, black and white point in
        the same units. The marks are `(batch, 2 * channels, height, width)` in [0, 1]; the fill has the
        shape of `picture`.
        """
        black, white = levels[:, 0, None, None, None], levels[:, 1, None, None, None]
        distance = torch.minimum((picture - black).abs(), (white - picture).abs())
        # As a product, for which ONNX Runtime is faster than for a power.
        square = distance * distance
        sharp, soft, hit = (torch.exp(square * -(width**-2)) for width in (SHARP_HIT, SOFT_HIT, FILL_HIT))
        # The floor keeps the division defined where a whole neighbourhood is marked.
        trust = 1 - hit + 1e-7 * self._agreement(picture, black, white)
        fill = self._sum_around(picture * trust) / self._sum_around(trust)
        if self.joint:
            fill = fill + hit * (self._joint_fill(picture, 1 - hit, fill) - fill)
        return torch.cat([sharp, soft], dim=1), fill

    def _sum_around(self, values: Tensor) -> Tensor:
        """Return the weighted sum of the values around, channel by channel."""
        return F.conv2d(values, self.kernel, padding=self.radius, groups=self.channels)

    def _joint_fill(self, picture: Tensor, known: Tensor, fill: Tensor) -> Tensor:
        """Return the other channels' values plus the mean difference to them around, where both are known.

        Each of the two others counts by how much is known; `fill`, of the channel alone, counts beside them.
        """
        both = known * _turned(known, 1) + 1e-7
        weight = self._sum_around(both)
        difference = self._sum_around((picture - _turned(picture, 1)) * both) / weight
        share = weight / self.around
        worth = share / (share + EVIDENCE)
        total, counted = DOUBT * fill, torch.full_like(fill, DOUBT)
        # The difference to the channel before is that channel's to the one after, with the other sign.
        for turns, sign, places in ((1, 1, 0), (2, -1, 2)):
            counts = _turned(known, turns) * _turned(worth, places)
            total = total + counts * (_turned(picture, turns) + sign * _turned(difference, places))
            counted = counted + counts
        return total / counted

    def _agreement(self, picture: Tensor, black: Tensor, white: Tensor) -> Tensor:
        """Return how far each value is on the side of those around it, in (0, 1]."""
        if not self.majority:
            return torch.ones_like(picture)
        whiteness = (picture - black) / (white - black).clamp(min=1e-6)
        side = 2 * self.radius + 1
        around = F.avg_pool2d(whiteness, side, stride=1, padding=self.radius, count_include_pad=False)
        return (1 - (whiteness - around).abs()).clamp(0, 1) ** 16 + 1e-9


def _turned(values: Tensor, turns: int) -> Tensor:
    """Return the channels in a circle, so many places on."""
    return torch.cat([values[:, turns:], values[:, :turns]], dim=1) if turns else values


def keep_unmarked(picture: Tensor, clean: Tensor, *, marks: Tensor) -> Tensor:
    """Return `clean` where a value of `picture` is an exact extreme, and `picture` itself everywhere else.

    Only for networks against impulses alone: what such noise did not hit needs no cleaning. All have the
    shape of `picture`; `marks` are those of an `ImpulseHint`, the sharp ones first.
    """
    hit = (marks[:, : picture.shape[1]] > 0.5).to(picture.dtype)
    return picture + hit * (clean - picture)


CALM, TOUCHED = 2.5 / 255, 5 / 255
"""Mean changes of the unhit values around, in [0, 1] units.

Below the first there is no noise beside impulses, above the second there is. Picked on the validation
pictures of the universal recipe.
"""
IMPULSES = 0.04
"""Share of values around that are exact extremes from which on impulses are taken for present: one of 25."""


def spare_unhit(picture: Tensor, clean: Tensor, *, marks: Tensor) -> Tensor:
    """Return `clean`, but leave values that no impulse hit as they are where impulses are the only noise.

    That is judged in windows of 5 x 5 pixels: some values are marked, and the others change little. A network
    that is blind to the kind of noise never quite gives a value back as it was; filters for impulses do.
    All have the shape of `picture`; `marks` are those of an `ImpulseHint`, the sharp ones first.
    """
    change = clean - picture
    unhit = 1 - marks[:, : picture.shape[1]]
    share = _mean_around(unhit.mean(dim=1, keepdim=True))
    size = _mean_around((change.abs() * unhit).mean(dim=1, keepdim=True)) / (share + 1e-6)
    calm = ((TOUCHED - size) / (TOUCHED - CALM)).clamp(0, 1)
    among = ((1 - share) / IMPULSES).clamp(0, 1)
    return picture + change * (1 - calm * among * unhit)


def _mean_around(values: Tensor) -> Tensor:
    return F.avg_pool2d(values, 5, stride=1, padding=2, count_include_pad=False)


class Form(TypedDict, total=False):
    """The settings that all networks of this family share."""

    channels: Literal[1, 3]
    """Channels of the picture."""
    output: Literal["linear", "sigmoid"]
    """Whether the answer of the plain form goes through a sigmoid."""
    residual: bool
    """Whether what the layers give is added to the picture."""
    hint: bool
    """Whether the impulse hint goes in, and the answer is a blend of picture and fill plus a residual."""
    hint_radius: int
    """How far the hint looks for neighbours, in pixels."""


class HintableNet(PictureNet, ABC):
    """Layers in one of three forms, which differ in what goes in and in how the answer is made.

    Plain: the picture goes in, and what the layers give is the answer, through a sigmoid if so asked for.
    Residual: it is added to the picture. Hint: the picture's difference to the fill, the fill and the marks
    of an `ImpulseHint` go in, and the answer is a learned blend of picture and fill plus a residual, as in
    `UniversalNet`.
    """

    def __init__(
        self,
        *,
        channels: Literal[1, 3] = 3,
        output: Literal["linear", "sigmoid"] = "linear",
        residual: bool = False,
        hint: bool = False,
        hint_radius: int = 7,
    ) -> None:
        super().__init__()
        if channels not in {1, 3}:
            raise ValueError(f"channels must be 1 or 3, not {channels!r}")
        if output not in {"linear", "sigmoid"}:
            raise ValueError(f'output must be "linear" or "sigmoid", not {output!r}')
        if not isinstance(hint_radius, int) or hint_radius < 1:
            raise ValueError(f"hint_radius must be a whole number of 1 or more, not {hint_radius!r}")
        if output == "sigmoid" and (residual or hint):
            raise ValueError('residual and hint need output = "linear": a sigmoid gives no differences')
        self.channels = channels
        self.sigmoid = output == "sigmoid"
        self.residual = residual
        self.hint = ImpulseHint(channels, radius=hint_radius) if hint else None
        self.inputs = ("picture", "levels") if hint else ("picture",)
        self.width_in = 4 * channels if hint else channels
        """Channels that go into the layers."""
        self.width_out = 2 * channels if hint else channels
        """Channels that the layers give."""

    @abstractmethod
    def layers(self, features: Tensor) -> Tensor:
        """Return `width_out` channels for `width_in`, in the size of the picture."""

    def last_layer(self, width: int) -> nn.Conv2d:
        """Return the 3x3 convolution that ends the layers, for `width` channels that go into it."""
        layer = nn.Conv2d(width, self.width_out, 3, padding=1)
        if self.residual or self.hint is not None:
            # Training begins near the picture itself, not at random.
            with torch.no_grad():
                for weights in layer.parameters():
                    weights.mul_(0.1)
        return layer

    def forward(self, picture: Tensor, levels: Tensor | None = None) -> Tensor:
        """Return the cleaned picture, float32, not clipped.

        `picture` is `(batch, channels, height, width)` in [0, 1], height and width multiples of `stride`;
        `levels`, which only the form with the hint takes, is `(batch, 2)`: black and white point of the whole
        picture.
        """
        if self.hint is not None:
            if levels is None:
                raise TypeError("a network with the impulse hint takes black and white point too")
            return self._blend(self.hint, picture, levels)
        # Half-precision autocast must not touch the sum, nor the sigmoid.
        given = self.layers(picture).float()
        if self.sigmoid:
            return torch.sigmoid(given)
        return picture + given if self.residual else given

    def _blend(self, hint: ImpulseHint, picture: Tensor, levels: Tensor) -> Tensor:
        """Return a learned blend of picture and fill plus a residual."""
        # Values decide the hint, so it is computed at full precision; it has no weights to train.
        with torch.no_grad(), torch.autocast(picture.device.type, enabled=False):
            marks, fill = hint(picture.float(), levels.float())
        given = self.layers(torch.cat([picture - fill, fill - 0.5, marks], dim=1)).float()
        residual, gate = given.split(self.channels, dim=1)
        blend = torch.sigmoid(gate + 4 * marks[:, : self.channels] - 2)
        clean: Tensor = picture + blend * (fill - picture) + residual
        return clean


def check_widths(widths: Sequence[int]) -> tuple[int, ...]:
    """Return the widths of layers; raise ValueError unless they are whole numbers of 1 and more."""
    if any(not isinstance(width, int) or width < 1 for width in widths):
        raise ValueError(f"widths must be whole numbers of 1 and more, not {widths!r}")
    return tuple(widths)
