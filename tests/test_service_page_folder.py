"""Many pictures, and archives that mean harm."""

from __future__ import annotations

import io
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from grainless import Denoiser
from grainless.batch.pictures import Denoising
from grainless.batch.treatment import Treatment
from grainless.errors import InputError, ModelError
from grainless.service import ServiceSettings
from grainless.service.page import folder as pages
from grainless.service.page.cleaning import Order, check_file
from grainless.service.page.folder import MOST_FILES, CleanedFolder, clean_folder
from service_pictures import decoded, encoded, noisy

SETTINGS = ServiceSettings(threads=1)


def picture(seed: int) -> bytes:
    return encoded(noisy(24, seed=seed))


def dropped(folder: Path, files: dict[str, bytes]) -> list[Path]:
    """Files as Gradio puts them down: each in a folder of its own."""
    paths = []
    for number, (name, content) in enumerate(files.items()):
        path = folder / f"upload{number}" / name.rpartition("/")[2]
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        paths.append(path)
    return paths


def zipped(entries: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return data.getvalue()


def cleaned(
    paths: list[Path],
    out: Path,
    *,
    settings: ServiceSettings = SETTINGS,
    model: str = "fast",
    stop_at: str = "never",
) -> CleanedFolder:
    """Clean, and press the button as soon as the progress names a picture."""
    out.mkdir()
    stop = threading.Event()

    def progress(_share: float, text: str) -> None:
        if stop_at in text:
            stop.set()

    return clean_folder(paths, out, order=Order(model=model), settings=settings, progress=progress, stop=stop)


def contents(result: CleanedFolder) -> dict[str, bytes]:
    assert result.archive is not None
    with zipfile.ZipFile(result.archive) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    paths = dropped(tmp_path, {"a.png": picture(1), "bad.png": b"no picture", "b.png": picture(2)})
    paths += dropped(tmp_path / "more", {"cut.png": picture(3)[:-400]})
    result = cleaned(paths, tmp_path / "out")
    assert result.done == 2
    found = contents(result)
    assert sorted(found) == ["a-clean.png", "b-clean.png"]
    denoiser = Denoiser.load("fast")
    assert np.array_equal(decoded(found["a-clean.png"]), denoiser(noisy(24, seed=1)))
    assert [failure.name for failure in result.failures] == ["bad.png", "cut.png"]
    assert "it holds text" in result.failures[0].reason
    assert all(str(tmp_path) not in failure.reason for failure in result.failures)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["pictures-clean.zip"]
    assert result.treated == ((Treatment(model="fast", strength=1.0), 24 * 24),) * 2


def test_a_stop_hands_out_what_is_done(tmp_path: Path) -> None:
    paths = dropped(tmp_path, {f"{name}.png": picture(seed) for seed, name in enumerate("abcdef")})
    result = cleaned(paths, tmp_path / "out", stop_at=": d.png")
    assert "a-clean.png" in contents(result)
    assert "f-clean.png" not in contents(result)
    assert result.done == len(contents(result))
    assert (result.left, result.failures) == (6 - result.done, ())
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["pictures-clean.zip"]


def test_a_stop_before_the_first_leaves_nothing(tmp_path: Path) -> None:
    result = cleaned(dropped(tmp_path, {"a.png": picture(1)}), tmp_path / "out", stop_at=": a.png")
    assert (result.archive, result.done, result.left) == (None, 0, 1)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_picture_that_takes_too_long_stops_no_other(tmp_path: Path, monkeypatch) -> None:
    whole = Denoising.compute

    def slow(self, value, job, tick):
        if job.name == "b.png":
            time.sleep(0.3)
            tick(0.5)
        return whole(self, value, job, tick)

    monkeypatch.setattr(Denoising, "compute", slow)
    settings = SETTINGS.model_copy(update={"max_seconds": 0.2})
    paths = dropped(tmp_path, {f"{name}.png": picture(seed) for seed, name in enumerate("abc")})
    # Else loading the model would count.
    Denoiser.load("fast", threads=1)(noisy(24))
    cleaned(paths[:1], tmp_path / "before")
    result = cleaned(paths, tmp_path / "out", settings=settings)
    assert sorted(contents(result)) == ["a-clean.png", "c-clean.png"]
    assert [failure.name for failure in result.failures] == ["b.png"]
    assert result.failures[0].reason.startswith("The picture takes too long here; got 50% done after 0.2 s")


def test_an_archive_is_cleaned_and_names_are_told_apart(tmp_path: Path) -> None:
    archive = zipped(
        {
            "roll1/a.png": picture(1),
            "roll2/A.png": picture(2),
            "notes.txt": b"hello",
            "roll1/.hidden.png": b"",
            "__MACOSX/._a.png": b"",
        }
    )
    result = cleaned(dropped(tmp_path, {"scans.zip": archive}), tmp_path / "out")
    assert result.archive is not None
    assert result.archive.name == "scans-clean.zip"
    assert sorted(contents(result)) == ["A-clean-2.png", "a-clean.png"]
    assert result.failures == ()


def test_names_in_an_archive_never_become_paths(tmp_path: Path) -> None:
    names = ["../../evil.png", "/abs/evil.png", "C:\\evil.png", "..\\evil.png", "x/../../evil.png"]
    result = cleaned(
        dropped(tmp_path, {"a.zip": zipped({name: picture(1) for name in names})}), tmp_path / "out"
    )
    assert result.done == len(names)
    assert all("/" not in name and "\\" not in name and ".." not in name for name in contents(result))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "upload0"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a-clean.zip"]


def test_an_archive_that_swells_is_refused(tmp_path: Path) -> None:
    bomb = zipped({f"{number}.png": bytes(90_000) for number in range(20)})
    assert len(bomb) < 10_000
    settings = ServiceSettings(max_bytes=100_000)
    with pytest.raises(InputError, match="The archive holds too much; expected at most 2 MB unpacked"):
        cleaned(dropped(tmp_path, {"bomb.zip": bomb}), tmp_path / "out", settings=settings)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_single_file_that_swells_is_listed(tmp_path: Path) -> None:
    archive = zipped({"bomb.png": bytes(200_000), "a.png": picture(1)})
    settings = ServiceSettings(max_bytes=100_000)
    result = cleaned(dropped(tmp_path, {"some.zip": archive}), tmp_path / "out", settings=settings)
    assert result.done == 1
    assert result.failures[0].name == "bomb.png"
    assert "bomb.png is too large; got 0.2 MB; expected at most 0.1 MB" in result.failures[0].reason


def test_sizes_that_an_archive_lies_about_are_not_believed(tmp_path: Path) -> None:
    data = bytearray(zipped({"bomb.png": bytes(200_000)}))
    at = data.index((200_000).to_bytes(4, "little"), data.index(b"PK\x01\x02"))
    data[at : at + 4] = (10).to_bytes(4, "little")
    settings = ServiceSettings(max_bytes=100_000)
    result = cleaned(dropped(tmp_path, {"lie.zip": bytes(data)}), tmp_path / "out", settings=settings)
    assert result.done == 0
    assert result.archive is None
    assert [failure.name for failure in result.failures] == ["bomb.png"]


def test_a_damaged_archive_is_listed(tmp_path: Path) -> None:
    whole = bytearray(zipped({"a.png": picture(1), "b.png": picture(2)}))
    whole[60:90] = bytes(30)
    paths = dropped(tmp_path, {"torn.zip": bytes(whole), "c.png": picture(3)})
    result = cleaned(paths, tmp_path / "out")
    assert result.done == 2
    assert [failure.name for failure in result.failures] == ["a.png"]
    assert "cannot be unpacked" in result.failures[0].reason


def test_too_many_pictures_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST_FILES", 2)
    paths = dropped(tmp_path, {f"{number}.png": picture(number) for number in range(3)})
    with pytest.raises(InputError, match="too many pictures for one order; expected at most 2"):
        cleaned(paths, tmp_path / "out")


def test_bad_files_of_an_archive_count_too_and_are_refused_before_any_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = zipped({f"{number}.png": b"x" for number in range(MOST_FILES + 1)})
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_, **__: pytest.fail("it was unpacked"))
    with pytest.raises(InputError, match=f"too many pictures for one order; expected at most {MOST_FILES}"):
        cleaned(dropped(tmp_path, {"many.zip": archive}), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_bad_files_and_good_ones_are_counted_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MOST_FILES", 3)
    archive = zipped({"bad.png": b"x", "b.png": picture(2)})
    result = cleaned(dropped(tmp_path / "in", {"a.png": picture(1), "z.zip": archive}), tmp_path / "most")
    assert (result.done, len(result.failures)) == (2, 1)
    one_more = dropped(tmp_path / "more", {"a.png": picture(1), "bad.png": b"x", "z.zip": archive})
    with pytest.raises(InputError, match="too many pictures"):
        cleaned(one_more, tmp_path / "out")


def test_a_stop_ends_the_unpacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, taken = threading.Event(), []

    def take(path: Path, settings: ServiceSettings) -> str:
        taken.append(path)
        stop.set()
        return check_file(path, settings)

    monkeypatch.setattr(pages, "check_file", take)
    archive = zipped({f"{number}.png": picture(number) for number in range(4)})
    paths = dropped(tmp_path, {"a.zip": archive, "b.png": picture(5), "c.zip": archive})
    (tmp_path / "out").mkdir()
    result = clean_folder(
        paths, tmp_path / "out", order=Order(), settings=SETTINGS, progress=lambda *_: None, stop=stop
    )
    assert len(set(taken)) == 1
    # One was taken and not cleaned, three were in its archive, and two files.
    assert (result.archive, result.done, result.left) == (None, 0, 6)


def test_a_stop_before_the_first_file_is_no_empty_order(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    (tmp_path / "out").mkdir()
    paths = dropped(tmp_path, {"a.png": picture(1)})
    result = clean_folder(
        paths, tmp_path / "out", order=Order(), settings=SETTINGS, progress=lambda *_: None, stop=stop
    )
    assert (result.archive, result.done, result.failures, result.left) == (None, 0, (), 1)


def test_nothing_to_do_is_said(tmp_path: Path) -> None:
    paths = dropped(tmp_path, {"empty.zip": zipped({"readme.txt": b"hello"})})
    with pytest.raises(InputError, match="There are no pictures in what was dropped"):
        cleaned(paths, tmp_path / "out")


def test_a_model_that_is_not_offered_is_refused_first(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="This model is not offered"):
        cleaned(dropped(tmp_path, {"a.png": picture(1)}), tmp_path / "out", model="../x.onnx")


def test_progress_names_each_picture(tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []
    paths = dropped(tmp_path, {"a.png": picture(1), "b.png": picture(2)})
    (tmp_path / "out").mkdir()
    clean_folder(
        paths,
        tmp_path / "out",
        order=Order(model="fast"),
        settings=SETTINGS,
        progress=lambda share, text: told.append((share, text)),
        stop=threading.Event(),
    )
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert told[-1][0] == 1
    assert {"1 of 2: a.png", "2 of 2: b.png"} <= {text for _, text in told}


def test_notes_carry_the_name_of_their_picture(tmp_path: Path) -> None:
    data = io.BytesIO()
    Image.fromarray(noisy(24)).save(data, "jpeg")
    result = cleaned(dropped(tmp_path, {"a.png": data.getvalue()}), tmp_path / "out")
    assert list(contents(result)) == ["a-clean.jpg"]
    assert any(note.startswith("a.png: the name ends in .png") for note in result.notes)
