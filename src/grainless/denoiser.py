"""Takes the noise out of a picture: a model, a runtime, and the tiles between them.

Pictures keep their own dtype; only tiles become float32 in [0, 1], and `source.to_unit` and `_from_unit` here
are the only place where values are converted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from grainless.blend import Blend, one_blend
from grainless.errors import InputError
from grainless.inference import MemoryShortError, Network
from grainless.model_file import ModelCard, read_model
from grainless.planes import ArrayPlane, NewPlane, Part, Plane, new_array, strips
from grainless.runtime import Precision, Run, Runtime, start
from grainless.source import INTEGER_WHITE, Seeing, Source, check_array, check_linear, prepare
from grainless.tiling import Box, Tile, plan_tiles, split
from grainless.tone import decode_srgb

if TYPE_CHECKING:
    from grainless.picture import Picture, StoredPicture

Progress = Callable[[int, int], None]
"""Called after each tile with the number of tiles done and the number of all."""
Keep = Callable[[Box, NDArray[Any]], None]
"""Takes the clean values `(h, w, C)` of a part of a picture; the parts cover what is asked for once."""

TILE = 768
"""Largest side, in pixels, of what one run of a network cleans: larger tiles need much more memory."""
SMALLEST_TILE = 64
"""Tiles are not made smaller than this where memory runs out: most of the work would be their halo."""


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
        self.network = Network(card, run, name=name)

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
        self,
        pixels: NDArray[Any],
        *,
        strength: float = 1.0,
        unclipped: bool = False,
        blend: Blend | None = None,
    ) -> NDArray[Any]:
        """Return `pixels` without their noise, in the same shape and dtype.

        `pixels` is `(H, W)`, `(H, W, 1)`, `(H, W, 3)` or `(H, W, 4)`, the fourth being straight alpha,
        which comes back as it was; uint8, uint16, or float16, float32, float64 in [0, 1]. `strength` from
        0, the input, to 1, the clean picture, blends the two; a `blend` instead of it also parts luma from
        chroma, or has a mask. With `unclipped` floats may leave [0, 1], as noise that was never in a file
        does: the network sees them as they are, and gives values within. Raises `InputError` for other
        arrays, NaN and values out of range, and for a mask of another size.
        """
        check_array(pixels, unclipped=unclipped)
        stack = pixels[..., None] if pixels.ndim == 2 else pixels
        alpha = ArrayPlane(stack[..., 3:]) if stack.shape[2] == 4 else None
        seen = ArrayPlane(stack if alpha is None else stack[..., :3])
        clean = stack.copy()
        kept = ArrayPlane(clean[..., : seen.shape[2]])
        asked = _Asked(one_blend(strength, blend), _whole(seen), Seeing(unclipped=unclipped))
        self._clean(seen, alpha, asked, kept.write)
        return clean.reshape(pixels.shape)

    def denoise_picture(
        self,
        picture: Picture,
        *,
        strength: float = 1.0,
        crop: tuple[int, int, int, int] | None = None,
        linear: bool = False,
        progress: Progress | None = None,
        blend: Blend | None = None,
    ) -> Picture:
        """Return `picture` without its noise: same dtype, alpha and metadata.

        Float values outside [0, 1] are kept: the network sees them clipped, and what was clipped is added
        to its answer. `crop` (x, y, width, height) returns that part of the cleaned picture, equal to it
        bit for bit. `linear` says that float values are proportional to light. `blend`, whose mask is as
        large as `picture`, stands in for `strength`. Raises `InputError` for NaN and infinity in visible
        pixels, a crop that leaves the picture, a strength outside [0, 1], a mask of another size and
        `linear` with whole numbers.
        """
        alpha = None if picture.alpha is None else ArrayPlane(picture.alpha[..., None])
        box = crop_box(crop, picture.pixels.shape)
        clean = np.empty((box.height, box.width, picture.pixels.shape[2]), picture.pixels.dtype)

        def keep(part: Box, values: NDArray[Any]) -> None:
            clean[part.slices(box)] = values

        asked = _Asked(one_blend(strength, blend), box, Seeing(linear=linear), progress)
        notes = self._clean(ArrayPlane(picture.pixels), alpha, asked, keep)
        shown = None if alpha is None else alpha.read(box)[..., 0].copy()
        return replace(picture, pixels=clean, alpha=shown, notes=(*picture.notes, *notes))

    def denoise_stored(
        self,
        picture: StoredPicture,
        *,
        blend: Blend,
        crop: tuple[int, int, int, int] | None = None,
        linear: bool = False,
        progress: Progress | None = None,
    ) -> StoredPicture:
        """Return a picture that lies on the disk without its noise, on the disk too.

        The values are those that `denoise_picture` gives, which this raises the errors of too.
        """
        pixels, alpha = picture.pixels, picture.alpha
        box = crop_box(crop, pixels.shape)
        clean = picture.new((box.height, box.width, pixels.shape[2]), pixels.dtype)

        def keep(part: Box, values: NDArray[Any]) -> None:
            clean.write(part.moved(box), values)

        asked = _Asked(blend, box, Seeing(linear=linear), progress, picture.new)
        notes = self._clean(pixels, alpha, asked, keep)
        shown = None if alpha is None else Part(alpha, box)
        return replace(picture, pixels=clean, alpha=shown, notes=(*picture.notes, *notes))

    def with_tile(self, tile: int) -> Denoiser:
        """Return the same model with another largest side of its tiles."""
        return Denoiser(self.card, self.network.run, name=self.network.name, tile=tile)

    def _clean(self, pixels: Plane, alpha: Plane | None, asked: _Asked, keep: Keep) -> tuple[str, ...]:
        """Hand each part of what is asked for of the cleaned picture to `keep`; return notes."""
        check_linear(pixels.dtype, linear=asked.seeing.linear)
        height, width, channels = pixels.shape
        asked.blend.check_size(height, width)
        source = prepare(pixels, alpha, seeing=asked.seeing, new=asked.new)
        if source is None or asked.blend.keeps_all(channels=channels):
            for strip in strips(pixels):
                part = strip.meet(asked.box)
                if part.area:
                    keep(part, pixels.read(part))
            return ()
        # The tiles are those of the whole picture even for a crop: another plan would round differently.
        plan = plan_tiles(height, width, tile=self.tile, halo=self.card.halo, stride=self.card.stride)
        plan = [tile for tile in plan if tile.output.meet(asked.box).area]
        work = _TileWork(self.network, source, asked, side=max(self.tile, self.card.stride))
        for done, tile in enumerate(plan, start=1):
            for part, values in work.clean(tile):
                keep(part, values)
            if asked.progress is not None:
                asked.progress(done, len(plan))
        return work.notes


@dataclass(frozen=True)
class _Asked:
    """What is asked for of a picture."""

    blend: Blend
    box: Box
    """The part of it that is wanted."""
    seeing: Seeing
    progress: Progress | None = None
    new: NewPlane = new_array
    """Makes planes as large as the picture."""


class _TileWork:
    """One picture, tile by tile; the tiles shrink where memory runs out."""

    def __init__(self, network: Network, source: Source, asked: _Asked, *, side: int) -> None:
        """Take a picture that was looked through; no tile is larger than `side`."""
        self._network = network
        self._source = source
        self._asked = asked
        self._side = self._planned = side

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know."""
        shrunk = f"tiles of {self._side} pixels, as memory ran out"
        return (shrunk,) if self._side < self._planned else ()

    def clean(self, tile: Tile) -> Iterator[tuple[Box, NDArray[Any]]]:
        """Give the clean values of what is asked for of a tile, in one part or in several."""
        part = tile.output.meet(self._asked.box)
        if not part.area:
            return
        if max(tile.output.height, tile.output.width) <= self._side:
            values = self._attempt(tile, part)
            if values is not None:
                yield part, values
                return
        card = self._network.card
        for smaller in split(tile, tile=self._side, halo=card.halo, stride=card.stride):
            yield from self.clean(smaller)

    def _attempt(self, tile: Tile, part: Box) -> NDArray[Any] | None:
        """Return the clean values of `part`; None, and smaller tiles from now on, where memory ran out."""
        try:
            return self._cleaned(tile, part)
        except (MemoryError, MemoryShortError):
            stride = self._network.card.stride
            side = max(tile.output.height, tile.output.width) // 2 // stride * stride
            if side < SMALLEST_TILE:
                raise
            self._side = side
            return None

    def _cleaned(self, tile: Tile, part: Box) -> NDArray[Any]:
        """Return the clean values of `part`, which lies in the output of `tile`, in the picture's dtype."""
        source, blend = self._source, self._asked.blend
        noisy = source.pixels.read(part)
        if not np.any(blend.weight(part)):
            return noisy
        clean = self._network.answer(source.window(tile.window), source.levels)
        result = _from_unit(clean[part.slices(tile.window)], noisy, blend, part=part, seeing=source.seeing)
        hidden = source.hidden(part)
        if hidden is not None:
            np.copyto(result, noisy, where=hidden)
        return result


def denoise(pixels: NDArray[Any], *, strength: float = 1.0, model: str | Path = "universal") -> NDArray[Any]:
    """Return `pixels` without their noise; see `Denoiser.__call__` for what they may be.

    The model is loaded at the first call and kept. Raises `InputError` and `ModelError` as `Denoiser` does.
    """
    return _loaded(str(model))(pixels, strength=strength)


@lru_cache(maxsize=2)
def _loaded(model: str) -> Denoiser:
    return Denoiser.load(model)


def _from_unit(
    clean: NDArray[np.float32], noisy: NDArray[Any], blend: Blend, *, part: Box, seeing: Seeing
) -> NDArray[Any]:
    """Return the blend of the network's answer `clean` and of `noisy`, in the dtype of `noisy`.

    noisy + weight * (target - noisy), rounded to the nearest value of the dtype; what was clipped from a
    float value, for the network not to see it, is part of the result.
    """
    clean = np.clip(clean, 0, 1)
    weight = blend.weight(part)
    white = INTEGER_WHITE.get(noisy.dtype.name)
    result: NDArray[Any]
    if white is not None:
        target = blend.target(clean * np.float32(white), noisy, white=white)
        result = np.rint(noisy + np.float32(weight) * (target - noisy))
    else:
        clean = decode_srgb(clean) if seeing.linear else clean
        values = noisy.astype(np.result_type(noisy, np.float32))
        if seeing.unclipped:
            target = blend.target(clean, values, white=None)
            return ((1 - weight) * values + weight * target).astype(noisy.dtype)
        clipped = np.clip(values, 0, 1)
        target = blend.target(clean, clipped, white=1)
        # This form gives exactly the target at weight 1; the shorter one could leave [0, 1] by rounding.
        mixed = np.clip((1 - weight) * clipped + weight * target, 0, 1)
        result = mixed + (values - clipped)
    return result.astype(noisy.dtype)


def crop_box(crop: tuple[int, int, int, int] | None, shape: tuple[int, ...]) -> Box:
    """Return `crop` (x, y, width, height) of a picture `(H, W, ...)` as a box, the whole picture if None.

    Raises `InputError` for a crop that leaves the picture.
    """
    height, width = shape[:2]
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


def _whole(plane: Plane) -> Box:
    return Box(0, 0, *plane.shape[:2])
