"""A training recipe: one TOML file, checked key by key before anything is trained."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from grainless.errors import NoiseError, RecipeError
from grainless.noise import parse_noise, parse_noise_range

RECIPES = Path(__file__).parent.parent / "recipes"
"""Folder of the recipes that come with the package."""

Share = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]


class _Section(BaseModel):
    """One table of a recipe: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class NetSection(_Section):
    """Which network is trained."""

    name: str
    """A key of `grainless.nets.NETS`."""
    settings: dict[str, Any] = {}
    """Keyword arguments of the network."""


class NoiseSection(_Section):
    """One kind of noise in the training mixture."""

    spec: str
    """Text form; a number may be a range such as `gaussian:0..55`."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """How often it is drawn, relative to the other kinds."""

    @field_validator("spec")
    @classmethod
    def _valid(cls, spec: str) -> str:
        _check_noise(parse_noise_range, spec)
        return spec


class DataSection(_Section):
    """Which pictures are used, and how patches are cut from them."""

    kind: Literal["pictures", "faces", "pairs"] = "pictures"
    """A folder of clean pictures, the csv of FER2013, or a folder with one of noisy and one of clean ones."""
    pairs: tuple[str, str] = ("noisy", "clean")
    """These two folders, or the names of their pictures with a star, for the kind `pairs`."""
    split: Literal["official", "random"] = "official"
    """How faces are shared out: by their Usage, or 80/20 at random with seed 42."""
    channels: Literal["any", 1, 3] = "any"
    """`any` turns gray pictures into three equal channels."""
    min_side: Annotated[int, Field(ge=8)] = 96
    """Pictures with a shorter side are listed and skipped, in pixels."""
    resize: Annotated[int, Field(ge=8, multiple_of=8)] | None = None
    """Whole pictures are brought to squares of this side (bilinear) before patches are cut, in pixels."""
    epochs: bool = False
    """Each picture is used once before any is used again; otherwise large pictures are drawn more often."""
    fixed_noise: bool = False
    """A picture has the same noise each time that it is used."""
    patch: Annotated[tuple[Annotated[int, Field(ge=8, multiple_of=8)], ...], Field(min_length=1)] = (64, 96)
    """Side of the square training patches in pixels, one for each phase of the run, never falling."""
    phases: Annotated[tuple[Share, ...], Field(validate_default=True)] = (0.5,)
    """Where each later patch size begins, as shares of the run; one fewer than `patch`."""
    validation: tuple[str, ...] = ()
    """Relative names of the validation pictures; where empty, `validation_share` picks them by hash."""
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """About this share of the pictures is validated on where no names are listed."""
    test_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """About this share of a folder's pictures, picked by hash, is neither trained nor validated on."""
    validation_patch: Annotated[int, Field(ge=16, multiple_of=8)] = 192
    """Side of the centre crop that is validated on, in pixels."""
    validation_limit: Annotated[int, Field(gt=0)] | None = None
    """At most so many pictures are validated on, at even steps through their names."""
    flips: bool = True
    """Mirror and turn patches at random."""
    halve: Share = 0.0
    """Share of patches that are averaged down by two, which hides the coding noise of JPEG sources."""
    sharpen: Share = 0.0
    """Share of the patches averaged down that are sharpened then, each by its own amount."""
    gray: Share = 0.0
    """Share of patches turned into three equal channels with equal noise."""
    raw_noise: Share = 0.0
    """Share of patches whose noise is neither clipped nor rounded to 8 bit."""
    saturate: Share = 0.0
    """Share of patches stretched until parts of them are clipped to black and white; not of pairs."""
    narrow_range: Share = 0.0
    """Share of patches squeezed between black and white points inside [0, 1]."""

    @field_validator("patch")
    @classmethod
    def _rising(cls, patch: tuple[int, ...]) -> tuple[int, ...]:
        # Batches shrink as patches grow, so that no step uses more numbers of patches than the first.
        if list(patch) != sorted(patch):
            raise ValueError("each size must be at least the one before")
        return patch

    @field_validator("phases")
    @classmethod
    def _one_for_each_later_size(cls, phases: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        sizes = len(info.data.get("patch", ()))
        if sizes and (len(phases) != sizes - 1 or list(phases) != sorted(phases)):
            raise ValueError(f"`patch` has {sizes} size(s), so this must be {sizes - 1} rising share(s)")
        return phases


class OptimiserSection(_Section):
    """How weights are changed."""

    loss: Literal["l1", "mse", "charbonnier", "log-l1", "bce"] = "l1"
    """What is made small between answer and clean patch; `bce` is for networks that answer in logits."""
    floor: Annotated[float, Field(gt=0, le=1)] = 1e-3
    """Mean error under which a patch counts as clean enough for `log-l1`, in [0, 1] units."""
    ssim: Annotated[float, Field(ge=0)] = 0.0
    """Weight of 1 - SSIM beside the loss."""
    teacher: str = ""
    """Model, by name or path, whose answers are learnt beside the clean patches (distillation)."""
    teaching: Share = 0.5
    """Weight of the loss against the teacher's answer; the loss against the clean patch has the rest."""
    name: Literal["adamw", "adam", "muon"] = "adamw"
    """The optimiser; `muon` makes steps of kernels between layers orthogonal, and is Adam for the rest."""
    rate: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    """Largest learning rate."""
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    """Decays of Adam's two averages."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    """Of AdamW and Muon."""
    schedule: Literal["cosine", "constant", "trapezoid"] = "cosine"
    """How the rate changes after the warm-up; `trapezoid` keeps it until it falls over the last part."""
    warm_up: Annotated[int, Field(ge=0)] = 200
    """Steps over which the rate rises from zero."""
    final_rate: Share = 0.01
    """Rate at the end, as a share of `rate`; not for the constant schedule."""
    fall: Annotated[float, Field(gt=0, le=1)] = 0.25
    """Share of the run over which a trapezoid falls, in a straight line."""
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    """Largest norm of the gradient; longer ones are shortened to it."""
    freeze_norms: Share = 0.5
    """Share of the run after which batch norms keep their statistics, as they will be used."""
    ema: Decay = 0.999
    """Decay of the moving average of the weights that is validated and exported; 0 turns it off."""


class AdversarySection(_Section):
    """A second network that learns to tell answers from clean patches, and what it counts."""

    name: str
    """A key of `grainless.nets.DISCRIMINATORS`."""
    settings: dict[str, Any] = {}
    """Keyword arguments of the discriminator."""
    weight: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the adversarial term; 0 trains the reconstruction-only twin, without a discriminator."""
    conditional: bool = False
    """The discriminator sees the noisy patch beside the one that it judges."""
    reconstruction: Annotated[float, Field(gt=0)] = 1.0
    """Weight of the loss between answer and clean patch."""
    rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Largest learning rate of the discriminator; that of the network unless told."""


class ScheduleSection(_Section):
    """How long, in which pieces and at which precision."""

    steps: Annotated[int, Field(gt=0)] = 100_000
    """Steps of the optimiser in the whole run."""
    batch: Annotated[int, Field(gt=0)] = 16
    """Patches a step at the first patch size; larger patches come in smaller batches of as many pixels."""
    validate_every: Annotated[int, Field(gt=0)] = 1000
    """Steps between two validations."""
    checkpoint_minutes: Annotated[float, Field(gt=0)] = 3.0
    """Minutes between two writings of the last state."""
    precision: Literal["bf16-mixed", "32-true"] = "bf16-mixed"
    """Of the convolutions; the sum of picture and residual is always float32."""
    workers: Annotated[int, Field(ge=0, le=64)] = 1
    """Processes that cut patches and make noise."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Decides first weights, patches and noise."""


class CardSection(_Section):
    """What the exported model's card says beyond what the run knows."""

    licence: str = "not stated"
    """Licence of the weights."""
    notes: str = ""
    """What a user of the model should know."""
    sources: dict[str, str] = {}
    """Licence of the pictures, by the first folder of their relative names."""


class Recipe(_Section):
    """Everything that decides a training run, but for where the pictures are."""

    version: Literal[1] = 1
    """Version of the recipe's form."""
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    """Name of the recipe, in small letters."""
    description: str = ""
    """One sentence for the model's card."""
    net: NetSection
    """Which network is trained."""
    data: DataSection = DataSection()
    """Which pictures are used, and how patches are cut from them."""
    noise: tuple[NoiseSection, ...] = ()
    """The training mixture: one table for each kind; none for pairs, which have their own."""
    validation_noise: tuple[str, ...] = ()
    """Noises of the validation, without ranges; none for pairs."""
    optimiser: OptimiserSection = OptimiserSection()
    """How weights are changed."""
    adversary: AdversarySection | None = None
    """Makes the network the generator of a GAN."""
    schedule: ScheduleSection = ScheduleSection()
    """How long, in which pieces and at which precision."""
    card: CardSection = CardSection()
    """What the exported model's card says beyond what the run knows."""

    @field_validator("validation_noise")
    @classmethod
    def _valid_noises(cls, specs: tuple[str, ...]) -> tuple[str, ...]:
        for spec in specs:
            _check_noise(parse_noise, spec)
        return specs

    @model_validator(mode="after")
    def _noise_where_it_is_made(self) -> Recipe:
        for key in ("noise", "validation_noise"):
            if self.data.kind == "pairs" and getattr(self, key):
                raise ValueError(f"`{key}` must be empty, as pairs have their own noise")
            if self.data.kind != "pairs" and not getattr(self, key):
                raise ValueError(f"`{key}` needs at least one entry")
        return self


def _check_noise(parse: Any, spec: str) -> None:
    """Turn a wrong noise text into an error that pydantic can place."""
    try:
        parse(spec)
    except NoiseError as error:
        raise ValueError(str(error)) from error


EXTENDS = "extends"
"""Key of the recipe that a file builds upon."""


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the package, sorted."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def load_recipe(name_or_path: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe by the name of a bundled one or by path, with `key=value` changes applied.

    Keys of `changes` are dotted (`schedule.steps=500`), values are TOML or plain text. A file with `extends =
    "universal"` says only what differs from that recipe, which is a bundled one's name or a path from the
    file's folder: tables are merged key by key, everything else takes the place of what was there. Raises
    RecipeError for a file that is missing or no TOML, an unknown key, or a value that is not allowed.
    """
    path = _recipe_path(name_or_path)
    table = _read_table(path)
    for change in changes:
        _apply(table, change)
    return check_recipe(table, source=path.name)


def _recipe_path(name_or_path: str | Path, *, folder: Path = Path()) -> Path:
    """Return the file of a bundled recipe, or of a path from a folder."""
    path = Path(name_or_path)
    return folder / path if path.suffix == ".toml" else RECIPES / f"{name_or_path}.toml"


def _read_table(path: Path, *, after: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Return the parsed table of a file, merged into that of the recipe that it extends, if any."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError) as error:
        named = path.is_relative_to(RECIPES)
        raise RecipeError(
            "There is no such recipe",
            got=repr(str(path.relative_to(RECIPES).with_suffix("") if named else path)),
            expected=f"one of {', '.join(recipe_names())}, or the path of a .toml file",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise RecipeError(f"{path} cannot be read as TOML", got=str(error)) from error
    base = table.pop(EXTENDS, None)
    if base is None:
        return table
    if not isinstance(base, str):
        raise RecipeError(
            f"{EXTENDS} of {path.name} is not readable", got=repr(base), expected="a name or path"
        )
    below = _recipe_path(base, folder=path.parent)
    chain = (*after, path.resolve())
    if below.resolve() in chain:
        raise RecipeError(f"{path.name} extends itself", got=" from ".join(file.name for file in chain))
    return _merged(_read_table(below, after=chain), table)


def _merged(base: dict[str, Any], table: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with the keys of `table` in place of its own; tables in both are merged likewise."""
    both = {
        key: _merged(base[key], value)
        if isinstance(value, dict) and isinstance(base.get(key), dict)
        else value
        for key, value in table.items()
    }
    return base | both


def check_recipe(table: dict[str, Any], *, source: str) -> Recipe:
    """Return the recipe that a parsed table describes, or raise RecipeError that names each wrong key."""
    try:
        return Recipe.model_validate(table)
    except ValidationError as error:
        problems = [dict(problem) for problem in error.errors()]
        lines = [_explain(problem) for problem in problems if not _follows(problem, problems)]
        raise RecipeError(
            f"The recipe {source} has {len(lines)} wrong {'entry' if len(lines) == 1 else 'entries'}: "
            + "; ".join(lines)
        ) from error


def _follows(problem: dict[str, Any], problems: Sequence[dict[str, Any]]) -> bool:
    """Return whether a list is only too short because of its own wrong entries, which are listed anyhow."""
    place = problem["loc"]
    return problem["type"] == "too_short" and any(
        len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in problems
    )


def _explain(problem: dict[str, Any]) -> str:
    """Say which key is wrong, what was got and what is allowed."""
    key = ".".join(str(part) for part in problem["loc"])
    if not key:
        return str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        return f"{key} is not a key that recipes have{_known_keys(problem['loc'])}"
    if problem["type"] == "missing":
        return f"{key} is missing"
    allowed = problem["msg"].removeprefix("Value error, ")
    return f"{key} = {problem['input']!r} is not allowed: {allowed}"


def _known_keys(location: tuple[Any, ...]) -> str:
    """List the keys of the section in which an unknown one was found."""
    section: Any = Recipe
    for part in location[:-1]:
        if isinstance(part, str) and section is not None:
            field = section.model_fields.get(part)
            section = field.annotation if field is not None else None
            if not (isinstance(section, type) and issubclass(section, BaseModel)):
                section = NoiseSection if part == "noise" else None
    return f" (known: {', '.join(section.model_fields)})" if section is not None else ""


def _apply(table: dict[str, Any], change: str) -> None:
    """Put one `key=value` into the parsed table."""
    key, equals, text = change.partition("=")
    if not equals or not key:
        raise RecipeError("A change of the recipe is not readable", got=repr(change), expected="key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *sections, last = key.strip().split(".")
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise RecipeError("A change names a key inside something that is no table", got=repr(change))
    table[last] = value
