"""The pictures behind the numbers: those that a method won and lost the most, made again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from grainless.errors import DataError, InputError
from grainless.evaluation.measuring import Method, named_methods, noisy_pixels
from grainless.evaluation.results import RECORDED, Evaluation, Row
from grainless.evaluation.sources import Intake, PictureSource, RecordedPairs, Sample
from grainless.metrics import EXACT_PSNR
from grainless.noise import parse_noise

Pixels = NDArray[Any]


@dataclass(frozen=True)
class Pick:
    """A picture worth looking at."""

    picture: str
    noise: str
    method: str
    rival: str
    """The method with the highest PSNR on this picture among the others."""
    gain: float
    """PSNR of the method less that of the rival, in dB."""


@dataclass(frozen=True)
class Example:
    """A picture as it was, with noise, and as each method restored it."""

    pick: Pick
    clean: Pixels
    """uint8, or float32 in [0, 1], (H, W, C), as the protocol has it; so are the others."""
    noisy: Pixels
    restored: Mapping[str, Pixels]
    """By method, in the order of the results."""
    psnr: Mapping[str, float]
    """In dB, of each method and of `noisy`."""


def pick_examples(evaluation: Evaluation, method: str, *, noises: Sequence[str] = ()) -> list[Pick]:
    """Return for each noise the picture that a method won the most, and the one that it lost the most.

    Won and lost against the best of the other methods on that picture, by PSNR; the noisy picture itself is
    none of them. `noises` are all that were measured unless told. One picture gives one pick. Raises
    InputError for a method or a noise that was not measured, and where the method has no rival.
    """
    rivals = [item.name for item in evaluation.methods if item.kind != "none" and item.name != method]
    if not rivals:
        raise InputError(
            f"There is nothing to hold {method} against", expected="another method in the results"
        )
    picks = []
    for noise in noises or evaluation.noises:
        own = _psnr(evaluation.row(method, noise))
        others = {name: _psnr(evaluation.row(name, noise)) for name in rivals}
        found = []
        for picture, psnr in own.items():
            rival = max(others, key=lambda name: others[name][picture])
            found.append(Pick(picture, noise, method, rival, psnr - others[rival][picture]))
        found.sort(key=lambda pick: (-pick.gain, pick.picture))
        picks += [found[0], found[-1]] if len(found) > 1 else found
    return picks


def _psnr(row: Row) -> dict[str, float]:
    return {picture.name: min(picture.scores.psnr, EXACT_PSNR) for picture in row.pictures}


def make_examples(
    data: str | Path | RecordedPairs | PictureSource,
    evaluation: Evaluation,
    picks: Sequence[Pick],
    *,
    methods: Sequence[str | Path | Method],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Example]:
    """Make the picked pictures again: the same noise, restored by the same methods.

    `data` and `methods` are those that `evaluate` was given; `progress` is told how many are made, of how
    many. Raises DataError where `data` does not hold a
    picture any more, and what `evaluate` raises for methods.
    """
    chosen = named_methods(methods)
    pictures = Intake(data, evaluation.protocol)
    wanted = {pick.picture for pick in picks}
    samples = {}
    for sample in pictures.samples(None):
        if sample.name in wanted:
            samples[sample.name] = sample
        if len(samples) == len(wanted):
            break
    missing = sorted(wanted - samples.keys())
    if missing:
        raise DataError(
            f"{pictures.place} does not hold a picture that was measured",
            got=f"no {missing[0]}",
            remedy="Pass the folder that was measured",
        )
    examples: list[Example] = []
    for pick in picks:
        progress(len(examples), len(picks))
        examples.append(_example(pick, samples[pick.picture], evaluation, chosen))
    return examples


def _example(pick: Pick, sample: Sample, evaluation: Evaluation, methods: Sequence[Method]) -> Example:
    noise = None if pick.noise == RECORDED else parse_noise(pick.noise)
    noisy = noisy_pixels(sample, noise, evaluation.protocol, seed=evaluation.seed)
    return Example(
        pick=pick,
        clean=sample.clean,
        noisy=noisy,
        restored={
            method.name: method.run(method.handed(noisy), noise)
            for method in methods
            if method.kind != "none"
        },
        psnr={
            row.method: psnr[pick.picture]
            for row in evaluation.rows
            if row.noise == pick.noise and pick.picture in (psnr := _psnr(row))
        },
    )
