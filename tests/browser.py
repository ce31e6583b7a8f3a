"""Headless Chromium for what is tried in a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def needed(thing: str, way_out: str) -> NoReturn:
    """Skip the test for want of something, but fail in CI, which has to have it."""
    message = f"{thing} is missing; {way_out}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@contextmanager
def chromium() -> Iterator[Any]:
    """Give a running Chromium, such as Debian's, driven by Playwright."""
    found = next((path for name in CHROMIUMS if (path := shutil.which(name))), None)
    if found is None:
        needed("Chromium", "apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        # The sandbox cannot be had by root, and all that is opened is our own.
        running = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield running
        running.close()
