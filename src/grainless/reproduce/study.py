"""What a study is: a seed's claim, the recipes that repeat it, and the protocols it is measured under."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from grainless.errors import RecipeError
from grainless.metrics import PROTOCOLS

STUDIES = Path(__file__).parent.parent / "studies"
"""Folder of the studies that come with the package."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Claim(_Section):
    """What the seed published."""

    psnr: float
    """In dB."""
    ssim: float | None = None
    mse: float | None = None
    """For values from 0 to 1."""
    source: str
    """Where it stands, and how it was measured."""
    comparable: bool = True
    """Whether our noise and pictures are of the same kind, so that a difference says something."""


class Measurement(_Section):
    """Which test pictures, which noise, and how results are scored."""

    title: str
    """Heading of its table."""
    protocol: str
    """A name of `grainless.metrics.PROTOCOLS`."""
    noise: Annotated[tuple[str, ...], Field(min_length=1)]
    resize: int | None = None
    """Side of the square that whole pictures are resized to (bilinear), in pixels."""
    crop: int | None = None
    """Side of the square that is cut from the middle, in pixels."""
    colour: bool = False
    """Whether gray pictures are measured as three equal channels."""

    @field_validator("protocol")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in PROTOCOLS:
            raise ValueError(f"no protocol is named {name!r}")
        return name


class Study(_Section):
    """A seed, repeated as it was, and improved."""

    version: Literal[1] = 1
    name: str
    title: str
    about: str
    """Data, noise and protocol in words."""
    faithful: str
    """Recipe that repeats the seed."""
    improved: str
    """Recipe with as many weights or fewer."""
    twin: bool = False
    """Whether the faithful recipe is also trained without its adversarial term."""
    claim: Claim | None = None
    """Missing where the seed published no number."""
    ours: tuple[str, ...] = ()
    """What the seed does not say or does otherwise, and we had to choose."""
    filters: tuple[str, ...] = ("median", "adaptive_median", "mask_interpolate")
    """Training-free filters shown beside the networks."""
    bar: float | None = None
    """How far above the best filter the improved form is meant to be, in dB."""
    seed: Measurement
    """The seed's own protocol."""
    native: Measurement | None = None
    """8-bit files at the pictures' own size."""

    @property
    def forms(self) -> tuple[str, ...]:
        """The networks that are trained, in the order of the tables."""
        return ("faithful", "twin", "improved") if self.twin else ("faithful", "improved")

    def recipe(self, form: str) -> tuple[str, tuple[str, ...]]:
        """Return the recipe of a form and the changes that make it one."""
        if form == "twin":
            return self.faithful, ("adversary.weight=0",)
        return (self.improved if form == "improved" else self.faithful), ()

    def run_name(self, form: str) -> str:
        """Return what run and model of a form are called: after the recipe, which other studies may share."""
        recipe, _ = self.recipe(form)
        return f"{Path(recipe).stem}-twin" if form == "twin" else Path(recipe).stem


def study_names() -> list[str]:
    """Return the names of the studies that come with the package, sorted."""
    return sorted(path.stem for path in STUDIES.glob("*.toml"))


def load_study(name: str) -> Study:
    """Return a study by its name; raises RecipeError, with the names there are, for an unknown one."""
    if name not in study_names():
        raise RecipeError(
            "There is no such study", got=repr(name), expected=f"one of {', '.join(study_names())}"
        )
    return Study.model_validate(tomllib.loads((STUDIES / f"{name}.toml").read_text(encoding="utf-8")))
