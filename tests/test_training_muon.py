"""Muon: orthogonal steps for kernels, Adam's for what is none, and a state that can be stored."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from grainless.nets import build_net
from grainless.training.muon import RMS, Muon, orthogonalise, split_kernels


def layers(seed=0, channels_last=False):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 16, 3), nn.Conv2d(16, 4, 2), nn.Conv2d(4, 3, 3))
    return net.to(memory_format=torch.channels_last) if channels_last else net


def take_steps(net, optimiser, steps=3):
    picture = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    for _ in range(steps):
        optimiser.zero_grad()
        net(picture).square().mean().backward()
        optimiser.step()


@pytest.mark.parametrize("shape", [(6, 6), (5, 40), (40, 5)])
def test_singular_values_come_near_one(shape, rng):
    matrix = torch.tensor(rng.normal(size=shape) * 7, dtype=torch.float32)
    near = orthogonalise(matrix)
    assert near.shape == matrix.shape
    # The iteration is meant to be quick: between about 0.7 and 1.2 is what its authors report.
    singular = torch.linalg.svdvals(near)
    assert 0.5 < float(singular.min()) <= float(singular.max()) < 1.3
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    likeness = torch.nn.functional.cosine_similarity(near.flatten(), (left @ right).flatten(), dim=0)
    assert float(likeness) > 0.95


def test_a_gradient_of_zero_is_no_step():
    assert torch.equal(orthogonalise(torch.zeros(3, 5)), torch.zeros(3, 5))


@pytest.mark.parametrize("channels_last", [False, True])
def test_matrices_go_as_in_torch(channels_last):
    # torch's own takes matrices alone: 1x1 kernels are some.
    torch.manual_seed(0)
    kernel = nn.Parameter(torch.randn(6, 9, 1, 1))
    if channels_last:
        kernel.data = kernel.data.contiguous(memory_format=torch.channels_last)
    matrix = nn.Parameter(kernel.detach().reshape(6, 9).clone())
    ours = Muon([kernel], [], lr=0.01, weight_decay=0.1)
    torchs = torch.optim.Muon([matrix], lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for seed in range(4):
        gradient = torch.tensor(np.random.default_rng(seed).normal(size=(6, 9)), dtype=torch.float32)
        kernel.grad, matrix.grad = gradient.reshape(6, 9, 1, 1), gradient.clone()
        ours.step(), torchs.step()
    torch.testing.assert_close(kernel.detach().reshape(6, 9), matrix.detach(), atol=1e-6, rtol=0)


def test_a_step_is_as_long_as_told():
    net = layers()
    kernels, others = split_kernels(net)
    before = [kernel.detach().clone() for kernel in kernels]
    take_steps(net, Muon(kernels, others, lr=0.01), steps=1)
    for kernel, old in zip(kernels, before, strict=True):
        # Singular values are not quite 1, see above.
        length = float((kernel.detach() - old).square().mean().sqrt()) / (0.01 * RMS)
        assert 0.6 < length < 1.2


def test_what_is_no_kernel_goes_as_by_adamw():
    ours, adamws = layers(), layers()
    take_steps(ours, Muon([], ours.parameters(), lr=0.01, betas=(0.8, 0.95), weight_decay=0.1))
    take_steps(adamws, torch.optim.AdamW(adamws.parameters(), lr=0.01, betas=(0.8, 0.95), weight_decay=0.1))
    for one, two in zip(ours.parameters(), adamws.parameters(), strict=True):
        torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-5)


def test_the_layout_in_memory_changes_nothing():
    nets = [layers(channels_last=last) for last in (False, True)]
    for net in nets:
        take_steps(net, Muon(*split_kernels(net), lr=0.01))
    for one, two in zip(*(net.parameters() for net in nets), strict=True):
        torch.testing.assert_close(one, two, atol=1e-4, rtol=0)


def test_a_stored_state_goes_on_as_if_never_stopped(tmp_path):
    whole, halved = layers(), layers()
    take_steps(whole, Muon(*split_kernels(whole), lr=0.01), steps=6)
    first = Muon(*split_kernels(halved), lr=0.01)
    take_steps(halved, first)
    torch.save(first.state_dict(), tmp_path / "state")
    second = Muon(*split_kernels(halved), lr=0.5)
    second.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    take_steps(halved, second)
    for one, two in zip(whole.parameters(), halved.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_closure_is_called_and_its_loss_returned():
    net = layers()
    optimiser = Muon(*split_kernels(net), lr=0.01)

    def closure():
        loss = net(torch.ones(1, 3, 12, 12)).square().mean()
        loss.backward()
        return loss

    before = net[1].weight.detach().clone()
    assert float(optimiser.step(closure).detach()) > 0
    assert not torch.equal(net[1].weight, before)


def test_parameters_without_a_gradient_stay():
    net = layers()
    Muon(*split_kernels(net), lr=0.01, weight_decay=0.5).step()
    assert all(torch.equal(*pair) for pair in zip(net.parameters(), layers().parameters(), strict=True))


def test_kernels_between_layers_are_apart_from_all_else():
    net = build_net("universal", {"widths": [8, 8, 8], "norm": True})
    kernels, others = split_kernels(net)
    assert len(kernels) + len(others) == len(list(net.parameters()))
    assert any(parameter is net.head.weight for parameter in others)
    assert any(parameter is net.tail.weight for parameter in others)
    assert any(parameter is net.middle[0].second.weight for parameter in kernels)
    assert all(parameter.ndim == 4 for parameter in kernels)
