"""The networks: shapes, precision, the impulse hint against a plain calculation, and messages."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import maximum_filter
from torch import nn

from grainless.errors import RecipeError
from grainless.nets import NETS, build_net
from grainless.nets.blocks import LEAK, ResidualBlock, stack
from grainless.nets.hint import (
    DOUBT,
    EVIDENCE,
    FILL_HIT,
    OWN_SHARE,
    SHARP_HIT,
    SOFT_HIT,
    ImpulseHint,
    spare_unhit,
)
from grainless.nets.universal import DETAIL, UniversalNet

TINY = {
    "widths": [8, 8, 8],
    "encoder_blocks": [1, 1],
    "middle_blocks": 1,
    "decoder_blocks": [1, 1],
    "hint_radius": 2,
}
FULL = torch.tensor([[0.0, 1.0]])


@pytest.fixture
def net():
    torch.manual_seed(3)
    return build_net("universal", TINY).eval()


@pytest.fixture
def normed():
    torch.manual_seed(3)
    return build_net("universal", TINY | {"norm": True}).eval()


def picture(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).uniform(0.1, 0.9, shape).astype(np.float32))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(8, 8), (16, 40)])
def test_answer_has_the_shape_of_the_picture(channels, size):
    net = build_net("universal", TINY | {"channels": channels})
    noisy = picture(2, channels, *size)
    answer = net(noisy, FULL.expand(2, 2))
    assert answer.shape == noisy.shape
    assert answer.dtype == torch.float32
    assert (net.stride, net.channels, net.inputs) == (8, channels, ("picture", "levels"))


def test_inputs_are_selected(net):
    noisy = picture(1, 3, 8, 8)
    assert net.select_inputs(noisy, FULL) == (noisy, FULL)


def test_untrained_network_stays_near_the_picture(net):
    noisy = picture(1, 3, 32, 32)
    with torch.no_grad():
        answer = net(noisy, FULL)
    # Its blend takes about an eighth of the fill, which at the pixel itself is mostly that pixel.
    assert float((answer - noisy).abs().mean()) < 0.2


def silence(net):
    """Let both residuals be zero and the blend take nothing of the fill."""
    with torch.no_grad():
        for weights in net.tail.parameters():
            weights.zero_()
        # The channels of the residual come first, those of the gate behind them, then the other residual's.
        net.tail.bias.view(3, -1)[1] = -1000


def test_under_autocast_the_sum_is_float32(net):
    silence(net)
    noisy = picture(1, 3, 16, 16)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        answer = net(noisy, FULL)
    assert answer.dtype == torch.float32
    assert torch.equal(answer, noisy)
    # The test can fail: in bfloat16 the picture itself would be coarser.
    assert not torch.equal(noisy.bfloat16().float(), noisy)


def test_convolutions_do_run_in_bfloat16_under_autocast(net):
    seen = []
    net.tail.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        net(picture(1, 3, 16, 16), FULL)
    assert seen == [torch.bfloat16]


@pytest.mark.parametrize(("black", "white"), [(0.0, 1.0), (0.2, 0.7)])
def test_hint_marks_extremes_fully_and_near_extremes_softly(black, white):
    hint = ImpulseHint(1, radius=2)
    middle = (black + white) / 2
    values = [black, white, black + SHARP_HIT, white - SHARP_HIT, black + SOFT_HIT, white - SOFT_HIT, middle]
    marks, _ = hint(torch.tensor(values).view(1, 1, 1, -1), torch.tensor([[black, white]]))
    sharp, soft = marks[0, :, 0].tolist()
    assert sharp[:2] == soft[:2] == [1, 1]
    assert sharp[2:4] == pytest.approx([np.exp(-1)] * 2, rel=1e-3)
    assert soft[4:6] == pytest.approx([np.exp(-1)] * 2, rel=1e-3)
    assert min(soft[2:4]) > 0.9
    assert max(*sharp[4:], soft[6]) < 1e-10


def test_marks_come_sharp_before_soft_over_all_channels():
    values = torch.tensor([SOFT_HIT, 0.5]).view(1, 2, 1, 1)
    marks, fill = ImpulseHint(2, radius=1)(values, FULL)
    assert fill.shape == values.shape
    assert marks.flatten().tolist() == pytest.approx([0, 0, np.exp(-1), 0], abs=1e-3)


def test_each_picture_of_a_batch_has_its_own_levels():
    hint = ImpulseHint(1, radius=1)
    values = torch.full((2, 1, 3, 3), 0.2)
    mark, _ = hint(values, torch.tensor([[0.2, 1.0], [0.0, 1.0]]))
    assert mark[0].min() == 1
    assert mark[1].max() < 1e-6


def plain_fill(values, radius):
    """The mean of what is around by inverse distance to the sixth power, extremes left out, by loops."""
    height, width = values.shape
    offsets = [
        (v, u) for v in range(-radius, radius + 1) for u in range(-radius, radius + 1) if (v, u) != (0, 0)
    ]
    own = OWN_SHARE * sum((v * v + u * u) ** -3.0 for v, u in offsets)
    fill = np.empty_like(values, dtype=np.float64)
    for y in range(height):
        for x in range(width):
            total = weights = 0.0
            for v, u in [*offsets, (0, 0)]:
                if 0 <= y + v < height and 0 <= x + u < width:
                    value = float(values[y + v, x + u])
                    near = np.exp(-((min(value, 1 - value) / FILL_HIT) ** 2))
                    weight = (1 - near + 1e-7) * ((v * v + u * u) ** -3.0 if v or u else own)
                    total += weight * value
                    weights += weight
            fill[y, x] = total / weights
    return fill


def test_fill_is_the_inverse_distance_mean_per_channel(rng):
    values = rng.uniform(0.1, 0.9, (2, 9, 11)).astype(np.float32)
    hits = rng.random(values.shape)
    values[hits < 0.3], values[hits > 0.7] = 0, 1
    _, fill = ImpulseHint(2, radius=3)(torch.from_numpy(values)[None], FULL)
    for channel in range(2):
        expected = plain_fill(values[channel], 3)
        np.testing.assert_allclose(fill[0, channel].numpy(), expected, atol=1e-5)


def plain_joint_fill(values, radius, own):
    """What the other channels say at each place: their value plus the mean difference around, by loops."""
    channels, height, width = values.shape
    near = np.exp(-((np.minimum(values, 1 - values) / FILL_HIT) ** 2))
    known = 1 - near
    offsets = [(v, u) for v in range(-radius, radius + 1) for u in range(-radius, radius + 1)]
    around = sum((v * v + u * u) ** -3.0 for v, u in offsets if v or u)
    weigh = {(v, u): (v * v + u * u) ** -3.0 if v or u else OWN_SHARE * around for v, u in offsets}
    fill = np.empty(values.shape)
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                total, counted = DOUBT * own[c, y, x], DOUBT
                for other in {0, 1, 2} - {c}:
                    weight = difference = 0.0
                    for (v, u), kernel in weigh.items():
                        if 0 <= y + v < height and 0 <= x + u < width:
                            here = y + v, x + u
                            both = kernel * (known[c][here] * known[other][here] + 1e-7)
                            weight += both
                            difference += both * (values[c][here] - values[other][here])
                    share = weight / around
                    counts = known[other, y, x] * share / (share + EVIDENCE)
                    total += counts * (values[other, y, x] + difference / weight)
                    counted += counts
                fill[c, y, x] = own[c, y, x] + near[c, y, x] * (total / counted - own[c, y, x])
    return fill


def test_joint_fill_follows_the_other_channels(rng):
    base = rng.uniform(0.3, 0.6, (9, 11))
    values = np.stack([base, base + 0.1, base - 0.05]) + rng.uniform(-0.01, 0.01, (3, 9, 11))
    hits = rng.random(values.shape)
    noisy = np.where(hits < 0.2, 0.0, np.where(hits > 0.8, 1.0, values)).astype(np.float32)
    _, own = ImpulseHint(3, radius=3)(torch.from_numpy(noisy)[None], FULL)
    _, joint = ImpulseHint(3, radius=3, joint=True)(torch.from_numpy(noisy)[None], FULL)
    expected = plain_joint_fill(noisy.astype(np.float64), 3, own[0].double().numpy())
    np.testing.assert_allclose(joint[0].numpy(), expected, atol=2e-5)
    # Channels that differ by little but a constant: what one lost stands in the others.
    hit = noisy != values.astype(np.float32)
    errors = [np.abs(fill[0].numpy() - values)[hit].mean() for fill in (own, joint)]
    assert errors[1] < errors[0] / 2
    torch.testing.assert_close(joint[0][torch.from_numpy(~hit)], own[0][torch.from_numpy(~hit)])


def test_joint_fill_of_gray_pictures_is_that_of_one_channel(rng):
    gray = rng.uniform(0.2, 0.8, (1, 1, 12, 12)).astype(np.float32)
    gray[rng.random(gray.shape) < 0.4] = 0
    values = torch.from_numpy(gray)
    _, alone = ImpulseHint(1, radius=3, joint=True)(values, FULL)
    _, three = ImpulseHint(3, radius=3, joint=True)(values.expand(1, 3, 12, 12), FULL)
    torch.testing.assert_close(three, alone.expand(1, 3, 12, 12), atol=1e-5, rtol=0)


def test_dark_values_beside_black_stay_in_the_fill():
    values = torch.full((1, 1, 5, 5), 6 / 255)
    values[0, 0, 2, 2] = 0
    _, fill = ImpulseHint(1, radius=2)(values, FULL)
    assert fill[0, 0, 2, 2].item() == pytest.approx(6 / 255, rel=1e-3)


@pytest.mark.parametrize("distance", [1, 3, 5])
def test_one_value_that_was_not_hit_is_found_from_afar(distance):
    values = torch.ones(1, 1, 15, 15)
    values[0, 0, 7, 7 - distance] = 0.4
    _, fill = ImpulseHint(1, radius=7)(values, FULL)
    assert fill[0, 0, 7, 7].item() == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize("white", [0.0, 1.0])
def test_the_majority_fills_black_and_white_areas(rng, white):
    """Impulses of 30 % in the midst of a white area, or of a black one."""
    clean = torch.full((1, 1, 64, 64), 0.5)
    clean[..., 8:56, 8:56] = white
    noisy = clean.clone()
    noisy[torch.tensor(rng.random(clean.shape)) < 0.3] = 1 - white
    inside = slice(18, 46)
    for majority, largest in ((True, 0.01), (False, 1.0)):
        _, fill = ImpulseHint(1, radius=7, majority=majority)(noisy, FULL)
        error = float((fill - clean)[..., inside, inside].abs().max())
        assert error < largest
        assert majority or error > 0.2


def test_fill_is_defined_where_everything_is_marked():
    values = torch.ones(1, 1, 7, 7)
    _, fill = ImpulseHint(1, radius=2)(values, FULL)
    torch.testing.assert_close(fill, values)


def test_the_hint_is_not_in_the_checkpoint(net):
    assert not any(name.startswith("hint") for name in net.state_dict())


def trained_a_little(net):
    """Let the norms of a network collect statistics that are not those that they begin with."""
    net.train()
    for seed in range(5):
        net(picture(2, 3, 16, 16, seed=seed), FULL.expand(2, 2))
    return net.eval()


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_residual_block_adds_to_its_input(norm, bias):
    block = ResidualBlock(4, norm=norm, bias=bias).eval()
    nn.init.normal_(block.second.weight)
    assert (block.first.bias is not None, isinstance(block.norm, nn.BatchNorm2d)) == (bias, norm)
    features = torch.randn(1, 4, 6, 6)
    expected = features + block.second(nn.LeakyReLU(LEAK)(block.norm(block.first(features))))
    torch.testing.assert_close(block(features), expected)
    assert len(stack(4, 3)) == 3
    assert torch.equal(stack(4, 0)(features), features)


def test_without_a_norm_a_block_begins_as_the_identity():
    features = torch.randn(1, 4, 6, 6)
    assert torch.equal(ResidualBlock(4)(features), features)
    assert not torch.equal(ResidualBlock(4, norm=True).eval()(features), features)


def test_a_folded_network_answers_the_same_without_norms(normed):
    net = trained_a_little(normed)
    noisy = picture(1, 3, 16, 16, seed=9)
    with torch.no_grad():
        before = net(noisy, FULL)
        net.fold()
        after = net(noisy, FULL)
        net.fold()  # a second time it does nothing
        torch.testing.assert_close(net(noisy, FULL), after, atol=0, rtol=0)
    torch.testing.assert_close(after, before, atol=1e-5, rtol=0)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in net.modules())


def test_folded_branches_are_part_of_the_kernels():
    block = ResidualBlock(4, norm=True, branches=True).eval()
    for weights in block.parameters():
        nn.init.normal_(weights, std=0.3)
    features = torch.randn(2, 4, 9, 7)
    with torch.no_grad():
        before = block(features)
        block.fold()
        torch.testing.assert_close(block(features), before, atol=1e-5, rtol=1e-5)
    plain = ResidualBlock(4, bias=True).state_dict()
    assert {name.split(".")[0] for name in block.state_dict()} == {name.split(".")[0] for name in plain}


def test_branches_change_nothing_before_they_are_trained():
    torch.manual_seed(0)
    plain = ResidualBlock(4, bias=True)
    branched = ResidualBlock(4, bias=True, branches=True)
    branched.load_state_dict(plain.state_dict(), strict=False)
    features = torch.randn(1, 4, 6, 6)
    nn.init.normal_(plain.second.weight)
    branched.second.weight = plain.second.weight
    assert torch.equal(branched(features), plain(features))


SWITCHES = [
    {},
    {"norm": True},
    {"bias": True},
    {"branches": True},
    {"norm": True, "branches": True},
    {"unshuffle": False},
    {"seen": "picture", "answer": "picture"},
    {"seen": "marks"},
    {"seen": "beside"},
    {"joint": False},
    {"seen": "fill", "two_residuals": False},
    {"answer": "fill", "gain": 1.0},
    {"widths": [8, 8], "encoder_blocks": [1], "decoder_blocks": [1]},
    {"widths": [8, 8, 8, 8], "encoder_blocks": [1, 0, 1], "decoder_blocks": [1, 0, 1]},
]
"""The universal network as trials of its design switch it."""


@pytest.fixture(params=SWITCHES, ids=str)
def switched(request):
    torch.manual_seed(3)
    return build_net("universal", TINY | request.param)


def test_gradient_reaches_every_weight(switched):
    for module in switched.modules():
        if isinstance(module, ResidualBlock):
            # Where they begin at zero, the convolution before them learns nothing in the first step.
            nn.init.normal_(module.second.weight, std=0.1)
            for point in module.points:
                nn.init.normal_(point.weight, std=0.1)
    noisy = picture(1, 3, 32, 32)
    noisy[..., ::3, ::4] = 1.0
    switched(noisy, FULL).square().mean().backward()
    assert all(float(weights.grad.abs().sum()) > 0 for weights in switched.parameters())


def test_every_switch_answers_in_the_shape_of_the_picture(switched):
    noisy = picture(2, 3, switched.stride, 3 * switched.stride)
    with torch.no_grad():
        answer = switched.eval()(noisy, FULL.expand(2, 2))
    assert answer.shape == noisy.shape
    assert switched.stride == switched.cell * 2 ** (len(switched.encoders))


def given(net, monkeypatch, residual, gate, hit):
    """Let the layers of a network give these everywhere."""
    values = [residual, gate, hit][: 3 if net.two_residuals else 2]
    monkeypatch.setattr(
        net,
        "_layers",
        lambda features: torch.cat([torch.full_like(features[:, :3], value) for value in values], dim=1),
    )


@pytest.mark.parametrize(("answer", "base"), [("picture", "picture"), ("fill", "fill"), ("blend", "half")])
@pytest.mark.parametrize("two", [False, True])
def test_residuals_are_added_to_the_base_by_the_marks(answer, base, two, monkeypatch):
    net = build_net("universal", TINY | {"answer": answer, "two_residuals": two}).train()
    net.trust = 0.0
    given(net, monkeypatch, 0.1, 0.0, 0.3)
    noisy = picture(1, 3, 16, 16)
    noisy[..., 5, 7] = 1.0
    marks, fill = net.hint(noisy, FULL)
    bases = {"picture": noisy, "fill": fill, "half": (noisy + fill) / 2}
    clean = net(noisy, FULL)
    expected = bases[base] + 0.1
    if two:
        expected = expected + 0.2 * marks[:, 3:]
    torch.testing.assert_close(clean, expected)
    assert float((clean - bases[base])[..., 5, 7].mean()) == pytest.approx(0.3 if two else 0.1)


def test_marked_and_unmarked_parts_of_the_difference_go_in_apart(monkeypatch):
    net = build_net("universal", TINY | {"gain": 2.0})
    noisy = picture(1, 3, 16, 16)
    noisy[..., 5, 7] = 0.0
    marks, fill = net.hint(noisy, FULL)
    unmarked, marked, around, seen = net._features(noisy, fill, marks).split([3, 3, 3, 6], dim=1)
    torch.testing.assert_close(unmarked / (2 * DETAIL) + marked / 2, noisy - fill)
    assert float(unmarked[..., 5, 7].abs().max()) == 0
    assert float(marked.abs().sum() - marked[..., 5, 7].abs().sum()) == pytest.approx(0, abs=1e-5)
    torch.testing.assert_close(around, 2 * (fill - 0.5))
    torch.testing.assert_close(seen, 2 * marks)


def test_what_is_spared_in_use_is_learnt_in_training(monkeypatch):
    net = build_net("universal", TINY)
    given(net, monkeypatch, 0.004, -1000.0, 0.004)
    noisy = picture(1, 3, 32, 32)
    noisy[..., ::3, ::3] = 1.0
    used, trained = net.eval()(noisy, FULL), net.train()(noisy, FULL)
    torch.testing.assert_close(trained, noisy + 0.004)
    unhit = noisy < 1
    assert float((used - noisy)[unhit].abs().max()) < 1e-3


def test_networks_by_name():
    assert isinstance(build_net("universal"), UniversalNet)
    assert set(NETS) == {"bottleneck-unet", "unet", "universal", "upconv"}
    assert isinstance(build_net("universal", TINY), nn.Module)


def test_unknown_network():
    with pytest.raises(
        RecipeError, match=r"no network of this name; got 'other'; expected one of .*universal"
    ):
        build_net("other")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depth": 3}, r"universal cannot be built.*depth.*\[net\.settings\]"),
        ({"widths": [8, 8]}, "encoder_blocks and decoder_blocks a number for each but the last"),
        ({"widths": [8]}, "widths needs two scales or more"),
        ({"seen": "all"}, "seen must be one of picture, marks, beside, fill, parts, not 'all'"),
        ({"answer": "sum"}, "answer must be one of picture, fill, blend, not 'sum'"),
        ({"widths": "abc"}, "cannot be built"),
        ({"encoder_blocks": [1]}, "a number for each but the last"),
        ({"widths": [8, 8, -8]}, "cannot be built"),
        ({"channels": 2.5}, "cannot be built"),
        ({"hint_radius": "x"}, "cannot be built"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(RecipeError, match=message):
        build_net("universal", TINY | settings)


UNET, BOTTLENECK, UPCONV = {"width": 4}, {"widths": [4, 6], "bottleneck": 8}, {"widths": [4, 5, 6, 7, 8]}
FORMS = [
    ("unet", UNET),
    ("unet", UNET | {"down": "stride", "skips": False, "channels": 1}),
    ("unet", UNET | {"output": "sigmoid", "depth": 3}),
    ("unet", UNET | {"residual": True, "depth": 2}),
    ("unet", UNET | {"hint": True, "depth": 3, "dropout": 0.0}),
    ("bottleneck-unet", BOTTLENECK),
    ("bottleneck-unet", BOTTLENECK | {"residual": True, "skips": False}),
    ("bottleneck-unet", BOTTLENECK | {"hint": True, "channels": 1}),
    ("upconv", UPCONV),
    ("upconv", UPCONV | {"skip": True}),
    ("upconv", UPCONV | {"hint": True, "channels": 1}),
    ("upconv", UPCONV | {"hint": True, "skip": True}),
]
"""Every network but the universal one, in every form."""


@pytest.fixture(params=FORMS, ids=lambda form: " ".join([form[0], *(f"{k}={v}" for k, v in form[1].items())]))
def form(request):
    torch.manual_seed(5)
    return build_net(*request.param)


def inputs_for(net, *size, batch=1, seed=0):
    """What the network takes, for a random picture whose sides are so many strides."""
    sides = (side * net.stride for side in size)
    return net.select_inputs(picture(batch, net.channels, *sides, seed=seed), FULL.expand(batch, 2))


@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
def test_every_form_answers_in_the_shape_of_the_picture(form, size):
    inputs = inputs_for(form.eval(), *size, batch=2)
    with torch.no_grad():
        answer = form(*inputs)
        again = form(*inputs)
    assert answer.shape == inputs[0].shape
    assert answer.dtype == torch.float32
    assert torch.equal(answer, again)


def test_every_weight_of_every_form_is_trained(form):
    form.train()(*inputs_for(form, 2, 2, batch=2)).square().mean().backward()
    assert all(float(weights.grad.abs().sum()) > 0 for weights in form.parameters())


def test_every_form_answers_the_same_when_folded(form):
    form.train()
    for seed in range(5):
        form(*inputs_for(form, 2, 2, batch=2, seed=seed))
    inputs = inputs_for(form.eval(), 2, 3, seed=9)
    with torch.no_grad():
        before = form(*inputs)
        form.fold()
        form.fold()  # a second time it does nothing
        torch.testing.assert_close(form(*inputs), before, atol=1e-5, rtol=0)


def test_in_use_the_batch_does_not_matter(form):
    form.eval()
    inputs = inputs_for(form, 2, 2, batch=3)
    with torch.no_grad():
        together, alone = form(*inputs), form(*(part[1:2] for part in inputs))
    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=0)


def test_under_autocast_every_form_answers_in_float32(form):
    inputs = inputs_for(form.eval(), 2, 2)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        answer = form(*inputs)
    assert answer.dtype == torch.float32


def sharing(channels=3, **settings):
    """An untrained network of each kind with these settings."""
    torch.manual_seed(6)
    own = {"unet": UNET, "bottleneck-unet": BOTTLENECK, "upconv": UPCONV}
    return [build_net(name, own[name] | {"channels": channels} | settings).eval() for name in own]


@pytest.mark.parametrize("settings", [{"residual": True}, {"hint": True}])
def test_residual_and_hint_begin_near_the_picture(settings):
    for net in sharing(**settings):
        inputs = inputs_for(net, 4, 4)
        with torch.no_grad():
            # An eighth of the fill is taken, which at the pixel itself is mostly that pixel.
            assert float((net(*inputs) - inputs[0]).abs().mean()) < 0.05


def test_the_hint_begins_near_the_fill_where_impulses_are():
    for net in sharing(hint=True):
        noisy = torch.full((1, 3, 32, 32), 0.5)
        noisy[:, :, ::5, ::7] = 1.0
        with torch.no_grad():
            answer = net(noisy, FULL)
        # The blend at a mark is sigmoid(2), so it leaves an eighth of the impulse.
        assert float((answer[:, :, ::5, ::7] - 0.5).abs().mean()) < 0.15
        assert float((answer - 0.5).abs().max()) < 0.25


def test_the_answer_with_the_hint_is_the_blend_of_the_universal_network():
    for net in sharing(hint=True, hint_radius=2):
        noisy, given = picture(1, 3, 16, 16), torch.randn(1, 6, 16, 16)
        noisy[0, :, 3, 4] = 0
        net.layers = lambda features, given=given: given
        marks, fill = ImpulseHint(3, radius=2)(noisy, FULL)
        blend = torch.sigmoid(given[:, 3:] + 4 * marks[:, :3] - 2)
        expected = (1 - blend) * noisy + blend * fill + given[:, :3]
        torch.testing.assert_close(net(noisy, FULL), expected)


def test_a_residual_is_added_and_a_sigmoid_keeps_within_the_range():
    noisy, given = picture(1, 3, 16, 16), 20 * torch.randn(1, 3, 16, 16)
    for settings, expected in [
        ({"residual": True}, noisy + given),
        ({"output": "sigmoid"}, torch.sigmoid(given)),
        ({"output": "linear"}, given),
    ]:
        for net in sharing(**settings):
            net.layers = lambda features: given
            torch.testing.assert_close(net(noisy), expected)


def test_a_network_with_the_hint_asks_for_the_levels():
    for net in sharing(hint=True):
        assert net.inputs == ("picture", "levels")
        with pytest.raises(TypeError, match="takes black and white point too"):
            net(picture(1, 3, 16, 16))
    assert all(net.inputs == ("picture",) for net in sharing())


def test_only_cross_entropy_asks_for_logits(net):
    assert not any(one.gives_logits for one in (net, *sharing(output="linear"), *sharing(hint=True)))
    with pytest.raises(TypeError, match="UniversalNet gives no logits in this form"):
        net.logits(picture(1, 3, 8, 8))


@pytest.mark.parametrize("name", ["unet", "bottleneck-unet", "upconv"])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"colours": 3}, "unexpected keyword argument 'colours'"),
        ({"channels": 2}, "channels must be 1 or 3, not 2"),
        ({"output": "tanh"}, 'output must be "linear" or "sigmoid", not \'tanh\''),
        ({"output": "sigmoid", "hint": True}, 'residual and hint need output = "linear"'),
        ({"output": "sigmoid", "residual": True}, 'residual and hint need output = "linear"'),
        ({"hint": True, "hint_radius": "x"}, "hint_radius must be a whole number"),
        ({"hint": True, "hint_radius": 0}, "hint_radius must be a whole number of 1 or more, not 0"),
    ],
)
def test_wrong_settings_of_the_shared_kind(name, settings, message):
    with pytest.raises(RecipeError, match=rf"{name} cannot be built.*{message}.*\[net\.settings\]"):
        build_net(name, settings)


def _spared(noisy, clean):
    picture, answer = (torch.tensor(values, dtype=torch.float32)[None] for values in (noisy, clean))
    marks, _ = ImpulseHint(3, radius=2)(picture, torch.tensor([[0.0, 1.0]]))
    return spare_unhit(picture, answer, marks=marks)[0].numpy()


def test_values_that_no_impulse_hit_are_spared(rng):
    picture = rng.uniform(0.2, 0.8, (3, 32, 32))
    hit = rng.random((1, 32, 32)) < 0.2
    noisy = np.where(hit, 1.0, picture)
    answer = np.where(hit, picture, picture + rng.normal(0, 1.5 / 255, picture.shape))
    spared = _spared(noisy, answer)
    unhit = ~np.broadcast_to(hit, picture.shape)
    near = maximum_filter(hit[0], 5)[None] & unhit
    np.testing.assert_allclose(spared[near], noisy[near], atol=1e-6)
    np.testing.assert_allclose(spared[~unhit], answer[~unhit], atol=1e-6)


def test_nothing_is_spared_beside_other_noise_or_without_impulses(rng):
    picture = rng.uniform(0.2, 0.8, (3, 32, 32))
    noisy = picture + rng.normal(0, 15 / 255, picture.shape)
    np.testing.assert_allclose(_spared(noisy, picture), picture, atol=2e-5)
    hit = np.where(rng.random((1, 32, 32)) < 0.2, 1.0, noisy)
    np.testing.assert_allclose(_spared(hit, picture), picture, atol=2e-5)
    weak = picture + rng.normal(0, 1 / 255, picture.shape)
    np.testing.assert_allclose(_spared(weak, picture), picture, atol=2e-5)


def test_keep_gives_unmarked_values_back(rng):
    net = build_net("universal", {"widths": [8, 8, 8], "hint_radius": 2, "keep": True}).eval()
    picture = torch.tensor(rng.uniform(0.1, 0.9, (1, 3, 16, 16)), dtype=torch.float32)
    picture[..., 3, 4:9] = 1.0
    with torch.no_grad():
        answer = net(picture, torch.tensor([[0.0, 1.0]]))
    unhit = picture < 1
    assert torch.equal(answer[unhit], picture[unhit])
    assert float((answer[~unhit] - 1).abs().min()) > 0


def test_against_impulses_alone_training_begins_at_the_fill(rng):
    picture = torch.tensor(rng.uniform(0.4, 0.6, (1, 3, 32, 32)), dtype=torch.float32)
    picture[..., ::5, ::7] = 1.0
    distance = []
    for keep in (False, True):
        torch.manual_seed(0)
        net = build_net("universal", {"widths": [8, 8, 8], "keep": keep}).eval()
        with torch.no_grad():
            answer, (_, fill) = net(picture, FULL), net.hint(picture, FULL)
        distance.append(float((answer - fill)[..., ::5, ::7].abs().mean()))
    assert distance[1] < distance[0] / 5
    assert distance[1] < 0.02
