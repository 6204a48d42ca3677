"""`with_mcp_auth`: scopes, public paths, origins, tokens in the URL, and discovery documents."""

from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace

from grantledger.adapters.asgi_types import Receive, Scope, Send
from grantledger.adapters.guards.asgi import BearerGuard, with_mcp_auth
from grantledger.adapters.guards.blocking import SyncMcpAuthClient
from grantledger.adapters.guards.source import IssuerDocument
from grantledger.application.ports import Unavailable
from support.guarding import ISSUER, ISSUER_METADATA, METADATA, RESOURCE, Auth, Call, calling, guarded


@pytest.fixture
def auth(ledger) -> Auth:
    return Auth(guarded(ledger))


def calls(guard: BearerGuard) -> Call:
    return partial(calling, guard)


# Scopes


async def test_a_token_with_every_required_scope_passes(app, auth):
    answer = await calls(with_mcp_auth(app, auth, required_scopes=["todo:write"]))("POST", "Bearer good")
    assert answer.status == 200


async def test_a_missing_scope_is_403_with_every_scope_that_is_needed(app, auth):
    """A client that asked only for the missing scope would lose the scopes that it has."""
    guard = with_mcp_auth(app, auth, required_scopes=("todo:write", "todo:share"))
    answer = await calls(guard)("POST", "Bearer good")
    assert answer.status == 403
    assert answer.value("www-authenticate") == (
        'Bearer error="insufficient_scope", '
        'error_description="The access token does not have all scopes that this operation needs", '
        f'scope="todo:write todo:share", resource_metadata="{METADATA}"'
    )
    assert "todo:write todo:share" in answer.json()["error"]["message"]
    assert app.callers == []


async def test_the_first_challenge_names_the_required_scopes(app, auth):
    guard = with_mcp_auth(app, auth, required_scopes=("todo:share",))
    assert 'scope="todo:share"' in str((await calls(guard)()).value("www-authenticate"))


async def test_one_scope_may_be_given_as_a_string(app, auth):
    guard = with_mcp_auth(app, auth, required_scopes="todo:share")
    assert (await calls(guard)("POST", "Bearer good")).status == 403


def test_several_scopes_in_one_string_are_a_value_error(app, auth):
    """Such a scope could never be granted, although the challenge would look right."""
    with pytest.raises(ValueError, match="'todo:read todo:write' must be ASCII without space"):
        with_mcp_auth(app, auth, required_scopes="todo:read todo:write")


@pytest.mark.parametrize("included", [False, True])
async def test_a_required_scope_that_no_client_can_get_is_logged(app, auth, caplog, included):
    auth.of = replace(auth.of, offered_scopes=frozenset({"todo:admin"}))
    unknown = f"todo:{uuid4().hex}"
    hierarchy = {"todo:admin": unknown} if included else {}
    for _ in range(2):
        with_mcp_auth(app, auth, required_scopes=[unknown], scope_hierarchy=hierarchy)
    expected = 0 if included else 1
    assert caplog.text.count(f"no client can get the scope '{unknown}' for {RESOURCE}") == expected


def test_the_scopes_of_a_remote_issuer_are_not_known(app, auth, caplog):
    with_mcp_auth(app, auth, required_scopes=[f"todo:{uuid4().hex}"])
    assert caplog.text == ""


@pytest.mark.parametrize(
    "other",
    ["https://auth.example", SyncMcpAuthClient(issuer=ISSUER, resource=RESOURCE)],
    ids=["url", "sync"],
)
def test_an_auth_of_another_kind_is_a_type_error(app, other):
    with pytest.raises(TypeError, match="auth must be an AuthorizationServer or an McpAuthClient"):
        with_mcp_auth(app, other)


def test_an_app_of_another_kind_is_a_type_error(auth):
    server: Any = object()
    with pytest.raises(TypeError, match="app must be an ASGI application"):
        with_mcp_auth(server, auth)


def test_an_unknown_resource_is_a_value_error(app, auth):
    with pytest.raises(ValueError, match="not one of the protected resources"):
        with_mcp_auth(app, auth, resource="https://other.example/mcp")


# Paths without a token


async def test_a_public_path_needs_no_token_and_has_no_session(app, auth):
    guard = with_mcp_auth(app, auth, public=["/health"])
    assert (await calls(guard)("GET", path="/health")).status == 200
    assert app.callers == [None]


@pytest.mark.parametrize("path", ["/health/", "/health/x", "/Health", "/sse", "/messages/", "/", ""])
async def test_every_other_path_needs_a_token(app, auth, path):
    guard = with_mcp_auth(app, auth, public=["/health"])
    assert (await calls(guard)("GET", path=path)).status == 401
    assert app.callers == []


async def test_one_public_path_may_be_given_as_a_string(app, auth):
    guard = with_mcp_auth(app, auth, public="/health")
    assert (await calls(guard)("GET", path="/health")).status == 200
    assert (await calls(guard)("POST", path="/")).status == 401


async def test_a_path_below_a_mount_is_not_taken_for_a_public_one(app, auth):
    """Litestar removes the path of a mount from `path`, but leaves `raw_path` unchanged."""
    guard = with_mcp_auth(app, auth, public=["/"])

    async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
        await guard({**scope, "path": "/", "raw_path": b"/mcp"}, receive, send)

    assert (await calling(mounted, "POST", path="/mcp")).status == 401
    assert app.callers == []


# Tokens in the URL


@pytest.mark.parametrize("query", ["access_token=good", "a=b&access_token=good", "access%5Ftoken=good"])
@pytest.mark.parametrize("authorization", [(), ("Bearer good",)])
async def test_a_token_in_the_url_is_refused(call, ledger, query, authorization):
    answer = await call("POST", *authorization, query=query)
    assert answer.status == 400
    assert 'error="invalid_request"' in answer.value("www-authenticate")
    assert ledger.asked == []


# The JSON-RPC body


@pytest.mark.parametrize("authorization", [(), ("Bearer bad",), ("Bearer a b",)])
async def test_the_body_is_that_of_better_auth_with_the_challenge_in_it(call, authorization):
    answer = await call("POST", *authorization)
    body = answer.json()
    assert (body["jsonrpc"], body["id"], body["error"]["code"]) == ("2.0", None, -32000)
    assert body["error"]["www-authenticate"] == answer.value("www-authenticate")


async def test_the_first_words_are_those_of_better_auth(call):
    missing, invalid = await call(), await call("POST", "Bearer bad")
    assert missing.json()["error"]["message"].startswith("Unauthorized: Authentication required")
    assert "Invalid or expired token" in invalid.json()["error"]["message"]


# Pages of other origins


INSPECTOR = "https://inspector.example"


@pytest.fixture
def listed(app, auth) -> Call:
    """A guard that serves only the pages of one origin."""
    return calls(with_mcp_auth(app, auth, allowed_origin=[INSPECTOR]))


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "GET"])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://inspector.example.evil", ""])
async def test_pages_of_origins_that_are_not_listed_get_403(listed, app, method, origin):
    answer = await listed(method, "Bearer good", headers=(("origin", origin),))
    assert answer.status == 403
    assert answer.value("access-control-allow-origin") is None
    assert answer.value("www-authenticate") is None
    assert app.callers == []


@pytest.mark.parametrize("origin", [INSPECTOR, "https://Inspector.example", "http://127.0.0.1:8000"])
async def test_pages_of_listed_origins_and_of_the_resource_may_call(listed, origin):
    answer = await listed("POST", "Bearer good", headers=(("origin", origin),))
    assert answer.status == 200
    assert answer.value("access-control-allow-origin") == origin
    assert answer.value("vary") == "Origin"
    assert "WWW-Authenticate" in answer.value("access-control-expose-headers")


async def test_a_preflight_of_a_listed_origin_names_it(listed):
    headers = (("origin", INSPECTOR), ("access-control-request-headers", "authorization"))
    answer = await listed("OPTIONS", headers=headers)
    assert answer.status == 204
    assert answer.value("access-control-allow-origin") == INSPECTOR
    assert answer.value("access-control-allow-headers") == "authorization"


async def test_a_program_without_an_origin_may_call_with_a_list_too(listed):
    answer = await listed("POST", "Bearer good")
    assert answer.status == 200
    assert answer.value("access-control-allow-origin") is None


@pytest.mark.parametrize("headers", [(), (("origin", INSPECTOR),)])
async def test_no_answer_allows_credentials(call, listed, headers):
    for guard in (call, listed):
        answer = await guard("POST", "Bearer good", headers=headers)
        assert answer.value("access-control-allow-credentials") is None


@pytest.mark.parametrize("origin", ["inspector.example", "https://inspector.example/", "https://a.example/x"])
def test_an_allowed_origin_that_no_browser_sends_is_a_value_error(app, auth, origin):
    with pytest.raises(ValueError, match="allowed_origin"):
        with_mcp_auth(app, auth, allowed_origin=origin)


# Discovery documents


RESOURCE_PATHS = (
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource/mcp",
    "/.well-known/oauth-protected-resource/mcp/",
)
ISSUER_PATHS = (
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-authorization-server/mcp",
    "/mcp/.well-known/oauth-authorization-server",
)


@pytest.mark.parametrize("path", RESOURCE_PATHS)
async def test_serves_the_metadata_of_the_resource_at_root_and_path_form(call, app, path):
    answer = await call("GET", path=path)
    assert answer.status == 200
    assert answer.value("content-type") == "application/json"
    assert answer.value("access-control-allow-origin") == "*"
    assert answer.json() == {
        "resource": RESOURCE,
        "authorization_servers": [ISSUER],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["todo:write"],
    }
    assert app.callers == []


@pytest.mark.parametrize("path", ISSUER_PATHS)
async def test_serves_the_metadata_of_the_issuer_as_the_issuer_wrote_it(call, path):
    answer = await call("GET", path=path)
    assert (answer.status, answer.body) == (200, ISSUER_METADATA)
    assert answer.value("cache-control") == "public, max-age=60"


async def test_an_issuer_without_openid_connect_has_no_such_document_here(call):
    answer = await call("GET", path="/.well-known/openid-configuration")
    assert answer.status == 404
    assert answer.value("content-type") == "application/json"


@pytest.mark.parametrize(
    ("failure", "has_traceback"), [(Unavailable("no response"), False), (OSError(), True)]
)
async def test_an_outage_of_the_issuer_is_one_line_in_the_log(app, auth, caplog, failure, has_traceback):
    async def down(_: IssuerDocument) -> bytes:
        raise failure

    guard = with_mcp_auth(app, Auth(replace(auth.of, issuer_metadata=down)))
    await calls(guard)("GET", path="/.well-known/oauth-authorization-server")
    assert "the metadata of the issuer cannot be read" in caplog.text
    assert ("Traceback" in caplog.text) == has_traceback


@pytest.mark.parametrize("outage", [Unavailable(), OSError()])
async def test_metadata_that_cannot_be_read_is_503(app, auth, outage):
    """After a 404, clients assume a server without authorization, and would call without a token."""

    async def down(_: IssuerDocument) -> bytes:
        raise outage

    guard = with_mcp_auth(app, Auth(replace(auth.of, issuer_metadata=down)))
    answer = await calls(guard)("GET", path="/.well-known/oauth-authorization-server")
    assert answer.status == 503
    assert str(answer.value("retry-after")).isdigit()


async def test_head_of_a_document_is_its_get_without_the_body(call):
    get, head = [await call(method, path=RESOURCE_PATHS[1]) for method in ("GET", "HEAD")]
    assert head.headers == get.headers
    assert head.body == b""


async def test_a_document_cannot_be_posted_to(call):
    answer = await call("POST", path=RESOURCE_PATHS[0])
    assert answer.status == 405
    assert answer.value("allow") == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("path", ["/.well-known/jwks.json", "/x/.well-known/oauth-protected-resource"])
async def test_other_well_known_paths_need_a_token(call, path):
    assert (await call("GET", path=path)).status == 401
