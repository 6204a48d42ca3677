"""Every example, started by its one command, does what it says."""

import ast
import re
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from msgspec import Struct

from support.leaks import seen
from support.oauth import Person, heading_of
from support.programs import EXAMPLES, PASSWORD, printed_by, running
from support.real_clients import Call, whoami_by_fastmcps_client, whoami_by_the_official_client
from support.server import EMAIL
from support.stores import once
from support.timeouts import TIMEOUT

pytestmark = [pytest.mark.full, once("its servers make a SQLite file of their own")]


class Example(Struct, frozen=True):
    """A program that embeds the server, and the folder in which it runs."""

    origin: str
    directory: Path

    @property
    def url(self) -> str:
        return f"{self.origin}/mcp"


EMBEDDED = ["mcp_server.py", "fastmcp_embedded.py", "starlette_app.py", "litestar_app.py"]


@pytest.fixture(scope="module", params=EMBEDDED)
def example(request, tmp_path_factory) -> Iterator[Example]:
    directory = tmp_path_factory.mktemp("example")
    with running(EXAMPLES / request.param, directory) as origin:
        yield Example(origin, directory)


@pytest.fixture(scope="module")
async def call(example: Example) -> Call:
    """The result of a call by the official client, after its user has signed in."""
    return await whoami_by_the_official_client(example.url, email=EMAIL, password=PASSWORD)


async def user_of(origin: str, access_token: str) -> str:
    async with httpx2.AsyncClient(base_url=origin, timeout=TIMEOUT, verify=False) as http:
        session = await http.get("/session", headers={"authorization": f"Bearer {access_token}"})
    return str(session.json()["user_id"])


async def test_the_official_client_signs_in_and_calls_the_tool(example: Example, call: Call):
    assert call.said == await user_of(example.origin, call.access_token)


async def test_fastmcps_client_calls_the_tool(example: Example, call: Call):
    assert await whoami_by_fastmcps_client(example.url, call.access_token) == call.said


def test_an_example_prints_first_what_to_do(example: Example):
    assert printed_by(example.directory)[:2] == [
        f"Connect an MCP client to {example.url}",
        f"Sign in as {EMAIL} with {PASSWORD}",
    ]


async def test_an_example_says_where_to_get_a_token(example: Example):
    async with httpx2.AsyncClient(base_url=example.origin, timeout=TIMEOUT, verify=False) as http:
        without = await http.post("/mcp", json={})
        refused = await http.post("/mcp", json={}, headers={"authorization": "Bearer glat_unknown"})
        found = re.search(r'resource_metadata="([^"]+)"', without.headers["www-authenticate"])
        assert found
        metadata = (await http.get(found[1])).json()
    assert (without.status_code, refused.status_code) == (401, 401)
    assert "error=" not in without.headers["www-authenticate"]
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    assert metadata["resource"] == example.url


async def test_an_example_that_cannot_check_a_token_is_503(example: Example, call: Call):
    (database,) = example.directory.glob("grantledger-*/grantledger.sqlite3")
    bearer = {"authorization": f"Bearer {call.access_token}"}
    async with httpx2.AsyncClient(base_url=example.origin, timeout=TIMEOUT, verify=False) as http:
        with closing(sqlite3.connect(database, timeout=TIMEOUT)) as ledger:
            ledger.execute("ALTER TABLE token_grant RENAME TO token_grant_away")
            answer = await http.post("/mcp", json={}, headers=bearer)
            ledger.execute("ALTER TABLE token_grant_away RENAME TO token_grant")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


@pytest.fixture(scope="module")
def own_sign_in(tmp_path_factory) -> Iterator[Example]:
    directory = tmp_path_factory.mktemp("own-sign-in")
    with running(EXAMPLES / "own_sign_in.py", directory) as origin:
        yield Example(origin, directory)


@pytest.fixture
async def guest(own_sign_in: Example) -> AsyncIterator[Person]:
    """A user at the application with a sign-in page of its own."""
    person = Person.at(own_sign_in.origin, password=PASSWORD)
    yield person
    await person.http.aclose()


def csrf_token_in(page: httpx2.Response) -> str:
    found = re.search(r'name="_csrf_token" value="([^"]+)"', page.text)
    assert found
    return found[1]


async def filled_in(person: Person, page: httpx2.Response, **fields: str) -> httpx2.Response:
    form = {"_csrf_token": csrf_token_in(page), "name": "grace", "password": PASSWORD, **fields}
    return await person.http.post(page.url, data=form)


async def test_a_user_of_the_host_signs_in_on_its_own_page_for_the_official_client(own_sign_in: Example):
    call = await whoami_by_the_official_client(own_sign_in.url, name="grace", password=PASSWORD)
    assert call.said == await user_of(own_sign_in.origin, call.access_token)
    assert await whoami_by_fastmcps_client(own_sign_in.url, call.access_token) == call.said


def test_the_host_with_its_own_page_prints_first_what_to_do(own_sign_in: Example):
    assert printed_by(own_sign_in.directory)[:2] == [
        f"Connect an MCP client to {own_sign_in.url}",
        f"Sign in as grace with {PASSWORD}",
    ]


async def test_the_consent_page_names_the_user_of_the_host(guest: Person):
    page = await guest.asked((await guest.register())["client_id"])
    assert page.url.path == "/login"
    consent = await guest.followed(await filled_in(guest, page))
    assert heading_of(consent) == (200, "Allow access?")
    assert "grace" in consent.text


@pytest.mark.parametrize("wrong", [{"password": "guessed"}, {"name": "nobody"}])
async def test_the_hosts_own_page_shows_a_wrong_password_at_its_form(guest: Person, wrong: dict[str, str]):
    page = await guest.asked((await guest.register())["client_id"])
    answer = await filled_in(guest, page, **wrong)
    assert answer.status_code == 400
    assert "The name or the password is not right." in answer.text
    consent = await guest.followed(await filled_in(guest, answer))
    assert heading_of(consent) == (200, "Allow access?")


def is_broken_link(answer: httpx2.Response) -> bool:
    """Whether the page says that the link is broken and links to the account."""
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")
    return "This link is broken." in answer.text and 'href="/authorize/account"' in answer.text


async def test_a_broken_link_to_the_hosts_own_page_is_named_and_signs_no_one_in(guest: Person):
    page = await guest.http.get("/login")
    url = page.url.copy_with(params={"transaction": "//evil.example"})
    form = {"_csrf_token": csrf_token_in(page), "name": "grace", "password": PASSWORD}
    assert is_broken_link(await guest.http.post(url, data=form))
    assert "session" not in guest.cookies()


async def test_a_sign_in_without_a_transaction_leads_to_connected_apps(guest: Person):
    home = await guest.followed(await filled_in(guest, await guest.http.get("/login")))
    assert heading_of(home) == (200, "Connected apps")


def is_form_again(answer: httpx2.Response) -> bool:
    assert answer.status_code == 403
    assert answer.headers["content-type"].startswith("text/html")
    return "This form is too old or from elsewhere: sign in here." in answer.text


@pytest.mark.parametrize("token", [{}, {"_csrf_token": "x" * 128}])
async def test_the_hosts_own_page_refuses_a_form_of_another_site(guest: Person, token: dict[str, str]):
    page = await guest.asked((await guest.register())["client_id"])
    answer = await guest.http.post(page.url, data={"name": "grace", "password": PASSWORD, **token})
    assert is_form_again(answer)
    assert "session" not in guest.cookies()


@pytest.mark.parametrize("cookie", [None, "x" * 128], ids=["without its cookie", "of an earlier process"])
async def test_an_expired_form_is_shown_again_and_then_signs_in(guest: Person, cookie: str | None):
    page = await guest.asked((await guest.register())["client_id"])
    guest.http.cookies.delete("csrftoken")
    if cookie:
        guest.http.cookies.set("csrftoken", cookie, domain=page.url.host)
    answer = await filled_in(guest, page)
    assert is_form_again(answer)
    consent = await guest.followed(await filled_in(guest, answer))
    assert heading_of(consent) == (200, "Allow access?")


def test_the_use_cases_work_without_http(tmp_path):
    command = [sys.executable, str(EXAMPLES / "without_http.py")]
    printed = subprocess.check_output(command, cwd=tmp_path, text=True, timeout=60)
    seen("without_http.py", printed)
    assert printed.splitlines()[-1] == "refused: ClientIsDisabled"


def test_an_mcp_server_is_tested_with_real_tokens(tmp_path):
    command = [sys.executable, str(EXAMPLES / "tokens_in_tests.py")]
    printed = subprocess.check_output(command, cwd=tmp_path, text=True, timeout=60)
    assert printed.splitlines() == [
        "a good token: ada@example.com",
        "without a scope: 403",
        "a revoked token: 401",
        "an expired token: 401",
    ]


@pytest.mark.parametrize("example", [*EXAMPLES.glob("*.py")], ids=lambda path: path.stem)
def test_no_example_lets_its_server_believe_forwarded_headers(example):
    """By default uvicorn believes them from loopback: a caller could choose the address in the log."""
    calls = [node for node in ast.walk(ast.parse(example.read_text())) if isinstance(node, ast.Call)]
    served = [call for call in calls if ast.unparse(call.func) == "uvicorn.run"]
    for call in served:
        assert "proxy_headers=False" in {ast.unparse(keyword) for keyword in call.keywords}
        assert not {"forwarded_allow_ips"} & {keyword.arg for keyword in call.keywords}
