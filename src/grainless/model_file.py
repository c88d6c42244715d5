"""A model is one ONNX file with its card inside: what it is, what it was trained on, and how well it does.

`docs/model-file.md` is the specification. Adding a model to grainless is adding such a file, here or in the
user's folder. Files are looked into before anything of them is run; see `graph_check` for what is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from grainless.atomic import replace_file
from grainless.errors import ModelError
from grainless.graph_check import check_contents, check_interface, refuse
from grainless.tiling import round_up

if TYPE_CHECKING:
    import onnx

CARD_KEY = "grainless.card"
"""Key of the card, JSON text, in the metadata of the ONNX file."""

CARD_VERSION = 1
"""Version of the card's form: a file of this version or an older one can be read, a newer one is refused."""

MAX_BYTES = 512 * 2**20
"""Largest model file that is read."""

_PACKAGE_FOLDER = Path(__file__).parent / "models"
_WRITE_A_CARD = "A file with a card is written by `grainless export`."


HALF_SUFFIX = ".half"
"""Ends the names of the constants of a graph that are stored in 16 bits."""


class TrainingData(BaseModel):
    """One collection of pictures that a model was trained on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    licence: str
    """SPDX name of the pictures' licence, or its words."""
    pictures: int = Field(ge=0)


class Score(BaseModel):
    """One measured number, with all that is needed to measure it again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str
    noise: str
    """In the text form of the noise models, such as `gaussian:25`."""
    metric: str
    value: float
    protocol: str
    """Stamp of the metrics' protocol: range, clipping, rounding, channels, averaging."""


class ModelCard(BaseModel):
    """What a model file says about itself; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    card_version: int = Field(default=CARD_VERSION, ge=1)
    name: str = Field(min_length=1)
    description: str
    architecture: str
    channels: Literal[1, 3]
    """Channels of the graph's input; 3 also cleans gray pictures, as three equal channels."""
    stride: int = Field(ge=1, le=256)
    """Height and width of the graph's input must be multiples of this many pixels."""
    receptive_radius: int = Field(ge=0, le=1024)
    """Distance in pixels, measured, beyond which a pixel has no influence on the answer at another."""
    noise: list[str]
    """Kinds of noise that it was trained on."""
    training_data: list[TrainingData]
    licence: str
    """Licence of the weights."""
    notes: str = ""
    scores: list[Score] = []
    grainless_version: str
    """Version of grainless that wrote the file."""
    opset: int = Field(ge=1)
    precision: Literal["float32", "float16-storage"] = "float32"
    """How the weights are stored; the graph computes in float32 in both cases."""
    inputs: list[Literal["picture", "levels"]] = ["picture"]
    checksum: str = Field(default="", pattern="^([0-9a-f]{64})?$")
    """SHA-256 of the model without this card; filled in by `write_model`."""

    @property
    def halo(self) -> int:
        """Pixels that the network must see around a tile: the receptive radius, in whole strides."""
        return round_up(self.receptive_radius, self.stride)


@dataclass(frozen=True)
class LoadedModel:
    """A model file that was read and found fit to be run."""

    path: Path
    card: ModelCard
    graph: bytes = field(repr=False)
    """The whole ONNX file; handed to the runtime as bytes, so that no path inside it could lead anywhere."""


def write_model(path: str | Path, model: bytes, card: ModelCard) -> ModelCard:
    """Write the ONNX bytes `model` with `card` inside to `path`, and return the card with its checksum.

    The file appears whole or not at all; what stood there is replaced. Raises `ModelError` where
    `read_model` would refuse the file, or where it cannot be written.
    """
    path = Path(path)
    graph = _parse(model, str(path))
    check_contents(graph, str(path))
    _check_card(graph, card, str(path))
    others = [entry for entry in graph.metadata_props if entry.key != CARD_KEY]
    del graph.metadata_props[:]
    graph.metadata_props.extend(others)
    body: bytes = graph.SerializeToString(deterministic=True)
    card = card.model_copy(update={"checksum": hashlib.sha256(body).hexdigest()})
    data = body + _card_bytes(card.model_dump_json())
    if len(data) > MAX_BYTES:
        raise refuse(str(path), f"it would have {len(data)} bytes, more than {MAX_BYTES}")
    try:
        replace_file(path, data)
    except OSError as error:
        raise ModelError(f"The model file {path} cannot be written: {error.strerror or error}") from error
    return card


def read_model(name_or_path: str | Path) -> LoadedModel:
    """Return the model of that name or path.

    Raises `ModelError` with the reason when there is none, or when the file is damaged, hostile, without a
    card or not the one that its card describes.
    """
    path = find_model(name_or_path)
    name = str(path)
    data = _read_bytes(path)
    graph = _parse(data, name)
    check_contents(graph, name)
    text = _card_text(graph, name)
    card = _read_card(text, name)
    if hashlib.sha256(data.removesuffix(_card_bytes(text))).hexdigest() != card.checksum:
        raise refuse(
            name,
            "it is not the model that its card describes (checksum)",
            remedy="The file was damaged or changed: fetch or export it again.",
        )
    _check_card(graph, card, name)
    return LoadedModel(path=path, card=card, graph=data)


def find_model(name_or_path: str | Path) -> Path:
    """Return the file of a model, given its name (the file's name without `.onnx`) or its path.

    Names are looked for in the package and in the user's folder (`GRAINLESS_MODELS`, else
    `~/.grainless/models`). Raises `ModelError` for a path without a file, an unknown name (listing the
    known ones) and one that stands for two files.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".onnx") or Path(text).name != text:
        path = Path(text).expanduser()
        if not path.is_file():
            raise ModelError(
                f"There is no model file {path}",
                got="a folder" if path.is_dir() else None,
                remedy="Check the path; `grainless models` lists the models by name.",
            )
        return path
    known: dict[str, list[Path]] = {}
    for path in _model_files(()):
        known.setdefault(path.stem, []).append(path)
    found = known.get(text, [])
    if not found:
        raise ModelError(
            f"There is no model named {text!r}",
            expected=f"one of {', '.join(sorted(known))}" if known else "a path, as no models are installed",
            remedy="Name one of these, or give the path of an ONNX file of grainless.",
        )
    if len(found) > 1:
        raise ModelError(
            f"The name {text!r} stands for {len(found)} model files",
            got=" and ".join(str(path) for path in found),
            remedy="Give the path of the one that is meant.",
        )
    return found[0]


def list_models(
    extra_paths: Iterable[str | Path] = (), *, problems: list[ModelError] | None = None
) -> list[tuple[Path, ModelCard]]:
    """Return path and card of each model in the package, the user's folder and `extra_paths`.

    `extra_paths` are files or folders. The error of a file that is refused is added to `problems`;
    where that is not given, it is raised.
    """
    models = []
    for path in _model_files(extra_paths):
        try:
            models.append((path, read_model(path).card))
        except ModelError as error:
            if problems is None:
                raise
            problems.append(error)
    return models


def _model_files(extra_paths: Iterable[str | Path]) -> list[Path]:
    """Return all model files of the known folders and of `extra_paths`, each once."""
    user_folder = os.environ.get("GRAINLESS_MODELS") or "~/.grainless/models"
    files: list[Path] = []
    for place in (_PACKAGE_FOLDER, user_folder, *extra_paths):
        path = Path(place).expanduser()
        files += sorted(path.glob("*.onnx")) if path.is_dir() else [path] * path.is_file()
    return list(dict.fromkeys(files))


def _read_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            # One byte more than allowed: tells a file at the limit from one beyond it, whatever its claimed
            # size.
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ModelError(f"The model file {path} cannot be read: {error.strerror or error}") from error
    if not data:
        raise refuse(str(path), "it is empty", remedy="Fetch or export it again.")
    if len(data) > MAX_BYTES:
        raise refuse(str(path), f"it is larger than {MAX_BYTES // 2**20} MB")
    return data


def _parse(data: bytes, name: str) -> onnx.ModelProto:
    """Return the bytes as an ONNX message; nothing is run and no other file is opened."""
    import onnx

    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's kind of error differs between its versions
        # An ONNX file starts with its version, field 1: so this one began as a model.
        if data[:1] == b"\x08":
            raise refuse(name, "it is truncated or damaged", remedy="Fetch or export it again.") from error
        raise refuse(name, "it is not an ONNX file", remedy=_WRITE_A_CARD) from error
    if not model.ir_version or not model.graph.node:
        raise refuse(name, "it is not an ONNX file, or one without a graph", remedy=_WRITE_A_CARD)
    return model


def _card_text(model: onnx.ModelProto, name: str) -> str:
    texts: list[str] = [entry.value for entry in model.metadata_props if entry.key == CARD_KEY]
    if not texts:
        remedy = (
            f"{_WRITE_A_CARD} To measure with a model of others, put a sidecar beside it (docs/speed.md)."
        )
        raise refuse(name, "it has no card, which says how it is to be run", remedy=remedy)
    return texts[0]


def _card_bytes(text: str) -> bytes:
    """Return the bytes with which a file ends that holds this card.

    Protobuf messages that are joined are merged, so a card is put behind the model's bytes and taken off
    again without writing the model anew: that would not give the same bytes in all versions of protobuf.
    """
    import onnx

    message = onnx.ModelProto()
    entry = message.metadata_props.add()
    entry.key, entry.value = CARD_KEY, text
    data: bytes = message.SerializeToString(deterministic=True)
    return data


def _read_card(text: str, name: str) -> ModelCard:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise refuse(name, f"its card is not valid JSON ({error})", remedy=_WRITE_A_CARD) from error
    version = content.get("card_version", CARD_VERSION) if isinstance(content, dict) else CARD_VERSION
    if isinstance(version, int) and version > CARD_VERSION:
        raise refuse(
            name,
            f"its card has version {version}, this grainless reads up to version {CARD_VERSION}",
            remedy="Update grainless: each version reads the cards of all earlier ones, never of later ones.",
        )
    try:
        return ModelCard.model_validate(content)
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, fault['loc'])) or 'card'}: {fault['msg']}" for fault in error.errors())
        raise refuse(name, f"its card is not valid ({'; '.join(faults)})", remedy=_WRITE_A_CARD) from error


def _check_card(model: onnx.ModelProto, card: ModelCard, name: str) -> None:
    """Refuse a graph that is not fit to be run, or not the one that the card describes."""
    inputs = check_interface(model, name, channels=card.channels, stride=card.stride)
    if set(inputs) != set(card.inputs):
        said, found = ", ".join(card.inputs), ", ".join(inputs)
        raise refuse(name, f"its card says inputs {said}, its graph has {found}")
