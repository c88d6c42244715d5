"""Muon: steps of equal length in all directions of a kernel, which train networks in fewer pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration (Jordan et al. 2024): quick to bring singular values near 1."""
ITERATIONS = 5
RMS = 0.2
"""Root mean square of a step, as a share of the rate, which is about Adam's (Liu et al. 2025)."""


def orthogonalise(matrix: Tensor) -> Tensor:
    """Return the nearest matrix, roughly, whose singular values are all 1; `matrix` is `(rows, columns)`."""
    a, b, c = NEWTON_SCHULZ
    upright = matrix.shape[0] > matrix.shape[1]
    near = (matrix.T if upright else matrix).bfloat16()
    near = near / near.norm().clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = near @ near.T
        near = torch.addmm(near, torch.addmm(gram, gram, gram, beta=b, alpha=c), near, beta=a)
    return (near.T if upright else near).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum whose step for each kernel between layers is made orthogonal; Adam for what is no such kernel.

    `torch.optim.Muon` takes matrices alone; here the kernels of convolutions are matrices of outputs by
    inputs and places. Weight decay is decoupled, as in AdamW.
    Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; the length of a
    step by Liu et al. 2025, "Muon is scalable for LLM training".
    """

    def __init__(
        self,
        kernels: Iterable[nn.Parameter],
        others: Iterable[nn.Parameter],
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
        momentum: float = 0.95,
    ) -> None:
        """Take the kernels, each `(outputs, inputs, height, width)`, and all other parameters."""
        shared = {"lr": lr, "betas": betas, "weight_decay": weight_decay, "momentum": momentum}
        groups = [{"params": list(kernels), "kernels": True}, {"params": list(others), "kernels": False}]
        super().__init__([group for group in groups if group["params"]], shared)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the weights by their gradients; `closure`, if given, computes these anew."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            move = _orthogonal_step if group["kernels"] else _adam_step
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    change = move(parameter.grad, self.state[parameter], group)
                    parameter.add_(change, alpha=-group["lr"])
        return loss


def _orthogonal_step(gradient: Tensor, state: dict[str, Tensor], group: dict[str, Any]) -> Tensor:
    """Return Nesterov's momentum, made orthogonal."""
    momentum = state.setdefault("momentum", torch.zeros_like(gradient))
    momentum.lerp_(gradient, 1 - group["momentum"])
    ahead = gradient.lerp(momentum, group["momentum"]).permute(0, 2, 3, 1)
    matrix = ahead.flatten(1)
    change = orthogonalise(matrix) * (RMS * max(matrix.shape) ** 0.5)
    step: Tensor = change.view(ahead.shape).permute(0, 3, 1, 2)
    return step


def _adam_step(gradient: Tensor, state: dict[str, Tensor], group: dict[str, Any]) -> Tensor:
    """Return the step of Adam (Kingma and Ba 2015)."""
    mean = state.setdefault("mean", torch.zeros_like(gradient))
    square = state.setdefault("square", torch.zeros_like(gradient))
    count = state.setdefault("count", torch.zeros(()))
    count += 1
    first, second = group["betas"]
    mean.lerp_(gradient, 1 - first)
    square.lerp_(gradient * gradient, 1 - second)
    step: Tensor = mean / (1 - first**count) / ((square / (1 - second**count)).sqrt() + 1e-8)
    return step


def split_kernels(net: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the kernels between layers of a network, and its other parameters.

    The first and the last kernel are with the others: their rows stand for planes of the picture.
    """
    kernels = [parameter for parameter in net.parameters() if parameter.ndim == 4]
    inner = {id(parameter) for parameter in kernels[1:-1]}
    parameters = list(net.parameters())
    return (
        [parameter for parameter in parameters if id(parameter) in inner],
        [parameter for parameter in parameters if id(parameter) not in inner],
    )
