"""The bundled models: their cards, their bounds, and tiles that give what the whole picture gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from grainless.baselines import median
from grainless.denoiser import TILE, Denoiser
from grainless.evaluation import evaluate
from grainless.metrics import psnr
from grainless.model_file import find_model, read_model
from grainless.noise import corrupt, parse_noise
from grainless.picture import read_picture
from grainless.tiling import overhead, plan_tiles

PAGE, LIMITS = (
    Path(__file__).parent.parent / "docs" / name for name in ("universal.md", "universal-limits.md")
)


MODELS = ("universal", "fast")


@pytest.fixture(scope="module")
def universal():
    return Denoiser.load("universal", tile=10**6)


@pytest.fixture(scope="module", params=MODELS)
def bundled(request):
    return Denoiser.load(request.param, tile=10**6)


def noisy_picture(rng, height, width):
    """Waves with Gaussian noise and impulses of both kinds: every part of the network has work to do."""
    down, right = np.mgrid[:height, :width]
    waves = 0.5 + 0.2 * np.sin(down / 9) + 0.2 * np.cos(right / 23 + down / 50)
    picture = np.clip(waves[..., None] + rng.normal(0, 0.1, (height, width, 3)), 0.02, 0.98)
    hits = rng.random((height, width, 3))
    picture[hits < 0.05], picture[hits > 0.95] = 0, 1
    return picture.astype(np.float32)


@pytest.mark.parametrize(("name", "megabytes"), [("universal", 12), ("fast", 1.5)])
def test_card(name, megabytes):
    card = read_model(name).card
    assert card.channels == 3
    assert card.inputs == ["picture", "levels"]
    assert 0 < card.receptive_radius <= 96
    assert {data.name for data in card.training_data} == {"cid22", "clic2025", "gb82", "photos"}
    assert all(data.licence != "not stated" for data in card.training_data)
    assert "CC BY-SA" in card.notes
    assert card.scores
    assert all(score.protocol for score in card.scores)
    assert find_model(name).stat().st_size <= megabytes * 10**6


def test_overhead_of_full_tiles(bundled):
    card = bundled.card
    plan = plan_tiles(6000, 8000, tile=TILE, halo=card.halo, stride=card.stride)
    assert overhead(plan) <= 1.5


def test_noise_goes(bundled, rng):
    height, width = 120, 136
    down, right = np.mgrid[:height, :width]
    waves = 0.5 + 0.2 * np.sin(down / 9) + 0.2 * np.cos(right / 23 + down / 50)
    noisy = noisy_picture(rng, height, width)
    clean = bundled(noisy)
    before = np.mean((noisy - waves[..., None]) ** 2)
    after = np.mean((clean - waves[..., None]) ** 2)
    assert after < before / 10


@pytest.mark.parametrize("size", [(1, 1), (1, 17), (7, 3), (8, 8), (33, 1)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_size(bundled, rng, size, channels):
    pixels = rng.integers(0, 256, (*size, channels), dtype=np.uint8)
    assert bundled(pixels).shape == pixels.shape


def test_16_bit_gradients_are_not_banded(bundled):
    # A noise-free ramp over eight levels of 8 bit. Were it cut to 8 bit inside, it would come back in steps
    # of 257.
    ramp = np.tile(np.arange(30_000, 32_056, 8, dtype=np.uint16), (64, 1))
    clean = bundled(np.dstack([ramp] * 3)).astype(int)[16:-16, 16:-16, 1]
    assert len(np.unique(clean)) > 100
    assert np.diff(np.unique(clean)).max() < 64
    # Nor may the network add waves of its own: on average within half a level of 8 bit.
    assert np.abs(clean - ramp[16:-16, 16:-16]).mean() < 128


@pytest.mark.parametrize("value", [0, 40, 128, 200, 255])
def test_plain_pictures_stay_plain(bundled, value):
    plain = np.full((96, 120, 3), value, np.uint8)
    change = np.abs(bundled(plain).astype(int) - value)
    assert change[16:-16, 16:-16].max() == 0
    # The network sees zeros beyond the borders, and `fast` is a little off there.
    assert change.max() <= 5


@pytest.mark.slow
def test_tiled_equals_whole(bundled, rng):
    # Tiles a little larger than the halo, 4 by 5 of them in an odd size: each sees less than the whole
    # picture.
    card = bundled.card
    tile = card.halo + 4 * card.stride
    height, width = 4 * tile - 3, 5 * tile - 5
    assert len(plan_tiles(height, width, tile=tile, halo=card.halo, stride=card.stride)) >= 16
    pixels = noisy_picture(rng, height, width)
    tiled = Denoiser(card, bundled.network.run, name="bundled", tile=tile)(pixels)
    assert np.abs(tiled - bundled(pixels)).max() <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("cut_by_strides", [0, 1])
def test_tiles_need_the_whole_halo(bundled, rng, axis, cut_by_strides):
    # What lies at the very end of the receptive field hardly counts at ordinary values. So the last stride of
    # the halo is set to NaN, which no layer loses: a tile with its whole halo answers as the whole picture
    # does even then, one whose halo is a stride shorter does not.
    card = bundled.card
    tile, side = 4 * card.stride, 2 * card.halo + 8 * card.stride
    pixels = np.moveaxis(noisy_picture(rng, side, 2 * card.halo), 0, axis)
    np.moveaxis(pixels, axis, 0)[tile + card.halo - card.stride : tile + card.halo] = np.nan

    def answer(seen):
        window = np.moveaxis(np.moveaxis(pixels, axis, 0)[:seen], 0, axis)
        batch = np.ascontiguousarray(window.transpose(2, 0, 1)[None])
        clean = bundled.network.run({"picture": batch, "levels": np.array([[0, 1]], np.float32)})
        return np.moveaxis(clean[0].transpose(1, 2, 0), axis, 0)[:tile]

    tiled = answer(tile + card.halo - cut_by_strides * card.stride)
    assert np.array_equal(tiled, answer(side), equal_nan=True) == (cut_by_strides == 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_openvino_agrees(rng, name):
    pytest.importorskip("openvino")
    pixels = noisy_picture(rng, 200, 264)
    exact = Denoiser.load(name, runtime="openvino")(pixels)
    assert np.abs(exact - Denoiser.load(name)(pixels)).max() <= 1e-4


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from /proc")
@pytest.mark.parametrize("channels", [3, 4])
def test_memory_of_a_48_megapixel_photograph(channels):
    script = f"""
import numpy as np
from pathlib import Path
from grainless.denoiser import TILE, Denoiser
pixels = np.random.default_rng(0).integers(0, 256, (6000, 8000, {channels}), dtype=np.uint8)
if pixels.shape[2] == 4:
    pixels[2000:5000, 1000:6000, 3] = 0
assert Denoiser.load("universal")(pixels).shape == pixels.shape
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    peak = int(done.stdout) * 1024
    assert peak < 1.5e9


def table_cells(text):
    """Return the tables of the page as (data set, noise, method) -> numbers."""
    cells, methods, name = {}, [], ""
    for line in text.splitlines():
        if line.startswith("## "):
            methods = []  # other tables follow, of other things
        elif line.startswith("### "):
            name = line.removeprefix("### ").split(",")[0]
        elif line.startswith("| noise |"):
            methods = [word.strip() for word in line.strip("|").split("|")][1:]
        elif methods and line.startswith("| ") and not line.startswith("| ---"):
            noise, *numbers = (word.strip() for word in line.replace("*", "").strip("|").split("|"))
            for method, cell in zip(methods, numbers, strict=True):
                # Some filters were not tried on some noises.
                if " / " in cell:
                    cells[name, noise, method] = [float(number) for number in cell.split(" / ")]
    return cells


@pytest.mark.parametrize(
    ("noise", "universal", "fast"),
    [
        ("gaussian:15", 33.5, 32.5),
        ("gaussian:25", 31.1, 30.0),
        ("gaussian:50", 27.8, 26.8),
        ("salt-pepper:0.1", 40.8, 40.3),
        ("salt-pepper:0.5:channel", 36.0, 35.8),
        ("salt-pepper:0.9", 25.3, 24.1),
        ("poisson:30", 30.1, 29.1),
        ("camera:0.3+jpeg:90", 33.1, 31.4),
        ("jpeg:40", 31.8, 31.4),
        ("clean", 60, 56),
    ],
)
def test_quality_on_photographs_that_everybody_has(noise, universal, fast):
    # Two of scikit-image's; a few tenths of a decibel under what the weights reached when they were made.
    for name, least in (("universal", universal), ("fast", fast)):
        denoiser, found = Denoiser.load(name), []
        for number, picture in enumerate((data.coffee(), data.chelsea())):
            clean = np.ascontiguousarray(picture[20:276, 100:356])
            found.append(psnr(clean, denoiser(corrupt(clean, parse_noise(noise), seed=number))))
        assert np.mean(found) > least, name


@pytest.mark.parametrize("page", [PAGE, LIMITS], ids=lambda page: page.stem)
@pytest.mark.parametrize("name", MODELS)
def test_pages_are_of_the_bundled_models(page, name):
    assert f"`{name}`: model `{read_model(name).card.checksum[:12]}`" in page.read_text(encoding="utf-8")


def test_the_page_shows_the_bundled_model_ahead_of_the_filters():
    cells = table_cells(PAGE.read_text(encoding="utf-8"))
    noises = {noise for name, noise, method in cells if method == "universal" and name == "kodak24"}
    assert {"gaussian:25", "salt-pepper:0.5", "poisson:30", "speckle:0.1"} <= noises
    behind = {
        (name, noise, method)
        for (name, noise, method), numbers in cells.items()
        if noise != "clean" and method not in MODELS and cells[name, noise, "universal"][0] <= numbers[0]
    }
    assert behind == set()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_row_of_the_page_is_measured_again(data_folder):
    cells = table_cells(PAGE.read_text(encoding="utf-8"))
    noise = "salt-pepper:0.5"
    again = evaluate(data_folder / "test" / "kodak24", [noise], methods=["median", "universal"])
    for method in ("noisy", "median", "universal"):
        assert again.row(method, noise).mean.psnr == pytest.approx(
            cells["kodak24", noise, method][0], abs=0.02
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    "noise", ["salt-pepper:0.2:near=2", "salt-pepper:0.2:near=5", "salt-pepper:0.1+jpeg:80"]
)
def test_impulses_go_also_near_the_extremes_and_after_jpeg(universal, data_folder, noise):
    clean = read_picture(data_folder / "test" / "kodak24" / "23.png").pixels[:256, :256]
    noisy = corrupt(clean, parse_noise(noise), seed=7)
    # No more is claimed than that they go: here a 3 x 3 median is still about as good.
    assert psnr(clean, universal(noisy)) > psnr(clean, noisy) + 10


@pytest.mark.slow
def test_impulses_go_at_the_black_and_white_points_of_the_picture(universal, data_folder):
    # A scan whose black is 40 and whose white is 200: no value is 0 or 255, yet the impulses are as plain.
    whole = read_picture(data_folder / "test" / "kodak24" / "23.png").pixels[:256, :256]
    noisy = corrupt(whole, parse_noise("salt-pepper:0.3"), seed=7)
    flat, flat_noisy = (np.rint(40 + part * (160 / 255)).astype(np.uint8) for part in (whole, noisy))
    assert psnr(flat, universal(flat_noisy)) > psnr(flat, median(flat_noisy)) + 3


@pytest.mark.slow
def test_a_clean_picture_stays_as_it_is(universal, data_folder):
    clean = read_picture(data_folder / "test" / "kodak24" / "23.png").pixels[:256, :256]
    assert psnr(clean, universal(clean)) > 40
