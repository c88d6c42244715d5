"""The page: whole in itself, with the numbers of the results, and pictures that show what they say."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from grainless.cli import app
from grainless.errors import InputError, MissingExtraError
from grainless.evaluation import Method, evaluate, load, make_examples, pick_examples
from grainless.metrics import AWGN_LITERATURE, SINAARABI
from grainless.report import write_report
from grainless.report.page import GAIN, LARGEST

NOISES = ("gaussian:15", "gaussian:50", "salt-pepper:0.1:channel", "salt-pepper:0.4:channel")
METHODS = ("median", "median5")


class Page(HTMLParser):
    """What a browser would make of the page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.images, self.text = [], [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append((tag, found))
        if tag not in {"meta", "img", "br", "link"}:
            self.open.append(tag)
        if tag == "img":
            data = base64.b64decode(found["src"].removeprefix("data:image/png;base64,"), validate=True)
            self.images.setdefault(found["alt"], []).append(np.asarray(Image.open(io.BytesIO(data))))

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rng = np.random.default_rng(4)
    photos = tmp_path_factory.mktemp("data") / "photos"
    photos.mkdir()
    for name, side in (("a", 40), ("b", 300)):
        pixels = rng.integers(0, 256, (5, 5, 3)).repeat(side // 5, 0).repeat(side // 5, 1)
        Image.fromarray(pixels.astype(np.uint8)).save(photos / f"{name}.png")
    return photos


@pytest.fixture(scope="module")
def results(folder):
    return evaluate(folder, NOISES, methods=METHODS)


@pytest.fixture(scope="module")
def written(folder, results, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    examples = make_examples(folder, results, pick_examples(results, "median5"), methods=METHODS)
    write_report([results], out / "new", examples=[examples], title="A <title>")
    return out / "new", examples


def test_the_page_asks_for_nothing_outside(written):
    text = (written[0] / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object"} == set()
    for _, attributes in page.tags:
        for name in ("src", "href", "xlink:href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/png;base64,", "#")), value
    assert not re.search(r"url\((?!#)|@import", text)


def test_the_table_has_the_numbers_and_marks_the_best(written, results):
    text = (written[0] / "report.html").read_text(encoding="utf-8")
    rows = re.findall(r"<tr><td>(.*?)</td>(.*?)</tr>", text)
    assert [noise for noise, _ in rows] == list(NOISES)
    for noise, cells in rows:
        found = re.findall(r"<td( class=\"best\")?>([\d.]+)<small>([\d.]+)</small></td>", cells)
        scores = [results.row(method, noise).mean for method in ("noisy", *METHODS)]
        assert [psnr for _, psnr, _ in found] == [f"{score.psnr:.2f}" for score in scores]
        assert [ssim for _, _, ssim in found] == [f"{score.ssim:.4f}" for score in scores]
        best = max(scores, key=lambda score: score.psnr)
        assert [bool(mark) for mark, _, _ in found] == [score is best for score in scores]
    assert results.stamp in "".join(Page(text).text)
    assert "A &lt;title&gt;" in text


def test_curves_are_drawn_for_each_kind_of_noise_and_speed_once(written):
    page = Page((written[0] / "report.html").read_text(encoding="utf-8"))
    assert sum(tag == "svg" for tag, _ in page.tags) == 3


def test_pictures_are_those_that_were_restored(written):
    page = Page((written[0] / "report.html").read_text(encoding="utf-8"))
    examples = written[1]
    assert set(page.images) == {"clean", "noisy", *METHODS, "removed by median5"}
    assert len(page.images["clean"]) == len(examples) == 8
    for number, example in enumerate(examples):
        sides = [(side - LARGEST) // 2 if side > LARGEST else 0 for side in example.clean.shape[:2]]
        cut = np.s_[sides[0] : sides[0] + LARGEST, sides[1] : sides[1] + LARGEST]
        np.testing.assert_array_equal(page.images["clean"][number], example.clean[cut])
        np.testing.assert_array_equal(page.images["median"][number], example.restored["median"][cut])
        removed = example.noisy[cut].astype(int) - example.restored["median5"][cut]
        expected = np.clip(128 + GAIN * removed, 0, 255)
        np.testing.assert_array_equal(page.images["removed by median5"][number], expected)
    words = " ".join(page.text)
    for pick in (example.pick for example in examples):
        first, second = ("median5", "median") if pick.gain > 0 else ("median", "median5")
        gap = f"{abs(pick.gain):.2f}"
        assert f"{pick.picture}, {pick.noise}: {first} is {gap} dB ahead of {second}" in words


def test_the_markdown_lies_beside_it(written):
    text = (written[0] / "report.md").read_text(encoding="utf-8")
    assert text.startswith("# A <title>\n")
    assert "| gaussian:15 |" in text


def test_gray_pictures_of_floats_are_shown(folder, tmp_path):
    protocol = dataclasses.replace(SINAARABI, colour="gray")
    result = evaluate(folder, ["gaussian:15"], methods=METHODS, protocol=protocol)
    examples = make_examples(folder, result, pick_examples(result, "median5"), methods=METHODS)
    write_report([result], tmp_path, examples=[examples])
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    small = next(number for number, example in enumerate(examples) if example.pick.picture == "a.png")
    assert examples[small].noisy.dtype == np.float32
    shown, noisy = page.images["noisy"][small], examples[small].noisy[..., 0]
    assert shown.shape == noisy.shape == (40, 40)
    np.testing.assert_array_equal(shown, np.rint(noisy * 255))


def test_equal_answers_are_called_equal(folder, tmp_path):
    same = Method("same", lambda pixels: pixels, takes_unclipped=True)
    other = dataclasses.replace(same, name="other")
    result = evaluate(folder, ["gaussian:15"], methods=[same, other])
    picks = pick_examples(result, "other")
    write_report([result], tmp_path, examples=[make_examples(folder, result, picks, methods=[same, other])])
    words = " ".join(Page((tmp_path / "report.html").read_text(encoding="utf-8")).text)
    assert "a.png, gaussian:15: other and same are equal" in words


def test_several_protocols_stand_on_one_page(folder, results, tmp_path):
    other = evaluate(folder, NOISES[:1], methods=METHODS, protocol=AWGN_LITERATURE)
    write_report([results, other], tmp_path)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    words = " ".join(page.text)
    assert "file-8bit" in words
    assert "Given noise clipped to [0, 1]" in words
    assert page.images == {}


def test_what_cannot_be_written_is_said(results, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no results to show"):
        write_report([], tmp_path)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"A page of results.*evaluate"):
        write_report([results], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_page_table_and_numbers(folder, tmp_path):
    words = ["evaluate", "--data", str(folder), "--noise", "gaussian:25", "--noise", "salt-pepper:0.2"]
    words += ["--method", "median", "--method", "median5", "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "report.html",
        "report.md",
        "results.json",
    ]
    found = load(tmp_path / "out" / "results.json")
    assert found.runs[0].command.endswith(f"-o {tmp_path / 'out'}")
    page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert len(page.images["removed by median5"]) == 4
    assert f"{found.row('median', 'gaussian:25').mean.psnr:.2f}" in " ".join(page.text)
    assert found.runs[0].command in "".join(page.text)


def test_a_page_of_one_method_has_no_pictures(folder, tmp_path):
    words = ["evaluate", "--data", str(folder), "--noise", "gaussian:25", "--method", "median"]
    done = CliRunner().invoke(app, [*words, "-o", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert Page((tmp_path / "report.html").read_text(encoding="utf-8")).images == {}
