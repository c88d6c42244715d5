"""The universal network: blind to the kind and the strength of the noise."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grainless.nets.blocks import stack
from grainless.nets.hint import ImpulseHint, check_widths, keep_unmarked, spare_unhit
from grainless.nets.picture_net import PictureNet

Inputs = Literal["picture", "marks", "beside", "fill", "parts"]
"""What goes in.

The picture alone; marks of extreme values beside it; these and what fills them; the difference of picture and
fill in place of the picture; or that difference in two parts, what is marked and what is not.
"""
Answer = Literal["picture", "fill", "blend"]
"""What the residual is added to: the picture, the fill, or a learned blend of both."""

DETAIL = 4.0
"""Weight of what is not marked in the difference of picture and fill, which is mostly fine detail."""


class UniversalNet(PictureNet):
    """Residual U-Net, told by an impulse hint which values look like salt or pepper.

    Picture (as its difference to the fill), fill and marks go in, at half resolution if so told (FFDNet's
    trick, Zhang et al. 2018: fewer operations, but it learns fine detail far more slowly); plain 3x3
    convolutions work at that scale and, in steps of two, at coarser ones, one for each further width; the
    answer is a learned blend of picture and fill plus a residual: one for values that are
    marked, one for the others. No pooling or norm over the picture in use, no attention: the receptive field
    is finite, so tiles with a halo are exact.
    """

    inputs = ("picture", "levels")

    def __init__(  # noqa: PLR0913  # the settings that a recipe can name
        self,
        *,
        channels: Literal[1, 3] = 3,
        widths: Sequence[int] = (32, 64, 128),
        encoder_blocks: Sequence[int] = (1, 2),
        middle_blocks: int = 2,
        decoder_blocks: Sequence[int] = (2, 2),
        hint_radius: int = 7,
        keep: bool = False,
        norm: bool = False,
        bias: bool = False,
        branches: bool = False,
        unshuffle: bool = True,
        seen: Inputs = "parts",
        answer: Answer = "blend",
        two_residuals: bool = True,
        joint: bool = True,
        gain: float = 4.0,
    ) -> None:
        """Make a network with one scale for each of `widths`, the finest first.

        `encoder_blocks` and `decoder_blocks` are the residual blocks at each scale but the coarsest, which
        has `middle_blocks`. `keep` is for impulses alone: values that none can have hit come back as they
        are. `branches` train a 1x1 convolution beside each 3x3 one of the blocks, folded into it at the end;
        `gain` multiplies what goes in. The rest are switches for trials of the design.
        """
        super().__init__()
        widths = check_widths(widths)
        _check_settings(widths, encoder_blocks, decoder_blocks, seen=seen, answer=answer)
        self.keep, self.seen, self.base, self.gain = keep, seen, answer, gain
        self.two_residuals = two_residuals
        # Against impulses alone a fill is nearly the answer: training begins there, with small steps.
        self.trust, self.reach = (6.0, 0.1) if keep else (2.0, 1.0)
        self.channels = channels
        self.cell = 2 if unshuffle else 1
        self.stride = self.cell * 2 ** (len(widths) - 1)
        self.hint = ImpulseHint(channels, radius=hint_radius, majority=keep, joint=joint)
        planes = (
            {"picture": 1, "marks": 3, "beside": 4, "fill": 4, "parts": 5}[seen] * channels * self.cell**2
        )
        steps = list(pairwise(widths))
        self.head = nn.Conv2d(planes, widths[0], 3, padding=1, bias=bias)
        self.encoders = nn.ModuleList(
            stack(width, blocks, norm=norm, bias=bias, branches=branches)
            for width, blocks in zip(widths, encoder_blocks, strict=False)
        )
        self.downs = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2, bias=bias) for fine, coarse in steps)
        self.middle = stack(widths[-1], middle_blocks, norm=norm, bias=bias, branches=branches)
        # Not a convolution and a shuffle of its channels, which is the same: runtimes move these one by one.
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(coarse, fine, 2, stride=2, bias=bias) for fine, coarse in steps
        )
        self.decoders = nn.ModuleList(
            stack(width, blocks, norm=norm, bias=bias, branches=branches)
            for width, blocks in zip(widths, decoder_blocks, strict=False)
        )
        answers = 3 if two_residuals else 2
        self.tail = nn.Conv2d(widths[0], answers * channels * self.cell**2, 3, padding=1)

    def forward(self, picture: Tensor, levels: Tensor) -> Tensor:
        """Return the cleaned picture, float32, not clipped.

        `picture` is `(batch, channels, height, width)` in [0, 1], height and width multiples of `stride`;
        `levels` is `(batch, 2)`: black and white point of the whole picture.
        """
        # Values decide the hint, so it is computed at full precision; it has no weights to train.
        with torch.no_grad(), torch.autocast(picture.device.type, enabled=False):
            marks, fill = self.hint(picture.float(), levels.float())
        # Half-precision autocast must not touch the sum: 8 bits of mantissa would quantise the picture
        # itself.
        given = self._layers(self._features(picture, fill, marks)).float()
        residual, gate, *others = given.split(self.channels, dim=1)
        for hit in others:
            # Where values are missing and where they are noisy, other things are to be done: a product tells
            # them apart, as sums and ReLUs hardly can.
            residual = residual + marks[:, self.channels :] * (hit - residual)
        base = fill if self.base == "fill" else picture
        if self.base == "blend":
            blend = torch.sigmoid(gate + self.trust * (2 * marks[:, : self.channels] - 1))
            base = picture + blend * (fill - picture)
        clean: Tensor = base + self.reach * residual
        if self.keep:
            return keep_unmarked(picture, clean, marks=marks)
        # What would be spared could not be learnt.
        return clean if self.training else spare_unhit(picture, clean, marks=marks)

    def _features(self, picture: Tensor, fill: Tensor, marks: Tensor) -> Tensor:
        """Return what the layers see, about zero."""
        # What differs from the fill is noise or detail and has no mean: that trains better than the picture.
        difference, soft = picture - fill, marks[:, self.channels :]
        planes = {
            "picture": [picture - 0.5],
            "marks": [picture - 0.5, marks],
            "beside": [picture - 0.5, fill - 0.5, marks],
            "fill": [difference, fill - 0.5, marks],
            # What impulses leave of a value says nothing, and is far larger than the detail beside it.
            "parts": [DETAIL * (1 - soft) * difference, soft * difference, fill - 0.5, marks],
        }[self.seen]
        return self.gain * torch.cat(planes, dim=1)

    def _layers(self, features: Tensor) -> Tensor:
        """Return residual and gate in the size of the picture."""
        here = self.head(F.pixel_unshuffle(features, self.cell) if self.cell > 1 else features)
        skips = []
        for encode, down in zip(self.encoders, self.downs, strict=True):
            here = encode(here)
            skips.append(here)
            here = down(here)
        here = self.middle(here)
        for decode, up, skip in reversed(list(zip(self.decoders, self.ups, skips, strict=True))):
            here = decode(skip + up(here))
        given: Tensor = self.tail(here)
        return F.pixel_shuffle(given, self.cell) if self.cell > 1 else given


def _check_settings(
    widths: Sequence[int],
    encoder_blocks: Sequence[int],
    decoder_blocks: Sequence[int],
    *,
    seen: str,
    answer: str,
) -> None:
    """Raise ValueError for settings that do not go together."""
    if len(widths) < 2 or any(len(blocks) != len(widths) - 1 for blocks in (encoder_blocks, decoder_blocks)):
        raise ValueError(
            "widths needs two scales or more, "
            "encoder_blocks and decoder_blocks a number for each but the last"
        )
    for name, value, allowed in (("seen", seen, get_args(Inputs)), ("answer", answer, get_args(Answer))):
        if value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
