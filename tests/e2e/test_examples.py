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
from support.oauth import Person, heading_of, returned
from support.programs import EXAMPLES, PASSWORD, running

pytestmark = pytest.mark.full


class Host(Struct, frozen=True):
    """An application that embeds the server, and the folder in which it runs."""

    origin: str
    directory: Path


@pytest.fixture(scope="module", params=["litestar_app.py", "starlette_app.py"])
def host(request, tmp_path_factory) -> Iterator[Host]:
    directory = tmp_path_factory.mktemp("host")
    with running(EXAMPLES / request.param, directory) as origin:
        yield Host(origin, directory)


async def test_a_host_application_issues_tokens_and_takes_them(host: Host):
    person = Person.at(host.origin, password=PASSWORD)
    async with person.http:
        client = await person.register()
        tokens = await person.tokens(client["client_id"])
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        answer = await person.http.get("/mcp", headers=bearer, follow_redirects=True)
        home = await person.http.get("/")
    assert answer.json()["client"] == client["client_id"]
    assert home.text == "Hello from the host application."


async def test_a_host_application_says_where_to_get_a_token(host: Host):
    async with httpx2.AsyncClient(base_url=host.origin, verify=False, follow_redirects=True) as http:
        without = await http.get("/mcp")
        refused = await http.get("/mcp", headers={"Authorization": "Bearer glat_unknown"})
        found = re.search(r'resource_metadata="([^"]+)"', without.headers["www-authenticate"])
        assert found
        metadata = (await http.get(found[1])).json()
    assert (without.status_code, refused.status_code) == (401, 401)
    assert "error=" not in without.headers["www-authenticate"]
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    assert metadata["resource"] == f"{host.origin}/mcp"


async def test_a_host_application_that_cannot_check_a_token_is_503(host: Host):
    person = Person.at(host.origin, password=PASSWORD)
    (database,) = host.directory.glob("grantledger-*/grantledger.sqlite3")
    async with person.http:
        tokens = await person.tokens((await person.register())["client_id"])
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        with closing(sqlite3.connect(database)) as ledger:
            ledger.execute("ALTER TABLE token_grant RENAME TO token_grant_away")
            answer = await person.http.get("/mcp", headers=bearer, follow_redirects=True)
            ledger.execute("ALTER TABLE token_grant_away RENAME TO token_grant")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


@pytest.fixture(scope="module", params=["mcp_server.py", "fastmcp_embedded.py"])
def mcp_server(request, tmp_path_factory) -> Iterator[Host]:
    directory = tmp_path_factory.mktemp("mcp-server")
    with running(EXAMPLES / request.param, directory) as origin:
        yield Host(origin, directory)


async def test_the_mcp_server_knows_its_caller(mcp_server: Host):
    person = Person.at(mcp_server.origin, password=PASSWORD)
    async with person.http:
        client = await person.register()
        tokens = await person.tokens(client["client_id"])
        session = (await person.session(tokens["access_token"])).json()
        call = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "whoami", "arguments": {}},
        }
        headers = {
            "Authorization": f"Bearer {tokens['access_token']}",
            "Accept": "application/json, text/event-stream",
        }
        answer = await person.http.post("/mcp", json=call, headers=headers)
    assert session["user_id"] in answer.text


def test_the_mcp_server_prints_first_of_all_how_to_sign_in(mcp_server: Host):
    printed = (mcp_server.directory / "printed").read_text()
    assert printed.splitlines()[0] == f"{mcp_server.origin}/mcp: sign in as ada@example.com with {PASSWORD}"


@pytest.fixture(scope="module")
def own_sign_in(tmp_path_factory) -> Iterator[str]:
    with running(EXAMPLES / "own_sign_in.py", tmp_path_factory.mktemp("own-sign-in")) as origin:
        yield origin


@pytest.fixture
async def guest(own_sign_in: str) -> AsyncIterator[Person]:
    """A user at the application with a sign-in page of its own."""
    person = Person.at(own_sign_in, password=PASSWORD)
    yield person
    await person.http.aclose()


def csrf_token_in(page: httpx2.Response) -> str:
    found = re.search(r'name="_csrf_token" value="([^"]+)"', page.text)
    assert found
    return found[1]


async def filled_in(person: Person, page: httpx2.Response, **fields: str) -> httpx2.Response:
    form = {"_csrf_token": csrf_token_in(page), "name": "grace", "password": PASSWORD, **fields}
    return await person.http.post(page.url, data=form)


async def test_users_of_the_host_sign_in_on_its_own_page(guest: Person):
    client = await guest.register()
    page = await guest.asked(client["client_id"])
    assert page.url.path == "/login"
    consent = await guest.followed(await filled_in(guest, page))
    assert heading_of(consent) == (200, "Allow access?")
    assert "grace" in consent.text
    code = returned(await guest.post(consent, "consent", decision="allow"))["code"]
    tokens = (await guest.redeem(client["client_id"], code)).json()
    session = await guest.session(tokens["access_token"])
    assert session.json()["client_id"] == client["client_id"]


@pytest.mark.parametrize("wrong", [{"password": "guessed"}, {"name": "nobody"}])
async def test_the_hosts_own_page_shows_a_wrong_password_at_its_form(guest: Person, wrong: dict[str, str]):
    page = await guest.asked((await guest.register())["client_id"])
    answer = await filled_in(guest, page, **wrong)
    assert answer.status_code == 400
    assert "The name or the password is not right." in answer.text
    consent = await guest.followed(await filled_in(guest, answer))
    assert heading_of(consent) == (200, "Allow access?")


def is_broken_link(answer: httpx2.Response) -> bool:
    """Tell whether it is the page that says so, and leads on."""
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")
    return "This link is broken." in answer.text and 'href="/authorize/account"' in answer.text


async def test_a_broken_link_to_the_hosts_own_page_is_named_and_signs_no_one_in(guest: Person):
    page = await guest.http.get("/login")
    url = page.url.copy_with(params={"transaction": "//evil.example"})
    form = {"_csrf_token": csrf_token_in(page), "name": "grace", "password": PASSWORD}
    assert is_broken_link(await guest.http.post(url, data=form))
    assert "session" not in guest.cookies()


async def test_a_direct_visit_of_the_hosts_own_page_leads_to_connected_apps(guest: Person):
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
async def test_a_form_that_is_too_old_comes_again_and_signs_in(guest: Person, cookie: str | None):
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
    assert [line.rpartition(" ")[2] for line in printed.splitlines()] == ["200", "403", "401", "401"]


@pytest.mark.parametrize("example", [*EXAMPLES.glob("*.py")], ids=lambda path: path.stem)
def test_no_example_lets_its_server_believe_forwarded_headers(example):
    """uvicorn believes those from loopback by default, so a caller could choose the address in the log."""
    calls = [node for node in ast.walk(ast.parse(example.read_text())) if isinstance(node, ast.Call)]
    served = [call for call in calls if ast.unparse(call.func) == "uvicorn.run"]
    for call in served:
        assert "proxy_headers=False" in {ast.unparse(keyword) for keyword in call.keywords}
        assert not {"forwarded_allow_ips"} & {keyword.arg for keyword in call.keywords}
