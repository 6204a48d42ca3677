"""While others guess a user's password from many networks, the user can sign in with a known browser."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest

from grantledger.adapters.http.pages.devices import COOKIE
from support.oauth import Person, heading_of
from support.server import EMAIL, PASSWORD, Server, serving

SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldCE="
TOO_MANY = (429, "Too many attempts")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A new server for each test, because it counts wrong passwords for the one account."""
    with serving(
        tmp_path,
        issuer="https://auth.example",
        master_secret=SECRET,
        trusted_proxies="127.0.0.0/8",
        sign_in_attempts="2/hour",
    ) as running:
        yield running


@pytest.fixture
async def browsers(server: Server) -> AsyncIterator["Browsers"]:
    async with AsyncExitStack() as opened:
        yield Browsers(server, opened)


class Browsers:
    def __init__(self, server: Server, opened: AsyncExitStack) -> None:
        self._server = server
        self._opened = opened

    async def at(self, address: str) -> Person:
        person = Person.at(self._server.origin)
        person.http.headers["x-forwarded-for"] = address
        await self._opened.enter_async_context(person.http)
        return person


async def tried(person: Person, password: str) -> httpx2.Response:
    client = (await person.register())["client_id"]
    return await person.sign_in(await person.asked(client, prompt="login"), email=EMAIL, password=password)


@pytest.mark.full
async def test_guesses_from_everywhere_do_not_lock_out_a_browser_that_signed_in_before(browsers: Browsers):
    owner = await browsers.at("192.0.2.1")
    assert "/consent" in (await tried(owner, PASSWORD)).text
    for number in range(11):
        stranger = await browsers.at(f"198.51.100.{number}")
        for _ in range(2):
            await tried(stranger, "a wrong password")
    unknown = await browsers.at("203.0.113.1")
    assert heading_of(await tried(unknown, PASSWORD)) == TOO_MANY
    owner.http.headers["x-forwarded-for"] = "203.0.113.2"  # the owner is in another network
    assert "/consent" in (await tried(owner, PASSWORD)).text


async def test_a_device_cookie_signs_no_one_in_and_is_for_one_account(browsers: Browsers):
    owner = await browsers.at("192.0.2.7")
    await tried(owner, PASSWORD)
    thief = await browsers.at("192.0.2.8")
    thief.http.cookies.set(COOKIE, owner.cookies()[COOKIE], domain="127.0.0.1", path="/")
    client = (await thief.register())["client_id"]
    assert "/sign-in" in (await thief.asked(client)).text
    assert heading_of(await tried(thief, "a wrong password")) == (400, "Sign in")


async def test_the_cookie_is_bound_to_the_host_and_reveals_nothing(browsers: Browsers):
    person = await browsers.at("192.0.2.9")
    client = (await person.register())["client_id"]
    page = await person.asked(client)
    answer = await person.post(page, "sign-in", email=EMAIL, password=PASSWORD)
    (cookie,) = [line for line in answer.headers.get_list("set-cookie") if line.startswith(COOKIE)]
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert attributes >= {"secure", "httponly", "samesite=strict", "path=/"}
    assert not [part for part in attributes if part.startswith("domain")]
    assert EMAIL.partition("@")[0] not in cookie.partition("=")[2]


async def test_a_forged_device_cookie_is_ignored(browsers: Browsers):
    person = await browsers.at("192.0.2.10")
    person.http.cookies.set(COOKIE, "x" * 200, domain="127.0.0.1", path="/")
    assert (await tried(person, "a wrong password")).status_code in (400, 429)


async def test_on_loopback_browsers_get_no_device_cookie(tmp_path: Path):
    with serving(tmp_path) as running:
        person = Person.at(running.origin)
        async with person.http:
            await person.sign_in(await person.asked((await person.register())["client_id"]))
            assert not [name for name in person.cookies() if "device" in name]
