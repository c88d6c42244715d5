"""Noise on pixels as files hold them: any depth in, the same depth out, clipped and rounded as told."""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.errors import InputError
from grainless.noise.model import Noise, Values
from grainless.noise.text import parse_noise

_FULL_RANGE = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}


def corrupt(
    pixels: NDArray[Any],
    noise: Noise | str,
    *,
    seed: int | None = None,
    rng: np.random.Generator | None = None,
    clip: bool = True,
    quantise: bool = True,
) -> NDArray[Any]:
    """Return a noisy copy of `pixels`, of the same shape; the same seed gives the same bytes.

    `pixels` is `(H, W)` or `(H, W, C)`, without alpha. uint8 and uint16 come back as they went in, each at
    its full precision (clipping and rounding are implied). Floats in [0, 1] come back as float32: clipped to
    [0, 1] if `clip`, then rounded to multiples of 1/255 if `quantise`. Exactly one of `seed` and `rng` is
    given. `noise` may be its text form; units: see `grainless.noise`. Raises InputError for arrays or options
    that cannot be used, and NoiseError for a wrong text or a number of channels that the noise does not take.
    """
    noise = parse_noise(noise) if isinstance(noise, str) else noise
    generator = _generator(seed, rng)
    _check_pixels(pixels)
    full = _FULL_RANGE.get(pixels.dtype.newbyteorder("="))
    if full is not None and not (clip and quantise):
        raise InputError(
            f"Pixels of {pixels.dtype} are always clipped and rounded",
            got=f"clip={clip}, quantise={quantise}",
            remedy="Pass float32 pixels in [0, 1] to keep unclipped or unrounded noise",
        )
    values = pixels.astype(np.float32) if full is None else pixels.astype(np.float32) / np.float32(full)
    noisy = noise.apply(values if values.ndim == 3 else values[..., None], generator)
    result = _finish(noisy, full, clip=clip, quantise=quantise).reshape(pixels.shape)
    return result if full is None else result.astype(pixels.dtype, copy=False)


def seed_for(seed: int, name: str) -> int:
    """Return a seed of one picture from the seed of a run and the picture's relative name.

    The result depends on nothing else: neither on the order of pictures nor on the system's path separator or
    its way to write accents.
    """
    plain = unicodedata.normalize("NFC", name.replace("\\", "/"))
    # A name that is no UTF-8 holds its bytes as lone surrogates.
    digest = hashlib.sha256(f"{seed}\n{plain}".encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def _finish(noisy: Values, full: int | None, *, clip: bool, quantise: bool) -> NDArray[Any]:
    """Clip and round to the levels of `full` (the largest integer), or of 255 for floats (None)."""
    if clip:
        noisy = np.clip(noisy, 0, 1)
    if full is not None:
        return np.asarray(np.rint(noisy * np.float32(full)), dtype=np.uint8 if full == 255 else np.uint16)
    if quantise:
        noisy = np.rint(noisy * np.float32(255)) / np.float32(255)
    return noisy


def _generator(seed: int | None, rng: np.random.Generator | None) -> np.random.Generator:
    """Return the one source of randomness."""
    if (seed is None) == (rng is None):
        raise InputError(
            "Noise needs one source of randomness",
            got="neither seed nor rng" if seed is None else "both seed and rng",
            expected="exactly one of them",
            remedy="Pass seed=7 for noise that can be repeated",
        )
    if rng is not None:
        return rng
    if seed is None or seed < 0:
        raise InputError(
            "The seed is not valid", got=seed, expected="a whole number from 0 up", remedy="Pass seed=7"
        )
    return np.random.default_rng(seed)


def _check_pixels(pixels: NDArray[Any]) -> None:
    """Raise InputError unless the array is a picture."""
    if not isinstance(pixels, np.ndarray):
        raise InputError(
            "The picture is no numpy array",
            got=type(pixels).__name__,
            remedy="Convert it with numpy.asarray",
        )
    if pixels.ndim not in (2, 3) or pixels.size == 0:
        raise InputError(
            "The array is not a picture",
            got=f"shape {pixels.shape}",
            expected="(height, width) or (height, width, channels), not empty",
            remedy="Pass one picture at a time",
        )
    if pixels.dtype.newbyteorder("=") in _FULL_RANGE:
        return
    if not np.issubdtype(pixels.dtype, np.floating):
        raise InputError(
            "The pixels have a type that noise does not know",
            got=pixels.dtype,
            expected="uint8, uint16 or float in [0, 1]",
            remedy="Convert them first",
        )
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 1):
        raise InputError(
            "The pixels leave the range of a float picture",
            got=f"values from {low:g} to {high:g}",
            expected="finite values in [0, 1]",
            remedy="Clip them to [0, 1], or divide them by their full range",
        )
