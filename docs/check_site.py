"""What `make docs` holds the built site to: it is whole, and it loads nothing from elsewhere."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import insens_tf
from tests.browser import chromium

SITE = Path(__file__).resolve().parent / "_build" / "html"
PAGES = sorted(SITE.rglob("*.html"))
PUBLIC_MODULES = [
    "insens_tf",
    "insens_tf.analyzer",
    "insens_tf.baselines",
    "insens_tf.callbacks",
    "insens_tf.demo",
    "insens_tf.equations",
    "insens_tf.evaluation",
    "insens_tf.heatmap",
    "insens_tf.monitoring",
    "insens_tf.quantus",
    "insens_tf.regions",
    "insens_tf.relevance",
    "insens_tf.surveys",
    "insens_tf.two_conv",
]

# What a page loads by itself, by element and attribute.
LOADED = {
    ("script", "src"),
    ("link", "href"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "src"),
    ("video", "src"),
    ("audio", "src"),
    ("object", "data"),
    ("embed", "src"),
}
# Of <link>, what is looked at only where somebody follows it.
POINTERS = {"canonical", "next", "prev", "index", "search", "author", "copyright"}


class Page(HTMLParser):
    """What a page has for ids, leads to, and loads."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        pointer = tag == "link" and set(given.get("rel", "").split()) & POINTERS
        self.loads += [
            value for name, value in given.items() if (tag, name) in LOADED and not pointer
        ]


@pytest.fixture(scope="module")
def pages() -> dict[Path, Page]:
    """Give what is on each page, by its file; `make docs` has built them."""
    assert PAGES, f"{SITE} holds no page; make docs builds the site and then runs these checks"
    return {file: Page(file) for file in PAGES}


def elsewhere(address: str) -> bool:
    """Whether an address is not a file of the site."""
    split = urlsplit(address)
    return bool(split.netloc) or split.scheme not in ("", "data")


def test_no_page_loads_anything_from_elsewhere(pages: dict[Path, Page]) -> None:
    loaded = [
        f"{file.relative_to(SITE)}: {address}"
        for file, page in pages.items()
        for address in page.loads
        if elsewhere(address)
    ]
    styles = [
        f"{file.relative_to(SITE)}: {address}"
        for file in SITE.rglob("*.css")
        for address in re.findall(
            r"(?:url\(|@import)\s*['\"]?([^'\")\s;]+)", file.read_text("utf-8")
        )
        if elsewhere(address)
    ]

    assert loaded + styles == []


def test_every_link_inside_leads_somewhere(pages: dict[Path, Page]) -> None:
    dead = []
    for file, page in pages.items():
        for address in page.links + page.loads:
            if elsewhere(address):
                continue
            split = urlsplit(address)
            target = (file.parent / unquote(split.path)).resolve() if split.path else file
            there = target.is_file()
            # Of names that two modules have, sources lead back to the right page, at its top.
            is_exact = split.fragment and "_modules" not in file.parts
            if there and is_exact and target in pages:
                there = unquote(split.fragment) in pages[target].ids
            if not there:
                dead.append(f"{file.relative_to(SITE)}: {address}")

    assert dead == []


@pytest.mark.parametrize("module", PUBLIC_MODULES)
def test_every_public_name_has_a_page(module: str, pages: dict[Path, Page]) -> None:
    documented = set().union(*(page.ids for page in pages.values()))
    names = set(importlib.import_module(module).__all__) - {"__version__"}
    if module != "insens_tf":
        # Their pages are there.
        names -= set(insens_tf.__all__)

    # What needs iNNvestigate is described in the module that it is in.
    described = {one.rpartition(".")[2] for one in documented if one.startswith(f"{module}.")}
    assert names - described == set()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Give headless Chromium, which `.ci/run` installs."""
    with chromium() as started:
        yield started


def test_pages_work_in_a_browser_without_a_network(browser: Any) -> None:
    asked: list[str] = []
    errors: list[str] = []
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))

    # Sources are all made alike.
    for file in (one for one in PAGES if "_modules" not in one.parts):
        page.goto(file.as_uri())
        # What is wider than a phone scrolls by itself, and not the page with it.
        wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth + 1")
        assert not wide, f"{file.relative_to(SITE)} is wider than a phone"

    page.goto((SITE / "search.html").as_uri() + "?q=centre")
    page.locator("#search-results li a").first.wait_for()
    assert errors == []
    assert [address for address in asked if not address.startswith(("file:", "data:"))] == []
