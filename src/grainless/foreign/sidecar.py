"""The small file beside a model of another project: how the model wants to be fed."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from grainless.errors import ModelError

SUFFIX = ".toml"
"""Is added to the whole name of the model file."""

RANGES = {"0..1": (0, 1), "0..255": (0, 255), "-1..1": (-1, 1)}
"""Black and white by the name of the range of values."""

_SPECIFICATION = "docs/speed.md says what it holds."


class NoiseLevel(BaseModel):
    """Where a graph takes the noise level, and in which units."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: Literal["scalar", "map", "channel"]
    """An input of one number, an input (batch, 1, height, width), or the last channel of the picture."""
    input: str | None = None
    """Name of the input of its own; needed only where the graph leaves a choice."""
    full_scale: float | None = Field(default=None, gt=0)
    """What a level of 255 becomes; the width of the range of values if not given."""


class Sidecar(BaseModel):
    """How the model file of another project wants to be fed; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    name: str | None = Field(default=None, min_length=1)
    """What results call it; the file's name if not given."""
    about: str = ""
    licence: str = "not known"
    """Of the weights."""
    input: str | None = None
    """Name of the picture's input; needed only where the graph leaves a choice."""
    output: str | None = None
    """Name of the output; needed only where the graph has several."""
    channels: Literal[1, 3]
    """Of the picture, without that of a noise level."""
    order: Literal["RGB", "BGR"] = "RGB"
    layout: Literal["NCHW"] = "NCHW"
    """Order of the axes: batch, channels, height, width. There is no other."""
    range: Literal["0..1", "0..255", "-1..1"]
    """Black and white in the graph's units, of the answer too."""
    stride: int = Field(default=1, ge=1, le=256)
    """Height and width must be multiples of this many pixels."""
    tile: Literal["whole"] | int = "whole"
    """Largest side, in pixels, of what one run cleans; "whole" runs each picture at once."""
    halo: int | None = Field(default=None, ge=0, le=1024)
    """Pixels around a tile that the network must see; tiles are exact from its receptive radius up."""
    answer: Literal["clean", "noise"] = "clean"
    """Whether the graph answers with the clean picture, or with the noise that is to be subtracted."""
    noise_level: NoiseLevel | None = None
    """Absent where the network is blind."""


def sidecar_path(path: str | Path) -> Path:
    """Return where the sidecar of a model file stands."""
    path = Path(path).expanduser()
    return path.with_name(path.name + SUFFIX)


def read_sidecar(path: str | Path) -> Sidecar:
    """Return the sidecar of the model file `path`; raises `ModelError` that names each wrong key."""
    place = sidecar_path(path)
    try:
        table = tomllib.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"{path} has no sidecar, which says how it wants to be fed",
            expected=str(place),
            remedy=f"Write it; {_SPECIFICATION}",
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(f"{place} cannot be read as TOML", got=str(error)) from error
    try:
        sidecar = Sidecar.model_validate(table)
    except ValidationError as error:
        faults = "; ".join(dict.fromkeys(_explain(dict(fault)) for fault in error.errors()))
        raise ModelError(f"{place} is not valid: {faults}", remedy=_SPECIFICATION) from error
    if sidecar.tile != "whole" and (sidecar.halo is None or sidecar.tile < 1):
        fault = "halo is missing, as there is a tile" if sidecar.halo is None else "tile must be at least 1"
        raise ModelError(f"{place} is not valid: {fault}", remedy=_SPECIFICATION)
    return sidecar


def _explain(fault: dict[str, Any]) -> str:
    """Say which key of a sidecar is wrong, what was got and what is allowed."""
    location = fault["loc"]
    # The kinds that a value may have, such as those of `tile`, stand behind its key.
    place = location[:2] if location[0] == "noise_level" else location[:1]
    key = ".".join(str(part) for part in place)
    if fault["type"] == "extra_forbidden":
        section = NoiseLevel if len(place) > 1 else Sidecar
        return f"{key} is not a key that sidecars have (known: {', '.join(section.model_fields)})"
    if fault["type"] == "missing":
        return f"{key} is missing"
    if key == "tile":
        return f"tile = {fault['input']!r} is not allowed: expected a number of pixels or 'whole'"
    return f"{key} = {fault['input']!r} is not allowed: {fault['msg']}"
