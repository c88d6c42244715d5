"""How much of what a model removes is removed: of all, of luma and of chroma, and where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.errors import InputError
from grainless.metrics.values import LUMA
from grainless.picture import read_picture, store_picture
from grainless.planes import ArrayPlane, Channels, Plane, strips
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
    mask: NDArray[Any] | Plane | None = None
    """`(H, W)` or a plane `(H, W, 1)`, as large as the picture: white is cleaned fully, black is left."""

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        for name in ("strength", "luma", "chroma"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InputError(
                    f"The {name} is out of range", got=value, expected="0 (as it is) to 1 (cleaned fully)"
                )
        if self.mask is not None:
            _check_mask(mask_plane(self.mask), self.mask.shape)

    def check_size(self, height: int, width: int) -> None:
        """Raise `InputError` for a mask of another size than that of the picture."""
        if self.mask is not None and self.mask.shape[:2] != (height, width):
            rows, columns = self.mask.shape[:2]
            raise InputError(
                "The mask is not as large as the picture",
                got=f"a mask of {columns} by {rows} pixels",
                expected=f"{width} by {height}, the size of the picture",
                remedy="Scale the mask to the size of the picture, as it stands upright and before any crop",
            )

    def keeps_all(self, *, channels: int) -> bool:
        """Return whether nothing at all is removed from a picture of so many channels."""
        idle = self.luma == 0 and (channels == 1 or self.chroma == 0)
        return self.strength == 0 or idle or (self.mask is not None and _is_black(mask_plane(self.mask)))

    def weight(self, part: Box) -> float | NDArray[np.float32]:
        """Return how far to go from the picture to `target` in a part of the whole picture.

        A number, or with a mask float32 `(h, w, 1)`.
        """
        # Gray pictures have no chroma: their luma is part of the target.
        factor = self.strength * self.luma if self.luma == self.chroma else self.strength
        if self.mask is None:
            return factor
        cut = mask_plane(self.mask).read(part)
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
    alpha = None if picture.alpha is None else ArrayPlane(picture.alpha[..., None])
    _check_mask_file(path, ArrayPlane(picture.pixels), alpha)
    return np.ascontiguousarray(picture.pixels[..., 0])


def store_mask(path: Path, folder: Path) -> Plane:
    """Return the mask in a picture file, `(H, W, 1)`, in a scratch file in `folder`; else as `read_mask`."""
    picture = store_picture(path, folder)
    _check_mask_file(path, picture.pixels, picture.alpha)
    return Channels(picture.pixels, slice(0, 1))


def _check_mask_file(path: Path, pixels: Plane, alpha: Plane | None) -> None:
    """Raise `InputError` for a picture that is no mask."""
    for strip in strips(pixels):
        values = pixels.read(strip)
        if not (values[..., 1:] == values[..., :1]).all():
            raise InputError(
                f"The mask {path} is not gray",
                got="a picture with colours",
                expected="white where the picture is to be cleaned, black where it is to be left,"
                " gray between",
                remedy="Save it as a gray picture",
            )
    if alpha is not None:
        first = alpha.read(Box(0, 0, 1, 1))
        if any((alpha.read(strip) != first).any() for strip in strips(alpha)):
            raise InputError(
                f"The mask {path} has transparent pixels",
                expected="black and white",
                remedy="Save it without transparency",
            )
    try:
        _check_mask(Channels(pixels, slice(0, 1)), pixels.shape)
    except InputError as error:
        raise InputError(f"The mask {path} cannot be used: {error}") from error


def mask_plane(mask: NDArray[Any] | Plane) -> Plane:
    """Return a mask, `(H, W)` or a plane already, as a plane `(H, W, 1)`."""
    return ArrayPlane(mask[..., None]) if isinstance(mask, np.ndarray) else mask


def _is_black(mask: Plane) -> bool:
    return not any(mask.read(strip).any() for strip in strips(mask))


def _check_mask(mask: Plane, shape: tuple[int, ...]) -> None:
    known = {"uint8", "uint16", "float16", "float32", "float64"}
    if len(mask.shape) != 3 or mask.shape[2] != 1 or mask.dtype.name not in known:
        raise InputError(
            "The mask is no gray picture",
            got=f"{mask.dtype} of shape {shape}",
            expected="(H, W) of uint8, uint16 or floats from 0 to 1",
        )
    if mask.dtype.kind != "f" or 0 in shape:
        return
    ends = np.array([(part.min(), part.max()) for part in map(mask.read, strips(mask))])
    low, high = ends[:, 0].min(), ends[:, 1].max()
    # The smallest of values with a NaN is NaN, of which no comparison holds.
    if not (low >= 0 and high <= 1):
        raise InputError(
            "The values of the mask are out of range",
            got=f"{low:g} to {high:g}",
            expected="floats from 0 to 1",
        )
