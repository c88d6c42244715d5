"""One picture, from the file that was dropped to what is shown of it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from grainless import Denoiser, corrupt, read_picture, write_picture
from grainless.batch import large
from grainless.diagnosis import diagnose
from grainless.errors import GrainlessError, ModelError, PictureError
from grainless.picture import Metadata, Picture
from grainless.removed import show_removed
from grainless.service import ServiceSettings
from grainless.service.page import words
from grainless.service.page.cleaning import Cleaned, Order, clean_file, part_of, slider_strength
from grainless.service.page.example import draw_lake
from grainless.service.refusals import TimeLimitError, TooManyBytesError, TooManyPixelsError
from picture_files import RGB_PROFILE, XMP, exif_block, exif_facts
from service_pictures import decoded, noisy, png_of_size
from tiny_models import scale_model

SETTINGS = ServiceSettings(threads=1)


def silent(_share: float, _text: str) -> None:
    pass


def dropped(folder: Path, name: str = "holiday.png", *, deep: bool = False, side: int = 64) -> Path:
    """A noisy picture with metadata, in a file as a user would drop it."""
    pixels = noisy(side)
    if deep:
        pixels = pixels.astype(np.uint16) * 257 + np.arange(side, dtype=np.uint16)[:, None, None]
    folder.mkdir(exist_ok=True)
    metadata = Metadata(icc=RGB_PROFILE, exif=exif_block(), xmp=XMP, dpi=(300.0, 300.0))
    write_picture(Picture(pixels, None, metadata, "png"), folder / name)
    return folder / name


def shown(path: Path) -> np.ndarray:
    return decoded(path.read_bytes())


def cleaned(source: Path, out: Path, *, settings: ServiceSettings = SETTINGS, **order) -> Cleaned:
    out.mkdir(exist_ok=True)
    return clean_file(source, out, order=Order(**order), settings=settings, progress=silent)


def test_a_deep_picture_stays_deep_and_keeps_its_metadata(tmp_path: Path) -> None:
    source = dropped(tmp_path / "in", deep=True)
    result = cleaned(source, tmp_path / "out")
    before, after = read_picture(source), read_picture(result.file)
    assert result.file.name == "holiday-clean.png"
    assert after.pixels.dtype == np.uint16
    assert not np.array_equal(after.pixels, before.pixels)
    assert (after.pixels % 257 != 0).any()  # more than 256 levels
    assert after.metadata.icc == RGB_PROFILE
    assert after.metadata.xmp == XMP
    assert after.metadata.dpi == pytest.approx((300, 300), rel=1e-3)
    assert exif_facts(after.metadata.exif) == exif_facts(before.metadata.exif)
    assert result.diagnosis.kind == "gaussian"
    assert result.facts == "64 x 64, 16 bit colour, PNG"


def test_the_result_is_the_denoisers_own(tmp_path: Path) -> None:
    source = dropped(tmp_path / "in")
    result = cleaned(source, tmp_path / "out", model="fast", strength=0.5)
    picture = read_picture(source)
    wanted = Denoiser.load("fast").denoise_picture(picture, strength=0.5)
    assert np.array_equal(read_picture(result.file).pixels, wanted.pixels)
    assert result.notes == ()
    assert result.treatment.in_words() == "cleaned with the model fast, strength 50 %"


def test_the_views_show_before_after_and_the_difference(tmp_path: Path) -> None:
    source = dropped(tmp_path / "in")
    result = cleaned(source, tmp_path / "out")
    before, after, removed = (shown(path) for path in (result.before, result.after, result.removed))
    assert np.array_equal(before, read_picture(source).pixels)
    assert np.array_equal(after, read_picture(result.file).pixels)
    assert result.gain > 1
    assert np.array_equal(removed, show_removed(before, after, gain=result.gain))
    assert read_picture(result.before).metadata.icc == RGB_PROFILE


def test_a_part_is_shown_pixel_for_pixel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grainless.service.page.views.PART", (30, 20))
    source = dropped(tmp_path / "in", deep=True)
    result = cleaned(source, tmp_path / "out")
    part = part_of(result, place=(1.0, 0.5))
    whole = shown(result.before)
    assert np.array_equal(shown(part.before), whole[44:, 17:47])
    assert shown(part.after).shape == (20, 30, 3)
    assert shown(part.map).shape[1::-1] == result.map_size


def test_parts_lie_beside_their_result_and_do_not_pile_up(tmp_path: Path) -> None:
    result = cleaned(dropped(tmp_path / "in"), tmp_path / "out")
    parts = [part_of(result, place=(0.5, 0.1 * step)) for step in range(8)]
    assert len({part.after for part in parts}) == 8, "a browser would show the old one"
    assert all(result.file.parent in part.before.parents for part in parts)
    # The latest are there; those of the click before may be on their way to the browser.
    assert [part.map.exists() for part in parts] == [False] * 5 + [True] * 3
    assert all(shown(part.before).shape for part in parts[-3:])


def test_a_part_of_a_picture_that_was_deleted_says_so(tmp_path: Path) -> None:
    result = cleaned(dropped(tmp_path / "in"), tmp_path / "out")
    result.pixels[0].unlink()
    with pytest.raises(PictureError, match=r"holiday-clean.png is not here any more.*drop it again"):
        part_of(result, place=(0.5, 0.5))


def test_a_clean_picture_is_handed_back_byte_for_byte(tmp_path: Path) -> None:
    pixels = np.ascontiguousarray(draw_lake()[200:456, 200:456])
    source = tmp_path / "plain.png"
    write_picture(Picture(pixels, None, Metadata(), "png"), source)
    result = cleaned(source, tmp_path / "out")
    assert result.diagnosis.kind == "clean"
    assert result.file.read_bytes() == source.read_bytes()
    assert result.treatment.in_words() == "passed through unchanged"
    # Whatever strength is asked for: it is not what was done.
    halved = cleaned(source, tmp_path / "halved", strength=0.5)
    assert said_of(halved) == ["Passed through unchanged"]
    assert slider_strength(Order(strength=0.5), halved) == 50
    assert slider_strength(Order(), result) == 100


def test_a_picture_that_goes_to_the_disk_elsewhere_is_cleaned_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = dropped(tmp_path / "in")
    usual = cleaned(source, tmp_path / "usual")
    monkeypatch.setattr(large, "free_memory", lambda: 1000)
    result = cleaned(source, tmp_path / "out")
    assert result.file.read_bytes() == usual.file.read_bytes()
    assert [path.name for path in (tmp_path / "out").iterdir() if path.is_file()] == ["holiday-clean.png"]


def said_of(result: Cleaned) -> list[str]:
    """The lines that the page lists."""
    return re.findall("<li>(.*?)</li>", words.verdict(result))


def test_what_was_kept_was_not_cleaned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    scale_model(tmp_path / "models" / "dim.onnx", 0.5)
    monkeypatch.setenv("GRAINLESS_MODELS", str(tmp_path / "models"))
    result = cleaned(dropped(tmp_path / "in"), tmp_path / "out", model="dim", strength=0.9)
    (line,) = said_of(result)
    assert line.startswith("Kept the original: ")


def test_the_slider_shows_what_was_applied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = dropped(tmp_path / "in")
    told = replace(diagnose(read_picture(source).pixels), strength=0.6)
    for module in ("grainless.batch.pictures", "grainless.service.page.cleaning"):
        monkeypatch.setattr(f"{module}.diagnose_picture", lambda *_, **__: told)
    named = cleaned(source, tmp_path / "named", model="fast")
    wanted = Denoiser.load("fast").denoise_picture(read_picture(source))
    assert np.array_equal(read_picture(named.file).pixels, wanted.pixels)
    assert slider_strength(Order(model="fast"), named) == 100
    advised = cleaned(source, tmp_path / "advised")
    assert slider_strength(Order(), advised) == 60
    assert said_of(advised) == ["Cleaned with the model universal, strength 60 %"]


def test_the_true_format_decides_and_not_the_name(tmp_path: Path) -> None:
    source = tmp_path / "photo.png"
    Image.fromarray(noisy()).save(source, "jpeg", quality=95)
    result = cleaned(source, tmp_path / "out")
    assert result.file.name == "photo-clean.jpg"
    with Image.open(result.file) as image:
        assert image.format == "JPEG"
    assert any("the file is JPEG" in note for note in result.notes)


def test_gray_webp_is_shown_though_its_result_has_three_channels(tmp_path: Path) -> None:
    gray = noisy()[..., 1]
    source = tmp_path / "gray.tif"
    Image.fromarray(gray).save(source, "tiff")
    result = cleaned(source, tmp_path / "out")
    assert shown(result.before).shape == (64, 64)
    picture = Picture(gray[..., None], None, Metadata(), "webp")
    write_picture(picture, tmp_path / "gray.webp")
    again = cleaned(tmp_path / "gray.webp", tmp_path / "more")
    assert shown(again.after).shape[:2] == (64, 64)


def test_progress_grows_to_the_end(tmp_path: Path) -> None:
    shares: list[float] = []
    source = dropped(tmp_path / "in")
    (tmp_path / "out").mkdir()
    clean_file(
        source,
        tmp_path / "out",
        order=Order(),
        settings=SETTINGS,
        progress=lambda share, _text: shares.append(share),
    )
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert 0.85 <= shares[-1] <= 1


def broken(folder: Path, content: bytes) -> Path:
    folder.mkdir()
    path = folder / "my photo.png"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "settings", "kind", "said"),
    [
        (b"", SETTINGS, PictureError, "^my photo.png is empty"),
        (b"hello", SETTINGS, PictureError, "^my photo.png is not a picture: it holds text"),
        (b"GIF89a" + bytes(90), SETTINGS, PictureError, "GIF"),
        (
            png_of_size(9000, 9000),
            SETTINGS,
            TooManyPixelsError,
            "^my photo.png is too large; got 9000 x 9000 = 81.0 megapixels; expected at most 50 megapixels. "
            "Clean it with the command",
        ),
        (
            bytes(2000),
            ServiceSettings(max_bytes=1000),
            TooManyBytesError,
            "^my photo.png is too large; got 0.0 MB",
        ),
    ],
)
def test_what_cannot_be_cleaned_is_said_without_paths(
    tmp_path: Path, content: bytes, settings: ServiceSettings, kind: type[GrainlessError], said: str
) -> None:
    source = broken(tmp_path / "hidden-folder", content)
    with pytest.raises(kind, match=said) as caught:
        cleaned(source, tmp_path / "out", settings=settings)
    assert "hidden-folder" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_a_damaged_picture_leaves_no_result(tmp_path: Path) -> None:
    whole = dropped(tmp_path / "in").read_bytes()
    source = broken(tmp_path / "cut", whole[: len(whole) // 2])
    with pytest.raises(PictureError, match=r"my photo.png") as caught:
        cleaned(source, tmp_path / "out")
    assert str(tmp_path) not in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_picture_that_was_deleted_meanwhile_is_asked_for_again(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"^gone.png is not here any more.*drop it again"):
        cleaned(tmp_path / "gone.png", tmp_path / "out")


def test_what_takes_too_long_ends(tmp_path: Path) -> None:
    source = dropped(tmp_path / "in")
    settings = SETTINGS.model_copy(update={"max_seconds": 1e-9})
    with pytest.raises(TimeLimitError, match=r"takes too long here.*Try the model fast"):
        cleaned(source, tmp_path / "out", settings=settings)


@pytest.mark.parametrize("model", ["no-such", "../universal", "/etc/passwd", "universal.onnx", ""])
def test_only_models_that_are_offered_are_used(tmp_path: Path, model: str) -> None:
    with pytest.raises(ModelError, match=r"This model is not offered.*expected one of auto, "):
        cleaned(dropped(tmp_path / "in"), tmp_path / "out", model=model)


def test_settings_limit_the_models(tmp_path: Path) -> None:
    settings = ServiceSettings(models=("universal",))
    with pytest.raises(ModelError, match="got 'fast'; expected one of auto, universal"):
        cleaned(dropped(tmp_path / "in"), tmp_path / "out", settings=settings, model="fast")


def test_a_strength_out_of_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GrainlessError, match=r"The strength is out of range; got 1.5"):
        cleaned(dropped(tmp_path / "in"), tmp_path / "out", strength=1.5)


def test_specks_are_found(tmp_path: Path) -> None:
    source = tmp_path / "specks.png"
    pixels = corrupt(noisy(noise="clean"), "salt-pepper:0.1", seed=3)
    write_picture(Picture(pixels, None, Metadata(), "png"), source)
    assert cleaned(source, tmp_path / "out").diagnosis.kind == "salt-pepper"
