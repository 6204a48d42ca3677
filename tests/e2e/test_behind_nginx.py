"""The programs of README and `examples/` behind nginx, which ends TLS, as a client and a browser see them."""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_urlsafe
from typing import Any, cast
from urllib.parse import urlsplit

import httpx2
import pytest
from msgspec import Struct

from grantledger import AuthorizationServer, Caller
from grantledger.entrypoints.online_check import online_faults
from grantledger.entrypoints.settings_sources import load_settings
from support.nginx import CONFIGURATIONS, HOST, needs_nginx, nginx
from support.oauth import Person, heading_of, query, returned
from support.pages import leave_link
from support.programs import EXAMPLES, PASSWORD, running, written_readme_program
from support.server import EMAIL, free_port, serving
from support.stores import once

pytestmark = [pytest.mark.full, needs_nginx, once("its servers make a SQLite file of their own")]

SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldCE="
ELSEWHERE = "https://inspector.example"
EMBEDDED = ["mcp_server.py", "litestar_app.py", "starlette_app.py", "fastmcp_embedded.py"]
REMOTE = ["fastmcp_remote.py", "sdk_remote.py", "fastapi_app.py", "flask_app.py", "django_app.py"]
TOOL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami", "arguments": {}}}


@pytest.fixture(autouse=True)
def names(monkeypatch):
    """Resolve HOST to this machine."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **named: Any) -> Any:
        return resolve("127.0.0.1" if host in (HOST, HOST.encode()) else host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


class Site(Struct, frozen=True):
    """A program behind nginx: its public origin, and the URL of its protected resource."""

    origin: str
    resource: str

    def person(self) -> Person:
        return Person.at(self.origin, password=PASSWORD)


def site(program: Path, directory: Path, configuration: str, path: str = "/mcp") -> Iterator[Site]:
    port = free_port()
    origin = f"https://{HOST}:{port}"
    settings = {
        "issuer": origin,
        "resource": f"{origin}{path}",
        "database": str(directory / "grantledger.sqlite3"),
        "master_secret": SECRET,
        "trusted_proxies": "127.0.0.1",
    }
    if "readme" in program.name:
        asyncio.run(open_account(settings))
    with running(program, directory, **settings) as inside:
        server_port = urlsplit(inside).port
        assert server_port
        with nginx(CONFIGURATIONS[configuration], directory, port=port, server_port=server_port):
            yield Site(origin, f"{origin}{path}")


async def open_account(settings: dict[str, str]) -> None:
    server = AuthorizationServer.from_environment(None, {}, **cast("Any", settings))
    async with server:
        await server.use_cases.open_account(EMAIL, PASSWORD, Caller(correlation_id="test"))


@pytest.fixture(scope="module", params=CONFIGURATIONS)
def readme(request, tmp_path_factory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("readme")
    yield from site(written_readme_program(directory), directory, request.param)


@pytest.fixture(scope="module", params=EMBEDDED)
def example(request, tmp_path_factory) -> Iterator[Site]:
    yield from site(EXAMPLES / request.param, tmp_path_factory.mktemp("example"), "as shipped")


class Connected(Struct, frozen=True):
    """A client with an access token, at its MCP server."""

    http: httpx2.AsyncClient
    resource: str
    token: str
    user_id: str

    async def call(self, url: str = "", **headers: str) -> httpx2.Response:
        """Call the tool `whoami`."""
        mcp = {
            "authorization": f"Bearer {self.token}",
            "accept": "application/json, text/event-stream",
        }
        return await self.http.post(url or self.resource, json=TOOL, headers={**mcp, **headers})


async def connected(site: Site) -> AsyncIterator[Connected]:
    person = site.person()
    async with person.http:
        tokens = await person.tokens((await person.register())["client_id"])
        session = (await person.session(tokens["access_token"])).json()
        yield Connected(person.http, site.resource, tokens["access_token"], session["user_id"])


@pytest.fixture
async def client(readme: Site) -> AsyncIterator[Connected]:
    async for one in connected(readme):
        yield one


async def test_the_program_of_the_readme_answers_its_client(client: Connected):
    answer = await client.call()
    assert answer.status_code == 200
    assert client.user_id in answer.text


async def test_the_program_of_the_readme_answers_a_browser_of_another_origin(client: Connected):
    answer = await client.call(origin=ELSEWHERE)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_a_trailing_slash_is_redirected_to_the_https_url_without_it(client: Connected):
    moved = await client.call(f"{client.resource}/")
    assert (moved.status_code, moved.headers["location"]) == (307, client.resource)
    assert (await client.call(moved.headers["location"])).status_code == 200


async def test_a_client_without_a_token_finds_out_where_to_get_one(readme: Site):
    async with readme.person().http as http:
        refused = await http.post(readme.resource, json=TOOL)
        url = refused.headers["www-authenticate"].partition('resource_metadata="')[2].rstrip('"')
        metadata = (await http.get(url)).json()
    assert refused.status_code == 401
    assert metadata["resource"] == readme.resource
    assert metadata["authorization_servers"] == [readme.origin]


async def test_an_example_issues_tokens_and_accepts_them(example: Site):
    async for client in connected(example):
        answer = await client.call()
        assert answer.status_code == 200
        assert client.user_id in answer.text


@pytest.fixture(scope="module")
def remote_resource(tmp_path_factory) -> Iterator[Site]:
    """The issuer of the remote examples, without a proxy, and their URL behind nginx."""
    resource = f"https://{HOST}:{free_port()}/mcp"
    environment = {"EXAMPLE_RESOURCE": resource}
    with running(EXAMPLES / "issuer.py", tmp_path_factory.mktemp("issuer"), environment) as origin:
        yield Site(origin, resource)


@pytest.mark.parametrize("program", REMOTE)
async def test_a_remote_example_answers_a_browser_of_another_origin(
    remote_resource: Site, tmp_path: Path, program: str
):
    port, public = free_port(), urlsplit(remote_resource.resource).port
    assert public
    environment = {
        "EXAMPLE_ISSUER": remote_resource.origin,
        "EXAMPLE_RESOURCE": remote_resource.resource,
        "EXAMPLE_PORT": str(port),
    }
    with (
        running(EXAMPLES / program, tmp_path, environment, port=str(port)),
        nginx(CONFIGURATIONS["as shipped"], tmp_path, port=public, server_port=port),
    ):
        async for client in connected(remote_resource):
            answer = await client.call(origin=ELSEWHERE)
            assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
            assert client.user_id in answer.text


async def test_users_of_a_host_sign_in_on_its_own_page(tmp_path):
    for here in site(EXAMPLES / "own_sign_in.py", tmp_path, "as shipped"):
        person = here.person()
        async with person.http:
            page = await person.asked((await person.register())["client_id"])
            form = {"_csrf_token": csrf_token_in(page), "name": "grace", "password": PASSWORD}
            consent = await person.followed(await person.http.post(page.url, data=form))
        assert page.url.path == "/login"
        assert heading_of(consent) == (200, "Allow access?")


async def test_a_request_with_600_bytes_of_state_passes(readme: Site):
    """In a URL they take 1,800 characters, more than any other 600 bytes."""
    async with (person := readme.person()).http:
        client = (await person.register())["client_id"]
        for state in ("%" * 600, "é" * 300, token_urlsafe(450)):
            page = await person.asked(client, state=state)
            consent = await person.sign_in(page) if "/sign-in" in page.text else page
            answer = consent
            if "location" not in consent.headers:
                answer = await person.submit(consent, "consent", decision="allow")
            assert returned(answer)["state"] == state


async def test_a_browser_with_many_large_requests_is_answered(readme: Site):
    """Neither nginx's 8 KiB for a header line nor its 4 KiB for the headers of a response are exceeded."""
    async with (person := readme.person()).http:
        client = (await person.register())["client_id"]
        for size in (0, 0, 0, 0, 0, 0, 0, 0, 2_048, 1_000, 600, 600, 0, 2_048, 0):
            page = await person.asked(client, state=token_urlsafe(1_536)[:size] or None)
            assert heading_of(page) == (200, "Sign in")
            pending = [f"{name}={value}; " for name, value in person.cookies().items() if "request-" in name]
            assert len("".join(pending)) <= 4 * 1024


async def test_a_request_that_is_too_large_gets_a_page_that_names_its_parameter(readme: Site):
    async with (person := readme.person()).http:
        client = (await person.register())["client_id"]
        page = await person.authorize(client, state="%" * 1_200)
    assert heading_of(page) == (400, "This request is too large")
    assert "parameter “state” is too long" in page.text


async def test_an_error_with_a_long_state_is_answered(readme: Site):
    """The response would have more headers than nginx takes, so it is a page with a link."""
    async with (person := readme.person()).http:
        client = (await person.register())["client_id"]
        page = await person.authorize(client, state="%" * 1_200, scope="unknown")
    assert heading_of(page) == (400, "The application cannot go on")
    assert "%25" * 1_200 in (leave_link(page) or "")


async def test_the_front_page_and_a_posted_request_are_answered(readme: Site):
    async with (person := readme.person()).http:
        client = (await person.register())["client_id"]
        front = await person.http.get("/")
        posted = await person.http.post("/authorize", data=query(client, state="%" * 600))
        page = await person.followed(posted)
    assert heading_of(front) == (200, "Authorization server")
    assert heading_of(page) == (200, "Sign in")


def csrf_token_in(page: httpx2.Response) -> str:
    found = re.search(r'name="_csrf_token" value="([^"]+)"', page.text)
    assert found
    return found[1]


ORIGIN_PROGRAM = """
import asyncio
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver import MCPServer
from demo_account import open_demo_account
from grantledger import AuthorizationServer

server = AuthorizationServer.from_environment()
notes = MCPServer("Notes", token_verifier=server.token_verifier(), auth=server.auth_settings())


@notes.tool()
def whoami() -> str:
    return str(get_access_token().subject)


open_demo_account(server)
app = notes.streamable_http_app(streamable_http_path="/", stateless_http=True)
server.run([server.mount(app, lifespan=lambda: app.router.lifespan_context(app))])
"""


async def test_an_mcp_server_at_the_root_hides_no_path_of_the_server(tmp_path):
    program = tmp_path / "origin.py"
    program.write_text(f"import sys\nsys.path.append({str(EXAMPLES)!r})\n{ORIGIN_PROGRAM}")
    for here in site(program, tmp_path, "as shipped", path=""):
        async for client in connected(here):
            answer = await client.call()
            assert answer.status_code == 200
            assert client.user_id in answer.text


# `grantledger settings check --online`


@contextmanager
def served(directory: Path, configuration: str, **settings: str) -> Iterator[dict[str, str]]:
    """Run `grantledger serve` behind nginx, and yield the settings that it has."""
    port = free_port()
    given = {"issuer": f"https://{HOST}:{port}", "master_secret": SECRET, "trusted_proxies": "127.0.0.1"}
    given |= settings
    with serving(directory, **cast("Any", given)) as server:
        server_port = urlsplit(server.origin).port
        assert server_port
        with nginx(configuration, directory, port=port, server_port=server_port):
            yield {**given, "database": str(server.database)}


def faults_of(directory: Path, settings: dict[str, str], **changes: str) -> list[str]:
    checked = load_settings(None, {}, {**settings, **changes})
    trusted = ssl.create_default_context(cafile=directory / "fullchain.pem")
    return [str(fault) for fault in online_faults(checked, trusted)]


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_a_proxy_that_fits_the_settings_causes_no_fault(tmp_path, configuration):
    with served(tmp_path, CONFIGURATIONS[configuration]) as settings:
        assert faults_of(tmp_path, settings) == []


def test_an_issuer_that_the_server_does_not_have_is_a_fault(tmp_path):
    with served(tmp_path, CONFIGURATIONS["as shipped"]) as settings:
        (fault,) = faults_of(tmp_path, settings, issuer=f"{settings['issuer']}/")
    assert fault.startswith(f"issuer is '{settings['issuer']}/', but the server at ")
    assert f"says '{settings['issuer']}'" in fault


def test_a_proxy_that_is_not_trusted_is_a_fault(tmp_path):
    with served(tmp_path, CONFIGURATIONS["as shipped"], trusted_proxies="10.1.2.3") as settings:
        (fault,) = faults_of(tmp_path, settings)
    assert fault.startswith("trusted_proxies does not name the proxy in front of the server")


@pytest.mark.parametrize(
    ("location", "answer"),
    [
        ("location /session { return 301 http://$host$request_uri; }", "answers 301 to http://"),
        ("location /session { proxy_pass http://127.0.0.1:8000/auth/session; }", "answers 404, not 401"),
        ("location /.well-known/ { return 200 hello; }", "answers no JSON object"),
    ],
)
def test_a_proxy_that_keeps_or_changes_a_path_is_a_fault(tmp_path, location, answer):
    other = CONFIGURATIONS["as shipped"].replace("    location / {", f"    {location}\n    location / {{")
    with served(tmp_path, other) as settings:
        (fault,) = faults_of(tmp_path, settings)
    assert fault.startswith("issuer is not passed on as it is: ")
    assert answer in fault


def test_metadata_of_a_resource_that_the_proxy_keeps_is_a_fault(tmp_path):
    kept = "location /.well-known/oauth-protected-resource/ { return 404; }\n    location / {"
    other = CONFIGURATIONS["as shipped"].replace("location / {", kept)
    with served(tmp_path, other) as settings:
        (fault,) = faults_of(tmp_path, settings)
    assert fault.startswith("resource is not passed on as it is: ")


def test_a_path_of_better_auth_that_the_proxy_keeps_is_a_fault(tmp_path):
    kept = "location /.well-known/oauth-authorization-server/api/ { return 404; }\n    location / {"
    other = CONFIGURATIONS["as shipped"].replace("location / {", kept)
    nothing_there = '[{"identifier": "http://127.0.0.1:9", "better_auth_path": "/api/auth"}]'
    with served(tmp_path, other, resources=nothing_there) as settings:
        (fault, _) = faults_of(tmp_path, settings)
    assert fault.startswith("resources is not passed on as it is: ")
    assert "/api/auth answers 404, not 200" in fault


def test_a_certificate_that_is_not_trusted_is_a_fault(tmp_path):
    with served(tmp_path, CONFIGURATIONS["as shipped"]) as settings:
        (fault,) = online_faults(load_settings(None, {}, settings), verify=True)
    assert str(fault).startswith("issuer cannot be reached: ")
    assert "certificate" in str(fault)
