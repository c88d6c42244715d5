"""Large pictures through the unit of work: the same files as from memory, within the limit, or refused."""

from __future__ import annotations

import re
import subprocess
import sys
import tracemalloc
import weakref
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny_models
from grainless import planes
from grainless.batch import Pipeline, RunOptions, large, pictures, pipeline, plan, run
from grainless.batch.large import diagnosis_bytes, goes_to_disk, sampled
from grainless.batch.pictures import Denoising
from grainless.batch.removal import Removal, removed_picture
from grainless.batch.work import DiskFullError
from grainless.budget import Budget
from grainless.diagnosis import diagnose_picture
from grainless.errors import InputError, MemoryLimitError, ModelError, PictureError
from grainless.picture import (
    Metadata,
    Picture,
    StoredPicture,
    look_at,
    read_picture,
    store_picture,
    stored,
    tags,
    write_picture,
    writing,
)
from grainless.planes import ScratchFile
from picture_files import RGB_PROFILE, XMP, exif_block, saved, values

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a limit is promised on Linux alone")
# Far above what other tests have left in this process.
GB = 4 * 10**9


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("large")


@pytest.fixture(scope="session")
def model(folder):
    return tiny_models.pyramid_model(folder / "pyramid.onnx")


@pytest.fixture(autouse=True)
def fresh():
    large._budget.cache_clear()


def files_of(folder):
    return sorted(path.name for path in folder.iterdir())


def clean(source, target, work):
    """Do one file; return what is said of it."""
    said = []
    target.unlink(missing_ok=True)
    options = RunOptions(executor=Pipeline(work, bytes_in_hand=1))
    run(plan([source], target), work, options=options, on_step=lambda step: said.extend(step.messages))
    return said


METADATA = Metadata(icc=RGB_PROFILE, exif=exif_block(), xmp=XMP, dpi=(300.0, 300.0))


def turn(path, orientation):
    """Say in a TIFF that it is to be shown turned."""
    with path.open("r+b") as stream:
        layout, directory = next(tags.directories(stream))
        stream.seek(directory.entries[274].position)
        stream.write(orientation.to_bytes(2, "little" if layout.order == "<" else "big"))


def drawn_source(data, folder, *, longest):
    """Write a TIFF of some kind; return it, the shape of the upright picture, and whether it is of floats."""
    height, width = (data.draw(st.integers(1, longest)) for _ in range(2))
    bands = data.draw(st.sampled_from([1, 2, 3, 4]))
    kind = data.draw(st.sampled_from(["uint8", "uint16", "float32"]))
    pixels = values(kind, bands, height=height, width=width, seed=height)
    # Noise all over, or weak noise on gray, which is passed through.
    pixels = (pixels * data.draw(st.sampled_from([1, 1 / 64]))).astype(kind)
    alpha = None
    if bands in {2, 4}:
        pixels[: height // 2, : width // 3, -1] = 0
        alpha = pixels[..., -1]
    source = folder / "source.tif"
    write_picture(Picture(pixels[..., : 1 if bands < 3 else 3], alpha, METADATA, "tiff"), source)
    orientation = data.draw(st.integers(1, 8))
    turn(source, orientation)
    facts = look_at(source)
    assert (facts.height, facts.width) == ((width, height) if orientation >= 5 else (height, width))
    return source, (facts.height, facts.width), kind == "float32"


def check_same(data, folder, *, model, longest):
    """Clean one file from memory and from the disk: the same bytes, and the same is said."""
    source, (height, width), floating = drawn_source(data, folder, longest=longest)
    mask = None
    if data.draw(st.booleans()):
        # Parts that are black, and no white.
        weights = values("uint8", 1, height=height, width=width, seed=width) // 2
        weights[: height // 3] = 0
        mask = folder / "mask.tif"
        write_picture(Picture(weights, None, Metadata(), "tiff"), mask)
    crops = [None, (width // 2, height // 3, width - width // 2, 1), (width // 4, 0, width // 2 + 1, height)]
    crop = data.draw(st.sampled_from(crops))
    removal = Removal(guard=data.draw(st.booleans()), chroma=data.draw(st.sampled_from([0.5, 1])), mask=mask)
    linear = floating and data.draw(st.booleans())
    ending = data.draw(st.sampled_from([".tif", ".png", ".jpg"]))
    work = Denoising(model=model, crop=crop, removal=removal, linear=linear)
    want = clean(source, folder / f"a{ending}", work)
    got = clean(source, folder / f"b{ending}", replace(work, max_memory=GB))
    assert got == want
    assert (folder / f"a{ending}").read_bytes() == (folder / f"b{ending}").read_bytes()
    return want


@LINUX
@settings(deadline=None, max_examples=40)
@given(st.data())
def test_the_same_file_as_from_memory(folder, model, data):
    dark = tiny_models.scale_model(folder / "dark.onnx", 0.1)
    check_same(data, folder, model=data.draw(st.sampled_from([model, dark])), longest=150)


@LINUX
@settings(deadline=None, max_examples=12)
@given(st.data())
def test_the_same_file_as_from_memory_by_auto(folder, data):
    said = check_same(data, folder, model="auto", longest=40)
    assert re.search("model universal|passed through unchanged|kept the original", "\n".join(said))


@LINUX
def test_masks_and_what_was_removed_are_the_same_too(tmp_path, model):
    source = saved(tmp_path / "in.png", values("uint8", 3, height=90, width=70), "PNG")
    mask = saved(tmp_path / "mask.png", values("uint16", 1, height=90, width=70, seed=5), "PNG")
    work = Denoising(model=model, removal=Removal(mask=mask, show=True, guard=False))
    want = clean(source, tmp_path / "a.png", work)
    got = clean(source, tmp_path / "b.png", replace(work, max_memory=GB))
    assert [line.replace("b.png", "a.png") for line in got] == want
    for ending in ("", ".removed.png"):
        assert (tmp_path / f"a.png{ending}").read_bytes() == (tmp_path / f"b.png{ending}").read_bytes()
    assert work.settings() == replace(work, max_memory=GB).settings()
    small = saved(tmp_path / "small.png", values("uint8", 1), "PNG")
    with pytest.raises(InputError, match="mask is not as large as the picture"):
        clean(source, tmp_path / "c.png", replace(work, max_memory=GB, removal=Removal(mask=small)))
    colours = saved(tmp_path / "colours.png", values("uint8", 3, height=90, width=70), "PNG")
    with pytest.raises(InputError, match="is not gray"):
        clean(source, tmp_path / "c.png", replace(work, max_memory=GB, removal=Removal(mask=colours)))
    assert not (tmp_path / "c.png").exists()


@LINUX
def test_a_result_that_is_worse_is_not_kept(tmp_path, rng):
    black = tiny_models.scale_model(tmp_path / "black.onnx", 0)
    pixels = np.clip(rng.normal(120, 20, (300, 300, 3)), 0, 255).astype(np.uint8)
    source = saved(tmp_path / "in.png", pixels, "PNG")
    work = Denoising(model=black, max_memory=GB)
    assert "kept the original: " in clean(source, tmp_path / "out.png", work)[0]
    assert (tmp_path / "out.png").read_bytes() == source.read_bytes()
    assert "kept the original: " in clean(source, tmp_path / "out.tif", work)[0]
    np.testing.assert_array_equal(read_picture(tmp_path / "out.tif").pixels, pixels)
    broken = tiny_models.scale_model(tmp_path / "broken.onnx", float("nan"))
    said = clean(source, tmp_path / "out.png", replace(work, model=broken))
    assert re.search(r"kept the original: .*broken.onnx answers with values that are no numbers", said[0])
    with pytest.raises(ModelError, match="NaN or infinity"):
        clean(source, tmp_path / "out.png", replace(work, model=broken, removal=Removal(guard=False)))


@LINUX
def test_clean_pictures_are_copied(tmp_path):
    source = saved(tmp_path / "in.png", np.full((64, 64, 3), 90, np.uint8), "PNG")
    work = Denoising(model="auto", max_memory=2 * GB)
    assert "passed through unchanged" in clean(source, tmp_path / "out.png", work)[0]
    assert (tmp_path / "out.png").read_bytes() == source.read_bytes()


def test_a_diagnosis_from_the_disk_is_that_of_the_picture(tmp_path, rng):
    pixels = np.clip(rng.normal(120, 9, (1500, 1100, 3)), 0, 255).astype(np.uint8)
    path = saved(tmp_path / "a.png", pixels, "PNG")
    stored = store_picture(path, tmp_path)
    assert sampled(stored).pixels.shape == (1024, 1024, 3)
    assert diagnose_picture(sampled(stored)) == diagnose_picture(read_picture(path))


# What goes to the disk


def test_pictures_go_to_the_disk_if_they_are_large_beside_the_free_memory(tmp_path, monkeypatch, model):
    source = saved(tmp_path / "in.png", values("uint8", 3, height=100, width=100), "PNG")
    target = tmp_path / "out.png"
    work = Denoising(model=model)
    for free, on_disk in ((8 * 30_000, False), (8 * 30_000 - 1, True), (None, False)):
        monkeypatch.setattr(large, "free_memory", lambda free=free: free)
        assert goes_to_disk(look_at(source), target) == on_disk
        value = work.read(plan([source], target).jobs[0])
        assert isinstance(getattr(value, "picture", None), StoredPicture) == on_disk
        assert work.size(value) == (10_000, 30_000)
        clean(source, target, work)
    assert not goes_to_disk(look_at(source), tmp_path / "out.webp")
    monkeypatch.setattr(large, "free_memory", lambda: 0)
    assert not goes_to_disk(look_at(saved(tmp_path / "in.bmp", values("uint8", 3), "BMP")), target)


def test_megapixels_are_limited_in_memory_alone(tmp_path, monkeypatch, model):
    source = saved(tmp_path / "in.png", values("uint8", 3, height=100, width=100), "PNG")
    job = plan([source], tmp_path / "out.png").jobs[0]
    monkeypatch.setattr(large, "MAX_MEGAPIXELS", 0.005)
    monkeypatch.setattr(pictures, "MAX_MEGAPIXELS", 0.005)
    monkeypatch.setattr(large, "free_memory", lambda: 10**12)
    assert isinstance(Denoising(model=model).read(job).picture, StoredPicture)
    with pytest.raises(PictureError, match="is too large"):
        Denoising(model=model, max_megapixels=0.005).read(job)
    bitmap = saved(tmp_path / "in.bmp", values("uint8", 3, height=100, width=100), "BMP")
    with pytest.raises(PictureError, match=r"got 100 x 100 .* expected at most 0.005 megapixels"):
        Denoising(model=model).read(plan([bitmap], tmp_path / "out.png").jobs[0])


@pytest.fixture
def disk(monkeypatch):
    """What was asked for, and the most that scratch files and results took at any time, in bytes."""
    taken = SimpleNamespace(asked=0, most=0)
    files = weakref.WeakSet()

    def look(folder, *further):
        unfinished = sum(path.stat().st_size for path in folder.glob("*.part"))
        taken.most = max(taken.most, unfinished + sum(further) + sum(file.size for file in files))

    class Seen(ScratchFile):
        def __init__(self, folder):
            super().__init__(folder)
            self.folder = folder
            files.add(self)

        def write(self, at, data):
            super().write(at, data)
            look(self.folder)

    def settle(path):
        look(path.parent, *(other.stat().st_size for other in path.parent.glob("out*") if other != path))

    def check(target, nbytes):
        taken.asked = nbytes

    for module in (planes, stored):
        monkeypatch.setattr(module, "ScratchFile", Seen)
    monkeypatch.setattr(writing, "_settle", settle)
    monkeypatch.setattr(large, "check_disk", check)
    return taken


@LINUX
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("kept", [False, True], ids=["clean", "kept"])
@pytest.mark.parametrize("further", ["nothing", "mask", "deep mask", "shown", "turned"])
def test_as_much_disk_is_asked_for_as_is_used(tmp_path, disk, model, bands, kept, further):
    side = 300
    noisy = values("uint8", bands, height=side, width=side)
    alpha = None
    if bands in {2, 4}:
        noisy[:200, :200, -1] = 0
        alpha = noisy[..., -1]
    metadata = Metadata(exif=exif_block(orientation=6 if further == "turned" else 1))
    source = tmp_path / "in.png"
    write_picture(Picture(noisy[..., : 1 if bands < 3 else 3], alpha, metadata, "png"), source)
    mask = None
    if "mask" in further:
        mask = tmp_path / "mask.tif"
        kind = np.uint16 if "deep" in further else np.uint8
        white = np.full((side, side, 3 if "deep" in further else 1), np.iinfo(kind).max, kind)
        cover = white[..., 0] if "deep" in further else None
        write_picture(Picture(white, cover, Metadata(), "tiff"), mask)
    removal = Removal(mask=mask, show=further == "shown")
    worse = tiny_models.scale_model(tmp_path / "dark.onnx", 0)
    work = Denoising(model=worse if kept else model, max_memory=GB, removal=replace(removal, guard=kept))
    said = clean(source, tmp_path / "out.tif", work)
    assert any("kept the original" in line for line in said) == kept
    assert look_at(source).nbytes < disk.most <= disk.asked < 2 * disk.most


@LINUX
def test_a_full_disk_is_found_before_anything_is_decoded(tmp_path, monkeypatch, model):
    source = saved(tmp_path / "in.png", values("uint8", 4, height=100, width=100), "PNG")
    monkeypatch.setattr(pipeline, "free_bytes", lambda place: 100_000)
    with pytest.raises(DiskFullError, match="is full"):
        clean(source, tmp_path / "out.png", Denoising(model=model, max_memory=GB))
    assert files_of(tmp_path) == ["in.png"]


# Limits


@LINUX
@pytest.mark.parametrize("kind", ["interlaced.png", "progressive.jpg", "photo.webp", "photo.bmp"])
def test_what_must_be_held_whole_is_refused_with_the_remedy(tmp_path, monkeypatch, model, kind):
    image = pyvips.Image.new_from_array(values("uint8", 3, height=900, width=900))
    source = tmp_path / kind
    if kind.endswith("bmp"):
        saved(source, values("uint8", 3, height=900, width=900), "BMP")
    else:
        options = {} if kind.endswith("webp") else {"interlace": True}
        image.write_to_file(str(source), **options)
    work = Denoising(model=model, max_memory=GB)
    clean(source, tmp_path / "out.png", work)
    (tmp_path / "out.png").unlink()
    need = Budget(GB).begin + look_at(source).decoding
    words = r"which can only be decoded as a whole; got a limit of .* MB; expected at least .* MB\. Raise"
    with pytest.raises(MemoryLimitError, match=words + " --max-memory, or first save it as TIFF") as caught:
        clean(source, tmp_path / "out.png", replace(work, max_memory=need - 20 * 10**6))
    assert files_of(tmp_path) == [kind]
    # What is told is enough: for the tiles too. Some is to spare, as this process is not a fresh one.
    told = int(re.search(r"at least ([\d,]+) MB", str(caught.value))[1].replace(",", "")) * 10**6
    clean(source, tmp_path / "out.png", replace(work, max_memory=told + 20 * 10**6))


@LINUX
@pytest.mark.parametrize("ending", [".webp", ".avif", ".bmp"])
def test_formats_that_are_written_whole_are_refused_with_the_remedy(tmp_path, model, ending):
    source = saved(tmp_path / "in.png", np.zeros((4000, 6000, 3), np.uint8), "PNG")
    work = Denoising(model=model, max_memory=180 * 10**6)
    with pytest.raises(MemoryLimitError, match=r"can only be written as a whole.*ending in .png, .tif or"):
        clean(source, tmp_path / f"out{ending}", work)
    assert files_of(tmp_path) == ["in.png"]


@LINUX
def test_a_limit_that_is_too_small(tmp_path, model):
    source = saved(tmp_path / "in.png", values("uint8", 3, height=50, width=50), "PNG")
    with pytest.raises(InputError, match=r"too small for this picture and this model; got 20 MB; expected"):
        clean(source, tmp_path / "out.png", Denoising(model=model, max_memory=20 * 10**6))
    assert files_of(tmp_path) == ["in.png"]


@LINUX
def test_several_pictures_one_by_one(tmp_path, model):
    source = tmp_path / "in"
    source.mkdir()
    for number in range(5):
        saved(source / f"{number}.png", values("uint8", 3, height=60, width=50, seed=number), "PNG")
    (source / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    reports = []
    for out, limit in (("a", None), ("b", GB)):
        work = Denoising(model=model, max_memory=limit)
        options = RunOptions() if limit is None else RunOptions(executor=Pipeline(work, bytes_in_hand=1))
        reports.append(run(plan([source], tmp_path / out), work, options=options))
    assert [len(report.done) for report in reports] == [5, 5]
    assert [len(report.failed) for report in reports] == [1, 1]
    for number in range(5):
        a, b = (tmp_path / out / f"{number}.png" for out in "ab")
        assert a.read_bytes() == b.read_bytes()
    assert files_of(tmp_path / "b") == [".grainless", *(f"{number}.png" for number in range(5))]


# The promise, in processes of their own


def peak_of(source: Path, target: Path, *options: str) -> tuple[int, str]:
    """Return the peak of memory, in bytes, of `grainless denoise` and what it said."""
    code = (
        "import re, sys\n"
        "from grainless.cli import app\n"
        "code = app(sys.argv[1:], standalone_mode=False)\n"
        "status = open('/proc/self/status', encoding='utf-8').read()\n"
        "print('PEAK', re.search(r'VmHWM:\\s+(\\d+)', status)[1])\n"
        "sys.exit(code)\n"
    )
    command = [sys.executable, "-c", code, "denoise", str(source), "-o", str(target), "--overwrite", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(re.search(r"PEAK (\d+)", done.stdout)[1]) * 1024, done.stderr


def synthetic(side):
    """A picture of any size that is never in memory: slopes and noise."""
    places = pyvips.Image.xyz(side, side)
    noise = pyvips.Image.gaussnoise(side, side, mean=0, sigma=20, seed=7)
    gray = (places[0] % 256) * 0.5 + (places[1] % 200) * 0.5 + noise
    return gray.bandjoin([gray * 0.9 + 10, 255 - gray]).cast("uchar").copy(interpretation="srgb")


KINDS = {
    "tiles.tif": {"tile": True, "tile_width": 256, "tile_height": 256},
    "strips.tif": {"compression": "deflate", "predictor": "horizontal"},
    "plain.png": {"compression": 1},
    "plain.jpg": {"Q": 90},
}


@LINUX
@pytest.mark.parametrize(
    ("kind", "bands", "side"),
    [("uint8", 3, 1100), ("uint8", 1, 1100), ("float32", 3, 1100), ("float32", 4, 900), ("uint16", 3, 700)],
)
def test_what_a_diagnosis_takes_is_counted(tmp_path, kind, bands, side):
    noisy = values(kind, bands, height=side, width=side)
    alpha = noisy[..., -1] if bands == 4 else None
    path = tmp_path / "in.tif"
    write_picture(Picture(noisy[..., : min(bands, 3)], alpha, Metadata(), "tiff"), path)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from grainless.batch.large import sampled\n"
        "from grainless.diagnosis import diagnose_picture\n"
        "from grainless.memory import give_back, held_memory, peak_memory\n"
        "from grainless.picture import store_picture\n"
        "stored = store_picture(sys.argv[1], Path(sys.argv[1]).parent)\n"
        "give_back()\n"
        "begin = held_memory()\n"
        "Path('/proc/self/clear_refs').write_text('5')  # the peak counts from here on\n"
        "diagnose_picture(sampled(stored), linear=True)\n"
        "print(peak_memory() - begin)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    counted = diagnosis_bytes(look_at(path))
    assert counted / 2 < int(done.stdout) < counted + 5 * 10**6


@pytest.mark.parametrize("shape", [(1400, 1000), (150, 9000)])
@pytest.mark.parametrize(("kind", "bands"), [("uint8", 3), ("float32", 4)])
def test_the_guard_and_what_was_removed_take_less_than_decoding(tmp_path, kind, bands, shape):
    path = tmp_path / "in.tif"
    noisy = values(kind, bands, height=shape[0], width=shape[1])
    alpha = noisy[..., -1] if bands == 4 else None
    write_picture(Picture(noisy[..., :3], alpha, Metadata(), "tiff"), path)
    stored, result = store_picture(path, tmp_path), store_picture(path, tmp_path)
    for look in (Removal().why_worse, removed_picture):
        tracemalloc.start()
        look(stored, result, linear=True)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < look_at(path).decoding, look


@LINUX
def test_only_a_diagnosis_that_is_made_is_counted(tmp_path, monkeypatch, model):
    asked = []

    def tile(_budget, _denoiser, *, beside, side):
        asked.append(beside)
        return 64

    monkeypatch.setattr(Budget, "tile", tile)
    for side in (10, 1030):
        source = saved(tmp_path / "in.png", values("uint8", 3, height=side, width=side), "PNG")
        job = plan([source], tmp_path / "out.png").jobs[0]
        for name in (model, "auto"):
            Denoising(model=name, max_memory=GB).read(job)
        facts = look_at(source)
        assert asked[-1] == max(facts.decoding, diagnosis_bytes(facts))
    assert asked[0] == asked[1]
    assert asked[2] < asked[3]


@LINUX
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", list(KINDS))
def test_memory_does_not_grow_with_the_picture(tmp_path, kind):
    model = tiny_models.identity_model(tmp_path / "identity.onnx")
    peaks = {}
    for side in (5000, 10000):
        source, target = tmp_path / f"{side}-{kind}", tmp_path / f"out{Path(kind).suffix}"
        synthetic(side).write_to_file(str(source), **KINDS[kind])
        peaks[side], _ = peak_of(source, target, "--model", str(model), "--max-memory", "300MB")
        facts = look_at(target)
        assert (facts.height, facts.width) == (side, side)
        # In the middle, where the tiles meet, nothing has changed: the model gives back what it gets.
        want, got = (
            pyvips.Image.new_from_file(str(path)).crop(side // 2, side // 2, 300, 300).numpy()
            for path in (source, target)
        )
        assert np.abs(want.astype(int) - got).max() <= (32 if kind.endswith("jpg") else 0)
    print({side: f"{peak / 1e6:.0f} MB" for side, peak in peaks.items()}, kind)
    assert max(peaks.values()) <= 300 * 10**6
    assert peaks[10000] <= 1.1 * peaks[5000]


@LINUX
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("model", "limits", "further"),
    [("fast", (400, 700), ["--show-removed"]), ("auto", (), ["--crop", "0,0,300,300"])],
    ids=["fast", "auto"],
)
def test_the_smallest_limit_that_is_told_is_kept(tmp_path, model, limits, further):
    source = tmp_path / "in.tif"
    synthetic(1500).write_to_file(str(source), compression="deflate")
    options = ["--model", model, *further, "--max-memory"]
    with pytest.raises(subprocess.CalledProcessError) as refused:
        peak_of(source, tmp_path / "out.tif", *options, "60MB")
    least = re.search(r"expected at least (\d+) MB", refused.value.stderr)[1]
    for limit in (least, *limits):
        peak, said = peak_of(source, tmp_path / "out.tif", *options, f"{limit}MB")
        assert peak < int(limit) * 10**6
        assert ("model universal" in said) == (model == "auto")


@LINUX
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_runtime_that_gets_no_memory_takes_smaller_tiles(tmp_path):
    source = tmp_path / "in.png"
    synthetic(900).write_to_file(str(source))
    code = (
        "import re, resource, sys\n"
        "import grainless\n"
        "from grainless.picture import read_picture, write_picture\n"
        "denoiser = grainless.Denoiser.load('universal', threads=1)\n"
        "picture = read_picture(sys.argv[1])\n"
        "denoiser(picture.pixels[:64, :64])\n"
        "used = int(re.search(r'VmSize:\\s+(\\d+)', open('/proc/self/status').read())[1]) * 1024\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_AS)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 150 * 2**20, hard))\n"
        "clean = denoiser.denoise_picture(picture)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (soft, hard))\n"
        "print(clean.notes)\n"
        "write_picture(clean, sys.argv[2])\n"
    )
    target = tmp_path / "out.png"
    done = subprocess.run(
        [sys.executable, "-c", code, source, target], capture_output=True, text=True, check=True
    )
    assert re.search(r"tiles of \d+ pixels, as memory ran out", done.stdout)
    peak_of(source, tmp_path / "whole.png", "--model", "universal", "--no-guard")
    off = read_picture(target).pixels.astype(int) - read_picture(tmp_path / "whole.png").pixels
    assert np.abs(off).max() <= 1
