"""The page: built without a call to anyone, and used in a real browser.

The browser is Debian's Chromium (`apt-get install chromium`), or the one that GRAINLESS_CHROMIUM names;
without it these tests are skipped.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import numpy as np
import pytest
from PIL import Image

from grainless import read_picture, write_picture
from grainless.errors import MissingExtraError
from grainless.picture import Metadata, Picture
from grainless.service import ServiceSettings
from grainless.service.page import build_page
from grainless.service.page.example import write_example
from picture_files import RGB_PROFILE, XMP, exif_block, exif_facts
from service_pictures import Server, leftovers, noisy, png_of_size, serving

PATIENCE = 120_000
"""Milliseconds that the page may take for anything, on a machine that has other work too."""


def test_without_gradio_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(MissingExtraError, match=r"The page needs packages.*\.\[web\]"):
        build_page(ServiceSettings())


BUILT = """
import json, os, sys
from grainless.service import ServiceSettings
from grainless.service.page import build_page, lab

lab.missing_extra = lambda: sys.argv[1]
page = build_page(ServiceSettings(models=("universal",), queue=3))
parts = {part["props"].get("elem_id"): part["props"] for part in page.config["components"]}
wanted = ("model", "whole", "part", "removed", "lab-missing", "try")
print(json.dumps({
    "analytics": [os.environ["GRADIO_ANALYTICS_ENABLED"], page.analytics_enabled],
    "waiting": page._queue.max_size,
    "heavy": [fn.concurrency_limit for fn in page.fns.values() if fn.concurrency_id == "pictures"],
    "parts": {name: parts[name] for name in wanted if name in parts},
}, default=str))
"""


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["", "The lab needs <packages>"])
def test_the_page_is_built_as_it_should_be(missing: str) -> None:
    # In a process of its own: Gradio leaves event loops and sockets behind.
    command = [sys.executable, "-c", BUILT, missing]
    built = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    parts = built["parts"]
    assert built["analytics"] == ["False", False]
    assert [value for _, value in parts["model"]["choices"]] == ["auto", "universal"]
    assert parts["whole"]["format"] == parts["part"]["format"] == parts["removed"]["format"] == "png"
    # All that cleans stands in one line, as long as the settings say.
    assert built["heavy"] == [1] * (4 if missing else 5)
    assert built["waiting"] == 4
    if missing:
        assert "The lab needs &lt;packages&gt;" in parts["lab-missing"]["value"]
        assert "try" not in parts
    else:
        assert "lab-missing" not in parts


@pytest.fixture(scope="module")
def chromium() -> str:
    """Path of a browser, or a skip that says how to get one."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = os.environ.get("GRAINLESS_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium here: install the package chromium, or name one in GRAINLESS_CHROMIUM")
    return path


@pytest.fixture(scope="module")
def server(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the page, in a process of its own; the browser decides whether it is worth it."""
    folder = tmp_path_factory.mktemp("server")
    options = ("--page", "--threads", "2", "--max-megapixels", "4", "--max-megabytes", "6")
    with serving(*options, TMPDIR=str(folder)) as running:
        yield running


class Visit:
    """A page in a browser, and all that it asked for and complained of."""

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.address = page, address
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda socket: self.requests.append(socket.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._listen)
        page.goto(address)
        page.wait_for_selector("#drop")

    def _listen(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def drop(self, *paths: Path, on: str = "drop") -> None:
        self.page.set_input_files(f"#{on} input[type=file]", [str(path) for path in paths])

    def download(self, button: str, folder: Path) -> Path:
        with self.page.expect_download() as waiting:
            self.page.click(f"#{button}")
        target = folder / waiting.value.suggested_filename
        waiting.value.save_as(target)
        return target

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name, exact=True).click()

    def clean_all(self, *paths: Path) -> None:
        """Begin with many pictures."""
        self.tab("Folder")
        self.drop(*paths, on="drop-many")
        self.page.wait_for_selector("#drop-many .file-preview")
        self.page.click("#clean-all")

    def check_silent(self) -> None:
        """Nothing was asked of any other host, and nothing was complained of."""
        own = urlsplit(self.address).netloc
        strangers = [
            url
            for url in self.requests
            if urlsplit(url).scheme not in {"data", "blob"} and urlsplit(url).netloc != own
        ]
        assert strangers == []
        assert self.complaints == []
        # What a browser would connect to without a request.
        hints = "link[rel~=preconnect], link[rel~=dns-prefetch], link[rel~=prerender]"
        assert self.page.eval_on_selector_all(hints, "found => found.map(link => link.href)") == []

    def check_fits(self) -> None:
        """Nothing is wider than the screen, and nothing is cut off at its sides."""
        width = self.page.viewport_size["width"]
        # A phone's browser widens its window to what does not fit.
        assert self.page.evaluate("Math.max(document.documentElement.scrollWidth, innerWidth)") <= width
        beyond = """(elements, width) => elements.filter(element => {
            const { left, right, height } = element.getBoundingClientRect();
            return element.checkVisibility() && height > 0 && (left < -1 || right > width + 1);
        }).map(element => element.outerHTML.slice(0, 200))"""
        # A slider finds its place after its pictures have come.
        for _ in range(20):
            if not self.page.eval_on_selector_all("main *", beyond, width):
                break
            self.page.wait_for_timeout(250)
        assert self.page.eval_on_selector_all("main *", beyond, width) == []


@pytest.fixture
def visit(chromium: str, server: Server, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """The page, on a screen as wide as the test's parameter says, 1280 if it says nothing."""
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    width = getattr(request, "param", 1280)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        phone = width < 500
        context = browser.new_context(
            viewport={"width": width, "height": 840}, has_touch=phone, is_mobile=phone, accept_downloads=True
        )
        yield Visit(context.new_page(), server.address)
        browser.close()


def deep_picture(path: Path) -> Path:
    pixels = noisy(96).astype(np.uint16) * 257 + np.arange(96, dtype=np.uint16)[:, None, None]
    metadata = Metadata(icc=RGB_PROFILE, exif=exif_block(), xmp=XMP, dpi=(300.0, 300.0))
    write_picture(Picture(pixels, None, metadata, "png"), path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("visit", [1280, 390], indirect=True)
def test_a_deep_picture_goes_in_and_comes_out_deep(visit: Visit, tmp_path: Path) -> None:
    source = deep_picture(tmp_path / "Größe (1).png")
    visit.check_fits()
    visit.drop(source)
    visit.page.wait_for_selector("#download")
    result = visit.download("download", tmp_path)
    assert result.name == "Größe (1)-clean.png"
    before, after = read_picture(source), read_picture(result)
    assert after.pixels.dtype == np.uint16
    assert after.pixels.shape == before.pixels.shape
    assert not np.array_equal(after.pixels, before.pixels)
    assert (after.pixels % 257 != 0).any()
    assert after.metadata.icc == RGB_PROFILE
    assert after.metadata.xmp == XMP
    assert exif_facts(after.metadata.exif or b"") == exif_facts(before.metadata.exif or b"")
    said = visit.page.inner_text("#verdict")
    assert "Even noise" in said
    assert "16 bit" in said
    for name in ("Compare", "100 %", "Removed"):
        visit.tab(name)
        visit.check_fits()
    visit.check_silent()


@pytest.mark.slow
def test_a_key_is_the_password_of_the_page(chromium: str, tmp_path: Path) -> None:
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    with (
        serving("--page", "--threads", "2", TMPDIR=str(tmp_path), GRAINLESS_API_KEY="secret") as locked,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        # What Chromium calls a door that asks for a password which nobody gives.
        with pytest.raises(Exception, match="ERR_INVALID_AUTH_CREDENTIALS"):
            browser.new_page().goto(locked.address)
        context = browser.new_context(http_credentials={"username": "anybody", "password": "secret"})
        visit = Visit(context.new_page(), locked.address)
        source = deep_picture(tmp_path / "a.png")
        visit.drop(source)
        visit.page.wait_for_selector("#download")
        result = visit.download("download", tmp_path)
        assert read_picture(result).pixels.shape == read_picture(source).pixels.shape
        browser.close()


@pytest.mark.slow
def test_nothing_is_left_behind_when_the_service_ends(chromium: str, tmp_path: Path) -> None:
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with (
        serving("--page", "--threads", "2", TMPDIR=str(temporary)) as running,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        visit = Visit(browser.new_page(), running.address)
        visit.drop(deep_picture(tmp_path / "a.png"))
        visit.page.wait_for_selector("#download")
        assert leftovers(temporary) != []
        # The page stays open in the browser.
        running.process.terminate()
        running.wait(60)
        browser.close()
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("visit", [390], indirect=True)
def test_the_slider_follows_a_finger(visit: Visit, tmp_path: Path) -> None:
    visit.drop(deep_picture(tmp_path / "a.png"))
    handle = visit.page.wait_for_selector("#whole [data-testid=slider]")
    visit.page.wait_for_timeout(1500)
    box = handle.bounding_box()
    # What is smaller is hard to hit.
    assert box["width"] >= 44
    touch = visit.page.context.new_cdp_session(visit.page)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for kind, points in (
        ("touchStart", [{"x": x, "y": y}]),
        ("touchMove", [{"x": x - 60, "y": y}]),
        ("touchMove", [{"x": x - 100, "y": y}]),
        ("touchEnd", []),
    ):
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    visit.page.wait_for_timeout(300)
    assert handle.bounding_box()["x"] == pytest.approx(box["x"] - 100, abs=12)


@pytest.mark.slow
def test_the_wheel_scrolls_the_page_over_a_picture(visit: Visit, tmp_path: Path) -> None:
    visit.page.set_viewport_size({"width": 1280, "height": 400})
    visit.drop(deep_picture(tmp_path / "a.png"))
    picture = visit.page.wait_for_selector("#whole img")
    visit.page.wait_for_timeout(1500)
    box = picture.bounding_box()
    visit.page.mouse.move(box["x"] + 50, max(box["y"], 0) + 50)
    visit.page.mouse.wheel(0, 120)
    visit.page.wait_for_timeout(500)
    assert visit.page.evaluate("window.scrollY") > 0
    assert "scale(1)" in picture.evaluate("image => image.style.transform")


@pytest.mark.slow
def test_the_part_is_pixel_for_pixel_and_follows_a_click(visit: Visit, tmp_path: Path) -> None:
    source = write_example("grain", tmp_path)
    visit.drop(source)
    visit.page.wait_for_selector("#download")
    visit.tab("100 %")
    part = visit.page.wait_for_selector("#part img")
    shown = "image => [image.naturalWidth, getComputedStyle(image).objectFit, image.src]"
    width, fit, address = part.evaluate(shown)
    assert (width, fit) == (960, "none")
    visit.page.click("#map img", position={"x": 205, "y": 130})
    visit.page.wait_for_function("old => document.querySelector('#part img').src !== old", arg=address)
    moved = tmp_path / "part.png"
    moved.write_bytes(visit.page.request.get(part.evaluate(shown)[2]).body())
    # The lower right corner: 960 x 640 of 1080 x 720.
    assert np.array_equal(read_picture(moved).pixels, read_picture(source).pixels[80:, 120:])
    visit.check_silent()


@pytest.mark.slow
def test_a_click_that_comes_too_late_is_answered_in_words(chromium: str, tmp_path: Path) -> None:
    with own_server(chromium, tmp_path / "server") as (running, browser):
        visit = Visit(browser.new_page(), running.address)
        visit.page.click("#example-grain")
        visit.page.wait_for_selector("#download")
        visit.tab("100 %")
        visit.page.wait_for_selector("#part img")
        # As after an hour.
        for path in (tmp_path / "server").rglob("before.npy"):
            path.unlink()
        visit.page.click("#map img", position={"x": 5, "y": 5})
        visit.page.wait_for_selector("#verdict .problem")
        said = visit.page.inner_text("#verdict")
        assert "example-grain-clean.png is not here any more" in said
        assert "drop it again" in said
        assert str(tmp_path) not in said
        visit.check_silent()


@pytest.mark.slow
def test_a_bad_file_after_a_good_one_leaves_no_old_result(visit: Visit, tmp_path: Path) -> None:
    visit.drop(deep_picture(tmp_path / "good.png"))
    visit.page.wait_for_selector("#download")
    bad = tmp_path / "huge.png"
    bad.write_bytes(png_of_size(5000, 5000))
    visit.page.click("#drop [aria-label=Clear]")
    visit.page.wait_for_selector("#download", state="detached")
    visit.drop(bad)
    visit.page.wait_for_selector("#verdict .problem")
    said = visit.page.inner_text("#verdict")
    assert "huge.png is too large; got 5000 x 5000 = 25.0 megapixels; expected at most 4 megapixels" in said
    assert visit.page.query_selector("#download") is None
    visit.check_silent()


@pytest.mark.slow
def test_settings_clean_again(visit: Visit, tmp_path: Path) -> None:
    source = deep_picture(tmp_path / "a.png")
    visit.drop(source)
    visit.page.wait_for_selector("#download")
    strength = visit.page.locator("#strength input[type=range]")
    strength.focus()
    strength.fill("0")
    strength.dispatch_event("pointerup")
    visit.page.wait_for_function("document.querySelector('#verdict').innerText.includes('strength 0 %')")
    result = visit.download("download", tmp_path / "out")
    assert np.array_equal(read_picture(result).pixels, read_picture(source).pixels)


@pytest.mark.slow
def test_many_pictures_come_back_in_an_archive(visit: Visit, tmp_path: Path) -> None:
    good = [deep_picture(tmp_path / f"{name}.png") for name in "ab"]
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    visit.tab("Folder")
    visit.page.click("#clean-all")
    visit.page.wait_for_selector("#folder-said .problem")
    assert "Drop some pictures first." in visit.page.inner_text("#folder-said")
    visit.drop(*good, bad, on="drop-many")
    visit.page.wait_for_selector("#drop-many .file-preview")
    visit.page.click("#clean-all")
    visit.page.wait_for_selector("#download-many")
    said = visit.page.inner_text("#folder-said")
    assert "2 pictures cleaned, 1 failed" in said
    assert "bad.png is not a picture: it holds text" in said
    with zipfile.ZipFile(visit.download("download-many", tmp_path)) as archive:
        assert archive.namelist() == ["a-clean.png", "b-clean.png"]
    visit.check_fits()
    visit.check_silent()


def large_pictures(folder: Path, count: int) -> list[Path]:
    """Pictures that take seconds each."""
    pixels = np.random.default_rng(5).integers(0, 256, (1200, 1200, 3), dtype=np.uint8)
    paths = [folder / f"large{number}.png" for number in range(count)]
    for path in paths:
        Image.fromarray(pixels).save(path, compress_level=1)
    return paths


@pytest.mark.slow
def test_many_pictures_are_stopped_by_a_click(visit: Visit, tmp_path: Path) -> None:
    visit.clean_all(*large_pictures(tmp_path, 12))
    visit.page.wait_for_selector("text=/2 of 12: large1.png/")
    assert not visit.page.is_visible("#clean-all")
    visit.page.click("#stop-all")
    visit.page.wait_for_selector("#download-many")
    said = visit.page.inner_text("#folder-said")
    assert re.search(r"\d+ pictures? cleaned, \d+ left when it stopped", said)
    visit.page.wait_for_selector("#clean-all")
    assert not visit.page.is_visible("#stop-all")
    visit.check_silent()


@pytest.mark.slow
def test_who_closes_the_page_leaves_no_work_there(visit: Visit, tmp_path: Path) -> None:
    visit.clean_all(*large_pictures(tmp_path, 60))
    visit.page.wait_for_selector("text=/1 of 60: large0.png/")
    other = visit.page.context.browser.new_page()
    visit.page.close()
    # All sixty take minutes; one picture is cleaned at a time, whoever asks.
    other.goto(visit.address)
    other.click("#example-specks")
    other.wait_for_selector("#download", timeout=40_000)


@contextlib.contextmanager
def own_server(chromium: str, folder: Path, *options: str) -> Iterator[tuple[Server, Any]]:
    """A server of its own for a test, and a browser."""
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    folder.mkdir()
    with (
        serving("--page", "--threads", "1", *options, TMPDIR=str(folder)) as running,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running, browser
        browser.close()


def begin_folder(visit: Visit, paths: list[Path]) -> None:
    visit.tab("Folder")
    visit.drop(*paths, on="drop-many")
    visit.page.wait_for_selector("#drop-many .file-preview")
    visit.page.click("#clean-all")


@pytest.mark.slow
def test_a_full_line_refuses_work_and_nothing_else(chromium: str, tmp_path: Path) -> None:
    with own_server(chromium, tmp_path / "server", "--queue", "0") as (running, browser):
        first, second, third = (Visit(browser.new_page(), running.address) for _ in range(3))
        third.drop(deep_picture(tmp_path / "b.png"))
        third.page.wait_for_selector("#download")
        begin_folder(first, large_pictures(tmp_path, 12))
        first.page.wait_for_selector("text=/2 of 12: large1.png/")
        second.drop(deep_picture(tmp_path / "a.png"))
        second.page.wait_for_selector("#verdict .progress-text")
        # The line is full now. A further order is refused, and its button comes back.
        begin_folder(third, [tmp_path / "b.png"])
        third.page.wait_for_selector(".toast-body")
        third.page.wait_for_selector("#stop-all", state="hidden")
        assert third.page.is_visible("#clean-all")
        # What only shows something is not.
        third.tab("Clean a picture")
        third.tab("100 %")
        address = third.page.wait_for_selector("#part img").get_attribute("src")
        third.page.click("#map img", position={"x": 5, "y": 5})
        third.page.wait_for_function("old => document.querySelector('#part img').src !== old", arg=address)
        first.page.click("#stop-all")
        first.page.wait_for_selector("#download-many")
        assert "left when it stopped" in first.page.inner_text("#folder-said")
        second.page.wait_for_selector("#download")
        assert first.complaints == second.complaints == []


@pytest.mark.slow
def test_the_page_takes_places_of_the_service(chromium: str, tmp_path: Path) -> None:
    with own_server(chromium, tmp_path / "server", "--queue", "0", "--workers", "1") as (running, browser):
        visit = Visit(browser.new_page(), running.address)
        begin_folder(visit, large_pictures(tmp_path, 12))
        visit.page.wait_for_selector("text=/2 of 12: large1.png/")
        numbers = httpx2.get(f"{running.address}/metrics").text
        assert "grainless_places_taken 1.0" in numbers
        assert "grainless_workers_busy 1.0" in numbers
        refused = httpx2.post(f"{running.address}/v1/inspect", content=b"x")
        assert refused.status_code == 503
        visit.page.click("#stop-all")
        visit.page.wait_for_selector("#download-many")
        numbers = httpx2.get(f"{running.address}/metrics").text
        assert "grainless_places_taken 0.0" in numbers
        assert "grainless_pictures_total" in numbers


@pytest.mark.slow
@pytest.mark.parametrize("tab", ["clean", "folder"])
def test_a_service_that_stops_tells_the_page_and_waits_until_it_has_let_go(
    chromium: str, tmp_path: Path, tab: str
) -> None:
    folder = tmp_path / "server"
    with own_server(chromium, folder) as (running, browser):
        visit = Visit(browser.new_page(), running.address)
        if tab == "folder":
            begin_folder(visit, large_pictures(tmp_path, 12))
            visit.page.wait_for_selector("text=/1 of 12: large0.png/")
        else:
            pixels = np.random.default_rng(5).integers(0, 256, (4000, 4000, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "large.png", compress_level=1)
            visit.drop(tmp_path / "large.png")
            visit.page.wait_for_selector("text=/Cleaning/")
        running.process.terminate()
        said = "#folder-said .problem" if tab == "folder" else "#verdict .problem"
        visit.page.wait_for_selector(said)
        assert "The service is about to stop" in visit.page.inner_text(said)
        running.wait(60)
        assert list(folder.iterdir()) == []
    assert not any("the page failed" in line for line in running.log), running.log


@pytest.mark.slow
def test_the_lab_shows_numbers_and_their_protocol(visit: Visit) -> None:
    visit.tab("Lab")
    visit.page.click("#example-lab")
    visit.page.wait_for_selector("#drop-lab .file-preview")
    visit.page.click("#try")
    visit.page.wait_for_selector("#scores table")
    said = visit.page.inner_text("#scores")
    assert "universal" in said
    assert "Protocol file-8bit: 8-bit, clipped" in said
    visit.page.wait_for_selector("#tried img")
    visit.check_fits()
    visit.check_silent()
