"""One picture: what is wrong with it, and what is odd among others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import picture_files
from doctor_pictures import Pixels, save, scene, spoilt
from grainless.doctor.pictures import is_gray, look, odd_findings, plain_findings, spoilt_findings
from grainless.picture import Metadata, Picture, write_picture


def told(file: Path, *, min_side: int = 96, quick: bool = False, clean: bool = True) -> dict[str, str]:
    findings = look(file, file.name, min_side=min_side, quick=quick, clean=clean).findings
    assert all(finding.file == file.name for finding in findings)
    return {finding.kind: finding.found for finding in findings}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.tiff"])
def test_nothing_is_said_of_a_clean_picture(tmp_path: Path, name: str, channels: int) -> None:
    options = {"quality": 95} if name == "a.jpg" else {}
    file = save(tmp_path / name, scene(0, channels=channels), **options)
    looked = look(file, name, min_side=96, quick=False)
    assert looked.findings == ()
    assert looked.pixels is not None
    assert looked.pixels.shape == (160, 208, channels)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_cut_file_is_unreadable_and_its_folder_is_not_told(tmp_path: Path, name: str, share: float) -> None:
    file = save(tmp_path / name, scene(0))
    data = file.read_bytes()
    file.write_bytes(data[: int(share * len(data))])
    looked = look(file, name, min_side=96, quick=True)
    assert looked.pixels is None
    assert [finding.kind for finding in looked.findings] == ["unreadable"]
    assert looked.findings[0].found.startswith(f"{name} ")
    assert str(tmp_path) not in looked.findings[0].found


def test_small_blank_and_gray_pictures(tmp_path: Path) -> None:
    assert told(save(tmp_path / "small.png", scene(0)[:95])) == {
        "too-small": "208x95 pixels, each side is to have 96 or more"
    }
    assert told(save(tmp_path / "edge.png", scene(0)[:96])) == {}
    plain = np.full((100, 100, 3), 7, np.uint8)
    assert told(save(tmp_path / "blank.png", plain)) == {"blank": "all pixels are 7, 7, 7"}
    plain[..., 0] = 200
    assert told(save(tmp_path / "red.png", plain)) == {"blank": "all pixels are 200, 7, 7"}
    plain[50, 50] = 7
    assert "blank" not in told(save(tmp_path / "dot.png", plain))
    gray = scene(0, channels=1).repeat(3, axis=2)
    assert told(save(tmp_path / "gray.png", gray)) == {"gray-in-colour": "its three channels are equal"}
    assert set(told(save(tmp_path / "both.png", gray[:50]), quick=True)) == {"too-small", "gray-in-colour"}


def test_floats_far_beyond_white_are_said(tmp_path: Path) -> None:
    pixels = np.linspace(0, 255, 100 * 100 * 3, dtype=np.float32).reshape(100, 100, 3)
    write_picture(Picture(pixels, None, Metadata(), "tiff"), tmp_path / "a.tif")
    assert told(tmp_path / "a.tif") == {"unreadable": "float values up to 255, where white is to be 1"}


def test_gray_is_three_equal_channels_everywhere() -> None:
    gray = scene(0, channels=1).repeat(3, axis=2)
    assert is_gray(gray)
    gray[-1, -1, 2] ^= 1
    assert not is_gray(gray)


@pytest.mark.parametrize(
    ("noise", "kinds"),
    [
        ("clean", set()),
        ("gaussian:8", {"noisy"}),
        ("gaussian:30", {"noisy"}),
        ("poisson:60", {"noisy"}),
        ("salt-pepper:0.02", {"impulses"}),
        ("salt-pepper:0.4:channel", {"impulses"}),
        ("scattered:492", {"impulses"}),
        ("gaussian:8+jpeg:15", {"jpeg"}),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_noise_and_blocks_in_a_clean_folder(noise: str, kinds: set[str], channels: int) -> None:
    for seed in range(3):
        findings = spoilt_findings("a", spoilt(scene(seed, channels=channels), noise))
        assert {finding.kind for finding in findings} == kinds


def test_the_level_and_the_share_are_told() -> None:
    (noisy,) = spoilt_findings("a", spoilt(scene(1), "gaussian:20"))
    assert noisy.found in {f"noise of about {level} of 255 levels" for level in (19, 20, 21)}
    (hit,) = spoilt_findings("a", spoilt(scene(1), "salt-pepper:0.1"))
    assert 5 < float(hit.found.split(" ")[0]) < 11
    assert "black or white" in hit.found


def test_strong_noise_is_not_called_salt_and_pepper_too() -> None:
    assert [found.kind for found in spoilt_findings("a", spoilt(scene(1), "gaussian:45"))] == ["noisy"]


def test_low_quality_is_read_from_the_file_or_seen(tmp_path: Path) -> None:
    low = told(save(tmp_path / "low.jpg", scene(0), quality=60))
    assert low["jpeg"].startswith("JPEG of quality 60")
    assert told(save(tmp_path / "good.jpg", scene(0), quality=90)) == {}
    seen = told(save(tmp_path / "seen.png", spoilt(scene(0), "gaussian:8+jpeg:15")))
    assert "every 8 pixels" in seen["jpeg"]
    again = told(save(tmp_path / "again.jpg", spoilt(scene(0), "gaussian:8+jpeg:15"), quality=95))
    assert again["jpeg"].startswith("JPEG of quality 95, steps of ")


def test_quick_and_noisy_pictures_are_not_searched_for_noise(tmp_path: Path) -> None:
    noisy = save(tmp_path / "a.png", spoilt(scene(0), "gaussian:30"))
    low = save(tmp_path / "a.jpg", scene(0), quality=50)
    for file, kind in ((noisy, "noisy"), (low, "jpeg")):
        assert set(told(file)) == {kind}
        assert told(file, quick=True) == {}
        assert told(file, clean=False) == {}


def test_sixteen_bits_are_looked_at_in_eight(tmp_path: Path) -> None:
    deep = spoilt(scene(0), "gaussian:20").astype(np.uint16) * 257
    file = tmp_path / "deep.png"
    write_picture(Picture(deep, None, Metadata(), "png"), file)
    assert set(told(file)) == {"noisy"}
    looked = look(file, "deep.png", min_side=1, quick=True)
    assert looked.pixels is not None
    np.testing.assert_array_equal(looked.pixels, deep // 257)


def test_alpha_is_left_out(tmp_path: Path) -> None:
    values = np.concatenate([scene(0), picture_files.values("uint8", 1, height=160, width=208)], axis=2)
    file = picture_files.saved(tmp_path / "a.png", values, "PNG")
    assert told(file) == {}


def shapes(count: int, shape: tuple[int, int, int] = (100, 120, 3)) -> list[tuple[int, int, int]]:
    return [shape] * count


def test_few_of_another_size_or_colour_are_odd() -> None:
    names = [f"{place:02d}.png" for place in range(20)]
    findings = odd_findings(names, [*shapes(18), (120, 100, 3), (100, 120, 1)])
    assert [(finding.kind, finding.file, finding.found) for finding in findings] == [
        ("odd-size", "18.png", "100x120 pixels, 19 of 20 are 120x100 pixels"),
        ("odd-channels", "19.png", "gray, 19 of 20 are colour"),
    ]


def test_none_is_odd_among_few_or_where_sizes_vary() -> None:
    names = [str(place) for place in range(12)]
    assert odd_findings(names[:9], [*shapes(8), (9, 9, 3)]) == []
    assert odd_findings(names, [*shapes(10), (9, 9, 1), (8, 8, 1)]) == []
    assert odd_findings(names, [(100 + place, 120, 3) for place in range(12)]) == []
    assert odd_findings([], []) == []


def test_plain_findings_need_no_file() -> None:
    pixels: Pixels = np.zeros((5, 5, 1), np.uint8)
    assert [finding.kind for finding in plain_findings("a", pixels, min_side=6)] == ["too-small", "blank"]
    assert plain_findings("a", scene(0)) == []
