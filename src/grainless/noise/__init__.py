"""Noise models: what is added to a clean picture, in numpy, from a text or from code, seeded.

A noise works on float32 `(H, W, C)` with nominal values in [0, 1], as encoded in the file (not linear light),
whatever the depth of the file: one noise text does the same visible harm to 8-bit, 16-bit and float pictures.

    text                      parameter and its unit                     at 8 bit          at 16 bit
    salt-pepper:0.1           share of pixels hit, 0..1                  0 and 255         0 and 65535
      :channel                share of single values hit, each alone     the same          the same
      :salt=0.3               share of the hits that become white        the same          the same
      :near=5                 distance from the extremes, up to, /255    0..5, 250..255    x 257
    impulse:0.1               share of pixels set to a random value      0..255            0..65535
    scattered:492             places that become white, as many black    0 and 255         0 and 65535
    gaussian:25               standard deviation, 255 = full range       25 levels         25 x 257 levels
    poisson:30                events counted at full white               30 at 255         30 at 65535
    speckle:0.1               variance of the factor's deviation from 1  the same          the same
    jpeg:40                   quality 1..100, 4:2:0 for colour           as any JPEG       goes through 8 bit
    camera:0.5                strength; 1 = std of 20/255 at mid-gray    20 levels         20 x 257 levels
    grain:10                  standard deviation, 255 = full range       10 levels         10 x 257 levels
      :size=2                 extent of a grain in pixels, 1 unless told the same          the same
      :chroma=0.5             share of the variance in colour alone, 0   the same          the same
    clean                     nothing
    gaussian:25+jpeg:60       one after the other, from left to right

Nothing is clipped or rounded between the steps, except that `jpeg` does both and that `poisson` and `camera`
count values below 0 as 0; `corrupt` clips and rounds at the end, as told.
"""

from grainless.noise.corruption import corrupt, seed_for
from grainless.noise.grain import Grain
from grainless.noise.impulse import RandomImpulse, SaltPepper, Scattered
from grainless.noise.jpeg import Jpeg
from grainless.noise.model import Chain, Clean, Noise, Parameter
from grainless.noise.sensor import Camera, Gaussian, Poisson, Speckle
from grainless.noise.text import KINDS, NoiseRange, parse_noise, parse_noise_range

__all__ = [
    "KINDS",
    "Camera",
    "Chain",
    "Clean",
    "Gaussian",
    "Grain",
    "Jpeg",
    "Noise",
    "NoiseRange",
    "Parameter",
    "Poisson",
    "RandomImpulse",
    "SaltPepper",
    "Scattered",
    "Speckle",
    "corrupt",
    "parse_noise",
    "parse_noise_range",
    "seed_for",
]
