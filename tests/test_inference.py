"""Runs of a model: failures in words, and which of them are for want of memory."""

from __future__ import annotations

import numpy as np
import pytest

import tiny_models
from grainless.errors import BrokenAnswerError, ModelError
from grainless.inference import MemoryShortError, Network

LEVELS = np.array([0, 1], np.float32)


def failing(error):
    def run(_inputs):
        raise error

    return Network(tiny_models.card(), run, name="some.onnx")


@pytest.mark.parametrize(
    "words",
    [
        "std::bad_alloc",
        "bad allocation",
        "Failed to allocate memory for requested buffer of size 2415919104",
        "FailedToAllocate: failure to allocate",
        "cannot allocate memory in static TLS block",
        "Can not allocate 5 bytes",
        "unable to allocate array",
        "out of memory",
        "Not enough memory resources",
    ],
)
def test_want_of_memory_is_told_by_the_runtimes_words(words):
    with pytest.raises(MemoryShortError, match=r"some.onnx ran out of memory on a tile of 7 by 5 pixels"):
        failing(RuntimeError(words)).answer(np.zeros((5, 7, 3), np.float32), LEVELS)


@pytest.mark.parametrize("words", ["", "Invalid dimensions", "memory layout not supported", "alloc"])
def test_other_failures_keep_their_words(words):
    with pytest.raises(ModelError, match=f"some.onnx failed on a tile of 7 by 5 pixels: {words}") as caught:
        failing(RuntimeError(words)).answer(np.zeros((5, 7, 3), np.float32), LEVELS)
    assert not isinstance(caught.value, MemoryShortError)


def test_answers_that_are_no_picture():
    answers = {"size": np.zeros((1, 3, 5, 6)), "NaN": np.full((1, 3, 5, 7), np.nan)}
    for words, answer in answers.items():
        network = Network(tiny_models.card(), lambda inputs, answer=answer: answer, name="some.onnx")
        with pytest.raises(ModelError, match=words) as caught:
            network.answer(np.zeros((5, 7, 3), np.float32), LEVELS)
        assert isinstance(caught.value, BrokenAnswerError) == (words == "NaN")


def test_levels_go_in_once_for_each_channel_of_a_gray_network():
    seen = {}
    card = tiny_models.card(channels=1).model_copy(update={"inputs": ["picture", "levels"]})

    def run(inputs):
        seen.update(inputs)
        return inputs["picture"]

    values = np.random.default_rng(3).random((4, 6, 3)).astype(np.float32)
    answer = Network(card, run, name="gray").answer(values, np.array([0.25, 0.75], np.float32))
    np.testing.assert_array_equal(answer, values)
    assert seen["picture"].shape == (3, 1, 4, 6)
    assert seen["levels"].tolist() == [[0.25, 0.75]] * 3
