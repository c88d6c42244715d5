"""U-Nets: an encoder that halves the picture, a decoder that doubles it again, and paths between the two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Literal, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from grainless.nets.blocks import LEAK
from grainless.nets.hint import Form, HintableNet, check_widths

Down = Literal["pool", "stride"]
"""How an encoder halves: the largest of 2x2 values, or a convolution of stride 2."""


class ConvModule(nn.Module):
    """Twice a 3x3 convolution, a leaky ReLU, a batch norm and dropout, in this order.

    The norm stands behind the nonlinearity, so it cannot be folded into the convolution before it, and zeros
    at the border keep it out of the one behind it. It stays in the exported graph: in use it is a factor and
    a sum for each channel, so nothing of one picture reaches another place of it. Dropout is that of single
    values (`nn.Dropout`), not of whole channels. With `stride` 2 the second convolution halves the picture.

    Input `(batch, width_in, height, width)`, output `(batch, width_out, height / stride, width / stride)`.
    """

    def __init__(self, width_in: int, width_out: int, *, stride: int = 1, dropout: float = 0.2) -> None:
        super().__init__()
        self.sequence = nn.Sequential(
            *self._half(width_in, width_out, dropout=dropout),
            *self._half(width_out, width_out, dropout=dropout, stride=stride),
        )

    @staticmethod
    def _half(width_in: int, width_out: int, *, dropout: float, stride: int = 1) -> list[nn.Module]:
        return [
            nn.Conv2d(width_in, width_out, 3, padding=1, stride=stride),
            nn.LeakyReLU(LEAK),
            nn.BatchNorm2d(width_out),
            nn.Dropout(dropout),
        ]

    def forward(self, features: Tensor) -> Tensor:
        """Return the features of the next level."""
        answer: Tensor = self.sequence(features)
        return answer


class NormedModule(nn.Module):
    """Twice a 3x3 convolution, a batch norm and a ReLU; `fold` makes the norms part of the convolutions.

    Shapes as in `ConvModule`.
    """

    def __init__(self, width_in: int, width_out: int, *, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(width_in, width_out, 3, padding=1, bias=False)
        self.first_norm: nn.Module = nn.BatchNorm2d(width_out)
        self.second = nn.Conv2d(width_out, width_out, 3, padding=1, stride=stride, bias=False)
        self.second_norm: nn.Module = nn.BatchNorm2d(width_out)

    def forward(self, features: Tensor) -> Tensor:
        """Return the features of the next level."""
        between = F.relu(self.first_norm(self.first(features)))
        return F.relu(self.second_norm(self.second(between)))

    def fold(self) -> None:
        """Make the norms, with the statistics that they have collected, part of the convolutions."""
        if isinstance(self.first_norm, nn.BatchNorm2d) and isinstance(self.second_norm, nn.BatchNorm2d):
            self.first = fuse_conv_bn_eval(self.first.eval(), self.first_norm.eval())
            self.second = fuse_conv_bn_eval(self.second.eval(), self.second_norm.eval())
            self.first_norm, self.second_norm = nn.Identity(), nn.Identity()


class UpConvModule(nn.Module):
    """A 2x2 transposed convolution that doubles the picture, joined by the skip connection, and a block.

    Input `(batch, width_in, height, width)`, skip and output `(batch, width_out, 2 * height, 2 * width)`. The
    transposed convolution does not overlap itself, so it leaves no checkerboard of its own.
    """

    def __init__(self, width_in: int, width_out: int, *, block: Callable[..., nn.Module], skip: bool) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(width_in, width_out, 2, stride=2)
        self.block = block((2 if skip else 1) * width_out, width_out)
        self.skip = skip

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """Return the features of the finer level; `fine` is the encoder's, used if there is a skip."""
        features: Tensor = self.up(coarse)
        if self.skip:
            features = torch.cat([features, fine], dim=1)
        answer: Tensor = self.block(features)
        return answer


class _UNet(HintableNet):
    """Encoder blocks of given widths, each but the first at half the size of the one before, and back."""

    def _build(
        self, widths: Sequence[int], *, block: Callable[..., nn.Module], skips: bool, down: Down
    ) -> None:
        """Make the layers; `block` makes one from its widths and, as a keyword, its stride."""
        if down not in {"pool", "stride"}:
            raise ValueError(f'down must be "pool" or "stride", not {down!r}')
        if not isinstance(skips, bool):
            raise TypeError(f"skips must be true or false, not {skips!r}")
        self.stride = 2 ** (len(widths) - 1)
        self.pool = nn.MaxPool2d(2) if down == "pool" else nn.Identity()
        deeper = list(pairwise(widths))
        step = 1 if down == "pool" else 2
        self.encoder = nn.ModuleList([block(self.width_in, widths[0])])
        self.encoder.extend(block(fine, coarse, stride=step) for fine, coarse in deeper)
        self.decoder = nn.ModuleList(
            UpConvModule(coarse, fine, block=block, skip=skips) for fine, coarse in reversed(deeper)
        )
        self.last = self.last_layer(widths[0])

    def layers(self, features: Tensor) -> Tensor:
        """Return `width_out` channels for `width_in`, in the size of the picture."""
        levels = [self.encoder[0](features)]
        for block in self.encoder[1:]:
            levels.append(block(self.pool(levels[-1])))
        coarse = levels.pop()
        for block in self.decoder:
            coarse = block(coarse, levels.pop())
        answer: Tensor = self.last(coarse)
        return answer


class DenoisingUNet(_UNet):
    """U-Net of `ConvModule`s: five encoder blocks, four decoder blocks, one output layer.

    The width doubles from block to block (32, 64, ... 512); a 3x3 convolution ends it. `down` is how the
    encoder halves. Needs sizes in multiples of 2 ** (depth - 1). Raises ValueError or TypeError for settings
    that make no network.

    Source: Ronneberger et al. 2015, "U-Net", with the order of layers of the study that it repeats.
    """

    def __init__(
        self,
        *,
        width: int = 32,
        depth: int = 5,
        dropout: float = 0.2,
        skips: bool = True,
        down: Down = "pool",
        **form: Unpack[Form],
    ) -> None:
        super().__init__(**form)
        if not 2 <= depth <= 8:
            raise ValueError(f"depth must be between 2 and 8, not {depth!r}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be at least 0 and less than 1, not {dropout!r}")
        widths = check_widths([width * 2**level for level in range(depth)])
        self._build(widths, block=partial(ConvModule, dropout=dropout), skips=skips, down=down)


class BottleneckUNet(_UNet):
    """U-Net of convolutions with batch norm and ReLU: 64-128-256, a bottleneck of 256, and back.

    The largest of 2x2 values goes down to the next level; the bottleneck lies at an eighth of the picture's
    size, so sizes must be multiples of 2 ** len(widths). The plain form ends in a sigmoid unless `output`
    says otherwise. Raises ValueError or TypeError for settings that make no network.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int] = (64, 128, 256),
        bottleneck: int = 256,
        skips: bool = True,
        **form: Unpack[Form],
    ) -> None:
        if not (form.get("residual") or form.get("hint")):
            form.setdefault("output", "sigmoid")
        super().__init__(**form)
        if not widths:
            raise ValueError("widths must hold a number or more: one for each halving")
        all_widths = check_widths([*widths, bottleneck])
        self._build(all_widths, block=NormedModule, skips=skips, down="pool")
