"""mcp-use's `BearerAuthProvider`. mcp-use needs version 1 of the SDK, so the tests imitate two classes."""

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from grantledger.application.ports import Unavailable
from grantledger.application.tokens.mcp_session import SessionUser
from support.guarding import SESSION, guarded


class AccessToken(Struct):
    """The fields of `mcp_use.server.auth.AccessToken` 1.7.1."""

    token: str
    claims: dict[str, Any]
    scopes: list[str]


class BearerAuthProvider:
    """An abstract class with the method `verify_token`."""


@pytest.fixture
def adapter(monkeypatch) -> Iterator[ModuleType]:
    for name in ("mcp_use", "mcp_use.server"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    auth: Any = ModuleType("mcp_use.server.auth")
    auth.AccessToken, auth.BearerAuthProvider = AccessToken, BearerAuthProvider
    monkeypatch.setitem(sys.modules, "mcp_use.server.auth", auth)
    yield importlib.import_module("grantledger.adapters.guards.mcp_use")
    del sys.modules["grantledger.adapters.guards.mcp_use"]


class Auth:
    def __init__(self, verify: Any) -> None:
        self._verify = verify

    def guarded_resource(self, resource: str | None = None) -> Any:
        return guarded(self._verify)

    def in_front_of(self, app: Any) -> Any:
        return app


async def test_a_tool_of_mcp_use_gets_the_caller(adapter):
    user = SessionUser(email="ann@example.com", email_verified=False)

    async def verify(token: str, *, resource: str | None = None) -> Any:
        return replace(SESSION, user=user, claims={"sub": "glu_ann"})

    token = await adapter.McpUseAuth(Auth(verify)).verify_token("good")
    assert token == AccessToken(
        token="good", claims={"sub": "glu_ann", "email": "ann@example.com"}, scopes=["todo:write"]
    )


async def test_mcp_use_gets_none_for_a_refused_token(adapter, ledger):
    assert await adapter.McpUseAuth(Auth(ledger)).verify_token("bad") is None


async def test_mcp_use_gets_the_exception_of_an_outage(adapter, ledger):
    ledger.outage = Unavailable()
    with pytest.raises(Unavailable):
        await adapter.McpUseAuth(Auth(ledger)).verify_token("good")


async def test_mcp_use_does_not_ask_again_behind_the_guard(adapter, call, app, ledger):
    app.work = lambda: adapter.McpUseAuth(Auth(ledger)).verify_token("good")
    await call("POST", "Bearer good")
    assert len(ledger.asked) == 1
