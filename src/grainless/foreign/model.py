"""Reads the model file of another project, and cleans pictures with it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.denoiser import Denoiser
from grainless.errors import InputError, ModelError
from grainless.foreign.graph import read_graph
from grainless.foreign.sidecar import RANGES, Sidecar, read_sidecar, sidecar_path
from grainless.graph_check import refuse
from grainless.model_file import MAX_BYTES, LoadedModel, ModelCard
from grainless.runtime import Precision, Run, Runtime, start
from grainless.version import __version__

WHOLE_SIDE = 2**30
"""A tile of this side holds every picture."""


@dataclass(frozen=True)
class ForeignFile:
    """A file of another project that was read and found fit to be run."""

    model: LoadedModel
    """Its graph maps "picture", and "sigma" if it takes a noise level, to "clean"; values as in the file."""
    sidecar: Sidecar
    checksum: str
    """SHA-256 of the model file as it stands on the disk."""
    sigma_shape: tuple[int, ...] | None
    """Of the noise level; None for a map, and where it takes none."""

    @property
    def tile(self) -> int:
        """Largest side, in pixels, of what one run cleans."""
        return WHOLE_SIDE if self.sidecar.tile == "whole" else self.sidecar.tile


class ForeignModel:
    """A model of another project that is ready to clean pictures; may be used from several threads.

    >>> model = ForeignModel.load("ffdnet.onnx")
    >>> clean = model(pixels, sigma=25)
    """

    def __init__(self, file: ForeignFile, run: Run) -> None:
        """Take what `read_foreign` gave, and the function that runs its graph."""
        self.name = file.model.card.name
        self.about = file.model.card.description
        self.checksum = file.checksum
        self.channels = file.sidecar.channels
        self.needs_sigma = file.sidecar.noise_level is not None
        self._file = file
        self._run = run

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        threads: int | None = None,
        runtime: Runtime = "onnxruntime",
        precision: Precision = "exact",
    ) -> ForeignModel:
        """Return the model of that file, ready to run; options as in `runtime.start`.

        Raises `ModelError` for a refused file or sidecar, and what `runtime.start` raises.
        """
        file = read_foreign(path)
        return cls(file, start(file.model, threads=threads, runtime=runtime, precision=precision))

    def __call__(
        self, pixels: NDArray[Any], *, sigma: float | None = None, strength: float = 1.0
    ) -> NDArray[Any]:
        """Return `pixels` without their noise; see `Denoiser.__call__` for what they may be.

        `sigma`, on the 0-255 scale, is given exactly where `needs_sigma` says so. Raises `InputError`
        otherwise and as `Denoiser` does, `ModelError` where the graph fails.
        """
        if (sigma is not None) != self.needs_sigma:
            raise InputError(
                f"The model {self.name} {'needs a' if self.needs_sigma else 'takes no'} noise level",
                got="none" if sigma is None else sigma,
                remedy="Pass sigma=25 for noise of 25 levels of 255" if self.needs_sigma else "Leave it out",
            )
        if sigma is not None and not 0 <= sigma <= 255:
            raise InputError("The noise level is not valid", got=sigma, expected="a number from 0 to 255")
        model = self._file.model
        run = partial(self._answer, sigma=sigma)
        denoiser = Denoiser(model.card, run, name=str(model.path), tile=self._file.tile)
        return denoiser(pixels, strength=strength)

    def _answer(
        self, inputs: Mapping[str, NDArray[np.float32]], *, sigma: float | None
    ) -> NDArray[np.float32]:
        """Run a batch in [0, 1] picture by picture, as many files take no larger batch."""
        batch = inputs["picture"]
        return np.concatenate([self._one(batch[index : index + 1], sigma) for index in range(len(batch))])

    def _one(self, unit: NDArray[np.float32], sigma: float | None) -> NDArray[np.float32]:
        """Run one picture `(1, C, H, W)` in [0, 1]; an answer of another shape is returned as it is."""
        sidecar = self._file.sidecar
        low, high = RANGES[sidecar.range]
        values = unit * np.float32(high - low) + np.float32(low)
        values = values[:, ::-1] if sidecar.order == "BGR" else values
        inputs = {"picture": np.ascontiguousarray(values)}
        if sidecar.noise_level is not None and sigma is not None:
            level = sigma / 255 * (sidecar.noise_level.full_scale or high - low)
            shape = self._file.sigma_shape
            shape = (1, 1, *unit.shape[2:]) if shape is None else shape
            inputs["sigma"] = np.full(shape, level, np.float32)
        answer = self._run(inputs)
        if answer.shape != values.shape:
            return answer
        clean = values - answer if sidecar.answer == "noise" else answer
        clean = clean[:, ::-1] if sidecar.order == "BGR" else clean
        result: NDArray[np.float32] = (clean - np.float32(low)) / np.float32(high - low)
        return result


def is_foreign(name_or_path: str | Path) -> bool:
    """Tell whether this is the path of a model file with a sidecar; names of models never are."""
    path = Path(name_or_path).expanduser()
    return path.suffix == ".onnx" and sidecar_path(path).is_file()


def read_foreign(path: str | Path) -> ForeignFile:
    """Return the model file of another project, looked into, as its sidecar describes it.

    Raises `ModelError` with the reason for a file or a sidecar that is missing or refused, and for a graph
    that is not the one that the sidecar describes.
    """
    path = Path(path).expanduser()
    data = _read_bytes(path)
    sidecar = read_sidecar(path)
    graph = read_graph(data, sidecar, str(path))
    # The rest of grainless goes by cards; the file itself stays without one.
    card = ModelCard(
        name=sidecar.name or path.stem,
        description=sidecar.about,
        architecture="of another project",
        channels=sidecar.channels,
        stride=sidecar.stride,
        receptive_radius=sidecar.halo or 0,
        noise=[],
        training_data=[],
        licence=sidecar.licence,
        grainless_version=__version__,
        opset=graph.opset,
    )
    model = LoadedModel(path=path, card=card, graph=graph.data)
    return ForeignFile(model, sidecar, hashlib.sha256(data).hexdigest(), graph.sigma_shape)


def _read_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ModelError(f"The model file {path} cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_BYTES:
        raise refuse(str(path), f"it is larger than {MAX_BYTES // 2**20} MB")
    return data
