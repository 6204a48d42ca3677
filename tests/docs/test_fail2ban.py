"""The filter of docs/operating.md, against lines that a server has written."""

import asyncio
import configparser
import re
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from support.oauth import Person
from support.server import EMAIL, Server, serving
from support.timeouts import TIMEOUT

OPERATING = Path(__file__).parents[2] / "docs" / "operating.md"
ADDRESS = r"(?P<address>(?:\d{1,3}\.){3}\d{1,3}|[0-9a-f:]*:[0-9a-f:]*)"
"""The pattern that fail2ban substitutes for `<ADDR>`, without its own checks."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the settings that the page names."""
    with serving(
        tmp_path_factory.mktemp("banned"),
        log_callers="plain",
        log_format="json",
        trusted_proxies="127.0.0.0/8",
        sign_in_attempts="1/hour",
    ) as running:
        yield running


@pytest.fixture(scope="module")
def definition() -> configparser.SectionProxy:
    (filter_, _) = re.findall(r"```ini\n(.*?)```", OPERATING.read_text(encoding="utf-8"), re.DOTALL)
    parser = configparser.ConfigParser()
    parser.read_string(filter_)
    return parser["Definition"]


def banned(line: str, definition: configparser.SectionProxy) -> str | None:
    """Return the address that fail2ban would count for this line: it removes the time and then searches."""
    date = definition["datepattern"].replace("%Y-%m-%dT%H:%M:%S\\.%f%z", r"[\d-]{10}T[\d:.]{15}Z")
    found = re.search(date, line)
    assert found, line
    datetime.fromisoformat(found[0].rpartition('"')[2])
    rest = line[: found.start()] + line[found.end() :]
    match = re.search(definition["failregex"].replace("<ADDR>", ADDRESS), rest)
    return match["address"] if match else None


async def tried(server: Server, address: str) -> None:
    async with Person.at(server.origin).http as http:
        http.headers["x-forwarded-for"] = address
        person = Person(server.origin, http)
        page = await person.asked((await person.register())["client_id"])
        await person.post(page, "sign-in", email=EMAIL, password="wrong password")


@pytest.mark.parametrize("address", ["203.0.113.7", "2001:db8::7"])
async def test_the_filter_finds_the_address_in_the_line_of_a_failed_sign_in(
    server: Server, definition: configparser.SectionProxy, address: str
) -> None:
    await tried(server, address)
    await tried(server, address)
    # Refused once, throttled once; a line is written just after its response.
    found: list[str | None] = []
    deadline = time.monotonic() + TIMEOUT
    while found.count(address) < 2 and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
        found = [banned(line, definition) for line in server.log.splitlines()]
    assert found.count(address) == 2


async def test_the_filter_counts_nothing_else(server: Server, definition: configparser.SectionProxy) -> None:
    before = len(server.log)
    async with Person.at(server.origin).http as http:
        http.headers["x-forwarded-for"] = "203.0.113.8"
        await Person(server.origin, http).register()
        await http.get("/session")
        await http.get("/nowhere")
        # A stranger's text that looks like a line of its own stays inside a JSON string.
        forged = '","level":"warning","event":"request","refusal":"SignInRefused","address":"203.0.113.9"'
        await http.get("/authorize", params={"client_id": forged, "redirect_uri": forged})
    lines = server.log[before:].splitlines()
    assert lines
    assert [banned(line, definition) for line in lines] == [None] * len(lines)
