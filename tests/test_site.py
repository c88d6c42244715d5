"""The documentation: its links lead somewhere, and its site builds and asks nobody outside for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import grainless

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
LINK = re.compile(r"\]\((?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]*))?\)")
OUTSIDE = re.compile(r"^(?:https?:)?//")
LOADING = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "object": "data",
    "link": "href",
}
"""Elements that make a browser load something, and where they say what."""


def text_of(page: Path) -> str:
    """Return a page without its code, in which brackets are no links."""
    text = re.sub(r"^(```+).*?^\1", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^    .*$|`[^`\n]*`", "", text, flags=re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return what links can name in a page: headings in small letters, without marks, with hyphens."""
    text = re.sub(r"^(```+).*?^\1", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def dead_links(page: Path) -> list[str]:
    """Return the links of a page to files or headings that are not there."""
    dead = []
    for link in LINK.finditer(text_of(page)):
        if OUTSIDE.match(link["path"]) or link["path"].startswith("mailto:"):
            continue
        there = (page.parent / link["path"]) if link["path"] else page
        # The first heading of the repository's pages on GitHub is where a link without an anchor leads, too.
        if not there.is_file() or (link["anchor"] and link["anchor"] not in anchors(there)):
            dead.append(link[0])
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_something(page: Path) -> None:
    assert dead_links(page) == []


def test_dead_links_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n\n[a](other.md) [b](page.md#a-page) [c](#nowhere) `[d](code.md)` [e](https://a.example/x.md)\n\n"
        "    [f](code.md)\n",
        encoding="utf-8",
    )
    assert dead_links(page) == ["](other.md)", "](#nowhere)"]


def test_the_reference_has_all_public_names() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^::: grainless\.(\w+)$", text, flags=re.MULTILINE))
    assert named == {*grainless.__all__, "errors"} - {"__version__", "GrainlessError"}


class Loaded(HTMLParser):
    """Collects what a page makes a browser load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        # A page that is only named as another form of this one is not loaded.
        if given.get("rel") in {"canonical", "next", "prev", "alternate"}:
            return
        self.found += [
            value for name, value in attrs if value and name in {LOADING.get(tag), "srcset", "poster"}
        ]


def outside(page: Path) -> list[str]:
    """Return what an HTML page or a style sheet makes a browser load from elsewhere."""
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"url\(['\"]?([^)'\"]+)", text) + re.findall(r"@import ['\"]([^'\"]+)", text)
    if page.suffix == ".html":
        loaded = Loaded()
        loaded.feed(text)
        named += loaded.found
    return [address for address in named if OUTSIDE.match(address)]


def test_what_is_loaded_from_outside_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        '<link rel="stylesheet" href="https://a.example/a.css"><script src="//b.example/b.js"></script>'
        '<a href="https://c.example">c</a><img src="d.png"><style>@import "https://e.example";</style>',
        encoding="utf-8",
    )
    assert outside(page) == ["https://e.example", "https://a.example/a.css", "//b.example/b.js"]


@pytest.mark.slow
def test_the_site_builds_and_needs_nothing_from_outside(tmp_path: Path) -> None:
    for package in ("mkdocs", "material", "mkdocstrings_handlers.python"):
        pytest.importorskip(package, reason="the extra `docs` is not installed")
    site = tmp_path / "site"
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(list(site.rglob("*.html"))) > len(PAGES) - 1
    assert {page.relative_to(site).as_posix(): outside(page) for page in pages if outside(page)} == {}
    front = (site / "index.html").read_text(encoding="utf-8")
    assert 'src="pictures/before-after.jpg"' in front
    assert 'href="scans.html"' in front
    reference = (site / "api.html").read_text(encoding="utf-8")
    assert "MissingExtraError" in reference
    assert "Return <code>pixels</code> without their noise" in reference
