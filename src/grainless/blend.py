"""How much of what a model removes is removed: of all, of luma and of chroma, and where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.errors import InputError
from grainless.metrics.values import LUMA
from grainless.picture import read_picture
from grainless.tiling import Box

Values = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True, eq=False)
class Blend:
    """Factors from 0, the picture as it is, to 1, the model's answer; the product of them holds.

    Each is monotonic: a larger one never leaves more of what the model takes for noise. Raises `InputError`
    for factors outside [0, 1] and for a mask that is no array `(H, W)` of uint8, uint16 or floats in [0, 1].
    """

    strength: float = 1.0
    """Of everything."""
    luma: float = 1.0
    """Of the part that is the same in all channels: the luma of BT.601, of the values as they are encoded."""
    chroma: float = 1.0
    """Of the rest, the colour; gray pictures have none."""
    mask: NDArray[Any] | None = None
    """`(H, W)`, as large as the picture: white is cleaned fully, black is left as it is."""

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        for name in ("strength", "luma", "chroma"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InputError(
                    f"The {name} is out of range", got=value, expected="0 (as it is) to 1 (cleaned fully)"
                )
        if self.mask is not None:
            _check_mask(self.mask)

    def check_size(self, height: int, width: int) -> None:
        """Raise `InputError` for a mask of another size than that of the picture."""
        if self.mask is not None and self.mask.shape != (height, width):
            rows, columns = self.mask.shape
            raise InputError(
                "The mask is not as large as the picture",
                got=f"a mask of {columns} by {rows} pixels",
                expected=f"{width} by {height}, the size of the picture",
                remedy="Scale the mask to the size of the picture, as it stands upright and before any crop",
            )

    def keeps_all(self, *, channels: int) -> bool:
        """Return whether nothing at all is removed from a picture of so many channels."""
        idle = self.luma == 0 and (channels == 1 or self.chroma == 0)
        return self.strength == 0 or idle or (self.mask is not None and not self.mask.any())

    def weight(self, part: Box) -> float | NDArray[np.float32]:
        """Return how far to go from the picture to `target` in a part of the whole picture.

        A number, or with a mask float32 `(h, w, 1)`.
        """
        # Gray pictures have no chroma: their luma is part of the target.
        factor = self.strength * self.luma if self.luma == self.chroma else self.strength
        if self.mask is None:
            return factor
        rows, columns = part.slices(Box(0, 0, 0, 0))
        cut = self.mask[rows, columns, None]
        white = np.iinfo(cut.dtype).max if cut.dtype.kind == "u" else 1
        weight: NDArray[np.float32] = np.float32(factor) * np.divide(cut, white, dtype=np.float32)
        return weight

    def target(self, clean: Values, noisy: NDArray[Any], *, white: float | None) -> Values:
        """Return what full strength leaves: `clean`, or where luma and chroma differ a mixture with `noisy`.

        Both are `(h, w, C)` in the same units. `white` is the largest value, to which, and to 0, the mixture
        is clipped; None leaves it as it is. A mixture of the clipped values in between has no more noise in
        its luma than the picture, whatever the colours.
        """
        if self.luma == self.chroma:
            return clean
        removed = noisy - clean
        if removed.shape[2] == 1:
            kept: Values = noisy - self.luma * removed
            return kept
        common = removed @ np.array(LUMA, removed.dtype)
        mixture: Values = noisy - self.chroma * removed - (self.luma - self.chroma) * common[..., None]
        return mixture if white is None else mixture.clip(0, white)


def one_blend(strength: float, blend: Blend | None) -> Blend:
    """Return the blend that a call asks for; raise `InputError` where it asks for two."""
    if blend is None:
        return Blend(strength=strength)
    if strength != 1:
        raise InputError(
            "There are two strengths",
            got=f"{strength} and one in `blend`",
            remedy="Leave out `strength`: the blend has one",
        )
    return blend


def read_mask(path: Path, *, max_megapixels: float = 500.0) -> NDArray[Any]:
    """Return the mask in a picture file, `(H, W)`, upright, in the file's own dtype.

    Raises `PictureError` for a file that cannot be read, and `InputError` for one that is not gray, that has
    transparent pixels, or whose floats leave [0, 1].
    """
    picture = read_picture(path, max_megapixels=max_megapixels)
    pixels = picture.pixels
    if pixels.shape[2] == 3 and not (pixels[..., 1:] == pixels[..., :1]).all():
        raise InputError(
            f"The mask {path} is not gray",
            got="a picture with colours",
            expected="white where the picture is to be cleaned, black where it is to be left, gray between",
            remedy="Save it as a gray picture",
        )
    if picture.alpha is not None and (picture.alpha != picture.alpha.max()).any():
        raise InputError(
            f"The mask {path} has transparent pixels",
            expected="black and white",
            remedy="Save it without transparency",
        )
    mask = np.ascontiguousarray(pixels[..., 0])
    try:
        _check_mask(mask)
    except InputError as error:
        raise InputError(f"The mask {path} cannot be used: {error}") from error
    return mask


def _check_mask(mask: NDArray[Any]) -> None:
    if mask.ndim != 2 or mask.dtype.name not in {"uint8", "uint16", "float16", "float32", "float64"}:
        raise InputError(
            "The mask is no gray picture",
            got=f"{mask.dtype} of shape {mask.shape}",
            expected="(H, W) of uint8, uint16 or floats from 0 to 1",
        )
    # The smallest of values with a NaN is NaN, of which no comparison holds.
    if mask.dtype.kind == "f" and mask.size and not (mask.min() >= 0 and mask.max() <= 1):
        raise InputError(
            "The values of the mask are out of range",
            got=f"{mask.min():g} to {mask.max():g}",
            expected="floats from 0 to 1",
        )
