"""Runs a model on tiles, and says in words how a run failed."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from grainless.errors import BrokenAnswerError, ModelError
from grainless.model_file import ModelCard
from grainless.runtime import Run, in_one_line

_OUT_OF_MEMORY = re.compile(
    r"bad[_ ]?alloc|fail\w* to allocate|(can ?not|can't|unable to|couldn't|could not) allocate"
    r"|(out of|not enough|insufficient) memory",
    re.IGNORECASE,
)
"""What the runtimes say, each in its own words, where the system has no more memory for them."""


class MemoryShortError(ModelError):
    """Raised where a tile needs more memory than there is: a smaller one may do."""


class Network:
    """A model that is ready to run, and its name for messages; may be used from several threads."""

    def __init__(self, card: ModelCard, run: Run, *, name: str) -> None:
        """Take the model's card, the function that runs its graph, and its name."""
        self.card = card
        self.run = run
        self.name = name

    def answer(self, values: NDArray[np.float32], levels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the network's answer to `values` `(height, width, C)`, in the same shape and units.

        A gray picture goes through a colour network as three equal channels, and the answer's mean is
        taken; a colour picture goes through a gray network channel by channel. `levels` `(2,)` are the
        picture's black and white point. Raises `ModelError` where the graph fails or its answer is no picture
        of the same size, `MemoryShortError` where the memory was not enough.
        """
        planes = values.transpose(2, 0, 1)
        if self.card.channels == 1:
            batch = planes[:, None]
        else:
            batch = np.broadcast_to(planes, (3, *planes.shape[1:]))[None]
        inputs = {"picture": np.ascontiguousarray(batch)}
        if "levels" in self.card.inputs:
            inputs["levels"] = np.tile(levels, (len(batch), 1))
        answer = self._checked_run(inputs)
        planes = answer[:, 0] if self.card.channels == 1 else answer[0]
        if values.shape[2] < len(planes):
            planes = planes.mean(axis=0, keepdims=True)
        return planes.transpose(1, 2, 0)

    def _checked_run(self, inputs: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        shape = inputs["picture"].shape
        try:
            answer = self.run(inputs)
        except MemoryError as error:
            raise self._memory_short(shape) from error
        except Exception as error:  # each runtime has its own kinds, some of them bare RuntimeErrors
            words = in_one_line(error)
            if _OUT_OF_MEMORY.search(words):
                raise self._memory_short(shape) from error
            raise ModelError(f"The model {self.name} failed on a tile of {_size(shape)}: {words}") from error
        if answer.shape != shape:
            raise ModelError(
                f"The model {self.name} answers in another size", got=answer.shape, expected=str(shape)
            )
        if not np.isfinite(answer).all():
            raise BrokenAnswerError(
                f"The model {self.name} answers with values that are no numbers (NaN or infinity)",
                remedy="Nothing was changed. Use another model for this picture.",
            )
        return answer

    def _memory_short(self, shape: tuple[int, ...]) -> MemoryShortError:
        return MemoryShortError(
            f"The model {self.name} ran out of memory on a tile of {_size(shape)}",
            remedy="Close other programs, or use a smaller model.",
        )


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[3]} by {shape[2]} pixels"
