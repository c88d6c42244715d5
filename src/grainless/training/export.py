"""From a run folder to one ONNX file with its card inside, checked against the network it came from."""

from __future__ import annotations

import json
import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from grainless.errors import TrainingError
from grainless.metrics import EXACT_PSNR, FILE_8BIT, psnr
from grainless.model_file import HALF_SUFFIX, LoadedModel, ModelCard, Score, TrainingData, write_model
from grainless.nets import PictureNet, build_net
from grainless.runtime import start
from grainless.tiling import round_up
from grainless.training.checkpoints import read_checkpoint
from grainless.training.patches import ValidationPatches
from grainless.training.recipe import Recipe
from grainless.training.run_folder import BEST, LAST, load_run_recipe
from grainless.training.sources import START, load_run_data, reopen_source
from grainless.training.task import load_weights
from grainless.version import __version__

logger = logging.getLogger("grainless")

OPSET = 18
PARITY = 1e-4
"""Largest difference allowed between torch and ONNX Runtime, in [0, 1] units."""
HALF_COST = 0.01
"""Largest loss of validation PSNR allowed for 16-bit weights, in dB."""
LARGEST_PROBE = 512
"""Side of the largest picture that the receptive field is measured on, in pixels."""
_ODD_SIZES = ((48, 104), (136, 72), (192, 192))
"""Heights and widths that parity is checked at, in pixels, before they are rounded up to the stride."""


@dataclass(frozen=True)
class _Trained:
    """The network of a run and what it was trained on."""

    recipe: Recipe
    net: PictureNet
    patches: ValidationPatches
    data: dict[str, Any]


def export_run(run: Path, output: Path, *, half: bool = False) -> ModelCard:
    """Write the best network of a run (the last one, if none was validated) to `output`, and return its card.

    The graph takes any height and width in multiples of the stride. `half` stores the weights in 16 bits;
    computing stays in float32. The receptive radius of the card is measured. Nothing is written unless ONNX
    Runtime gives on the run's validation pictures what torch gives, within 1e-4, and 16-bit weights cost at
    most 0.01 dB. Raises TrainingError, or ModelError for a graph or a path that cannot be written.
    """
    _check_output(output)
    trained = _load_run(run)
    reference = _validation_psnr(trained, _torch_run(trained.net)) if half else None
    trained.net.fold()
    if half:
        _round_to_half(trained.net)
    radius = receptive_radius(trained.net, channels=trained.net.channels)
    graph = _store_half(_onnx_graph(trained.net)) if half else _onnx_graph(trained.net)
    card = _card(trained, radius, name=output.stem, half=half)
    run_onnx = start(LoadedModel(path=output, card=card, graph=graph), runtime="onnxruntime")
    _check_parity(trained, run_onnx)
    scores = _validation_psnr(trained, run_onnx)
    if reference is not None:
        _check_half_cost(reference, scores)
    card = card.model_copy(update={"scores": _scores(trained, scores)})
    return write_model(output, graph, card)


def receptive_radius(net: PictureNet, *, channels: int) -> int:
    """Measure how far, in pixels, one value of the input reaches in the output, at every phase of the stride.

    A pixel is set to NaN, which no convolution, sum or nonlinearity loses; the outputs that turn NaN are
    those it reaches. Raises TrainingError if the reach grows with the picture: such a network cannot be tiled
    exactly.
    """
    stride = net.stride
    side = 64
    while side < LARGEST_PROBE:
        side *= 2
        radius = max(_reach(net, channels, side, side // 2 + phase) for phase in range(stride))
        if radius < side // 2 - 2 * stride:
            return radius
    raise TrainingError(
        "The network's receptive field has no end",
        got=f"a reach of {radius} pixels and more",
        remedy="Use a network without pooling, attention or normalisation over the whole picture",
    )


def _reach(net: PictureNet, channels: int, side: int, place: int) -> int:
    """Return the largest distance along an axis at which a NaN at `(place, place)` is felt."""
    picture = torch.full((1, channels, side, side), 0.5)
    picture[:, :, place, place] = float("nan")
    with torch.no_grad():
        answer = net(*net.select_inputs(picture, torch.tensor([[0.0, 1.0]])))
    felt = torch.nonzero(torch.isnan(answer).any(dim=1)[0])
    return int((felt - place).abs().max()) if len(felt) else 0


def _check_output(output: Path) -> None:
    """Refuse, before minutes of work, what is no name for a model."""
    if output.suffix.lower() != ".onnx":
        raise TrainingError(
            "The name of a model file ends in .onnx",
            got=str(output),
            remedy="Name it so: others may be yours",
        )
    if output.is_dir():
        raise TrainingError(f"The model file {output} cannot be written", got="a folder of that name")


def _load_run(run: Path) -> _Trained:
    """Read recipe, weights and validation pictures of a run folder."""
    recipe = load_run_recipe(run)
    checkpoint = next((run / name for name in (BEST, LAST) if (run / name).is_file()), None)
    if checkpoint is None:
        raise TrainingError(
            f"{run} holds no checkpoint yet",
            remedy="Go on with its training, by the command that began it and --resume",
        )
    net = build_net(recipe.net.name, recipe.net.settings)
    state = read_checkpoint(checkpoint)
    load_weights(net, state)
    logger.info("Exporting the %s state of %s, that of step %d", checkpoint.stem, run, state["global_step"])
    patches = ValidationPatches(reopen_source(run, recipe), recipe, stride=net.stride)
    return _Trained(recipe=recipe, net=net.eval(), patches=patches, data=load_run_data(run))


def _torch_run(net: PictureNet) -> Any:
    """Return the network as a function of named arrays, as the runtimes are."""

    def run(inputs: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        with torch.no_grad():
            answer: NDArray[np.float32] = net(
                *(torch.from_numpy(inputs[name]) for name in net.inputs)
            ).numpy()
        return answer

    return run


def _round_to_half(net: PictureNet) -> None:
    """Round the weights to what 16 bits hold, so that parity is judged on the same numbers."""
    with torch.no_grad():
        for weights in net.parameters():
            weights.copy_(weights.half().float())


def _onnx_graph(net: PictureNet) -> bytes:
    """Return the ONNX bytes of a network with free batch, height and width."""
    # Two of everything that is free: torch takes a size of one for a constant.
    picture = torch.rand(2, net.channels, 8 * net.stride, 12 * net.stride)
    free = torch.export.Dim.AUTO
    shapes = {"picture": {0: free, 2: free, 3: free}, "levels": {0: free}}
    # The exporter speaks of its own deprecations and of libraries that it does not need.
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                net,
                net.select_inputs(picture, torch.tensor([[0.0, 1.0]] * 2)),
                input_names=list(net.inputs),
                output_names=["clean"],
                dynamic_shapes={name: shapes[name] for name in net.inputs},
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    finally:
        log.setLevel(level)
    if program is None:
        raise TrainingError("torch gave no graph for this network")
    model = program.model_proto
    _name_sizes(model.graph)
    # Notes of the exporter, which hold paths of this machine.
    for node in model.graph.node:
        del node.metadata_props[:]
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _name_sizes(graph: onnx.GraphProto) -> None:
    """Call the free sizes by their names instead of the exporter's symbols."""
    whole = ("batch", "", "height", "width")
    names = {"picture": whole, "clean": whole, "levels": ("batch", "")}
    for value in (*graph.input, *graph.output):
        for size, name in zip(value.type.tensor_type.shape.dim, names[value.name], strict=True):
            if name:
                size.dim_param = name
    # What was inferred for the values between speaks of the old symbols; runtimes infer it again.
    del graph.value_info[:]


def _store_half(graph: bytes) -> bytes:
    """Return the graph with its weights stored in 16 bits and cast back to float32 before use."""
    model = onnx.load_model_from_string(graph)
    casts = []
    for tensor in model.graph.initializer:
        # Small tensors are constants of the graph (shapes, kernels of the hint), not weights.
        if tensor.data_type != TensorProto.FLOAT or not tensor.name.endswith(("weight", "bias")):
            continue
        values = numpy_helper.to_array(tensor)
        name, stored = tensor.name, f"{tensor.name}{HALF_SUFFIX}"
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _check_parity(trained: _Trained, run_onnx: Any) -> None:
    """Compare torch and ONNX Runtime on crops of real noisy pictures at several odd sizes."""
    run_torch = _torch_run(trained.net)
    for number, sides in enumerate(_ODD_SIZES):
        height, width = (round_up(side, trained.net.stride) for side in sides)
        item = trained.patches[number % len(trained.patches)]
        noisy = item["noisy"].numpy()
        # Small crops are mirrored, so that every size is checked.
        missing = [
            (0, max(0, side - length)) for side, length in zip((height, width), noisy.shape[1:], strict=True)
        ]
        noisy = np.pad(noisy, [(0, 0), *missing], mode="symmetric")
        inputs = {
            "picture": np.ascontiguousarray(noisy[None, :, :height, :width]),
            "levels": item["levels"][None].numpy(),
        }
        inputs = {name: inputs[name] for name in trained.net.inputs}
        difference = float(np.abs(run_onnx(inputs) - run_torch(inputs)).max())
        if not difference <= PARITY:
            raise TrainingError(
                "The exported graph does not give what the network gives",
                got=f"a difference of {difference:g} at {width}x{height} pixels",
                expected=f"at most {PARITY:g}",
            )


def _validation_psnr(trained: _Trained, run: Any) -> list[float]:
    """Return the mean PSNR in dB of each validation noise, by the file-8bit protocol."""
    sums = [0.0] * len(trained.patches.noises)
    for number in range(len(trained.patches)):
        item = trained.patches[number]
        inputs = {"picture": item["noisy"][None].numpy(), "levels": item["levels"][None].numpy()}
        answer = run({name: inputs[name] for name in trained.net.inputs})[0]
        clean, restored = (
            np.rint(np.clip(part.transpose(1, 2, 0), 0, 1) * 255).astype(np.uint8)
            for part in (item["clean"].numpy(), answer)
        )
        sums[int(item["noise"])] += min(EXACT_PSNR, psnr(clean, restored))
    pictures = len(trained.patches) // len(trained.patches.noises)
    return [total / pictures for total in sums]


def _check_half_cost(reference: Sequence[float], scores: Sequence[float]) -> None:
    cost = max(full - stored for full, stored in zip(reference, scores, strict=True))
    if cost > HALF_COST:
        raise TrainingError(
            "16-bit weights cost too much",
            got=f"{cost:.3f} dB on the validation pictures",
            expected=f"at most {HALF_COST} dB",
            remedy="Export without --half",
        )


def _scores(trained: _Trained, values: Sequence[float]) -> list[Score]:
    """Return the card's scores on the validation crops."""
    pictures = len(trained.patches) // len(trained.patches.noises)
    side, raw = trained.patches.side, trained.recipe.data.raw_noise == 1
    return [
        Score(
            data=f"validation: centre crops of {side} pixels from {pictures} pictures",
            noise=spec,
            metric="psnr",
            value=round(value, 3),
            protocol=FILE_8BIT.stamp + (", noise neither clipped nor rounded" if raw else ""),
        )
        for spec, value in zip(trained.patches.noises, values, strict=True)
    ]


def _card(trained: _Trained, radius: int, *, name: str, half: bool) -> ModelCard:
    """Return the card of a run's network, but for its scores.

    What the recipe says of licence and pictures holds for its own pictures; with others nothing is claimed.
    """
    recipe, net = trained.recipe, trained.net
    files = trained.data["training"]
    folders = Counter(file.split("/")[0] if "/" in file else trained.data["folder"] for file in files)
    # A folder of that name elsewhere may hold other pictures: only all of them together are the recipe's.
    own_pictures = set(folders) == set(recipe.card.sources) and all("/" in file for file in files)
    return ModelCard(
        name=name,
        description=recipe.description,
        architecture=f"{recipe.net.name} {json.dumps(recipe.net.settings)}",
        channels=net.channels,
        stride=net.stride,
        receptive_radius=radius,
        noise=[section.spec for section in recipe.noise],
        training_data=[
            TrainingData(
                name=folder,
                licence=recipe.card.sources[folder] if own_pictures else "not stated",
                pictures=count,
            )
            for folder, count in sorted(folders.items())
        ],
        licence=recipe.card.licence if own_pictures else "not stated",
        notes=" ".join(_notes(trained, own_pictures=own_pictures)),
        grainless_version=__version__,
        opset=OPSET,
        precision="float16-storage" if half else "float32",
        inputs=list(net.inputs),
    )


def _notes(trained: _Trained, *, own_pictures: bool) -> Iterator[str]:
    """Return what the recipe says to users, if it holds, and which model the run began with."""
    if own_pictures and trained.recipe.card.notes:
        yield trained.recipe.card.notes
    if (first := trained.data.get(START)) is not None:
        yield f"Training began with the weights of {first['name']} ({first['checksum'][:12]})."
