"""Servers that tests share because the tests do not affect each other, and a new user for each test."""

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest

from grantledger.application.accounts.open_account import EmailTaken
from grantledger.application.provenance import Caller
from grantledger.domain.resource_indicator import Resource
from support.leaks import issued
from support.oauth import SESSION_COOKIE, LongAgo, Person
from support.server import EMAIL, PASSWORD, PUBLIC, Server, free_port, serving
from support.timed_server import TimedServer, timed_server
from support.timeouts import TIMEOUT

RESOURCES = """[
    {"identifier": "https://mcp.example", "name": "Mail", "scopes": ["mail:read"]},
    {"identifier": "http://127.0.0.1:%d/notes/mcp", "name": "Notes", "scopes": ["notes:read", "notes:write"]}
]"""


@pytest.fixture(scope="module", autouse=True)
def _patience() -> Iterator[None]:
    """Guards and the doctor wait for a slow server as long as a test does, and see no outage."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("grantledger.adapters.guards.issuer.TIMEOUT", TIMEOUT)
        patch.setattr("grantledger.adapters.doctor.http.TIMEOUT", TIMEOUT)
        yield


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with default settings."""
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
async def resource_server(server: Server) -> tuple[str, str]:
    """The id and secret of the server of the default resource, which can be added only once."""
    async with server.use_cases() as container:
        new = await container.use_cases().add_resource(
            Resource(f"{server.issuer}/mcp"), Caller(correlation_id="test")
        )
    issued("resource secret", new.secret)
    return new.resource.resource_id, new.secret


@pytest.fixture(scope="session")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose issuer is not on loopback, so a browser stays signed in."""
    with serving(tmp_path_factory.mktemp("public"), **PUBLIC) as running:
        yield running


@pytest.fixture
async def person(server: Server) -> AsyncIterator[Person]:
    """A user with a new browser."""
    someone = Person.at(server.origin)
    yield someone
    await someone.http.aclose()


@pytest.fixture
async def stranger(server: Server) -> AsyncIterator[Person]:
    """Another user with another browser."""
    someone = Person.at(server.origin)
    yield someone
    await someone.http.aclose()


@pytest.fixture(scope="module")
async def eve(server: Server) -> str:
    """The e-mail address of another user of the module's server, with the same password."""
    async with server.use_cases() as container:
        with suppress(EmailTaken):  # an earlier module used the same server
            await container.use_cases().open_account(
                "eve@example.com", PASSWORD, Caller(correlation_id="test")
            )
    return "eve@example.com"


@pytest.fixture
async def ada(server: Server, person: Person) -> Person:
    """A user who is signed in, or on loopback signs in at each authorization."""
    person.signs_in = True
    if server.issuer == PUBLIC["issuer"]:
        await person.sign_in(await person.http.get("/authorize/account"))
    return person


@pytest.fixture
async def client(ada: Person) -> str:
    """The id of a public client of this test alone."""
    return str((await ada.register())["client_id"])


@pytest.fixture(scope="session")
def two_resources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for two MCP servers with scopes of their own, the first on another origin.

    It takes no refresh token twice, and knows a native client of the operator's own.
    """
    port = free_port()
    with serving(
        tmp_path_factory.mktemp("two-resources"),
        port=port,
        resources=RESOURCES % port,
        refresh_reuse_window="0",
        private_use_redirect_uris="myapp://callback",
    ) as running:
        yield running


@pytest.fixture
async def member(two_resources: Server) -> AsyncIterator[Person]:
    """A user with a new browser, at the server with two resources."""
    someone = Person.at(two_resources.origin)
    yield someone
    await someone.http.aclose()


@pytest.fixture(scope="session")
def long_ago(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LongAgo]:
    """The responses of a server after everything has expired. Only this fixture moves its clock."""
    with timed_server(
        tmp_path_factory.mktemp("long-ago"),
        code_expires_in="20",
        access_token_expires_in="30",
        refresh_reuse_window="10",
        refresh_token_expires_in="40",
        grant_expires_in="60",
        browser_session_expires_in="30",
    ) as hasty:
        yield hasty.run(_after_expiry(hasty))


async def _after_expiry(hasty: TimedServer) -> LongAgo:
    person = hasty.visitor()
    async with person.http:
        client = (await person.register())["client_id"]
        signed_in = await hasty.operator.use_cases().sign_in(EMAIL, PASSWORD, Caller(correlation_id="test"))
        person.http.cookies.set(SESSION_COOKIE, signed_in.cookie, domain="127.0.0.1", path="/")
        unused, used, sliding = [await person.tokens(client) for _ in range(3)]
        refreshed = await person.refresh(client, used["refresh_token"])
        code = await person.code(client)
        hasty.advance(20)
        slid = await person.refresh(client, sliding["refresh_token"])
        assert slid.status_code == 200, slid.text
        hasty.advance(25)
        return LongAgo(
            first_use=refreshed,
            used_again=await person.refresh(client, used["refresh_token"]),
            never_used=await person.refresh(client, unused["refresh_token"]),
            used_in_time=await person.refresh(client, slid.json()["refresh_token"]),
            code=await person.redeem(client, code),
            access_token=await person.session(unused["access_token"]),
            browser=await person.followed(await person.authorize(client, prompt="none")),
        )
