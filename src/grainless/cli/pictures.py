"""Commands that read pictures and write pictures: `denoise` and `corrupt`."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grainless.atomic import replace_file
from grainless.batch import Job, Tick, plan
from grainless.cli.console import run_files
from grainless.cli.inspecting import in_short
from grainless.errors import InputError, PictureError

if TYPE_CHECKING:
    from grainless.diagnosis import Diagnosis
    from grainless.picture import Picture

AUTO = "auto"
"""Stands for the model that the diagnosis of each picture advises."""


class Runtime(enum.StrEnum):
    """What computes the network."""

    auto = "auto"
    onnxruntime = "onnxruntime"
    openvino = "openvino"


class Precision(enum.StrEnum):
    """How exactly the network is computed."""

    exact = "exact"
    fast = "fast"


Inputs = Annotated[
    list[Path], typer.Argument(metavar="INPUT...", help="Pictures and folders.", show_default=False)
]
Out = Annotated[
    Path,
    typer.Option(
        "--out", "-o", metavar="OUT", help="Folder for the results; for one picture also a file name."
    ),
]
Recursive = Annotated[bool, typer.Option(help="Also search the folders inside a folder.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist; never an input.")]
Quality = Annotated[int, typer.Option(min=1, max=100, help="Quality of JPEG outputs.")]
MaxMegapixels = Annotated[float, typer.Option(min=0, help="Refuse pictures larger than this.")]


def denoise(
    inputs: Inputs,
    out: Out,
    model: Annotated[
        str,
        typer.Option(
            metavar="auto|NAME|FILE",
            help="A model by its name, or an .onnx file; auto looks at each picture first, as `inspect` "
            "does, and leaves it as it is where it is clean.",
        ),
    ] = AUTO,
    strength: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="1 removes all the noise that the model finds, 0 none.",
            show_default="1; auto takes less where the picture may be clean",
        ),
    ] = None,
    recursive: Recursive = True,
    overwrite: Overwrite = False,
    crop: Annotated[
        str | None, typer.Option(metavar="X,Y,W,H", help="Clean and write this part only, in pixels.")
    ] = None,
    linear: Annotated[
        bool, typer.Option("--linear", help="Float pictures hold linear light, not sRGB values.")
    ] = False,
    quality: Quality = 95,
    max_megapixels: MaxMegapixels = 500.0,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Processor threads.", show_default="all cores")
    ] = None,
    runtime: Annotated[
        Runtime, typer.Option(help="What computes the network; auto takes OpenVINO if it is installed.")
    ] = Runtime.onnxruntime,
    precision: Annotated[
        Precision, typer.Option(help="fast lets OpenVINO compute in 16 bits where the processor can.")
    ] = Precision.exact,
) -> None:
    """Take the noise out of pictures; those that are clean already are passed through unchanged.

    Depth, alpha, colour profile and metadata are kept; what an output format cannot hold is said.

    One file that fails does not stop the others. An output that exists stays, unless --overwrite.
    """
    planned = plan(inputs, out, recursive=recursive)
    box = parse_crop(crop)

    from grainless.denoiser import Denoiser
    from grainless.diagnosis import ADVISED, diagnose_picture
    from grainless.picture import losses, read_picture

    auto = model == AUTO
    name = ADVISED if auto else model
    denoiser = Denoiser.load(name, threads=threads, runtime=runtime.value, precision=precision.value)

    def action(job: Job, tick: Tick) -> Sequence[str]:
        picture = read_picture(job.source, max_megapixels=max_megapixels)
        losses(picture, job.target)  # a format that cannot hold the picture is refused before the work
        told = diagnose_picture(picture, file=job.source, linear=linear) if auto else None
        if (
            told is not None
            and told.model is None
            and box is None
            and not linear
            and _same_format(picture, job)
        ):
            replace_file(job.target, job.source.read_bytes())
            return (_said(told),)

        def progress(done: int, total: int) -> None:
            tick(done / total)

        chosen = _strength(strength, told)
        clean = denoiser.denoise_picture(picture, strength=chosen, crop=box, linear=linear, progress=progress)
        return (*([] if told is None else [_said(told)]), *_save(clean, job, quality))

    run_files(planned, action, verb="cleaned", overwrite=overwrite)


def corrupt(
    inputs: Inputs,
    out: Out,
    noise: Annotated[
        str, typer.Option(metavar="SPEC", help="salt-pepper:0.1, gaussian:25, gaussian:10+jpeg:60, ...")
    ],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same noise.")] = 0,
    clip: Annotated[bool, typer.Option(help="Clip float pictures to [0, 1]; others always are.")] = True,
    quantise: Annotated[bool, typer.Option(help="Round float pictures to 8-bit levels.")] = True,
    recursive: Recursive = True,
    overwrite: Overwrite = False,
    quality: Quality = 95,
    max_megapixels: MaxMegapixels = 500.0,
) -> None:
    """Put noise into clean pictures, to try and to measure denoisers.

    Each picture gets noise of its own, by the seed, its name and the noise: the very noise that `evaluate`
    measures with, in whatever order the files come.
    """
    from grainless.noise import corrupt as add_noise
    from grainless.noise import parse_noise, seed_for
    from grainless.picture import read_picture

    planned = plan(inputs, out, recursive=recursive)
    model = parse_noise(noise)

    def action(job: Job, tick: Tick) -> Sequence[str]:
        picture = read_picture(job.source, max_megapixels=max_megapixels)
        # Clipping and rounding belong to whole numbers; only float files leave a choice.
        whole = picture.pixels.dtype.kind != "f"
        noisy = add_noise(
            picture.pixels,
            model,
            seed=seed_for(seed, f"{job.name}|{model}"),
            clip=clip or whole,
            quantise=quantise or whole,
        )
        tick(0.9)
        return _save(picture.with_pixels(noisy), job, quality)

    run_files(planned, action, verb="corrupted", overwrite=overwrite)


def _strength(asked: float | None, told: Diagnosis | None) -> float:
    """Return the strength to clean with: 0 for a clean picture, else what was asked for or is advised."""
    if told is None:
        return 1.0 if asked is None else asked
    return told.strength if asked is None or told.model is None else asked


def _same_format(picture: Picture, job: Job) -> bool:
    """Return whether the result is a file of the same format, so that copying changes nothing at all."""
    from grainless.picture import EXTENSIONS

    return EXTENSIONS.get(job.target.suffix.lower()) == picture.format


def _said(told: Diagnosis) -> str:
    """Say what the diagnosis found and what was done."""
    if told.model is None:
        return f"passed through unchanged: {in_short(told)}"
    return f"{in_short(told)}: model {told.model}"


def _save(picture: Picture, job: Job, quality: int) -> tuple[str, ...]:
    """Write a result and say what was converted and what was lost; folders appear with their first file."""
    from grainless.picture import write_picture

    folder = job.target.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PictureError(
            f"the folder {folder} cannot be made",
            got=error.strerror or str(error),
            remedy="Name another output",
        ) from error
    return (*picture.notes, *write_picture(picture, job.target, quality=quality))


def parse_crop(text: str | None) -> tuple[int, int, int, int] | None:
    """Read `X,Y,W,H`: left edge, top edge, width and height of a part of a picture, in pixels.

    Raises InputError unless these are four whole numbers, the first two from 0 up, the last two from 1 up.
    """
    if text is None:
        return None
    numbers = text.split(",")
    if len(numbers) == 4 and all(number.strip().isdecimal() for number in numbers):
        x, y, width, height = (int(number) for number in numbers)
        if width > 0 and height > 0:
            return x, y, width, height
    raise InputError(
        "the crop is not valid",
        got=repr(text),
        expected="four whole numbers X,Y,W,H: left, top, width, height in pixels",
        remedy="Write for example --crop 0,0,512,512",
    )
