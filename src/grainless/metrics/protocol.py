"""A protocol: how two pictures are compared, as data; and the protocols that have names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from types import MappingProxyType
from typing import Literal, get_args

from grainless.errors import InputError

EXACT_PSNR = 100.0
"""What an exact match (infinite PSNR), or anything above it, counts in a mean by default, in dB."""

NoisyForm = Literal["8-bit", "clipped", "unclipped"]
"""Noisy pixels as a method sees them: uint8, or float clipped to [0, 1] or not."""

Colour = Literal["rgb", "gray", "y", "y-studio", "y-studio-rounded"]
Edges = Literal["inside", "mirrored", "replicated"]

_NOISY_WORDS: Mapping[NoisyForm, str] = {
    "8-bit": "noise clipped and rounded",
    "clipped": "noise clipped but not rounded",
    "unclipped": "noise neither clipped nor rounded",
}
_COLOUR_WORDS: Mapping[Colour, str] = {
    "rgb": "all channels jointly",
    "gray": "gray",
    "y": "Y of BT.601 in full range",
    "y-studio": "Y of BT.601 in studio range",
    "y-studio-rounded": "Y of BT.601 in studio range and rounded",
}


@dataclass(frozen=True)
class Protocol:
    """How a clean and a restored picture are compared.

    Each measure is taken per picture, then averaged over the pictures, PSNR as `psnr_over` says. Numbers of
    different protocols are never ranked against each other. `docs/results.md` has the formulas.
    """

    name: str
    _: KW_ONLY
    eight_bit: bool
    """Both pictures are rounded to the 256 levels that an 8-bit file holds."""
    clip: bool
    """Both pictures are clipped to the range before they are compared."""
    ssim_sigma: float = 1.5
    """Standard deviation of SSIM's Gaussian window, in pixels; the window is cut at 3.5 sigma."""
    ssim_uniform: int | None = None
    """Side in pixels of a window of equal weights in place of the Gaussian one."""
    ssim_clip: bool = False
    """SSIM compares clipped values, also where `clip` leaves those of PSNR and MSE as they are."""
    psnr_over: int | None = 1
    """How many consecutive pictures share one PSNR, that of their mean MSE; these are averaged.

    1 gives the mean over the pictures; the last batch of more may be short; None puts all pictures into one.
    """
    noisy: NoisyForm | None = None
    """What the method sees; None is 8-bit under an 8-bit protocol, and clipped under another."""
    colour: Colour = "rgb"
    """Which channels of a colour picture are compared; gray pictures are compared as they are.

    `rgb`: all; PSNR, MSE and MAE take them together, SSIM is the mean over them. `gray`: the luma, rounded to
    a level under an 8-bit protocol, and the picture is made gray before the noise. `y`: the luma, unrounded,
    of what the method made of the colours. `y-studio`: the same in 16 to 235, as `rgb2ycbcr` of MATLAB gives
    for float pictures; `y-studio-rounded`: as it gives for 8-bit ones.
    """
    border: int = 0
    """So many pixels at each side are left out."""
    span: tuple[float, float] = (0.0, 1.0)
    """What black and white become before they are compared; not for 8-bit protocols."""
    data_range: float | None = None
    """The range that PSNR and SSIM are told, in compared units; None is the distance from black to white."""
    ssim_range: float | None = None
    """The range that SSIM alone is told; None is that of PSNR."""
    ssim_sample: bool | None = None
    """SSIM divides covariances by N - 1 (sample) and not by N; None does so for windows of equal weights."""
    ssim_edges: Edges = "inside"
    """Where SSIM is averaged: `inside`, where the window lies in the picture, or everywhere.

    `inside` is the "valid" part of the authors' MATLAB code and of scikit-image. Everywhere, the picture goes
    on beyond its edges: `mirrored` about the last pixel, as in torchmetrics from 1.4.2, or the last pixel
    `replicated`, as in the `ssim` that comes with MATLAB.
    """
    ssim_over: int | None = 1
    """How many consecutive pictures are averaged to one SSIM first; matters where the last batch is short."""
    exact_psnr: float | None = EXACT_PSNR
    """What infinite PSNR, or anything above it, counts in a mean, in dB; None leaves it infinite."""

    def __post_init__(self) -> None:
        self._check_choices()
        self._check_ranges()
        for what, over in (("PSNR", self.psnr_over), ("SSIM", self.ssim_over)):
            if over is not None and over < 1:
                raise InputError(
                    f"The number of pictures that share one {what} is not valid",
                    got=over,
                    expected="1 or more, or None for all pictures",
                )
        side = self.ssim_uniform
        if side is not None and (side < 3 or side % 2 == 0):
            raise InputError(
                "SSIM's window is not valid", got=side, expected="an odd number of pixels from 3 up"
            )
        if self.border < 0:
            raise InputError("The border is not valid", got=self.border, expected="0 pixels or more")

    def _check_choices(self) -> None:
        for what, value, choices in (
            ("form of noisy pictures", self.noisy, (None, *get_args(NoisyForm))),
            ("colour", self.colour, get_args(Colour)),
            ("treatment of SSIM's edges", self.ssim_edges, get_args(Edges)),
        ):
            if value not in choices:
                expected = ", ".join(str(choice) for choice in choices)
                raise InputError(f"The {what} is not valid", got=value, expected=f"one of {expected}")
        if self.eight_bit and not self.clip:
            raise InputError(
                "An 8-bit protocol clips, as its levels end at 0 and 255",
                expected="clip=True with eight_bit=True",
            )
        if self.colour == "y-studio-rounded" and not self.eight_bit:
            raise InputError(
                "Only an 8-bit protocol rounds Y", expected="eight_bit=True, or the colour y-studio"
            )

    def _check_ranges(self) -> None:
        black, white = self.span
        if not (math.isfinite(black) and math.isfinite(white) and black < white):
            raise InputError(
                "The span is not valid", got=f"{black} to {white}", expected="black below white, both finite"
            )
        if self.eight_bit and self.span != (0.0, 1.0):
            raise InputError(
                "An 8-bit protocol compares levels from 0 to 255", expected="no span with eight_bit=True"
            )
        for what, value in (
            ("range", self.data_range),
            ("range of SSIM", self.ssim_range),
            ("width of SSIM's window", self.ssim_sigma),
            ("PSNR of an exact match", self.exact_psnr),
        ):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError(f"The {what} is not valid", got=value, expected="a number above 0")

    @property
    def noisy_form(self) -> NoisyForm:
        """What the method sees."""
        return self.noisy or ("8-bit" if self.eight_bit else "clipped")

    @property
    def levels(self) -> tuple[float, float]:
        """Black and white in the units that are compared."""
        return (0.0, 255.0) if self.eight_bit else self.span

    @property
    def value_range(self) -> float:
        """Distance from black to white in the units that are compared."""
        black, white = self.levels
        return white - black

    @property
    def psnr_peak(self) -> float:
        """The peak of PSNR as a share of the distance from black to white: 1 unless `data_range` is told."""
        return 1.0 if self.data_range is None else self.data_range / self.value_range

    @property
    def ssim_data_range(self) -> float:
        """The range that SSIM is told, in the units that are compared."""
        return self.ssim_range or self.data_range or self.value_range

    @property
    def ssim_window(self) -> int:
        """Side of SSIM's window in pixels."""
        return self.ssim_uniform or 2 * int(3.5 * self.ssim_sigma + 0.5) + 1

    @property
    def ssim_sample_covariance(self) -> bool:
        """Whether SSIM divides covariances by N - 1."""
        return self.ssim_uniform is not None if self.ssim_sample is None else self.ssim_sample

    @property
    def min_side(self) -> int:
        """The smallest side, in pixels, of a picture that can be measured."""
        inner = {"inside": self.ssim_window, "mirrored": self.ssim_window // 2 + 1, "replicated": 1}
        return inner[self.ssim_edges] + 2 * self.border

    @property
    def stamp(self) -> str:
        """The protocol in one short line, as printed beside every number: two that differ have two stamps."""
        parts = [self._depth, "clipped" if self.clip else "not clipped"]
        if self.noisy_form != ("8-bit" if self.eight_bit else "clipped"):
            parts.append(_NOISY_WORDS[self.noisy_form])
        parts.append(_COLOUR_WORDS[self.colour])
        if self.border:
            parts.append(f"{self.border} px at each side left out")
        parts.append(self._averaging)
        if self.exact_psnr != EXACT_PSNR:
            counted = "infinite" if self.exact_psnr is None else f"{self.exact_psnr:g} dB"
            parts.append(f"exact matches {counted}")
        parts.append(self._similarity)
        if self.ssim_over not in (1, None):
            parts.append(f"mean of SSIM per {self.ssim_over} images")
        return f"{self.name}: {', '.join(parts)}"

    @property
    def _depth(self) -> str:
        depth = "8-bit" if self.eight_bit else "float"
        if self.span != (0.0, 1.0):
            depth += f" on [{self.span[0]:g}, {self.span[1]:g}]"
        return depth if self.psnr_peak == 1 else f"{depth} with range {self.data_range:g}"

    @property
    def _averaging(self) -> str:
        if self.psnr_over is None:
            return "PSNR of the MSE over all images"
        return f"mean of PSNR per {'image' if self.psnr_over == 1 else f'{self.psnr_over} images'}"

    @property
    def _similarity(self) -> str:
        text = f"SSIM Gaussian {self.ssim_sigma:g} ({self.ssim_window} px)"
        if self.ssim_uniform is not None:
            text = f"SSIM uniform {self.ssim_uniform} px"
        special = []
        if self.ssim_sample_covariance != (self.ssim_uniform is not None):
            special.append(f"{'sample' if self.ssim_sample_covariance else 'population'} covariance")
        if self.ssim_edges != "inside":
            special.append(f"{self.ssim_edges} edges")
        if self.ssim_data_range != (self.data_range or self.value_range):
            special.append(f"range {self.ssim_data_range:g}")
        text += f" with {' and '.join(special)}" if special else ""
        text += " of clipped values" if self.ssim_clip and not self.clip else ""
        return f"{text} per channel" if self.colour == "rgb" else text


FILE_8BIT = Protocol("file-8bit", eight_bit=True, clip=True)
"""What a real file holds, the default: noisy input and output are both clipped and rounded to 8 bit."""

AWGN_LITERATURE = Protocol("awgn-literature", eight_bit=True, clip=True, noisy="unclipped")
"""The protocol of papers on Gaussian noise (DnCNN, FFDNet, DRUNet, SwinIR, Restormer).

Noise is added to the 8-bit picture divided by 255 and neither clipped nor rounded; the answer is both.
"""

Y_8BIT = Protocol("y-8bit", eight_bit=True, clip=True, colour="y-studio")
"""`file-8bit` on Y alone, as BasicSR measures with `test_y_channel`; higher than on all channels."""

GOLBAR = Protocol("golbar-fer2013", eight_bit=False, clip=False, ssim_uniform=7, ssim_clip=True, psnr_over=16)
"""The protocol of ehsan-golbar's U-Net and GAN on FER2013 faces resized to 128 x 128 (35.45 and 37.19 dB)."""

SINAARABI = Protocol("sinaarabi-fer2013", eight_bit=False, clip=False, ssim_uniform=7)
"""The protocol of SinaArabi's GAN on FER2013 faces of 48 x 48 (32.31 dB)."""

MAHANVEISI = Protocol(
    "mahanveisi-fer2013",
    eight_bit=False,
    clip=False,
    span=(-3.0, 1.0),
    data_range=2.0,
    psnr_over=64,
    ssim_edges="mirrored",
    ssim_over=64,
    exact_psnr=None,
)
"""The protocol of MahanVeisi8's attention U-Net on FER2013 faces of 48 x 48 (30.15, 23.95 and 30.40 dB).

Faces are normalised twice, to [-3, 1], and torchmetrics is told a range of 2: its PSNR is 6.02 dB below that
of values from 0 to 1.
"""

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (FILE_8BIT, AWGN_LITERATURE, Y_8BIT, GOLBAR, SINAARABI, MAHANVEISI)
    }
)
"""Every protocol that has a name, by this name."""
