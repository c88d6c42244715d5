"""The lab: noise into a clean picture, methods against it, and their scores under a named protocol.

Noise, methods and numbers are those of `grainless.evaluation`; here is only what is kept to be looked at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.baselines import BASELINES
from grainless.errors import InputError, MissingExtraError
from grainless.evaluation import Evaluation, Method, as_method, evaluate, method_of
from grainless.metrics import AWGN_LITERATURE, FILE_8BIT, PROTOCOLS, Y_8BIT, to_8bit
from grainless.picture import read_picture
from grainless.service.cleaning import offered_models
from grainless.service.page import views
from grainless.service.page.cleaning import TOO_MUCH, Order, Progress, check_file, work_for
from grainless.service.refusals import TimeLimitError
from grainless.service.settings import ServiceSettings
from grainless.service.wording import worded

NOISES = (
    ("Even noise", "gaussian:25"),
    ("Strong even noise", "gaussian:50"),
    ("Black and white specks", "salt-pepper:0.1"),
    ("Specks nearly everywhere", "salt-pepper:0.5"),
    ("Few photons", "poisson:30"),
    ("Film grain", "grain:12:size=1.5"),
    ("A camera at high ISO", "camera:0.6"),
    ("Strong JPEG", "jpeg:20"),
    ("Even noise, then JPEG", "gaussian:15+jpeg:60"),
)
"""Examples: in words, and as `parse_noise` reads them."""
OFFERED_PROTOCOLS = (FILE_8BIT.name, AWGN_LITERATURE.name, Y_8BIT.name)
"""Those that say something of one picture."""
DEFAULT_METHODS = ("universal", "fast", "median", "nlm", "wavelet")
LARGEST = (1200, 1200)
"""Height and width of what is measured: the middle of a larger picture. Some filters are slow."""


@dataclass(frozen=True)
class Choice:
    """A method that can be chosen, or why it cannot."""

    name: str
    label: str
    missing: str = ""
    """What has to be installed for it; empty if nothing."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What is to be tried."""

    noise: str
    methods: Sequence[str]
    protocol: str = FILE_8BIT.name
    seed: int = 0


@dataclass(frozen=True)
class Line:
    """The scores of one method."""

    method: str
    psnr: float
    """In dB; infinite for an exact match."""
    ssim: float
    remark: str
    """What it was told or given beyond the picture."""


@dataclass(frozen=True)
class Trial:
    """What came out of an experiment."""

    lines: tuple[Line, ...]
    """Of the noisy picture first, then of each method."""
    stamp: str
    """Protocol in words."""
    pictures: tuple[tuple[Path, str], ...]
    """PNG and caption: clean, noisy, and what each method made."""
    notes: tuple[str, ...]


def missing_extra() -> str:
    """Say which packages the lab lacks and how to get them; empty if it can work."""
    needed = ("skimage", "scipy", "pywt")
    if all(find_spec(name) is not None for name in needed):
        return ""
    return str(MissingExtraError("The lab", "evaluate"))


def choices(settings: ServiceSettings) -> list[Choice]:
    """Return models and filters in the order in which they are offered."""
    models = [Choice(name, f"{name} (model)") for name in offered_models(settings.models)]
    filters = [
        Choice(name, name.replace("_", " "), "" if item.available() else item.reason())
        for name, item in BASELINES.items()
    ]
    return models + filters


def try_methods(
    source: Path, folder: Path, *, experiment: Experiment, settings: ServiceSettings, progress: Progress
) -> Trial:
    """Put noise into a clean picture, let methods take it out again, and score them.

    Pictures are written into `folder`. Raises NoiseError for a noise that is not valid, InputError for an
    unknown protocol and no or unknown methods, PictureError for what cannot be read, MissingExtraError
    without the extra `evaluate`, TimeLimitError, between two methods, where they take too long together.
    """
    _check(experiment, settings)
    with worded(source, remedy=TOO_MUCH):
        check_file(source, settings)
        picture = read_picture(source, max_megapixels=settings.max_megapixels)
        whole = to_8bit(picture.pixels)
        clean = _middle(whole)
        kept: dict[str, NDArray[Any]] = {}
        begin = _limited(len(experiment.methods), settings.max_seconds, progress)
        methods = [_kept(_method(name, settings), kept, begin) for name in experiment.methods]
        noisy: dict[str, NDArray[Any]] = {}
        methods.insert(0, _kept(_looking(), noisy, lambda _name, _done: None))
        found = evaluate(
            _One(source.name, clean),
            [experiment.noise],
            methods=methods,
            protocol=PROTOCOLS[experiment.protocol],
            seed=experiment.seed,
        )
    lines = tuple(_line(found, name) for name in ("noisy", *experiment.methods))
    shown = [("clean", clean), ("noisy", noisy[_LOOK]), *kept.items()]
    return Trial(
        lines=lines,
        stamp=found.stamp,
        pictures=tuple(_drawn(folder, number, item, lines) for number, item in enumerate(shown)),
        notes=tuple(_notes(whole, clean, found)),
    )


def _method(name: str, settings: ServiceSettings) -> Method:
    """Return a filter, or a model that stays loaded for the next trial and for the other tabs."""
    if name in BASELINES:
        return as_method(name)
    # Under the name by which it was chosen, which its card need not know.
    return replace(method_of(work_for(Order(model=name), settings).denoiser()), name=name)


def _limited(methods: int, seconds: float, progress: Progress) -> Callable[[str, int], None]:
    """Return what is told the name of the next method and how many are done; raises TimeLimitError."""
    end = time.monotonic() + seconds

    def begin(name: str, done: int) -> None:
        if time.monotonic() > end:
            raise TimeLimitError(
                "The trial takes too long here",
                got=f"{done} of {methods} methods done after {seconds:g} seconds",
                remedy="Try fewer methods, or a smaller picture",
            )
        progress(done / (methods + 1), f"Trying {name}")

    return begin


_LOOK = "what the methods see"


def _looking() -> Method:
    """Return what gives back what it is given, so that the noisy pixels can be kept."""
    return Method(_LOOK, lambda pixels: pixels, takes_unclipped=True)


def _check(experiment: Experiment, settings: ServiceSettings) -> None:
    known = [choice.name for choice in choices(settings)]
    if not experiment.methods:
        raise InputError("No method is chosen", expected="at least one model or filter")
    strange = [name for name in experiment.methods if name not in known]
    if strange:
        raise InputError("This method is not offered", got=strange[0], expected=f"one of {', '.join(known)}")
    if experiment.protocol not in OFFERED_PROTOCOLS:
        raise InputError(
            "This protocol is not offered",
            got=experiment.protocol,
            expected=f"one of {', '.join(OFFERED_PROTOCOLS)}",
        )


def _middle(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the middle of a picture, at most LARGEST."""
    height, width = pixels.shape[:2]
    down, across = min(height, LARGEST[0]), min(width, LARGEST[1])
    top, left = (height - down) // 2, (width - across) // 2
    return np.ascontiguousarray(pixels[top : top + down, left : left + across])


@dataclass(frozen=True)
class _One:
    """A picture source of one picture."""

    name: str
    pixels: NDArray[np.uint8]

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        yield self.name, self.pixels


def _kept(method: Method, kept: dict[str, NDArray[Any]], begin: Callable[[str, int], None]) -> Method:
    """Return the same method, whose results are kept under its name."""

    def restore(pixels: NDArray[Any], **told: Any) -> NDArray[Any]:
        begin(method.name, len(kept))
        restored = method.restore(pixels, **told)
        kept[method.name] = restored
        return restored

    return replace(method, restore=restore)


def _line(found: Evaluation, name: str) -> Line:
    row = next(row for row in found.rows if row.method == name)
    scores = row.pictures[0].scores
    remarks = {"none": "", "told": "told the noise level", "estimated": "estimates the noise level"}
    remark = remarks[row.sigma] + (" (noise clipped)" if row.handed_clipped else "")
    return Line(name, scores.psnr, scores.ssim, remark.strip())


def _drawn(
    folder: Path, number: int, item: tuple[str, NDArray[Any]], lines: Sequence[Line]
) -> tuple[Path, str]:
    name, pixels = item
    path = views.save_view(to_8bit(pixels), folder / f"{number:02d}.png")
    psnr = next((f" · {line.psnr:.2f} dB" for line in lines if line.method == name), "")
    return path, f"{name}{psnr}"


def _notes(whole: NDArray[np.uint8], part: NDArray[np.uint8], found: Evaluation) -> Iterator[str]:
    if part.shape != whole.shape:
        sizes = [f"{pixels.shape[1]} x {pixels.shape[0]}" for pixels in (part, whole)]
        yield f"Only the middle {sizes[0]} pixels of {sizes[1]} were used."
    yield f"Noise {found.noises[0]}, seed {found.seed}."
