"""What a picture is inside grainless: the values of its file, untouched, and what came with them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from grainless.errors import PictureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_DPI = 1_000_000
DTYPES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))


@dataclass(frozen=True, eq=False)
class Metadata:
    """What a file says about its picture, as bytes that are handed on and never interpreted.

    Raises PictureError for a density that is not between 0 and a million.
    """

    icc: bytes | None = None
    """Colour profile."""
    exif: bytes | None = None
    """EXIF block, a TIFF structure without the `Exif` mark; orientation 1, no thumbnail."""
    xmp: bytes | None = None
    """XMP packet; orientation 1, no thumbnails."""
    dpi: tuple[float, float] | None = None
    """Pixels per inch across and down; None where the file does not tell."""

    def __post_init__(self) -> None:
        """Refuse a density that no file can hold."""
        if self.dpi is not None and not all(0 < value < MOST_DPI for value in self.dpi):
            raise PictureError("the density is out of range", got=self.dpi, expected=f"0 to {MOST_DPI} DPI")


class Grid(Protocol):
    """Values in memory or elsewhere."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels if there are any."""

    @property
    def dtype(self) -> Any:
        """Of the values."""


class Described(Protocol):
    """A picture, wherever its values are."""

    @property
    def pixels(self) -> Grid:
        """(height, width, channels)."""

    @property
    def alpha(self) -> Grid | None:
        """None where there is none."""

    @property
    def metadata(self) -> Metadata:
        """What came with the values."""

    @property
    def format(self) -> str:
        """What the bytes of the file were."""

    @property
    def associated_alpha(self) -> bool:
        """The file held colours multiplied by alpha."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One still picture, upright, with straight (un-multiplied) alpha.

    Raises PictureError when the arrays do not fit each other.
    """

    pixels: NDArray[Any]
    """(height, width, channels) with 1 or 3 channels; uint8, uint16 or float32; values as in the file."""
    alpha: NDArray[Any] | None
    """(height, width), same dtype as the pixels; None where the file has none."""
    metadata: Metadata
    """What else the file says: colour profile, EXIF, XMP, density."""
    format: str
    """What the bytes of the file were: png, jpeg, tiff, webp, avif or bmp."""
    associated_alpha: bool = False
    """The file held colours multiplied by alpha; a TIFF is written back the same way."""
    notes: tuple[str, ...] = ()
    """What was converted or left out while reading, in words for the user."""

    def __post_init__(self) -> None:
        """Refuse arrays that are no picture."""
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if len(shape) != 3 or shape[2] not in {1, 3} or 0 in shape:
            raise PictureError(
                "the pixels are no picture",
                got=f"shape {shape}",
                expected="(height, width, channels) with 1 or 3 channels",
            )
        if dtype not in DTYPES:
            raise PictureError("the pixels have a wrong type", got=dtype, expected="uint8, uint16 or float32")
        if self.alpha is not None and (self.alpha.shape != shape[:2] or self.alpha.dtype != dtype):
            raise PictureError(
                "the alpha does not fit the pixels",
                got=f"{self.alpha.dtype} {self.alpha.shape}",
                expected=f"{dtype} {shape[:2]}",
            )

    @property
    def nbytes(self) -> int:
        """Bytes of all values."""
        return self.pixels.nbytes + (0 if self.alpha is None else self.alpha.nbytes)

    def with_pixels(self, pixels: NDArray[Any]) -> Picture:
        """Return the same picture with other pixels of the same height, width and dtype."""
        return dataclasses.replace(self, pixels=pixels)
