"""One browser for the tests of a file, one server for all; a profile and a client for each test."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from browser.browser_operator import Operator
from browser.visitor import HOST_PASSWORD
from support.chromium import chromium, new_context
from support.loopback_client import LoopbackClient, listening
from support.server import Program, Server, serving
from support.timeouts import TIMEOUT
from support.visitors import keep_cookies

EXAMPLES = Path(__file__).parents[2] / "examples"
HOST_PROGRAM = Path(__file__).parents[1] / "support" / "host_program.py"


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("browser"), sign_up="true", sign_in_attempts="off") as running:
        yield running


@pytest.fixture(scope="package")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An application that embeds the server and signs its own users in."""
    program = Program((str(EXAMPLES / "own_sign_in.py"),), {"EXAMPLE_PASSWORD": HOST_PASSWORD})
    with serving(tmp_path_factory.mktemp("host"), program) as running:
        yield running


@pytest.fixture(scope="package")
def member_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An application whose users an operator can disable: its ledger is a file."""
    with serving(tmp_path_factory.mktemp("member-host"), Program((str(HOST_PROGRAM),), {})) as running:
        yield running


@pytest.fixture(scope="module")
def member_operator(member_host: Server) -> Iterator[Operator]:
    with Operator.of(member_host) as at_hand:
        yield at_hand


@pytest.fixture(scope="package")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("strict"), sign_up="true", sign_in_attempts="1/hour") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for each file: while Playwright runs, no other test of the process can start an event loop."""
    expect.set_options(timeout=TIMEOUT * 1000)
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab in a new browser profile, 1280 px wide."""
    context = new_context(browser, viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    yield context.new_page()
    keep_cookies(context)
    context.close()


@pytest.fixture
def client(server: Server) -> Iterator[LoopbackClient]:
    with listening(server.origin) as running:
        yield running


@pytest.fixture(scope="module")
def operator(server: Server) -> Iterator[Operator]:
    """The use cases, in another thread: in this one Playwright's event loop is running."""
    with Operator.of(server) as at_hand:
        yield at_hand


@pytest.fixture
def email(operator: Operator) -> str:
    """The e-mail address of a user of this test alone."""
    address = f"{secrets.token_hex(4)}@example.com"
    operator.opens_account(address)
    return address
