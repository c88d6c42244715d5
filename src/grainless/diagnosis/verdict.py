"""The verdict on a picture: kind, level, how sure it is, and what to do about it in plain words."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from grainless.diagnosis.compression import jpeg_quality
from grainless.diagnosis.decision import DRAWN, chances
from grainless.diagnosis.evidence import Evidence, gather
from grainless.errors import InputError
from grainless.tone import as_shown

if TYPE_CHECKING:
    from grainless.picture import Picture

ADVISED = "universal"
"""The model that is advised: the bundled one is blind to kind and strength."""
_NARROW = 0.25
"""Values of 16 bits that go no further are likely those of fewer bits."""
_DOUBT = 0.1
"""From this chance on that a picture is clean, the advised strength is less than 1."""


@dataclass(frozen=True)
class Diagnosis:
    """Which noise a picture has and what to do."""

    kind: str
    """One of `KINDS`."""
    level: float | None
    """By the kind: sigma, density or quality as below; density of a mixture, None of a clean picture."""
    confidence: float
    """0 to 1: the share of right answers that is to be expected of answers like this one."""
    advice: str
    """What was found and what to do, in words."""
    model: str | None
    """Name of the model that is advised; None to leave the picture as it is."""
    strength: float
    """0 to 1, for `Denoiser`: below 1 where the picture may be clean."""
    sigma: float | None = None
    """Standard deviation of the noise, 255 = full range; of a mixture, of what is no impulse."""
    density: float | None = None
    """Share of the values that became black or white, 0 to 1."""
    quality: int | None = None
    """Of JPEG, 1 to 100 as libjpeg counts, by the file or else by its pixels; None if there is no trace."""
    reach: float | None = None
    """Share of the 16-bit range up to which the values go, where that is less than a quarter; else None."""

    def in_short(self) -> str:
        """Return kind, level and confidence in a few words."""
        levels = {
            "gaussian": f"sigma {self.sigma}",
            "signal-dependent": f"sigma {self.sigma}",
            "correlated": f"sigma {self.sigma}",
            "salt-pepper": f"density {self.density}",
            "mixed": f"density {self.density}, sigma {self.sigma}",
            "jpeg": f"quality {self.quality}" if self.quality is not None else "",
        }
        parts = [self.kind, levels.get(self.kind, ""), f"{round(100 * self.confidence)} % sure"]
        if self.kind == "clean" and self.reach is not None:
            parts.append(f"but all values lie in the lowest {100 * self.reach:.0f} % of 16 bits")
        return ", ".join(part for part in parts if part)

    def as_json(self) -> dict[str, Any]:
        """Return all fields, for `json.dumps`."""
        return asdict(self)


def diagnose(
    pixels: NDArray[Any], *, alpha: NDArray[Any] | None = None, quality: int | None = None
) -> Diagnosis:
    """Tell which noise a picture has.

    `pixels` is `(H, W)`, `(H, W, 1)`, `(H, W, 3)` or `(H, W, 4)`, the fourth being straight alpha; uint8,
    uint16 or float in [0, 1], values outside are clipped. `alpha` `(H, W)` may come apart; what is fully
    transparent is passed over. `quality` is what the tables of a JPEG file tell. Raises `InputError` for
    other arrays and for NaN. Any size will do; under 8 x 8 pixels nothing but impulses is found.
    """
    pixels, alpha = _checked(pixels, alpha)
    reach = float(pixels.max() / 65535) if pixels.dtype == np.uint16 and pixels.any() else 1.0
    return _verdict(gather(pixels, alpha, quality=quality), reach)


def diagnose_picture(
    picture: Picture, *, file: Path | BinaryIO | None = None, linear: bool = False
) -> Diagnosis:
    """Tell which noise a picture that was read has; `file` is where a JPEG's tables are read.

    `linear` says that float values are proportional to light. Raises nothing of its own.
    """
    quality = jpeg_quality(file) if picture.format == "jpeg" and file is not None else None
    pixels = as_shown(picture.pixels, linear=linear)
    return diagnose(pixels, alpha=picture.alpha, quality=quality)


def _verdict(evidence: Evidence, reach: float) -> Diagnosis:
    """Choose the likeliest kind, and say what to do."""
    found = chances(evidence)
    kind = max(found, key=lambda name: found[name])
    hit = kind in {"salt-pepper", "mixed"}
    noisy = {"gaussian": evidence.sigma, "mixed": evidence.rest}
    sigma = None if kind in {"clean", "salt-pepper", "jpeg"} else round(noisy.get(kind, evidence.total), 1)
    density = round(evidence.density, 4) if hit else None
    quality = evidence.trace.quality if evidence.trace.strength > 0 and not hit else None
    levels = {"clean": None, "salt-pepper": density, "mixed": density, "jpeg": quality}
    doubt = found["clean"] if found["clean"] >= _DOUBT else 0.0
    told = Diagnosis(
        kind=kind,
        level=levels.get(kind, sigma),
        confidence=round(found[kind], 3),
        advice="",
        model=None if kind == "clean" else ADVISED,
        strength=0.0 if kind == "clean" else round(1 - doubt, 2),
        sigma=sigma,
        density=density,
        quality=quality,
        reach=round(reach, 4) if reach < _NARROW else None,
    )
    return replace(told, advice=_advice(told, drawn=evidence.drawn > DRAWN))


def _advice(told: Diagnosis, *, drawn: bool) -> str:
    """Say in words what was found and what to do."""
    if told.kind == "clean" and told.reach is not None:
        return (
            f"No noise worth removing beside the whole range of 16 bits, of which the values use the lowest "
            f"{100 * told.reach:.0f} %. Where white lies there, as in 12-bit data, stretch the values first."
        )
    if told.kind == "clean" and drawn:
        return "Two values make up nearly all of it: text, line art or a halftone. Leave it as it is."
    if told.kind == "clean":
        return "No noise worth removing was found. Leave the picture as it is."
    quality = f" of quality {told.quality}" if told.quality is not None else ""
    share = f"{100 * (told.density or 0):.1f} %"
    found = {
        "gaussian": f"Even noise of about {told.sigma} levels of 255",
        "salt-pepper": f"Black and white specks: {share} of the values",
        "mixed": (
            f"Black and white specks, {share} of the values, and noise of about {told.sigma} levels of 255"
        ),
        "signal-dependent": (
            f"Noise of about {told.sigma} levels of 255 that changes with the light, as sensors make it"
        ),
        "correlated": (
            f"Noise of about {told.sigma} levels of 255 in grains or blotches, as film, scans and cameras' "
            "JPEGs have it"
        ),
        "jpeg": f"Blocks and rings of JPEG{quality}",
    }[told.kind]
    strength = "full strength" if told.strength == 1 else f"strength {told.strength}, as it may be clean"
    return f"{found}. Clean it with the model {told.model} at {strength}."


def _checked(pixels: NDArray[Any], alpha: NDArray[Any] | None) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return pixels `(H, W, 1 or 3)` and alpha, or raise `InputError`."""
    shape, dtype = np.shape(pixels), getattr(pixels, "dtype", None)
    if len(shape) not in {2, 3} or 0 in shape or (len(shape) == 3 and shape[2] not in {1, 3, 4}):
        raise InputError(
            "The array has no shape of a picture",
            got=shape,
            expected="(H, W), (H, W, 1), (H, W, 3) or (H, W, 4), not empty",
        )
    if dtype is None or (dtype.kind != "f" and dtype not in (np.uint8, np.uint16)):
        raise InputError(
            "The array has a dtype whose range is not known",
            got=dtype,
            expected="uint8, uint16 or float in [0, 1]",
        )
    if dtype.kind == "f" and not np.isfinite(pixels).all():
        raise InputError(
            "The picture holds values that are no numbers (NaN or infinity)", remedy="Replace them first"
        )
    stack = pixels[..., None] if len(shape) == 2 else pixels
    if stack.shape[2] == 4:
        stack, alpha = stack[..., :3], stack[..., 3]
    if alpha is not None and alpha.shape != stack.shape[:2]:
        raise InputError("The alpha does not fit the pixels", got=alpha.shape, expected=str(stack.shape[:2]))
    return stack, alpha
