"""Pictures won and lost the most, and that they are made again with the very same noise."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from grainless.errors import DataError, InputError
from grainless.evaluation import Method, evaluate, make_examples, pick_examples
from grainless.metrics import AWGN_LITERATURE, EXACT_PSNR, FILE_8BIT, psnr

NOISES = ("gaussian:25", "salt-pepper:0.2")


def blur(pixels):
    """A method that wins on flat pictures and loses on detailed ones."""
    mean = pixels.mean(axis=(0, 1), keepdims=True)
    return np.broadcast_to(mean, pixels.shape).astype(pixels.dtype)


METHODS = ("median", Method("blur", blur))


@pytest.fixture
def folder(tmp_path, rng):
    pictures = {
        "flat": np.full((24, 24, 3), 128),
        "ramp": np.broadcast_to(np.linspace(0, 255, 24)[:, None, None], (24, 24, 3)),
        "deep/busy": rng.integers(0, 256, (4, 4, 3)).repeat(6, 0).repeat(6, 1),
    }
    for name, pixels in pictures.items():
        path = tmp_path / "photos" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    return tmp_path / "photos"


def test_the_most_won_and_the_most_lost_are_picked(folder):
    result = evaluate(folder, NOISES, methods=METHODS)
    picks = pick_examples(result, "blur", noises=["gaussian:25"])
    assert [pick.picture for pick in picks] == ["flat.png", "ramp.png"]
    assert picks[0].gain > 0 > picks[1].gain
    assert {pick.rival for pick in picks} == {"median"}
    scores = {
        method: {item.name: item.scores.psnr for item in result.row(method, "gaussian:25").pictures}
        for method in ("blur", "median")
    }
    assert picks[1].gain == pytest.approx(scores["blur"]["ramp.png"] - scores["median"]["ramp.png"])
    assert [pick.noise for pick in pick_examples(result, "blur")] == ["gaussian:25"] * 2 + [
        "salt-pepper:0.2"
    ] * 2


def test_a_single_picture_is_picked_once(folder):
    result = evaluate(folder, NOISES[:1], methods=METHODS, limit=1)
    assert len(pick_examples(result, "blur")) == 1


@pytest.mark.parametrize("protocol", [FILE_8BIT, AWGN_LITERATURE], ids=lambda protocol: protocol.name)
def test_examples_score_as_they_did(folder, protocol):
    result = evaluate(folder, NOISES, methods=METHODS, protocol=protocol, seed=3)
    examples = make_examples(folder, result, pick_examples(result, "blur"), methods=METHODS)
    assert len(examples) == 4
    for example in examples:
        assert list(example.restored) == ["median", "blur"]
        for method, restored in example.restored.items():
            again = min(EXACT_PSNR, psnr(example.clean, restored, protocol))
            assert again == pytest.approx(example.psnr[method], abs=1e-9)
        assert psnr(example.clean, example.noisy, protocol) == pytest.approx(example.psnr["noisy"])


def test_what_cannot_be_picked_or_made_again_is_said(folder):
    result = evaluate(folder, NOISES[:1], methods=METHODS)
    with pytest.raises(InputError, match=r"nothing to hold median against"):
        pick_examples(evaluate(folder, NOISES[:1], methods=["median"]), "median")
    with pytest.raises(InputError, match=r"was not measured; got nlm on gaussian:25"):
        pick_examples(result, "nlm")
    picks = pick_examples(result, "blur")
    (folder / "ramp.png").unlink()
    with pytest.raises(DataError, match=r"does not hold a picture that was measured; got no ramp\.png"):
        make_examples(folder, result, picks, methods=METHODS)
