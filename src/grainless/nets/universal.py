"""The universal network: blind to the kind and the strength of the noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grainless.nets.blocks import stack
from grainless.nets.hint import ImpulseHint, keep_unmarked, spare_unhit
from grainless.nets.picture_net import PictureNet


class UniversalNet(PictureNet):
    """Residual U-Net behind a pixel-unshuffle, told by an impulse hint which values look like salt or pepper.

    Picture (as its difference to the fill), fill and marks go in at half resolution (FFDNet's trick, Zhang et
    al. 2018); plain 3x3 convolutions work at strides 2, 4 and 8; the answer is a learned blend of picture and
    fill plus a residual. No pooling or norm over the picture in use, no attention: the receptive field is
    finite, so tiles with a halo are exact.
    """

    stride = 8
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
    ) -> None:
        super().__init__()
        self.keep = keep
        # Against impulses alone a fill is nearly the answer: training begins there, with small steps.
        self.trust, self.reach = (6.0, 0.1) if keep else (2.0, 1.0)
        fine, medium, coarse = widths
        self.channels = channels
        self.hint = ImpulseHint(channels, radius=hint_radius, majority=keep)
        self.head = nn.Conv2d(4 * channels * 4, fine, 3, padding=1, bias=False)
        self.encode_fine = stack(fine, encoder_blocks[0])
        self.down_medium = nn.Conv2d(fine, medium, 2, stride=2, bias=False)
        self.encode_medium = stack(medium, encoder_blocks[1])
        self.down_coarse = nn.Conv2d(medium, coarse, 2, stride=2, bias=False)
        self.middle = stack(coarse, middle_blocks)
        self.up_medium = nn.Conv2d(coarse, medium * 4, 1, bias=False)
        self.decode_medium = stack(medium, decoder_blocks[1])
        self.up_fine = nn.Conv2d(medium, fine * 4, 1, bias=False)
        self.decode_fine = stack(fine, decoder_blocks[0])
        self.tail = nn.Conv2d(fine, 2 * channels * 4, 3, padding=1)

    def forward(self, picture: Tensor, levels: Tensor) -> Tensor:
        """Return the cleaned picture, float32, not clipped.

        `picture` is `(batch, channels, height, width)` in [0, 1], height and width multiples of `stride`;
        `levels` is `(batch, 2)`: black and white point of the whole picture.
        """
        # Values decide the hint, so it is computed at full precision; it has no weights to train.
        with torch.no_grad(), torch.autocast(picture.device.type, enabled=False):
            marks, fill = self.hint(picture.float(), levels.float())
        # What differs from the fill is noise or detail and has no mean: it trains far better than the
        # picture.
        features = F.pixel_unshuffle(torch.cat([picture - fill, fill - 0.5, marks], dim=1), 2)
        fine = self.encode_fine(self.head(features))
        medium = self.encode_medium(self.down_medium(fine))
        coarse = self.middle(self.down_coarse(medium))
        medium = self.decode_medium(medium + F.pixel_shuffle(self.up_medium(coarse), 2))
        fine = self.decode_fine(fine + F.pixel_shuffle(self.up_fine(medium), 2))
        answer = F.pixel_shuffle(self.tail(fine), 2).float()
        residual, gate = answer.split(self.channels, dim=1)
        # Half-precision autocast must not touch the sum: 8 bits of mantissa would quantise the picture
        # itself.
        blend = torch.sigmoid(gate + self.trust * (2 * marks[:, : self.channels] - 1))
        clean: Tensor = picture + blend * (fill - picture) + self.reach * residual
        settle = keep_unmarked if self.keep else spare_unhit
        return settle(picture, clean, marks=marks)
