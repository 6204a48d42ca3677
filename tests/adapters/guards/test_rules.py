"""The rules of `with_mcp_auth`, in raw ASGI messages: a refused call never reaches the application."""

import json
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace

from grantledger import requires
from grantledger.adapters.guards.asgi import BearerGuard, with_mcp_auth
from grantledger.adapters.guards.calls import CallOptions
from grantledger.adapters.guards.messages import METHODS
from grantledger.adapters.guards.messages import Call as Asked
from grantledger.adapters.guards.rules import Rules, RuleTable
from grantledger.adapters.http.limits import MAX_CALL_NAME
from support.guarding import METADATA, RESOURCE, SESSION, Answered, Auth, GuardedApp, calling, guarded

RULES: Rules = {
    "tools/call:add_*": "todo:write",
    "tools/call:share": ["todo:share", "todo:write", "mail:send"],
    "tools/call:delete_*": requires("todo:delete", roles="admin"),
    "resources/read:notes://private/*": "notes:private",
    "prompts/get": "todo:read",
}
READER = replace(SESSION, scopes=("todo:read", "offline_access"))
STREAM = ("accept", "application/json, text/event-stream")


def call(name: str, method: str = "tools/call", **members: Any) -> dict[str, Any]:
    parameter = "uri" if method.startswith("resources/") else "name"
    return {"jsonrpc": "2.0", "id": 7, "method": method, "params": {parameter: name}, **members}


class Guarded:
    """An application behind a guard, called with a session of these scopes."""

    def __init__(self, session: Any = READER, **options: Any) -> None:
        self.app = GuardedApp()
        self._session = session
        members = {"required_scopes": options.pop("required_scopes", ())}
        calls = CallOptions(**{"rules": RULES, **options})
        self.guard = BearerGuard(self.app, guarded(self.verify), calls=calls, **members)
        self.raw = partial(calling, self.guard, "POST", "Bearer good")

    async def __call__(self, message: object, *headers: tuple[str, str]) -> Answered:
        return await self.raw(headers=headers, body=json.dumps(message).encode())

    async def verify(self, access_token: str, *, resource: str | None = None) -> Any:
        return self._session

    @property
    def reached(self) -> int:
        return len(self.app.callers)


async def test_a_call_without_its_scope_is_403_and_never_reaches_the_application():
    server = Guarded()
    refused = await server(call("add_todo"))
    assert refused.status == 403
    assert server.reached == 0


async def test_the_challenge_is_that_of_every_refusal_of_the_guard():
    refused = await Guarded()(call("add_todo"))
    assert refused.value("www-authenticate") == (
        'Bearer error="insufficient_scope", '
        'error_description="The access token does not have all scopes that this operation needs", '
        f'scope="todo:read todo:write", resource_metadata="{METADATA}"'
    )
    assert refused.json()["error"]["www-authenticate"] == refused.value("www-authenticate")


async def test_a_refusal_has_the_id_of_its_request():
    for id_ in ("a", 2**63 - 1, 1.5):
        assert (await Guarded()(call("add_todo", id=id_))).json()["id"] == id_


async def test_a_browser_can_read_a_refusal():
    assert (await Guarded()(call("add_todo"))).value("access-control-allow-origin") == "*"


def scopes_of(refused: Answered) -> list[str]:
    challenge = refused.value("www-authenticate") or ""
    return challenge.partition('scope="')[2].partition('"')[0].split()


async def test_all_missing_scopes_are_named_at_once_with_those_that_the_token_has():
    """Some clients ask only for the scopes that are named, and would lose those that are not."""
    assert scopes_of(await Guarded()(call("share"))) == ["todo:read", "todo:share", "todo:write", "mail:send"]


async def test_the_scopes_that_every_request_needs_are_named_with_those_of_the_call():
    refused = await Guarded(required_scopes=("openid",))(call("add_todo"))
    assert scopes_of(refused) == ["todo:read", "openid", "todo:write"]


async def test_scopes_of_another_issuer_that_no_header_can_hold_are_left_out():
    strange = replace(SESSION, scopes=('a"b', "two words", "scope=x", "", "api://x/read"))
    assert scopes_of(await Guarded(strange)(call("add_todo"))) == ["api://x/read", "todo:write"]


async def test_a_call_with_its_scope_reaches_the_application():
    assert (await Guarded(SESSION)(call("add_todo"))).body == b"behind the guard"


@pytest.mark.parametrize("message", [call("list_todos"), call("x", "tools/list"), {"id": 1, "result": {}}])
async def test_a_call_that_no_rule_fits_passes(message):
    assert (await Guarded()(message)).status == 200


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_request_without_a_body_passes(method):
    server = Guarded()
    assert (await calling(server.guard, method, "Bearer good")).status == 200


async def test_every_method_with_a_body_is_read():
    server = Guarded()
    body = json.dumps(call("add_todo")).encode()
    for method in ("GET", "PUT", "DELETE"):
        assert (await calling(server.guard, method, "Bearer good", body=body)).status == 403
    assert server.reached == 0


async def test_a_refusal_by_role_has_no_challenge_and_names_no_scope():
    refused = await Guarded()(call("delete_todo"))
    assert (refused.status, refused.value("www-authenticate")) == (403, None)
    assert "todo:delete" not in refused.body.decode()


async def test_an_admin_without_the_scope_is_asked_for_it():
    refused = await Guarded(replace(READER, roles=("admin",)))(call("delete_todo"))
    assert scopes_of(refused) == ["todo:read", "todo:delete"]


async def test_a_notification_is_checked_as_well():
    message = call("add_todo")
    del message["id"]
    assert (await Guarded()(message)).status == 403


# Ways around it


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"id":1,"method":"tools/list","method":"tools/call","params":{"name":"add_todo"}}', 400),
        (rb'{"id":1,"method":"tools\u002fc\u0061ll","params":{"name":"\u0061dd_todo"}}', 403),
        (
            b'[{"id":1,"method":"tools/list"},{"id":2,"method":"tools/call","params":{"name":"add_todo"}}]',
            403,
        ),
        (b"\xef\xbb\xbf" + json.dumps(call("add_todo")).encode(), 400),
        (json.dumps(call("add_todo")).encode("utf-16"), 400),
        (b" " * (4 * 1024 * 1024) + json.dumps(call("add_todo")).encode(), 413),
    ],
)
async def test_no_spelling_of_a_body_gets_around_a_rule(body, status):
    server = Guarded()
    assert (await server.raw(body=body)).status == status
    assert server.reached == 0


@pytest.mark.parametrize(
    ("header", "status", "code"),
    [
        (("content-encoding", "gzip"), 415, -32600),
        (("content-type", "application/json; charset=utf-7"), 415, -32600),
        (("mcp-method", "tools/list"), 400, -32020),
        (("mcp-name", "list_todos"), 400, -32020),
    ],
)
async def test_no_header_gets_around_a_rule(header, status, code):
    server = Guarded()
    refused = await server(call("add_todo"), header)
    assert (refused.status, refused.json()["error"]["code"]) == (status, code)
    assert refused.value("www-authenticate") is None
    assert server.reached == 0


async def test_a_call_in_chunks_is_put_together_before_it_is_checked():
    server = Guarded()
    body = json.dumps(call("add_todo")).encode()
    parts = [{"type": "http.request", "body": bytes([byte]), "more_body": True} for byte in body]
    parts.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[Any] = []

    async def receive() -> Any:
        return parts.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", b"Bearer good"), (b"transfer-encoding", b"chunked")]
    scope = {"type": "http", "method": "POST", "path": "/mcp", "query_string": b"", "headers": headers}
    await server.guard(scope, receive, send)
    assert sent[0]["status"] == 403


async def test_an_application_receives_the_body_once_and_then_what_comes_after():
    received: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        received.extend([await receive(), await receive()])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    server = Guarded(SESSION)
    body = json.dumps(call("add_todo")).encode()
    guard = BearerGuard(app, guarded(server.verify), calls=CallOptions(rules=RULES))
    messages = [{"type": "http.request", "body": body, "more_body": False}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(_: Any) -> None: ...

    headers = [(b"authorization", b"Bearer good")]
    scope = {"type": "http", "method": "POST", "path": "/mcp", "query_string": b"", "headers": headers}
    await guard(scope, receive, send)
    assert received == [
        {"type": "http.request", "body": body, "more_body": False},
        {"type": "http.disconnect"},
    ]


@pytest.mark.parametrize("uri", ["notes://private/a", "NOTES://Private/a", "notes://%70rivate/a"])
async def test_a_rule_about_a_uri_fits_each_spelling_of_it(uri):
    assert (await Guarded()(call(uri, "resources/read"))).status == 403


@pytest.mark.parametrize(
    "uri",
    [
        "notes://public/../private/a",
        "notes://public/%2e%2E/private/a",
        "notes://./private/a",
        "notes://private\\a",
        "notes://public/%5c..",
        " notes://private/a",
        "notes://pri\tvate/a",
        "notes://private%00/a",
        "https://\uff45xample.com/a",
        "https://%EF%BD%85xample.com/a",
        "file://localhost\u00ad/a",
        "https://@example.com/a",
        "notes://:@private/a",
        "notes://private:/a",
        "notes://private:080/a",
        "http://127.1/a",
        "http://0x7f.0.0.1/a",
        "http://%3127.0.00.1:8000/a",
        "http://127.0.0.1./a",
        "http://[0:0:0:0:0:0:0:1]/a",
    ],
)
async def test_with_a_rule_about_uris_an_ambiguous_uri_is_403(uri):
    admin = replace(SESSION, scopes=("notes:private",), roles=("admin",))
    server = Guarded(admin)
    assert (await server(call(uri, "resources/read"))).status == 403
    assert server.reached == 0


@pytest.mark.parametrize(
    "uri",
    [
        "notes://public/a%20b",
        "notes://public/a.b/..c?d=..#.e",
        "https://example.com/a",
        "notes://\u00e4",
        "file:///\u00e4/1",
        "http://127.0.0.1:8000/a",
        "http://[::1]:80/a",
    ],
)
async def test_an_unusual_uri_with_one_reading_passes(uri):
    assert (await Guarded()(call(uri, "resources/read"))).status == 200


async def test_without_a_rule_about_uris_every_uri_passes():
    server = Guarded(rules={"tools/call:x": "x"})
    assert (await server(call("notes://a/../b", "resources/read"))).status == 200


@pytest.mark.parametrize(
    ("rule", "uri"),
    [
        ("https://api.example/*", "HTTPS://API.Example:443/a"),
        ("https://api.example/*", "https://api.example:/a"),
        ("https://api.example/*", "https:api.example/a"),
        ("https://api.example/*", "https:////api.example:00443/a"),
        ("https://api.example/*", "https://%61pi.example:443/a"),
        ("https://api.example/", "https://api.example"),
        ("https://api.example:443/*", "https://api.example/a"),
        ("http://api.example/?a", "http://api.example:80?a"),
        ("file:///etc/*", "file:/etc/passwd"),
        ("file:///etc/*", "file://localhost/etc/passwd"),
        ("file:///etc/*", "file:////etc/passwd"),
        ("notes://caf%C3%A9/*", "notes://caf\u00e9/a"),
    ],
)
def test_a_rule_about_a_uri_fits_the_uri_that_parsers_read(rule, uri):
    assert RuleTable({f"resources/read:{rule}": "x"}).of(Asked("resources/read", uri)) is not None


@pytest.mark.parametrize(
    "uri", ["https://api.example:8443/a", "http://api.example:443/a", "https://b.example/a"]
)
def test_a_rule_about_a_url_does_not_fit_another_port_or_host(uri):
    table = RuleTable({"resources/read:https://api.example/*": "x"})
    assert table.of(Asked("resources/read", uri)) is None


async def test_a_rule_about_a_tool_fits_its_hashed_name_in_fastmcp():
    server = Guarded()
    assert (await server(call("__0123456789ab_add_todo"))).status == 403
    assert (await server(call("__0123456789ab_list_todos"))).status == 200


async def test_listening_to_a_resource_needs_what_subscribing_needs():
    server = Guarded(rules={"resources/subscribe:notes://private/*": "notes:private"})
    wanted = {"resourceSubscriptions": ["notes://public/a", "notes://private/a"]}
    message = {"id": 7, "method": "subscriptions/listen", "params": {"notifications": wanted}}
    refused = await server(message, ("mcp-method", "subscriptions/listen"))
    assert (refused.status, refused.json()["id"], server.reached) == (403, 7, 0)
    wanted["resourceSubscriptions"].pop()
    assert (await server(message)).status == 200


async def test_each_tool_of_a_batch_is_looked_up_once():
    asked: list[str] = []

    class Server:
        async def get_tool(self, name: str) -> None:
            asked.append(name)

        get_prompt = get_tool

    server = Guarded(find_server=lambda _: Server())
    assert (await server([call("list"), call("list"), call("list", "prompts/get")])).status == 200
    assert asked == ["list", "list"]


# The table


@pytest.mark.parametrize(
    ("pattern", "fitting", "others"),
    [
        ("*", ["", "a"], []),
        ("a*a", ["aa", "aba"], ["a", "ab"]),
        ("*a*b*", ["ab", "xaxbx"], ["ba", "a"]),
        ("a*bc*c", ["abcc", "abcbcc"], ["abc", "abcb"]),
        ("*ab*ab", ["abab", "xabxab"], ["ab", "aba"]),
        ("**a", ["a", "ba"], ["ab"]),
        ("stra\u00dfe*", ["STRASSE 1"], ["strase"]),
    ],
)
def test_a_star_is_any_text_even_none(pattern, fitting, others):
    table = RuleTable({f"tools/call:x{pattern}": "x"})
    assert all(table.of(Asked("tools/call", f"x{name}")) for name in fitting)
    assert not any(table.of(Asked("tools/call", f"x{name}")) for name in others)


def test_a_pattern_of_many_stars_needs_no_backtracking():
    """With a regular expression the test would time out: it would try every combination, for years."""
    table = RuleTable({"tools/call:" + "*a" * 40 + "*b": "x"})
    assert table.of(Asked("tools/call", "a" * MAX_CALL_NAME)) is None


def test_all_rules_that_fit_a_call_count():
    table = RuleTable({"tools/call": "use", "tools/*": "all", "tools/call:a*": requires(roles="admin")})
    found = table.of(Asked("tools/call", "add"))
    assert found is not None
    assert (set(found.scopes), found.roles) == ({"use", "all"}, ("admin",))
    assert table.of(Asked("ping")) is None


def test_only_a_star_is_special():
    table = RuleTable({"tools/call:a.b?": "x"})
    assert table.of(Asked("tools/call", "a.b?")) is not None
    assert table.of(Asked("tools/call", "axbc")) is None


@pytest.mark.parametrize("pattern", ["delete_*", "", "tools/list:x", "tools/call:", "call:delete"])
def test_a_rule_that_fits_no_call_is_a_value_error(pattern):
    with pytest.raises(ValueError, match="rule"):
        RuleTable({pattern: "x"})


@pytest.mark.parametrize("options", [{"step_up": "https"}, {"hide": "all"}])
def test_an_unknown_option_is_a_value_error(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be '.+' or '.+', not '.+'"):
        Guarded(**options)


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("tool/call", "tools/call"),
        ("tools/calls:delete_*", "tools/call"),
        ("Resource/Read:notes://*", "resources/read"),
        ("prompt/get", "prompts/get"),
    ],
)
def test_a_rule_about_a_misspelt_method_is_a_value_error(misspelt, meant):
    with pytest.raises(ValueError, match=f"did you mean '{meant}'"):
        RuleTable({misspelt: "x"})


def test_a_rule_may_be_about_each_method_of_mcp_and_of_extensions():
    for method in (*METHODS, "tools/*", "*", "example.org/search", "tools/delete"):
        assert RuleTable({method: "x"}).of(Asked(method)) is not None


async def test_a_call_says_that_no_client_can_get_the_scope_that_it_needs(caplog):
    """Without the warning users would consent repeatedly, and the operator would not see the misspelling."""
    unknown = f"todo:{uuid4().hex}"
    app = GuardedApp()
    offered = frozenset({"todo:read"})
    auth = Auth(replace(guarded(Guarded().verify), offered_scopes=offered))
    guard = with_mcp_auth(app, auth, rules={"tools/call:add": requires("todo:read")})
    await calling(guard, "POST", "Bearer good", body=json.dumps(call("add")).encode())
    assert "no client can get" not in caplog.text
    with_mcp_auth(app, auth, rules={"tools/call:add": requires("todo:read", unknown)})
    assert f"no client can get the scope '{unknown}' for {RESOURCE}" in caplog.text


# The hierarchy of scopes


HIERARCHY = {"todo:admin": ("todo:write", "todo:delete"), "todo:write": "todo:read"}


@pytest.mark.parametrize("hierarchy", [{"todo:admin": "todo:write todo:read"}, {"todo admin": "todo:read"}])
def test_a_hierarchy_with_invalid_scopes_is_a_value_error(hierarchy):
    with pytest.raises(ValueError, match="must be ASCII without space"):
        Guarded(scope_hierarchy=hierarchy)


async def test_a_scope_counts_for_all_that_it_includes():
    server = Guarded(replace(SESSION, scopes=("todo:admin",)), scope_hierarchy=HIERARCHY)
    assert (await server(call("add_todo"))).status == 200
    assert (await server(call("greet", "prompts/get"))).status == 200
    (session, _) = server.app.callers
    assert session is not None
    assert session.scopes == ("todo:admin", "todo:write", "todo:delete", "todo:read")


async def test_a_scope_that_another_one_includes_is_not_asked_for():
    server = Guarded(replace(SESSION, scopes=("todo:admin",)), scope_hierarchy=HIERARCHY)
    assert scopes_of(await server(call("share"))) == ["todo:admin", "todo:share", "mail:send"]


async def test_a_scope_does_not_count_for_what_includes_it():
    server = Guarded(replace(SESSION, scopes=("todo:read",)), scope_hierarchy=HIERARCHY)
    assert scopes_of(await server(call("add_todo"))) == ["todo:write"]


async def test_scopes_may_include_each_other():
    circle = {"a": "b", "b": "a"}
    server = Guarded(replace(SESSION, scopes=("a",)), scope_hierarchy=circle)
    assert scopes_of(await server(call("add_todo"))) == ["a", "b", "todo:write"]


# Refusals as results


async def result_of(message: object, *headers: tuple[str, str], session: Any = READER) -> Any:
    answer = await Guarded(session, step_up="result")(message, STREAM, *headers)
    assert answer.status == 200
    assert answer.value("content-type") == "application/json"
    return answer.json()


async def test_a_result_says_what_is_missing_as_chatgpt_reads_it():
    answer = await result_of(call("add_todo"))
    assert (answer["id"], answer["result"]["isError"]) == (7, True)
    (challenge,) = answer["result"]["_meta"]["mcp/www_authenticate"]
    refused = await Guarded()(call("add_todo"))
    assert challenge == refused.value("www-authenticate")


async def test_a_result_for_a_refusal_by_role_asks_for_no_sign_in():
    answer = await result_of(call("delete_todo"))
    assert answer["result"]["isError"]
    assert "_meta" not in answer["result"]


async def test_a_result_has_its_type_where_the_protocol_has_types():
    version = ("mcp-protocol-version", "2026-07-28")
    assert (await result_of(call("add_todo"), version))["result"]["resultType"] == "complete"
    assert "resultType" not in (await result_of(call("add_todo")))["result"]


@pytest.mark.parametrize(
    ("message", "headers"),
    [
        (call("greet", "prompts/get"), (STREAM,)),
        ([call("add_todo")] * 2, (STREAM,)),
        ({"method": "tools/call", "params": {"name": "add_todo"}}, (STREAM,)),
        (call("add_todo"), ()),
    ],
)
async def test_a_refusal_that_cannot_be_a_tool_result_is_403(message, headers):
    """The last one is the older transport, which answers on another connection."""
    server = Guarded(replace(READER, scopes=()), step_up="result")
    assert (await server(message, *headers)).status == 403
