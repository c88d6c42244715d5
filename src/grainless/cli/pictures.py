"""Commands that read pictures and write pictures: `denoise` and `corrupt`."""

from __future__ import annotations

import enum
import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from grainless.batch import Pipeline, RunOptions, plan
from grainless.cli.batches import Shown, run_files, show_preview
from grainless.errors import InputError
from grainless.memory import parse_size


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
    ] = "auto",
    strength: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="1 removes all the noise that the model finds, 0 none.",
            show_default="1; auto takes less where the picture may be clean",
        ),
    ] = None,
    luma: Annotated[
        float, typer.Option(min=0, max=1, help="How much of the noise in brightness is removed, 0 to 1.")
    ] = 1.0,
    chroma: Annotated[
        float, typer.Option(min=0, max=1, help="How much of the noise in colours is removed, 0 to 1.")
    ] = 1.0,
    mask: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A gray picture as large as the input: white is cleaned, black is left as it is.",
        ),
    ] = None,
    show_removed: Annotated[
        bool,
        typer.Option(
            "--show-removed", help="Also write what was removed, 4 times as strong, as NAME.removed.png."
        ),
    ] = False,
    guard: Annotated[
        bool,
        typer.Option("--guard/--no-guard", help="Keep the original where the result is worse, and say why."),
    ] = True,
    recursive: Recursive = True,
    overwrite: Overwrite = False,
    crop: Annotated[
        str | None, typer.Option(metavar="X,Y,W,H", help="Clean and write this part only, in pixels.")
    ] = None,
    linear: Annotated[
        bool, typer.Option("--linear", help="Float pictures hold linear light, not sRGB values.")
    ] = False,
    quality: Quality = 95,
    max_megapixels: Annotated[
        float | None,
        typer.Option(
            min=0, help="Refuse pictures larger than this.", show_default="500 if held in memory, else none"
        ),
    ] = None,
    max_memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Never use more memory than this, as 1GB: pictures are worked on from the disk, one by one.",
            show_default="from the disk if they are large beside the free memory",
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Processor threads.", show_default="all cores")
    ] = None,
    runtime: Annotated[
        Runtime, typer.Option(help="What computes the network; auto takes OpenVINO if it is installed.")
    ] = Runtime.onnxruntime,
    precision: Annotated[
        Precision, typer.Option(help="fast lets OpenVINO compute in 16 bits where the processor can.")
    ] = Precision.exact,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Also try again what failed in an earlier run.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done with each file.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON to stdout.")] = False,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Work on the Dask cluster with this scheduler: tcp://host:8786."
        ),
    ] = None,
) -> None:
    """Take the noise out of pictures; those that are clean already are passed through unchanged.

    Depth, alpha, colour profile and metadata are kept; what an output format cannot hold is said. Each
    result is looked at: where it is worse than the picture, the original is kept, and that is said.

    One file that fails does not stop the others. An output that exists stays, unless --overwrite. After any
    stop the same command goes on where it was.
    """
    from grainless.batch.pictures import Denoising
    from grainless.batch.removal import SHOWN, Removal

    planned = plan(
        inputs,
        out,
        recursive=recursive,
        beside=(SHOWN,) if show_removed else (),
        protected=() if mask is None else (mask,),
    )
    box = parse_crop(crop)
    work = Denoising(
        model=model,
        strength=strength,
        removal=Removal(luma=luma, chroma=chroma, mask=mask, guard=guard, show=show_removed),
        crop=box,
        linear=linear,
        quality=quality,
        max_megapixels=max_megapixels,
        max_memory=None if max_memory is None else parse_size(max_memory),
        threads=threads,
        runtime=runtime.value,
        precision=precision.value,
    )
    options = RunOptions(overwrite=overwrite, retry_failed=retry_failed)
    if work.max_memory is not None:
        if dask is not None:
            raise InputError(
                "A limit of memory cannot be promised on a cluster",
                got="--max-memory and --dask",
                remedy="Leave out one of them; workers have a limit of their own, --memory-limit",
            )
        options = replace(options, executor=Pipeline(work, bytes_in_hand=1))
    if dask is not None:
        from grainless.batch.cluster import on_cluster

        options = replace(options, executor=on_cluster(planned, work.pinned(), dask))
    show = show_preview if dry_run else run_files
    show(planned, work, shown=Shown("wrote", as_json=as_json), options=options)


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
    from grainless.batch.pictures import Corrupting

    work = Corrupting(
        noise=noise, seed=seed, clip=clip, quantise=quantise, quality=quality, max_megapixels=max_megapixels
    )
    planned = plan(inputs, out, recursive=recursive)
    # Noise is quickly made anew, and its folder is data for others: no journal in it.
    options = RunOptions(overwrite=overwrite, journal=False)
    run_files(planned, work, shown=Shown("corrupted"), options=options)


def parse_crop(text: str | None) -> tuple[int, int, int, int] | None:
    """Read `X,Y,W,H`: left edge, top edge, width and height of a part of a picture, in pixels.

    Raises InputError unless these are four whole numbers, the first two from 0 up, the last two from 1 up.
    """
    if text is None:
        return None
    numbers = text.split(",")
    if len(numbers) == 4 and all(re.fullmatch(r"\s*\d{1,9}\s*", number) for number in numbers):
        x, y, width, height = (int(number) for number in numbers)
        if width > 0 and height > 0:
            return x, y, width, height
    raise InputError(
        "the crop is not valid",
        got=repr(text),
        expected="four whole numbers X,Y,W,H: left, top, width, height in pixels",
        remedy="Write for example --crop 0,0,512,512",
    )
