"""`grantledger.testing`: what the tests of an MCP server use."""

import asyncio

import pytest

from grantledger import ConfiguredRole, McpAuthClient, SyncMcpAuthClient, testing, with_mcp_auth_wsgi
from grantledger.application.accounts.sign_in import SignInRefused
from grantledger.testing import USER, LocalIssuer, local_issuer

local = testing.grantledger_issuer


async def test_issues_a_token_for_the_user_and_the_scopes_that_a_test_names():
    async with local_issuer(scopes=("notes:read", "notes:write"), users=(USER, "eve@example.com")) as local:
        token = await local.token("eve@example.com", scopes=("email", "notes:read"))
        session = await local.server.get_mcp_session({"Authorization": f"Bearer {token}"})
    assert session is not None
    assert session.user is not None
    assert session.user.email == "eve@example.com"
    assert session.scopes == ("email", "notes:read")


async def test_without_scopes_a_token_has_those_of_its_resource():
    async with local_issuer(scopes=("notes:read",)) as local:
        session = await local.server.use_cases.look_up_session(await local.token())
    assert "notes:read" in session.scopes


async def test_a_user_is_given_a_role_and_loses_it():
    roles = {"admin": ConfiguredRole(permissions=("users:ban",))}
    async with local_issuer(roles=roles, users=(USER, "eve@example.com")) as local:
        token, other = await local.token(), await local.token("eve@example.com")
        await local.grant_role("admin")
        session = await local.server.use_cases.look_up_session(token)
        assert (session.roles, session.permissions) == (("admin",), ("users:ban",))
        assert (await local.server.use_cases.look_up_session(other)).roles == ()
        await local.revoke_role("admin")
        assert (await local.server.use_cases.look_up_session(token)).roles == ()


async def accepts(local: LocalIssuer, token: str) -> bool:
    return await local.server.get_mcp_session({"Authorization": f"Bearer {token}"}) is not None


async def test_a_token_can_be_revoked(local):
    revoked, other = await local.token(), await local.token()
    await local.revoke(revoked)
    assert not await accepts(local, revoked)
    assert await accepts(local, other)


async def test_a_token_can_be_expired(local):
    token = await local.token()
    assert await accepts(local, token)
    await local.expire(token)
    assert not await accepts(local, token)
    assert await accepts(local, await local.token())


async def test_a_remote_guard_reaches_the_server_in_memory(local):
    client = McpAuthClient(issuer=local.issuer, resource=local.resource, cache_seconds=0, http=local.http)
    token = await local.token()
    assert await client.verify_token(token) is not None
    await local.revoke(token)
    assert await client.verify_token(token) is None


async def test_the_guard_of_a_wsgi_application_reaches_the_server_in_memory(local):
    def app(environ, start_response):
        start_response("200 OK", [])
        return [b""]

    auth = SyncMcpAuthClient(issuer=local.issuer, resource=local.resource, http=local.http)
    guarded = with_mcp_auth_wsgi(app, auth)
    token, statuses = await local.token(), []
    for sent in (token, "unknown"):
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/mcp", "HTTP_AUTHORIZATION": f"Bearer {sent}"}
        await asyncio.to_thread(guarded, environ, lambda status, *_: statuses.append(status))
    auth.close()
    assert statuses == ["200 OK", "401 Unauthorized"]


async def test_settings_are_those_of_the_server():
    async with local_issuer(resource="https://mcp.example/mcp", access_token_expires_in=60) as local:
        before = local.server.use_cases
        assert local.issuer == "https://mcp.example"
        session = await before.look_up_session(await local.token())
        local.advance(61)
        assert not await accepts(local, session.access_token)


async def test_a_user_without_an_account_gets_no_token(local):
    with pytest.raises(SignInRefused):
        await local.token("nobody@example.com")
