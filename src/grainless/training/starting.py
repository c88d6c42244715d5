"""Start a run from the weights of an exported model, so that more time continues the earlier training."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from grainless.errors import TrainingError
from grainless.model_file import HALF_SUFFIX, find_model, read_model
from grainless.nets import PictureNet
from grainless.nets.blocks import ResidualBlock
from grainless.training.patches import Batch
from grainless.training.sources import DATA_FILE, START, load_run_data, write_json


def write_start(run: Path, model: str | Path) -> None:
    """Note which model a new run begins with; raises ModelError for what is none."""
    card = read_model(find_model(model)).card
    start = {"model": str(model), "name": card.name, "checksum": card.checksum}
    write_json(run / DATA_FILE, {"version": 1, START: start})


def read_start(run: Path) -> str | None:
    """Return the model that a run begins with, None where it begins with random weights.

    Raises ModelError where it is gone, TrainingError where another one has taken its place.
    """
    start = load_run_data(run).get(START) if (run / DATA_FILE).is_file() else None
    if start is None:
        return None
    found = read_model(find_model(start["model"])).card.checksum
    if found != start["checksum"]:
        raise TrainingError(
            f"The model {start['model']} is not the one that the run began with",
            got=f"checksum {found[:12]}",
            expected=start["checksum"][:12],
            remedy="Begin a new run in another folder",
        )
    return str(start["model"])


def load_exported(net: PictureNet, model: str | Path) -> None:
    """Put the weights of an exported model, by name or path, into a network of the same shape.

    Batch norms, which the export folded away, come back as offsets that do not norm; `settle_norms` mends
    that. Raises ModelError for a file that is no model, TrainingError for one of another network.
    """
    folded = copy.deepcopy(net)
    folded.fold()
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    if norms not in {0, sum(isinstance(module, ResidualBlock) for module in net.modules())}:
        raise TrainingError(
            "A run cannot start from a model of this network, whose batch norms cannot be brought back",
            expected="a network without norms, or with those of residual blocks",
            remedy="Go on with the run itself: --resume",
        )
    stored = _initializers(read_model(find_model(model)).graph)
    wanted = folded.state_dict()
    missing = sorted(name for name in wanted if name not in stored)
    wrong = sorted(name for name in wanted if name in stored and stored[name].shape != wanted[name].shape)
    if missing or wrong:
        raise TrainingError(
            f"The weights of {model} do not fit the recipe's network",
            got="; ".join(
                f"{what}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
                for what, names in (("missing", missing), ("of another shape", wrong))
                if names
            ),
            remedy="Start from a model of the same network and settings, which its card names",
        )
    folded.load_state_dict({name: stored[name] for name in wanted})
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name in wanted:
                parameter.copy_(stored[name])
    for name, block in _normed_blocks(net).items():
        block.unfold(folded.get_submodule(name).get_submodule("first"))


def settle_norms(net: PictureNet, batches: Sequence[Batch]) -> None:
    """Give the batch norms the statistics of real batches, without changing what the network computes.

    Filters are scaled to unit length on the way: folded ones are of all sizes, and at the usual rates the
    small ones would be lost in a few steps.
    """
    sums: dict[str, Tensor] = {}
    blocks = _normed_blocks(net)
    if not blocks:
        return

    def collect(name: str, values: Tensor) -> None:
        moments = torch.stack([values.mean(dim=(0, 2, 3)), (values**2).mean(dim=(0, 2, 3))]).double()
        sums[name] = sums.get(name, torch.zeros_like(moments)) + moments / len(batches)

    hooks = [
        block.first.register_forward_hook(lambda _m, _i, output, name=name: collect(name, output))
        for name, block in blocks.items()
    ]
    net.eval()
    with torch.no_grad():
        for batch in batches:
            net(*net.select_inputs(batch["noisy"], batch["levels"]))
    for hook in hooks:
        hook.remove()
    for name, block in blocks.items():
        mean, square = sums[name]
        block.settle(mean.float(), (square - mean**2).clamp(min=0).float())
    net.train()


def _normed_blocks(net: PictureNet) -> dict[str, ResidualBlock]:
    """Return the residual blocks that have a batch norm, by name."""
    return {
        name: block
        for name, block in net.named_modules()
        if isinstance(block, ResidualBlock) and isinstance(block.norm, nn.BatchNorm2d)
    }


def _initializers(graph: bytes) -> dict[str, Tensor]:
    """Return the constants of a graph by the names that they had in the network."""
    return {
        tensor.name.removesuffix(HALF_SUFFIX): torch.from_numpy(numpy_helper.to_array(tensor).copy()).float()
        for tensor in onnx.load_model_from_string(graph).graph.initializer
    }
