"""One picture after the other: what is wrong with it by itself, and with a few among many others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from grainless.datasets.folder import beyond_white
from grainless.diagnosis import jpeg_quality
from grainless.doctor.compression import BLOCK_STEP, LOW_QUALITY, block_step
from grainless.doctor.findings import Finding
from grainless.doctor.grain import IMPULSE_NOISE, IMPULSE_SHARE, impulse_share, measure_grain
from grainless.errors import GrainlessError
from grainless.metrics import to_8bit
from grainless.picture import read_picture

Pixels = NDArray[np.uint8]
"""(H, W, C)."""

FEWEST_FOR_ODD = 10
"""Of fewer pictures none is odd."""
SAME_SHARE = 0.9
"""Share of the pictures that must have one size, or one number of channels, for another one to be odd."""


@dataclass(frozen=True)
class Looked:
    """A file that was decoded, or was not."""

    name: str
    pixels: Pixels | None
    findings: tuple[Finding, ...]


def look(file: Path, name: str, *, min_side: int, quick: bool, clean: bool = True) -> Looked:
    """Decode a file to 8 bits without alpha and say what is wrong with it; `name` is what it is called.

    `quick` looks at no more than decoding shows. Noise and compression are sought in `clean` pictures only.
    """
    try:
        picture = read_picture(file)
    except GrainlessError as error:
        reason = str(error).replace(str(file), name)
        return Looked(name, None, (Finding(name, "unreadable", reason),))
    if (beyond := beyond_white(picture.pixels)) is not None:
        return Looked(name, None, (Finding(name, "unreadable", beyond),))
    pixels = np.ascontiguousarray(to_8bit(picture.pixels))
    plain = plain_findings(name, pixels, min_side=min_side)
    if quick or not clean or any(finding.kind == "blank" for finding in plain):
        return Looked(name, pixels, tuple(plain))
    quality = jpeg_quality(file) if picture.format == "jpeg" else None
    return Looked(name, pixels, (*plain, *spoilt_findings(name, pixels, quality=quality)))


def plain_findings(name: str, pixels: Pixels, *, min_side: int = 1) -> list[Finding]:
    """Say what is wrong with the size and the channels of uint8 `(H, W, C)` pixels."""
    height, width, channels = pixels.shape
    findings = []
    if min(height, width) < min_side:
        found = f"{width}x{height} pixels, each side is to have {min_side} or more"
        findings.append(Finding(name, "too-small", found))
    if (pixels == pixels[:1, :1]).all():
        levels = ", ".join(map(str, pixels[0, 0]))
        findings.append(Finding(name, "blank", f"all pixels are {levels}"))
    elif channels == 3 and is_gray(pixels):
        findings.append(Finding(name, "gray-in-colour", "its three channels are equal"))
    return findings


def is_gray(pixels: Pixels) -> bool:
    """Return whether the three channels are equal."""
    # One row tells most pictures from gray ones, without a look at the others.
    return all(
        np.array_equal(part[..., 0], part[..., 1]) and np.array_equal(part[..., 1], part[..., 2])
        for part in (pixels[:1], pixels)
    )


def spoilt_findings(name: str, pixels: Pixels, *, quality: int | None = None) -> list[Finding]:
    """Say what noise and compression did to uint8 `(H, W, C)` pixels; `quality` is that of the JPEG file."""
    findings = []
    grain, lonely = measure_grain(pixels), impulse_share(pixels)
    if lonely >= IMPULSE_SHARE and (grain is None or grain.sigma < IMPULSE_NOISE):
        found = f"{100 * lonely:.1f} % of the values are black or white among others"
        findings.append(Finding(name, "impulses", found))
    if grain is not None and grain.noisy:
        levels = f"about {grain.sigma:.0f} of 255 levels"
        if grain.texture:
            findings.append(Finding(name, "texture", f"fine texture, or noise of {levels}"))
        else:
            findings.append(Finding(name, "noisy", f"noise of {levels}"))
    step = block_step(pixels)
    if step >= BLOCK_STEP or (quality is not None and quality < LOW_QUALITY):
        parts = [f"JPEG of quality {quality}"] if quality is not None else []
        parts += [f"steps of {step:.1f} levels every 8 pixels, as JPEG leaves them"] if step else []
        findings.append(Finding(name, "jpeg", ", ".join(parts)))
    return findings


def odd_findings(names: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> list[Finding]:
    """Name the few pictures of another size, or of another number of channels, than nearly all others."""
    if len(names) < FEWEST_FOR_ODD:
        return []
    sizes = [f"{shape[1]}x{shape[0]} pixels" for shape in shapes]
    colours = ["gray" if shape[2] == 1 else "colour" for shape in shapes]
    findings = []
    for kind, values in (("odd-size", sizes), ("odd-channels", colours)):
        usual, count = Counter(values).most_common(1)[0]
        if count >= SAME_SHARE * len(names):
            findings += [
                Finding(name, kind, f"{value}, {count} of {len(names)} are {usual}")
                for name, value in zip(names, values, strict=True)
                if value != usual
            ]
    return findings
