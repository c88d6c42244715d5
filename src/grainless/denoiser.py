"""Takes the noise out of a picture: a model, a runtime, and the tiles between them.

Pictures keep their own dtype; only tiles become float32 in [0, 1], and the two functions `_to_unit` and
`_from_unit` are the only place where values are converted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from grainless.errors import InputError, ModelError
from grainless.model_file import ModelCard, read_model
from grainless.runtime import Precision, Run, Runtime, in_one_line, start
from grainless.tiling import Box, HiddenFill, Tile, cut, plan_tiles
from grainless.tone import decode_srgb, encode_srgb

if TYPE_CHECKING:
    from grainless.picture import Picture

Progress = Callable[[int, int], None]
"""Called after each tile with the number of tiles done and the number of all."""

TILE = 768
"""Largest side, in pixels, of what one run of a network cleans: larger tiles need much more memory."""

NARROW_RANGE = 0.25
"""A picture whose values span less than this, in [0, 1], has no black and white points of its own.

In a plain sky or on a blank page the extremes are ordinary values, and no impulses.
"""

_INTEGER_WHITE = {"uint8": 255, "uint16": 65535}
_FLOATS = {"float16", "float32", "float64"}


@dataclass(frozen=True)
class _Source:
    """A picture on its way through the network."""

    pixels: NDArray[Any]
    """`(H, W, C)`, C 1 or 3, in the picture's own dtype."""
    levels: NDArray[np.float32]
    """Black and white point: the smallest and the largest visible value, or 0 and 1 where these are close."""
    fill: HiddenFill | None
    """What stands in for fully transparent pixels; None where there are none."""
    linear: bool
    """Whether the values are proportional to light, and go through the sRGB curve."""
    unclipped: bool = False
    """Whether the network sees float values outside [0, 1] as they are."""


class Denoiser:
    """A model that is ready to clean pictures; may be used from several threads.

    It is loaded once and called for each picture:

        denoiser = Denoiser.load("universal")
        clean = denoiser(pixels)
    """

    def __init__(self, card: ModelCard, run: Run, *, name: str, tile: int = TILE) -> None:
        """Take the model's card, the function that runs its graph, and its name for messages.

        `tile` is the largest side, in pixels, of what one run of the network cleans; raises `InputError`
        below 1.
        """
        if tile < 1:
            raise InputError("The tile is too small", got=tile, expected="at least 1 pixel")
        self.card = card
        self.tile = tile
        self._run = run
        self._name = name

    @classmethod
    def load(
        cls,
        name_or_path: str | Path = "universal",
        *,
        threads: int | None = None,
        runtime: Runtime = "onnxruntime",
        precision: Precision = "exact",
        tile: int = TILE,
    ) -> Denoiser:
        """Return the model of that name or file, ready to run; options as in `runtime.start`.

        Raises `ModelError` for an unknown name or a refused file, `InputError` for options that are not
        valid, and `MissingExtraError` where OpenVINO is asked for and missing.
        """
        model = read_model(name_or_path)
        run = start(model, threads=threads, runtime=runtime, precision=precision)
        return cls(model.card, run, name=str(model.path), tile=tile)

    def __call__(
        self, pixels: NDArray[Any], *, strength: float = 1.0, unclipped: bool = False
    ) -> NDArray[Any]:
        """Return `pixels` without their noise, in the same shape and dtype.

        `pixels` is `(H, W)`, `(H, W, 1)`, `(H, W, 3)` or `(H, W, 4)`, the fourth being straight alpha,
        which comes back as it was; uint8, uint16, or float16, float32, float64 in [0, 1]. `strength` from
        0, the input, to 1, the clean picture, blends the two. With `unclipped` floats may leave [0, 1], as
        noise that was never in a file does: the network sees them as they are, and gives values within.
        Raises `InputError` for other arrays, NaN and values out of range.
        """
        _check_array(pixels, unclipped=unclipped)
        stack = pixels[..., None] if pixels.ndim == 2 else pixels
        alpha = stack[..., 3] if stack.shape[2] == 4 else None
        seen = stack if alpha is None else stack[..., :3]
        clean = self._clean(seen, _prepare(seen, alpha, unclipped=unclipped), strength=strength)
        if alpha is not None:
            clean = np.concatenate([clean, stack[..., 3:]], axis=2)
        return clean.reshape(pixels.shape)

    def denoise_picture(
        self,
        picture: Picture,
        *,
        strength: float = 1.0,
        crop: tuple[int, int, int, int] | None = None,
        linear: bool = False,
        progress: Progress | None = None,
    ) -> Picture:
        """Return `picture` without its noise: same dtype, alpha and metadata.

        Float values outside [0, 1] are kept: the network sees them clipped, and what was clipped is added
        to its answer. `crop` (x, y, width, height) returns that part of the cleaned picture, equal to it
        bit for bit. `linear` says that float values are proportional to light. Raises `InputError` for NaN
        and infinity in visible pixels, a crop that leaves the picture, a strength outside [0, 1] and
        `linear` with whole numbers.
        """
        pixels, alpha = picture.pixels, picture.alpha
        if linear and pixels.dtype.name in _INTEGER_WHITE:
            raise InputError(
                "Only float pictures can be linear",
                got=pixels.dtype,
                remedy="Leave `linear` out: 8- and 16-bit pictures are cleaned as they are encoded.",
            )
        box = _crop_box(crop, pixels)
        source = _prepare(pixels, alpha, linear=linear)
        clean = self._clean(pixels, source, strength=strength, box=box, progress=progress)
        if alpha is not None:
            alpha = alpha[box.top : box.bottom, box.left : box.right].copy()
        return replace(picture, pixels=clean, alpha=alpha)

    def _clean(
        self,
        pixels: NDArray[Any],
        source: _Source | None,
        *,
        strength: float,
        box: Box | None = None,
        progress: Progress | None = None,
    ) -> NDArray[Any]:
        """Return the part `box`, all if None, of the cleaned `pixels` `(H, W, C)`."""
        if not 0 <= strength <= 1:
            raise InputError("The strength is out of range", got=strength, expected="0 (input) to 1 (clean)")
        height, width = pixels.shape[:2]
        box = box or Box(0, 0, height, width)
        kept = pixels[box.top : box.bottom, box.left : box.right].copy()
        if source is None or strength == 0:
            return kept
        # The tiles are those of the whole picture even for a crop: another plan would round differently.
        card = self.card
        plan = plan_tiles(height, width, tile=self.tile, halo=card.halo, stride=card.stride)
        plan = [tile for tile in plan if tile.output.meet(box).area]
        for done, tile in enumerate(plan, start=1):
            part = tile.output.meet(box)
            kept[part.slices(box)] = self._clean_tile(source, tile, part, strength)
            if progress is not None:
                progress(done, len(plan))
        return kept

    def _clean_tile(self, source: _Source, tile: Tile, part: Box, strength: float) -> NDArray[Any]:
        """Return the clean values of `part`, which lies in the output of `tile`, in the picture's dtype."""
        seen = cut(source.pixels, tile.window)
        if source.fill is not None:
            seen = source.fill.apply(seen, tile.window)
        clean = self._infer(_to_unit(seen, linear=source.linear, unclipped=source.unclipped), source.levels)
        rows, columns = part.slices(Box(0, 0, 0, 0))
        noisy = source.pixels[rows, columns]
        result = _from_unit(clean[part.slices(tile.window)], noisy, strength, source=source)
        if source.fill is not None:
            np.copyto(result, noisy, where=source.fill.hidden[rows, columns, None])
        return result

    def _infer(self, values: NDArray[np.float32], levels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the network's answer to `values` `(height, width, C)`, in the same shape and units.

        A gray picture goes through a colour network as three equal channels, and the answer's mean is
        taken; a colour picture goes through a gray network channel by channel.
        """
        planes = values.transpose(2, 0, 1)
        if self.card.channels == 1:
            batch = planes[:, None]
        else:
            batch = np.broadcast_to(planes, (3, *planes.shape[1:]))[None]
        inputs = {"picture": np.ascontiguousarray(batch)}
        if "levels" in self.card.inputs:
            inputs["levels"] = np.tile(levels, (len(batch), 1))
        answer = self._checked_run(inputs)
        planes = answer[:, 0] if self.card.channels == 1 else answer[0]
        if values.shape[2] < len(planes):
            planes = planes.mean(axis=0, keepdims=True)
        return planes.transpose(1, 2, 0)

    def _checked_run(self, inputs: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Run the graph; raise `ModelError` where it fails or its answer is no picture of the same size."""
        shape = inputs["picture"].shape
        try:
            answer = self._run(inputs)
        except Exception as error:  # each runtime has its own kinds, some of them bare RuntimeErrors
            size = f"{shape[3]} by {shape[2]} pixels"
            words = in_one_line(error)
            raise ModelError(f"The model {self._name} failed on a tile of {size}: {words}") from error
        if answer.shape != shape:
            raise ModelError(
                f"The model {self._name} answers in another size", got=answer.shape, expected=str(shape)
            )
        if not np.isfinite(answer).all():
            raise ModelError(
                f"The model {self._name} answers with values that are no numbers (NaN or infinity)",
                remedy="Nothing was changed. Use another model for this picture.",
            )
        return answer


def denoise(pixels: NDArray[Any], *, strength: float = 1.0, model: str | Path = "universal") -> NDArray[Any]:
    """Return `pixels` without their noise; see `Denoiser.__call__` for what they may be.

    The model is loaded at the first call and kept. Raises `InputError` and `ModelError` as `Denoiser` does.
    """
    return _loaded(str(model))(pixels, strength=strength)


@lru_cache(maxsize=2)
def _loaded(model: str) -> Denoiser:
    return Denoiser.load(model)


def _to_unit(values: NDArray[Any], *, linear: bool, unclipped: bool = False) -> NDArray[np.float32]:
    """Return values of a picture's dtype as the network takes them: float32, in [0, 1] unless unclipped."""
    white = _INTEGER_WHITE.get(values.dtype.name)
    if white is not None:
        whole: NDArray[np.float32] = np.divide(values, white, dtype=np.float32)
        return whole
    if unclipped:
        return values.astype(np.float32)
    unit: NDArray[np.float32] = np.clip(values, 0, 1).astype(np.float32)
    return encode_srgb(unit) if linear else unit


def _from_unit(
    clean: NDArray[np.float32], noisy: NDArray[Any], strength: float, *, source: _Source
) -> NDArray[Any]:
    """Return the blend of the network's answer `clean` and of `noisy`, in the dtype of `noisy`.

    noisy + strength * (clean - noisy), rounded to the nearest value of the dtype; what was clipped from a
    float value, for the network not to see it, is part of the result.
    """
    clean = np.clip(clean, 0, 1)
    white = _INTEGER_WHITE.get(noisy.dtype.name)
    result: NDArray[Any]
    if white is not None:
        result = np.rint(noisy + np.float32(strength) * (clean * np.float32(white) - noisy))
    else:
        clean = decode_srgb(clean) if source.linear else clean
        values = noisy.astype(np.result_type(noisy, np.float32))
        if source.unclipped:
            return ((1 - strength) * values + strength * clean).astype(noisy.dtype)
        clipped = np.clip(values, 0, 1)
        # This form gives exactly `clean` at strength 1; the shorter one could leave [0, 1] by rounding.
        blend = np.clip((1 - strength) * clipped + strength * clean, 0, 1)
        result = blend + (values - clipped)
    return result.astype(noisy.dtype)


def _prepare(
    pixels: NDArray[Any], alpha: NDArray[Any] | None, *, linear: bool = False, unclipped: bool = False
) -> _Source | None:
    """Return what the tiles need to know of the whole picture; None where no pixel of it can be seen."""
    hidden = None if alpha is None else alpha == 0
    if hidden is None or not hidden.any():
        low, high, fill = pixels.min(), pixels.max(), None
    elif hidden.all():
        return None
    else:
        # Reductions with `where`: selecting the visible values would copy the picture.
        visible = ~hidden[..., None]
        limits = np.finfo(pixels.dtype) if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype)
        low = pixels.min(where=visible, initial=limits.max)
        high = pixels.max(where=visible, initial=limits.min)
        fill = HiddenFill(pixels, hidden)
    _check_finite(low, high)
    levels = _to_unit(np.array([low, high], pixels.dtype), linear=linear, unclipped=unclipped)
    if levels[1] - levels[0] < NARROW_RANGE:
        levels = np.array([0, 1], np.float32)
    return _Source(pixels=pixels, levels=levels, fill=fill, linear=linear, unclipped=unclipped)


def _check_array(pixels: NDArray[Any], *, unclipped: bool) -> None:
    """Raise `InputError`, with the remedy, for anything but the arrays that `Denoiser.__call__` takes."""
    if not isinstance(pixels, np.ndarray):
        raise InputError(
            "The picture is no numpy array",
            got=type(pixels).__name__,
            remedy="Convert it with numpy.asarray.",
        )
    shapes = "(H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
    if pixels.ndim not in {2, 3} or (pixels.ndim == 3 and pixels.shape[2] not in {1, 3, 4}):
        first = pixels.ndim == 3 and pixels.shape[0] in {1, 3, 4}
        remedy = (
            "Move the channels last with numpy.moveaxis(pixels, 0, -1)." if first else "Clean one at a time."
        )
        raise InputError(
            "The array has no shape of a picture", got=pixels.shape, expected=shapes, remedy=remedy
        )
    if pixels.size == 0:
        raise InputError("The picture has no pixels", got=pixels.shape, expected="at least 1 by 1")
    if pixels.dtype.name not in _INTEGER_WHITE.keys() | _FLOATS:
        raise InputError(
            "The array has a dtype whose range is not known",
            got=pixels.dtype,
            expected="uint8, uint16 or float in [0, 1]",
            remedy="Convert it, for example with astype(numpy.uint8) where its values are 0 to 255.",
        )
    if pixels.dtype.name in _FLOATS:
        low, high = float(pixels.min()), float(pixels.max())
        _check_finite(low, high)
        if not unclipped:
            _check_range(low, high)


def _check_finite(low: float, high: float) -> None:
    """Raise `InputError` where the smallest or the largest value is not finite: then one of them is not."""
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError(
            "The picture holds values that are no numbers (NaN or infinity)",
            remedy="Replace them first, for example with numpy.nan_to_num.",
        )


def _check_range(low: float, high: float) -> None:
    """Raise `InputError` for values outside [0, 1]."""
    if low < 0 or high > 1:
        remedy = (
            "Divide by 255 (8-bit values) or by 65535 (16-bit values)." if high > 2 else "Use numpy.clip."
        )
        raise InputError(
            "The values of the picture are out of range",
            got=f"{low:g} to {high:g}",
            expected="floats from 0 to 1",
            remedy=remedy,
        )


def _crop_box(crop: tuple[int, int, int, int] | None, pixels: NDArray[Any]) -> Box:
    """Return `crop` (x, y, width, height) as a box, the whole picture if None."""
    height, width = pixels.shape[:2]
    if crop is None:
        return Box(0, 0, height, width)
    x, y, crop_width, crop_height = crop
    box = Box(y, x, y + crop_height, x + crop_width)
    if min(x, y) < 0 or min(crop_width, crop_height) < 1 or box.bottom > height or box.right > width:
        raise InputError(
            "The crop leaves the picture",
            got=f"x {x}, y {y}, width {crop_width}, height {crop_height}",
            expected=f"a part of {width} by {height} pixels",
        )
    return box
