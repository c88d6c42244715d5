"""Protocols as data: what they refuse, and that their stamps tell all."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainless.errors import InputError
from grainless.metrics import (
    AWGN_LITERATURE,
    EXTRA_METRICS,
    FILE_8BIT,
    GOLBAR,
    MAHANVEISI,
    PROTOCOLS,
    SINAARABI,
    Y_8BIT,
    Protocol,
)

FLOAT = Protocol("float", eight_bit=False, clip=False)
PAGE = Path(__file__).parents[1] / "docs" / "results.md"


def test_the_stamp_of_files_is_that_of_earlier_results():
    assert FILE_8BIT.stamp == (
        "file-8bit: 8-bit, clipped, all channels jointly, mean of PSNR per image, "
        "SSIM Gaussian 1.5 (11 px) per channel"
    )


def test_the_stamps_of_the_published_protocols_tell_what_is_special():
    assert GOLBAR.stamp == (
        "golbar-fer2013: float, not clipped, all channels jointly, mean of PSNR per 16 images, "
        "SSIM uniform 7 px of clipped values per channel"
    )
    assert SINAARABI.stamp == (
        "sinaarabi-fer2013: float, not clipped, all channels jointly, mean of PSNR per image, "
        "SSIM uniform 7 px per channel"
    )
    assert MAHANVEISI.stamp == (
        "mahanveisi-fer2013: float on [-3, 1] with range 2, not clipped, all channels jointly, "
        "mean of PSNR per 64 images, exact matches infinite, "
        "SSIM Gaussian 1.5 (11 px) with mirrored edges per channel, mean of SSIM per 64 images"
    )
    assert "clipped, noise neither clipped nor rounded, all channels" in AWGN_LITERATURE.stamp
    assert "clipped, Y of BT.601 in studio range, mean" in Y_8BIT.stamp
    assert "PSNR of the MSE over all images" in Protocol("p", eight_bit=True, clip=True, psnr_over=None).stamp


FIELDS = {
    "eight_bit": [False, True],
    "clip": [False, True],
    "ssim_sigma": [1.5, 2.0],
    "ssim_uniform": [None, 7, 9],
    "ssim_clip": [False, True],
    "psnr_over": [None, 1, 2],
    "noisy": [None, "8-bit", "clipped", "unclipped"],
    "colour": ["rgb", "gray", "y", "y-studio", "y-studio-rounded"],
    "border": [0, 4],
    "span": [(0.0, 1.0), (-1.0, 1.0)],
    "data_range": [None, 1.0, 2.0],
    "ssim_range": [None, 1.0, 2.0],
    "ssim_sample": [None, False, True],
    "ssim_edges": ["inside", "mirrored", "replicated"],
    "ssim_over": [None, 1, 2],
    "exact_psnr": [None, 60.0, 100.0],
}
DRAWN = {name: st.sampled_from(values) for name, values in FIELDS.items()}


def meaning(protocol):
    """What changes a number: the fields, with those that have no effect brought to one value."""
    uniform = protocol.ssim_uniform
    return {
        **{field.name: getattr(protocol, field.name) for field in dataclasses.fields(protocol)},
        "noisy": protocol.noisy_form,
        "data_range": protocol.psnr_peak,
        "ssim_range": protocol.ssim_data_range,
        "ssim_sample": protocol.ssim_sample_covariance,
        "ssim_sigma": protocol.ssim_sigma if uniform is None else None,
        "ssim_clip": protocol.ssim_clip or protocol.clip,
        "ssim_over": protocol.ssim_over or 1,
    }


def test_every_field_is_drawn():
    assert {"name", *FIELDS} == {field.name for field in dataclasses.fields(Protocol)}


def assert_told(one, two):
    assert (one.stamp == two.stamp) == (meaning(one) == meaning(two)), (one.stamp, two)


@pytest.mark.parametrize("field", list(FIELDS))
def test_the_stamp_tells_every_field_that_changes_a_number(field):
    told = 0
    for base in (*PROTOCOLS.values(), FLOAT):
        for value in FIELDS[field]:
            try:
                changed = dataclasses.replace(base, **{field: value})
            except InputError:
                continue
            assert_told(base, changed)
            told += base.stamp != changed.stamp
    assert told


@given(st.fixed_dictionaries(DRAWN), st.fixed_dictionaries({}, optional=DRAWN))
def test_two_protocols_have_one_stamp_exactly_if_they_measure_alike(fields, changes):
    try:
        one, two = Protocol("p", **fields), Protocol("p", **{**fields, **changes})
    except InputError:
        return
    assert_told(one, two)


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_protocols_are_found_by_the_name_that_their_stamp_begins_with(name):
    assert PROTOCOLS[name].stamp.startswith(f"{name}: ")


def test_the_named_protocols_are_these():
    assert list(PROTOCOLS.values()) == [FILE_8BIT, AWGN_LITERATURE, Y_8BIT, GOLBAR, SINAARABI, MAHANVEISI]


def test_the_page_has_every_stamp_field_and_metric():
    page = PAGE.read_text(encoding="utf-8")
    assert [stamp for stamp in (each.stamp for each in PROTOCOLS.values()) if f"`{stamp}`" not in page] == []
    for field in dataclasses.fields(Protocol):
        assert f"| `{field.name}` |" in page
    for name in ("mse", "mae", "psnr", "ssim", *EXTRA_METRICS):
        assert f"| `{name}` |" in page


@pytest.mark.parametrize(
    ("protocol", "form"),
    [(FILE_8BIT, "8-bit"), (AWGN_LITERATURE, "unclipped"), (GOLBAR, "clipped"), (MAHANVEISI, "clipped")],
)
def test_noisy_pictures_have_the_depth_of_the_protocol_unless_told(protocol, form):
    assert protocol.noisy_form == form


@pytest.mark.parametrize(
    ("fields", "side"),
    [
        ({}, 11),
        ({"ssim_uniform": 7}, 7),
        ({"border": 3}, 17),
        ({"ssim_edges": "mirrored"}, 6),
        ({"ssim_edges": "replicated", "border": 2}, 5),
    ],
)
def test_the_smallest_side_is_what_window_and_border_need(fields, side):
    assert dataclasses.replace(FLOAT, **fields).min_side == side


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"psnr_over": 0}, "share one PSNR is not valid; got 0; expected 1 or more, or None"),
        ({"ssim_over": -1}, "share one SSIM is not valid; got -1"),
        ({"ssim_uniform": 6}, "SSIM's window is not valid; got 6; expected an odd number of pixels from 3"),
        ({"ssim_uniform": 1}, "SSIM's window is not valid; got 1"),
        ({"border": -1}, "border is not valid; got -1; expected 0 pixels or more"),
        ({"colour": "hsv"}, "colour is not valid; got hsv; expected one of rgb, gray, y, y-studio"),
        ({"noisy": "8bit"}, "form of noisy pictures is not valid; got 8bit; expected one of None, 8-bit"),
        ({"ssim_edges": "same"}, "treatment of SSIM's edges is not valid; got same"),
        ({"colour": "y-studio-rounded"}, "Only an 8-bit protocol rounds Y"),
        ({"span": (1.0, 0.0)}, "span is not valid; got 1.0 to 0.0"),
        ({"span": (0.0, math.inf)}, "span is not valid; got 0.0 to inf"),
        ({"data_range": 0.0}, "range is not valid; got 0.0; expected a number above 0"),
        ({"ssim_range": math.nan}, "range of SSIM is not valid; got nan"),
        ({"ssim_sigma": -1.0}, "width of SSIM's window is not valid; got -1.0"),
        ({"exact_psnr": math.inf}, "PSNR of an exact match is not valid; got inf"),
    ],
)
def test_wrong_protocols_are_refused(fields, message):
    with pytest.raises(InputError, match=message):
        Protocol("wrong", eight_bit=False, clip=False, **fields)


def test_an_8bit_protocol_must_clip_and_has_no_span():
    with pytest.raises(InputError, match="clip=True with eight_bit=True"):
        Protocol("wrong", eight_bit=True, clip=False)
    with pytest.raises(InputError, match="no span with eight_bit=True"):
        Protocol("wrong", eight_bit=True, clip=True, span=(-1.0, 1.0))
