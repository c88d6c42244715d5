"""A trained model that a smaller network learns from, beside the clean patches."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grainless.errors import RecipeError
from grainless.model_file import read_model
from grainless.nets import PictureNet
from grainless.runtime import start


class Teacher:
    """Answers batches of noisy patches with an exported model, which is run on the CPU and not trained.

    Source: Hinton et al. 2015, "Distilling the knowledge in a neural network", here for pictures.
    """

    def __init__(self, model: str, net: PictureNet) -> None:
        """Load a model by name or path, for what `net` is trained on.

        Raises ModelError for a file that is no model, RecipeError for one of another number of channels.
        """
        loaded = read_model(model)
        self.stride, self._inputs = loaded.card.stride, loaded.card.inputs
        if loaded.card.channels != net.channels:
            raise RecipeError(
                f"The teacher {model} does not fit the network",
                got=f"a model for {loaded.card.channels} channel(s)",
                expected=f"one for {net.channels}",
                remedy="Choose another optimiser.teacher",
            )
        self._run = start(loaded, threads=torch.get_num_threads(), runtime="onnxruntime")

    def answer(self, noisy: Tensor, levels: Tensor) -> Tensor:
        """Return the clean patches that the teacher sees, in the shape, and on the device, of `noisy`.

        `noisy` is `(batch, channels, height, width)`, sides multiples of `stride`; `levels` `(batch, 2)`.
        """
        tensors = {"picture": noisy, "levels": levels}
        inputs: dict[str, NDArray[np.float32]] = {
            name: tensors[name].detach().float().cpu().contiguous().numpy() for name in self._inputs
        }
        return torch.from_numpy(self._run(inputs)).to(noisy.device)
