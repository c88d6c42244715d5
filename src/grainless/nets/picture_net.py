"""What every network of grainless says about itself."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn


class PictureNet(nn.Module):
    """A network from a noisy picture to a clean one of the same shape."""

    stride: int = 1
    """Height and width of the input must be multiples of this many pixels."""
    inputs: tuple[Literal["picture", "levels"], ...] = ("picture",)
    """What `forward` takes, in order: `picture`, and `levels` if black and white point are asked for."""
    channels: Literal[1, 3] = 3
    """Channels of input and output."""
    gives_logits: bool = False
    """Whether the network is trained by cross-entropy: `logits` gives what the answer is the sigmoid of."""

    def logits(self, *inputs: Tensor) -> Tensor:
        """Return what the answer is the sigmoid of; raise TypeError where `gives_logits` is false."""
        raise TypeError(f"{type(self).__name__} gives no logits in this form")

    def fold(self) -> None:
        """Make what only training needs, such as batch norms, part of the weights that are used."""
        for module in self.modules():
            if module is not self and callable(fold := getattr(module, "fold", None)):
                fold()

    def select_inputs(self, picture: Tensor, levels: Tensor) -> tuple[Tensor, ...]:
        """Return those of the two that the network takes."""
        return (picture, levels) if "levels" in self.inputs else (picture,)
