"""The Chromium of this machine, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from support.timeouts import TIMEOUT

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-features=Translate,MediaRouter,OptimizationHints",
)


def executable() -> str:
    """Return where Chromium is. Without one the tests are skipped, except in CI, where they fail."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        reason = "no Chromium on this machine: install the package `chromium` to run the tests in a browser"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def new_context(browser: Browser, **options: Any) -> BrowserContext:
    """Return a new browser profile. Its pages have the timeout of a test."""
    context = browser.new_context(**options)
    context.set_default_timeout(TIMEOUT * 1000)
    return context


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser with a fresh profile that makes no requests by itself."""
    alone = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable(), args=[*_QUIET, *alone], timeout=TIMEOUT * 1000
        )
        yield browser
        browser.close()
