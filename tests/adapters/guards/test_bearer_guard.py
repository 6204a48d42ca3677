import logging

import pytest

from grantledger.adapters.asgi_types import Message
from grantledger.adapters.guards.asgi import BearerGuard
from grantledger.adapters.guards.session import current_session, verified
from grantledger.application.ports import Unavailable
from grantledger.application.tokens import look_up_session
from grantledger.domain import client_registration, token_grant, user_account
from support.guarding import guarded

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH")

REFUSALS = (
    look_up_session.AccessTokenUnknown,
    look_up_session.AccessTokenForAnotherResource,
    token_grant.AccessTokenHasEnded,
    token_grant.GrantIsRevoked,
    token_grant.GrantHasExpired,
    client_registration.ClientUnknown,
    client_registration.ClientIsDisabled,
    user_account.UserIsDisabled,
)


# A request with a good token


@pytest.mark.parametrize("method", METHODS)
async def test_lets_a_valid_token_through_with_every_method(call, app, method):
    answer = await call(method, "Bearer good")
    assert answer.status == 200
    assert answer.body == b"behind the guard"


@pytest.mark.parametrize("value", ["bearer good", "BEARER good", "Bearer   good", "Bearer good "])
async def test_reads_the_scheme_in_any_case_and_spaces_around_the_token(call, value):
    assert (await call("POST", value)).status == 200


async def test_asks_about_its_own_resource_and_no_other(call, ledger):
    """Fails if a guard accepts the tokens of every resource."""
    await call("POST", "Bearer good")
    assert ledger.asked == [("good", "http://127.0.0.1:8000/mcp")]


async def test_passes_the_caller_to_the_app(call, app):
    await call("POST", "Bearer good")
    (caller,) = app.callers
    assert (caller.access_token, caller.resource) == ("good", "http://127.0.0.1:8000/mcp")
    assert caller.user_id == "glu_ann"


async def test_the_guarded_app_reads_the_current_session(call, app):
    seen = []

    async def work() -> None:
        seen.append(current_session())

    app.work = work
    await call("POST", "Bearer good")
    assert seen == [app.callers[0]]
    assert current_session() is None


async def test_the_session_ends_with_the_request(call):
    await call("POST", "Bearer good")
    assert verified.get() is None


async def test_passes_the_request_on_unchanged(call, app):
    await call("POST", "Bearer good", query="cursor=2", headers=(("origin", "null"),))
    (scope,) = app.scopes
    assert (scope["method"], scope["path"], scope["query_string"]) == ("POST", "/mcp", b"cursor=2")
    assert scope["headers"][1:] == [(b"authorization", b"Bearer good"), (b"origin", b"null")]


# A request without a token


@pytest.mark.parametrize("method", METHODS)
async def test_refuses_a_request_without_a_token_with_every_method(call, app, method):
    assert (await call(method)).status == 401
    assert app.callers == []


async def test_the_challenge_without_a_token_names_no_error(call):
    assert (await call()).value("www-authenticate") == (
        'Bearer scope="todo:write", '
        'resource_metadata="http://127.0.0.1:8000/.well-known/oauth-protected-resource/mcp"'
    )


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"headers": (("cookie", "access_token=good; authorization=good"),)},
        {"headers": (("x-authorization", "Bearer good"), ("proxy-authorization", "Bearer good"))},
        {"headers": (("content-type", "application/x-www-form-urlencoded"),), "body": b"access_token=good"},
    ],
)
async def test_reads_the_token_from_the_authorization_header_only(call, ledger, elsewhere):
    assert (await call("POST", **elsewhere)).status == 401
    assert ledger.asked == []


# A request that cannot be read


@pytest.mark.parametrize("value", ["Bearer two tokens", "Bearer a, Bearer b"])
async def test_refuses_a_header_that_is_not_one_bearer_token_as_malformed(call, ledger, value):
    answer = await call("POST", value)
    assert answer.status == 400
    assert answer.value("www-authenticate").startswith('Bearer error="invalid_request", error_description="')
    assert ledger.asked == []


@pytest.mark.parametrize("value", ["Basic eDp5", "DPoP good", "Bearergood", "good", "", "Bearer", "Bearer "])
async def test_answers_another_scheme_or_no_token_with_the_bearer_challenge(call, ledger, value):
    answer = await call("POST", value)
    assert answer.status == 401
    assert "error=" not in answer.value("www-authenticate")
    assert ledger.asked == []


async def test_refuses_two_authorization_headers_even_if_both_are_good(call, ledger):
    assert (await call("POST", "Bearer good", "Bearer good")).status == 400
    assert ledger.asked == []


# A token that is refused


async def test_names_an_invalid_token_in_the_challenge(call, app):
    answer = await call("POST", "Bearer bad")
    assert answer.status == 401
    assert answer.value("www-authenticate") == (
        'Bearer error="invalid_token", '
        'error_description="The access token is expired or revoked or not one for this server", '
        'scope="todo:write", '
        'resource_metadata="http://127.0.0.1:8000/.well-known/oauth-protected-resource/mcp"'
    )
    assert app.callers == []


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_does_not_reveal_why_a_token_was_refused(call, ledger, refusal):
    plain = await call("POST", "Bearer bad")
    ledger.refusal = refusal("a private detail")
    assert await call("POST", "Bearer bad") == plain


@pytest.mark.parametrize("authorization", [(), ("Bearer bad",)])
async def test_keeps_refusals_out_of_caches(call, authorization):
    assert (await call("GET", *authorization)).value("cache-control") == "no-store"


# A token that cannot be checked


@pytest.mark.parametrize(
    "outage", [Unavailable(), OSError("disk"), TimeoutError(), KeyError("a bug of ours")]
)
async def test_an_outage_is_503_and_never_401(call, app, ledger, outage):
    """Fails if a guard answers 401 to a token that it cannot check."""
    ledger.outage = outage
    answer = await call("POST", "Bearer good")
    assert answer.status == 503
    assert answer.value("retry-after").isdigit()
    assert answer.value("www-authenticate") is None
    assert app.callers == []


async def test_the_reason_of_an_outage_is_logged_without_the_token(call, ledger, caplog):
    ledger.outage = Unavailable("no response from https://auth.example")
    await call("POST", "Bearer good-and-secret")
    assert "no response from https://auth.example" in caplog.text
    assert "secret" not in caplog.text


async def test_an_unexpected_error_is_logged_without_the_token(call, ledger, caplog):
    ledger.outage = KeyError("a bug of ours")
    with caplog.at_level(logging.DEBUG):
        await call("POST", "Bearer good-and-secret")
    assert "a bug of ours" in caplog.text
    assert "secret" not in caplog.text


# Browsers


async def test_answers_a_preflight_without_a_token(call, app, ledger):
    answer = await call(
        "OPTIONS",
        headers=(
            ("origin", "http://localhost:6274"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,mcp-param-tenant"),
        ),
    )
    assert answer.status == 204
    assert answer.body == b""
    assert answer.value("access-control-allow-origin") == "*"
    assert answer.value("access-control-allow-headers") == "authorization,mcp-param-tenant"
    assert "DELETE" in answer.value("access-control-allow-methods")
    assert (app.callers, ledger.asked) == ([], [])


@pytest.mark.parametrize("authorization", [(), ("Bearer good",), ("Bearer bad",), ("Basic x", "Bearer y")])
async def test_lets_scripts_read_every_answer(call, authorization):
    answer = await call("POST", *authorization)
    assert answer.value("access-control-allow-origin") == "*"
    assert "WWW-Authenticate" in answer.value("access-control-expose-headers")


async def test_lets_scripts_read_an_outage(call, ledger):
    ledger.outage = Unavailable()
    assert (await call("POST", "Bearer good")).value("access-control-allow-origin") == "*"


async def test_does_not_repeat_cross_origin_headers_that_the_app_sends_itself(call, app):
    app.headers = [(b"Access-Control-Allow-Origin", b"https://else.example"), (b"mcp-session-id", b"1")]
    answer = await call("POST", "Bearer good")
    assert [v for k, v in answer.headers if k.lower() == "access-control-allow-origin"] == ["*"]
    assert answer.value("mcp-session-id") == "1"


async def test_an_app_allows_no_credentials_to_the_origins_of_the_guard(call, app):
    """Fails if a page that the guard lists may read what the app answers to the user's cookies."""
    app.headers = [(b"Access-Control-Allow-Credentials", b"true")]
    answer = await call("POST", "Bearer good")
    assert "access-control-allow-credentials" not in {name.lower() for name, _ in answer.headers}


# The answer's body


async def test_the_body_of_a_refusal_says_what_to_do(call):
    answer = await call()
    assert answer.value("content-type") == "application/json"
    assert answer.value("content-length") == str(len(answer.body))
    assert answer.json()["error"]["message"] == (
        "Unauthorized: Authentication required. Send an access token in the Authorization header. "
        "http://127.0.0.1:8000/.well-known/oauth-protected-resource/mcp says where to get one."
    )


@pytest.mark.parametrize("authorization", [(), ("Bearer bad",)])
async def test_the_message_of_a_401_says_unauthorized(call, authorization):
    """MCP Inspector 0.15 starts the sign-in only if the message has the word "Unauthorized"."""
    answer = await call("POST", *authorization)
    assert answer.status == 401
    assert "Unauthorized" in answer.json()["error"]["message"]


async def test_head_is_answered_like_get_without_the_body(call):
    head, get = await call("HEAD"), await call("GET")
    assert head.body == b""
    assert head.headers == get.headers


# What is not an HTTP request


async def test_refuses_websockets(guard, app):
    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    headers = [(b"authorization", b"Bearer good")]
    await guard({"type": "websocket", "path": "/mcp", "headers": headers}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]
    assert app.callers == []


async def test_starts_and_stops_the_app_with_the_server(guard, app):
    async def receive():
        return {"type": "lifespan.startup"}

    async def send(message): ...

    await guard({"type": "lifespan"}, receive, send)
    assert app.lifespans == 1


def test_a_scope_that_no_header_can_hold_is_a_value_error(app, ledger):
    with pytest.raises(ValueError, match="scope"):
        BearerGuard(app, guarded(ledger, scopes=('a"b',)))


# The URL that the application sees


@pytest.mark.parametrize(
    ("resource", "seen"),
    [
        ("https://mcp.example.com/mcp", ("https", b"mcp.example.com", ("mcp.example.com", 443))),
        ("https://MCP.example.com:443/mcp", ("https", b"mcp.example.com", ("mcp.example.com", 443))),
        ("https://mcp.example.com:8443", ("https", b"mcp.example.com:8443", ("mcp.example.com", 8443))),
        ("http://[::1]:8000/mcp", ("http", b"[::1]:8000", ("::1", 8000))),
    ],
)
async def test_the_application_sees_scheme_and_host_of_its_resource(app, ledger, resource, seen):
    guard = BearerGuard(app, guarded(ledger, identifier=resource))
    given = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/mcp",
        "query_string": b"",
        "server": ("127.0.0.1", 8000),
        "headers": [(b"host", b"evil.example"), (b"authorization", b"Bearer good")],
    }
    await guard(given, nothing_received, nothing_sent)
    (scope,) = app.scopes
    (host,) = [value for name, value in scope["headers"] if name == b"host"]
    assert (scope["scheme"], host, scope["server"]) == seen


async def nothing_received() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def nothing_sent(_: Message) -> None: ...
