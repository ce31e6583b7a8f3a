"""A headless Chromium, such as Debian's package `chromium`, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["chromium", "path_of_chromium"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def path_of_chromium() -> str | None:
    """Return where a Chromium is; None where there is none."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


@contextmanager
def chromium() -> Iterator[Any]:
    """Give a running browser, which Playwright has; end it afterwards.

    Raises
    ------
    FileNotFoundError
        If there is no Chromium.
    """
    from playwright.sync_api import sync_playwright

    path = path_of_chromium()
    if path is None:
        raise FileNotFoundError("Chromium is missing; apt-get install chromium")
    with sync_playwright() as playwright:
        # The sandbox cannot be had by root, and all that is opened is our own.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
