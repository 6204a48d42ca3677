"""Roles of users on the wire: the consent page, tokens, sessions and guards."""

import html
import json
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from grantledger import McpAuthClient
from grantledger.application.provenance import Caller
from grantledger.application.use_cases import UseCases
from grantledger.domain.resource_indicator import Resource
from support.leaks import issued
from support.oauth import Person, error_of, returned
from support.server import PASSWORD, Server, serving

OPAQUE, JWT = "https://opaque.example/mcp", "https://jwt.example/mcp"
SCOPES = ["todo:read", "todo:write"]
RESOURCES = [{"identifier": OPAQUE, "scopes": SCOPES}, {"identifier": JWT, "scopes": SCOPES, "jwt": "ES256"}]
ROLES = {"editor": {"permissions": ["todo:archive"], "scopes": ["todo:write"]}}
BOTH = "openid todo:read todo:write"
CALLER = Caller(correlation_id="test", operator="grace")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("roles")
    with serving(directory, resources=json.dumps(RESOURCES), roles=json.dumps(ROLES)) as running:
        yield running


@pytest.fixture(scope="module")
async def resource_credentials(server: Server) -> dict[str, tuple[str, str]]:
    """The id and secret of each resource's server."""
    found = {}
    async with server.use_cases() as container:
        for resource in (OPAQUE, JWT):
            new = await container.use_cases().add_resource(Resource(resource), CALLER)
            issued("resource secret", new.secret)
            found[resource] = (new.resource.resource_id, new.secret)
    return found


@asynccontextmanager
async def operator(server: Server) -> AsyncIterator[UseCases]:
    async with server.use_cases() as container:
        yield container.use_cases()


class User:
    """A user for one test, with a browser."""

    def __init__(self, server: Server, person: Person, user_id: str, email: str) -> None:
        self._server = server
        self.person = person
        self.user_id = user_id
        self.email = email

    async def gets(self, role: str = "editor") -> None:
        async with operator(self._server) as do:
            await do.grant_role(self.user_id, role, CALLER)

    async def loses(self, role: str = "editor") -> None:
        async with operator(self._server) as do:
            await do.revoke_role(self.user_id, role, CALLER)

    async def consent_page(self, client: str, **asked: str) -> httpx2.Response:
        return await self.person.sign_in(await self.person.asked(client, **asked), email=self.email)

    async def tokens(self, client: str, **asked: str) -> dict[str, Any]:
        return await self.person.tokens(client, email=self.email, **asked)


@pytest.fixture
async def user(server: Server, person: Person) -> User:
    email = f"{secrets.token_hex(4)}@example.com"
    async with operator(server) as do:
        user_id = await do.open_account(email, PASSWORD, CALLER)
    return User(server, person, user_id, email)


@pytest.fixture
async def client(person: Person) -> str:
    return str((await person.register())["client_id"])


def offered(page: httpx2.Response) -> list[str]:
    """Return the scopes that a consent page shows, and that its form names."""
    listed = re.findall(r'<li><bdi>[^<]*</bdi> <code><bdi dir="ltr">([^<]+)', page.text)
    shown = [html.unescape(scope) for scope in listed]
    (named,) = re.findall(r'name="scope" value="([^"]+)"', page.text)
    assert shown == named.split()
    return shown


async def test_the_consent_page_offers_a_scope_of_a_role_only_to_users_with_the_role(user: User, client: str):
    assert offered(await user.consent_page(client, scope=BOTH)) == ["openid", "todo:read"]
    await user.gets()
    assert offered(await user.consent_page(client, scope=BOTH)) == BOTH.split()


async def test_a_scope_that_the_page_did_not_show_is_not_granted(user: User, client: str):
    """Fails if the role that an operator grants while the page is open adds its scope."""
    page = await user.consent_page(client, scope=BOTH)
    await user.gets()
    sent = await user.person.submit(page, "consent", decision="allow", scope=" ".join(offered(page)))
    answer = await user.person.redeem(client, returned(sent)["code"])
    assert answer.json()["scope"] == "openid todo:read"


async def test_without_any_scope_left_the_client_gets_invalid_scope(user: User, client: str):
    answer = returned(await user.consent_page(client, scope="todo:write"))
    assert answer["error"] == "invalid_scope"
    assert answer["error_description"] == (
        "Each of the requested scopes needs a role that this user does not have."
    )


async def test_a_refresh_and_a_session_lose_the_scope_of_a_revoked_role(user: User, client: str):
    await user.gets()
    tokens = await user.tokens(client, scope=BOTH)
    assert tokens["scope"] == BOTH
    await user.loses()
    session = (await user.person.session(tokens["access_token"])).json()
    assert (session["scope"], session["roles"]) == ("openid todo:read", [])
    refreshed = await user.person.refresh(client, tokens["refresh_token"])
    assert refreshed.json()["scope"] == "openid todo:read"


async def test_a_refresh_without_any_scope_left_is_invalid_scope(user: User, client: str):
    await user.gets()
    tokens = await user.tokens(client, scope="todo:write")
    await user.loses()
    refused = await user.person.refresh(client, tokens["refresh_token"])
    assert error_of(refused) == (400, "invalid_scope")
    assert "needs a role" in refused.json()["error_description"]
    assert (await user.person.session(tokens["access_token"])).status_code == 401
    await user.gets()
    assert (await user.person.refresh(client, tokens["refresh_token"])).json()["scope"] == "todo:write"


@pytest.mark.parametrize(
    ("resource", "verify"),
    [(OPAQUE, "session"), (OPAQUE, "introspection"), (JWT, "session"), (JWT, "introspection"), (JWT, "jwt")],
)
async def test_a_remote_guard_knows_roles_and_permissions_however_it_verifies(
    user: User,
    client: str,
    resource_credentials: dict[str, tuple[str, str]],
    resource: str,
    verify: Any,
):
    await user.gets()
    tokens = await user.tokens(client, scope=BOTH, resource=resource)
    client_id, client_secret = resource_credentials[resource]
    options: dict[str, Any] = {}
    if verify == "introspection":
        options = {"client_id": client_id, "client_secret": client_secret}
    async with McpAuthClient(issuer=user.person.origin, resource=resource, verify=verify, **options) as auth:
        session = await auth.verify_token(tokens["access_token"])
    assert session is not None
    assert (session.roles, session.permissions) == (("editor",), ("todo:archive",))
    assert (session.claims["roles"], session.claims["permissions"]) == (["editor"], ["todo:archive"])
