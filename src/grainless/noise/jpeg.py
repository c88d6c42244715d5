"""The harm that JPEG does: blocks and rings."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np

from grainless.errors import NoiseError
from grainless.noise.model import Noise, Parameter, Values, need_gray_or_colour

_LONGEST_SIDE = 65500  # libjpeg's JPEG_MAX_DIMENSION


@dataclass(frozen=True)
class Jpeg(Noise):
    """The picture is clipped, rounded to 8 bit, written as JPEG (4:2:0 for colour) and read again.

    The result is a multiple of 1/255, also for 16-bit and float pictures: JPEG has no more.
    """

    quality: int

    name = "jpeg"
    example = "jpeg:40"
    parameters = (Parameter("quality", 1, 100, "as in libjpeg, 100 is best", integer=True),)

    def apply(self, values: Values, rng: np.random.Generator) -> Values:
        """Return `values` as JPEG gives them back; NoiseError unless C is 1 or 3 and sides fit into JPEG."""
        from PIL import Image

        need_gray_or_colour(self.name, values)
        if max(values.shape[:2]) > _LONGEST_SIDE:
            raise NoiseError(
                "The picture is too large for jpeg noise",
                got=f"{values.shape[1]} x {values.shape[0]} pixels",
                expected=f"sides of at most {_LONGEST_SIDE} pixels",
                remedy="Crop the picture",
            )
        levels = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
        gray = levels.shape[2] == 1
        file = io.BytesIO()
        picture = Image.fromarray(levels[..., 0] if gray else levels)
        picture.save(file, "JPEG", quality=int(self.quality), subsampling=2)
        decoded = np.asarray(Image.open(file), dtype=np.float32) / np.float32(255)
        return decoded[..., None] if gray else decoded
