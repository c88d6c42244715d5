"""BMP files, which libvips does not know, through Pillow."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from grainless.errors import PictureError
from grainless.picture.content import MOST_DPI

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL.BmpImagePlugin import BmpImageFile

    from grainless.picture.content import Metadata

_CONVERSIONS = {
    "1": ("L", "1-bit values became 8-bit gray"),
    "P": ("RGB", "palette colours became RGB"),
}


def bmp_size(stream: BinaryIO, path: Path) -> tuple[int, int]:
    """Return width and height of a BMP before it is decoded; raise PictureError when it is damaged."""
    with _decoding(path):
        image = _open(stream)
    return image.width, image.height


def read_bmp(
    stream: BinaryIO, path: Path
) -> tuple[NDArray[Any], tuple[float, float] | None, tuple[str, ...]]:
    """Return the values (height, width, bands) of a BMP as uint8, its DPI and notes.

    Raises PictureError when the file is damaged.
    """
    with _decoding(path):
        image = _open(stream)
        mode, note = _CONVERSIONS.get(image.mode, (image.mode, ""))
        values = np.array(image.convert(mode) if note else image)
    dpi = image.info.get("dpi")
    known = (float(dpi[0]), float(dpi[1])) if dpi and min(dpi) > 0 and max(dpi) < MOST_DPI else None
    return values.reshape(values.shape[0], values.shape[1], -1), known, (note,) if note else ()


def _open(stream: BinaryIO) -> BmpImageFile:
    from PIL.BmpImagePlugin import BmpImageFile

    stream.seek(0)
    # Not Image.open, whose own size limit can only be changed for the whole process.
    return BmpImageFile(stream)


@contextlib.contextmanager
def _decoding(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise PictureError(
            f"{path} cannot be decoded", got=str(error), remedy="The file is damaged or cut off"
        ) from error


def write_bmp(metadata: Metadata, pixels: NDArray[np.uint8], path: Path) -> None:
    """Write pixels (height, width, 1 or 3) as a BMP; the DPI is all that it takes of the metadata."""
    from PIL import Image

    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.save(path, "BMP", dpi=metadata.dpi or (0, 0))
