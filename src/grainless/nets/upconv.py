"""A small network that works at a quarter of the size and enlarges its answer again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grainless.nets.blocks import LEAK
from grainless.nets.hint import Form, HintableNet, check_widths


class UpconvNet(HintableNet):
    """Two convolutions of stride 2, two plain ones, and two doublings with a convolution behind each.

    The layers of the study that it repeats are Conv2d 32, Conv2d 32, doubling, Conv2d 64, doubling, Conv2d 3.
    As written they would give a picture four times as wide and high as the one that goes in; the two strides
    in front undo that. Doubling repeats each value (nearest neighbour). A leaky ReLU stands behind each
    convolution but the last, whose output is the logit of the answer. The study has no norms; with `norm` a
    batch norm stands behind each of these ReLUs.

    `widths` are those of the five convolutions before the last. `skip` adds a path at full size, without
    which no detail finer than four pixels gets through: a 3x3 convolution of the picture, `widths[0]` wide,
    whose features the last convolution reads too; the answer is then the picture plus a residual. Needs
    sizes in multiples of 4. Raises ValueError or TypeError for settings that make no network.
    """

    stride = 4

    def __init__(
        self,
        *,
        widths: Sequence[int] = (32, 32, 32, 32, 64),
        skip: bool = False,
        norm: bool = False,
        **form: Unpack[Form],
    ) -> None:
        for name, value in (("skip", skip), ("norm", norm)):
            if not isinstance(value, bool):
                raise TypeError(f"{name} must be true or false, not {value!r}")
        residual = skip or form.get("residual", False)
        form["residual"] = residual
        if not (residual or form.get("hint")):
            form.setdefault("output", "sigmoid")
        super().__init__(**form)
        self.gives_logits = self.sigmoid
        if len(check_widths(widths)) != 5:
            raise ValueError(f"widths must be 5 numbers, not {widths!r}")
        first, second, third, fourth, fifth = widths
        self.down_half = nn.Conv2d(self.width_in, first, 3, padding=1, stride=2)
        self.down_quarter = nn.Conv2d(first, second, 3, padding=1, stride=2)
        self.third = nn.Conv2d(second, third, 3, padding=1)
        self.fourth = nn.Conv2d(third, fourth, 3, padding=1)
        self.fifth = nn.Conv2d(fourth, fifth, 3, padding=1)
        self.full = nn.Conv2d(self.width_in, first, 3, padding=1) if skip else None
        wide = {"down_half": first, "down_quarter": second, "third": third, "fourth": fourth, "fifth": fifth}
        wide |= {"full": first} if skip else {}
        self.norms = nn.ModuleDict(
            {name: nn.BatchNorm2d(width) for name, width in wide.items()} if norm else {}
        )
        self.last = self.last_layer(fifth + (first if skip else 0))

    def logits(self, *inputs: Tensor) -> Tensor:
        """Return what the answer is the sigmoid of, float32, in the shape of the picture.

        `inputs` is the picture alone, as in `forward`. Raises TypeError where `gives_logits` is false.
        """
        if not self.gives_logits:
            return super().logits(*inputs)
        return self.layers(*inputs).float()

    def layers(self, features: Tensor) -> Tensor:
        """Return `width_out` channels for `width_in`, in the size of the picture."""
        coarse = features
        for name in ("down_half", "down_quarter", "third", "fourth"):
            coarse = self._layer(name, coarse)
        whole = _double(self._layer("fifth", _double(coarse)))
        if self.full is not None:
            whole = torch.cat([whole, self._layer("full", features)], dim=1)
        answer: Tensor = self.last(whole)
        return answer

    def _layer(self, name: str, features: Tensor) -> Tensor:
        """Apply one convolution and what stands behind it."""
        found: Tensor = F.leaky_relu(self.get_submodule(name)(features), LEAK)
        return self.norms[name](found) if name in self.norms else found


def _double(features: Tensor) -> Tensor:
    """Return the features at twice the height and width, each value four times."""
    return F.interpolate(features, scale_factor=2.0, mode="nearest")
