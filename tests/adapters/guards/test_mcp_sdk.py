import subprocess
import sys
from typing import Any

import pytest
from mcp.server.auth.provider import TokenVerifier
from mcp.server.mcpserver import MCPServer
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import JSONRPCError, jsonrpc_message_adapter
from starlette.applications import Starlette
from starlette.routing import Route

from grantledger.adapters.guards.asgi import with_mcp_auth
from grantledger.adapters.guards.mcp_sdk import McpTokenVerifier, leave_origins_to_the_guard
from grantledger.application.ports import Unavailable
from support.guarding import Auth, guarded

RESOURCE = "http://127.0.0.1:8000/mcp"


@pytest.fixture
def verifier(ledger) -> TokenVerifier:
    return McpTokenVerifier(guarded(ledger))


async def test_fills_the_access_token_of_the_sdk(verifier):
    token = await verifier.verify_token("good")
    assert token.model_dump() == {
        "token": "good",
        "client_id": "glc_editor",
        "scopes": ["todo:write"],
        "expires_at": 2_000_000_000,
        "resource": RESOURCE,
        "subject": "glu_ann",
        "claims": {"iss": "https://auth.example"},
    }


async def test_spaces_before_the_token_are_no_part_of_it(verifier, ledger):
    """The SDK cuts the header after the first space."""
    assert await verifier.verify_token("  good") is not None
    assert ledger.asked == [("good", RESOURCE)]


async def test_a_refused_token_is_none(verifier):
    assert await verifier.verify_token("bad") is None


async def test_asks_about_its_own_resource_and_no_other(verifier, ledger):
    await verifier.verify_token("good")
    assert ledger.asked == [("good", RESOURCE)]


async def test_an_outage_is_raised_and_never_none(verifier, ledger):
    ledger.outage = Unavailable()
    with pytest.raises(Unavailable):
        await verifier.verify_token("good")


async def test_does_not_look_up_again_what_the_guard_has_checked(call, app, verifier, ledger):
    app.work = lambda: verifier.verify_token("good")
    await call("POST", "Bearer good")
    assert ledger.asked == [("good", RESOURCE)]


@pytest.mark.parametrize(
    ("resource", "token"), [("http://127.0.0.1:8000/notes/mcp", "good"), (RESOURCE, "bad")]
)
async def test_looks_up_what_the_guard_has_not_checked(call, app, ledger, resource, token):
    other = McpTokenVerifier(guarded(ledger, identifier=resource))
    app.work = lambda: other.verify_token(token)
    await call("POST", "Bearer good")
    assert ledger.asked == [("good", RESOURCE), (token, resource)]


async def test_looks_up_what_the_guard_of_another_issuer_has_checked(call, app, ledger):
    """Two issuers may issue tokens for one resource. Each verifies only its own."""
    other = McpTokenVerifier(guarded(ledger, issuer="https://other.example"))
    app.work = lambda: other.verify_token("good")
    await call("POST", "Bearer good")
    assert len(ledger.asked) == 2


async def test_the_sdk_reads_the_message_of_a_refusal(call):
    message = jsonrpc_message_adapter.validate_json((await call()).body, by_name=False)
    assert isinstance(message, JSONRPCError)
    assert message.error.message.startswith("Unauthorized: Authentication required. Send an access token")


def test_the_guard_works_where_the_sdk_is_not_installed():
    modules = ("asgi", "challenge", "refusals", "session")
    script = "import sys; sys.modules['mcp'] = None\n" + "\n".join(
        f"import grantledger.adapters.guards.{name}" for name in modules
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def sdk_app(**options: Any) -> Starlette:
    return MCPServer("To-do list", log_level="WARNING").streamable_http_app(**options)


def security_of(app: Starlette) -> TransportSecuritySettings:
    (endpoint,) = [route.endpoint for route in app.routes if isinstance(route, Route)]
    assert isinstance(endpoint, StreamableHTTPASGIApp)
    settings = endpoint.session_manager.security_settings
    assert settings is not None
    return settings


def test_an_application_without_rules_leaves_host_and_origin_to_the_guard():
    app = sdk_app()
    assert security_of(app).enable_dns_rebinding_protection
    leave_origins_to_the_guard(app)
    assert not security_of(app).enable_dns_rebinding_protection


def test_a_guard_takes_over_host_and_origin_of_the_application_that_it_guards(ledger):
    app = sdk_app()
    with_mcp_auth(app, Auth(guarded(ledger)))
    assert not security_of(app).enable_dns_rebinding_protection


def test_rules_that_the_program_has_set_are_kept():
    own = TransportSecuritySettings(
        allowed_hosts=["mcp.example.com"], allowed_origins=["https://example.com"]
    )
    app = sdk_app(transport_security=own)
    leave_origins_to_the_guard(app)
    assert security_of(app) == own
    assert security_of(app).enable_dns_rebinding_protection


def test_an_application_that_is_not_of_the_sdk_is_unchanged(app):
    leave_origins_to_the_guard(app)
    leave_origins_to_the_guard(Starlette(routes=[Route("/", lambda _: None)]))
