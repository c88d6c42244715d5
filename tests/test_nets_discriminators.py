"""The discriminators: one logit for each picture, against a plain calculation; that they learn."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from grainless.errors import InputError, RecipeError
from grainless.nets import DISCRIMINATORS, Discriminator, build_discriminator
from grainless.nets.discriminators import DropoutDiscriminator, StridedDiscriminator


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(4)


@pytest.mark.parametrize("name", DISCRIMINATORS)
@pytest.mark.parametrize("channels", [1, 3, 6])
@pytest.mark.parametrize("size", [(33, 33), (48, 48), (50, 71)])
def test_one_logit_for_each_picture(name, channels, size):
    net = build_discriminator(name, {"channels": channels, "width": 2})
    assert isinstance(net, Discriminator)
    assert net(torch.rand(3, channels, *size)).shape == (3, 1)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_the_answer_is_a_logit_and_not_a_probability(name):
    net = build_discriminator(name, {"width": 2}).eval()
    with torch.no_grad():
        answers = net(1000 * torch.randn(8, 3, 48, 48))
    assert float(answers.max()) > 1 or float(answers.min()) < 0


def test_layers_of_the_strided_discriminator():
    net = StridedDiscriminator(width=2).eval()
    features = picture = torch.rand(1, 3, 40, 24)
    convolutions = [layer for layer in net.layers if isinstance(layer, nn.Conv2d)]
    norms = [layer for layer in net.layers if isinstance(layer, nn.BatchNorm2d)]
    assert [layer.out_channels for layer in convolutions] == [2, 4, 8, 16, 1]
    for convolution, norm in zip(convolutions, norms, strict=False):
        halved = F.conv2d(features, convolution.weight, convolution.bias, stride=2, padding=1)
        features = norm(F.leaky_relu(halved, 0.2))
    expected = convolutions[-1](features).mean()
    assert features.shape[2:] == (3, 2)
    torch.testing.assert_close(net(picture)[0, 0], expected)


def test_the_last_layer_of_the_dropout_discriminator_is_linear_at_48_pixels():
    net = DropoutDiscriminator(channels=1, width=2).eval()
    picture = torch.rand(2, 1, 48, 48)
    *body, last = net.layers
    features = nn.Sequential(*body)(picture)
    assert features.shape == (2, 16, 3, 3)
    expected = F.linear(features.flatten(1), last.weight.flatten(1), last.bias)
    torch.testing.assert_close(net(picture), expected)
    kinds = [type(layer).__name__ for layer in body]
    others = ["Conv2d", "BatchNorm2d", "LeakyReLU", "Dropout"]
    assert kinds == ["Conv2d", "LeakyReLU", "Dropout", *others, *others, *others]


def test_dropout_works_in_training_alone():
    net = DropoutDiscriminator(width=4, dropout=0.5)
    picture = torch.rand(2, 3, 48, 48)
    assert not torch.equal(net(picture), net(picture))
    net.eval()
    assert torch.equal(net(picture), net(picture))
    strided = StridedDiscriminator(width=4)
    assert torch.equal(strided(picture), strided(picture))
    assert not any(isinstance(layer, nn.Dropout) for layer in strided.modules())
    assert sum(isinstance(layer, nn.Dropout) for layer in StridedDiscriminator(dropout=0.1).modules()) == 4


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_they_learn_to_tell_noise_from_a_ramp(name):
    net = build_discriminator(name, {"channels": 1, "width": 4})
    ramp = torch.linspace(0, 1, 48).expand(8, 1, 48, 48)
    pictures = torch.cat([ramp, (ramp + 0.2 * torch.randn(8, 1, 48, 48)).clamp(0, 1)])
    wanted = torch.cat([torch.ones(8, 1), torch.zeros(8, 1)])
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-3)
    for step in range(30):
        loss = F.binary_cross_entropy_with_logits(net(pictures), wanted)
        optimiser.zero_grad()
        loss.backward()
        if step == 0:
            assert all(float(weights.grad.abs().sum()) > 0 for weights in net.parameters())
        optimiser.step()
    assert loss.item() < 0.3


def test_the_strided_discriminator_takes_the_smallest_picture():
    assert StridedDiscriminator(width=2).eval()(torch.rand(1, 3, 1, 1)).shape == (1, 1)


def test_a_picture_that_is_too_small():
    net = DropoutDiscriminator(width=2)
    assert net.min_side == 33
    with pytest.raises(InputError, match=r"too small.*got 48x32 pixels; expected 33 pixels or more"):
        net(torch.rand(1, 3, 32, 48))


def test_unknown_discriminator():
    with pytest.raises(
        RecipeError, match=r"no discriminator of this name; got 'other'; expected one of dropout, strided"
    ):
        build_discriminator("other")


@pytest.mark.parametrize("name", DISCRIMINATORS)
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depth": 3}, r"discriminator .* cannot be built.*depth.*Correct its settings in the recipe"),
        ({"width": 0}, "channels and width must be whole numbers of 1 or more, not 3 and 0"),
        ({"channels": 1.5}, r"channels and width must be whole numbers of 1 or more, not 1\.5 and 64"),
        ({"dropout": 1}, "dropout must be at least 0 and less than 1, not 1"),
        ({"dropout": "x"}, "cannot be built"),
    ],
)
def test_wrong_settings(name, settings, message):
    with pytest.raises(RecipeError, match=message):
        build_discriminator(name, settings)
