"""One browser and one server for all; a profile of its own, and a client, for each test.

Run alone (`make browser`): Playwright keeps an event loop running, in which no other test can start one.
"""

import asyncio
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Browser, Page, expect

from grantledger.application.provenance import Caller
from support.chromium import chromium
from support.loopback_client import LoopbackClient, listening
from support.server import PASSWORD, Server, serving


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("browser"), sign_up="true", sign_in_attempts="off") as running:
        yield running


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=20_000)  # patience for a busy machine
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab of a browser that was never here, 1280 px wide. Only loopback is there for it."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def client(server: Server) -> Iterator[LoopbackClient]:
    with listening(server.origin) as running:
        yield running


@pytest.fixture
def email(server: Server) -> str:
    """The e-mail address of a user of this test alone."""
    address = f"{secrets.token_hex(4)}@example.com"

    async def open_account() -> None:
        async with server.use_cases() as container:
            await container.open_account()(address, PASSWORD, Caller(correlation_id="test"))

    with ThreadPoolExecutor(1) as thread:  # Playwright's event loop is running in this one
        thread.submit(asyncio.run, open_account()).result()
    return address
