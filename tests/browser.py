"""Headless Chromium for what is tried in a browser, and what tests do where it is missing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest

from benchmarks import browser

__all__ = ["chromium", "needed"]


def needed(thing: str, way_out: str) -> NoReturn:
    """Skip the test for want of something, but fail in CI, which has to have it."""
    message = f"{thing} is missing; {way_out}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@contextmanager
def chromium() -> Iterator[Any]:
    """Give a running Chromium; where there is none, the test is skipped or fails."""
    if browser.path_of_chromium() is None:
        needed("Chromium", "apt-get install chromium")
    pytest.importorskip("playwright.sync_api")
    with browser.chromium() as running:
        yield running
