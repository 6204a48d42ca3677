"""What a guard reads in a request body, and the bodies that other parsers could read differently."""

import gzip
import json

import pytest

from grantledger.adapters.guards.messages import Call, MessageRefused, body_of, calls_in
from grantledger.adapters.http.errors import GuardRefusal
from grantledger.adapters.http.limits import MAX_CALL_BODY, MAX_CALL_NAME, MAX_CALLS

CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "delete_all"}}
DELETE_ALL = Call("tools/call", "delete_all", 1)


def written(message: object) -> bytes:
    return json.dumps(message).encode()


def refusal_of(body: bytes, *headers: tuple[bytes, bytes]) -> GuardRefusal:
    with pytest.raises(MessageRefused) as refused:
        calls_in(body, list(headers))
    return refused.value.refusal


def test_a_call_names_its_tool():
    assert calls_in(written(CALL), []) == (DELETE_ALL,)


@pytest.mark.parametrize("method", ["prompts/get", "resources/read", "resources/subscribe"])
def test_prompts_and_resources_are_named_too(method):
    parameter = "name" if method == "prompts/get" else "uri"
    body = written({"jsonrpc": "2.0", "id": 1, "method": method, "params": {parameter: "x"}})
    assert calls_in(body, []) == (Call(method, "x", 1),)


@pytest.mark.parametrize("id_", [0, -1, 1.5, "", "a", 2**63 - 1, None])
def test_every_id_that_a_response_can_repeat_is_read(id_):
    assert calls_in(written({"method": "ping", "id": id_}), []) == (Call("ping", None, id_),)


def test_a_batch_is_read_entry_by_entry():
    other = {**CALL, "id": 2, "params": {"name": "list"}}
    assert calls_in(written([other, CALL]), []) == (Call("tools/call", "list", 2), DELETE_ALL)


@pytest.mark.parametrize("message", [CALL, {"id": 1, "result": {}}])
def test_a_batch_has_a_limit(message):
    assert len(calls_in(written([CALL] * MAX_CALLS), [])) == MAX_CALLS
    assert refusal_of(written([message] * (MAX_CALLS + 1))) is GuardRefusal.BODY_TOO_LARGE


def test_a_name_and_a_method_have_a_limit():
    longest = "x" * MAX_CALL_NAME
    assert calls_in(written({**CALL, "params": {"name": longest}}), [])[0].name == longest
    assert calls_in(written({"method": longest}), [])[0].method == longest
    for message in ({**CALL, "params": {"name": longest + "x"}}, {"method": longest + "x"}):
        assert refusal_of(written(message)) is GuardRefusal.BODY_TOO_LARGE


def listening(**notifications: object) -> dict[str, object]:
    return {"id": 1, "method": "subscriptions/listen", "params": {"notifications": notifications}}


def test_listening_subscribes_to_each_of_its_resources():
    asked = listening(resourceSubscriptions=["todo://1", "todo://2"])
    subscribed = tuple(Call("resources/subscribe", uri, 1) for uri in ("todo://1", "todo://2"))
    assert calls_in(written(asked), []) == (Call("subscriptions/listen", None, 1), *subscribed)


@pytest.mark.parametrize("wanted", [{}, {"resourceSubscriptions": None}, {"toolsListChanged": True}])
def test_listening_to_no_resource_is_one_call(wanted):
    assert calls_in(written(listening(**wanted)), []) == (Call("subscriptions/listen", None, 1),)


@pytest.mark.parametrize(
    "message",
    [
        listening(resource_subscriptions=["todo://1"]),
        listening(ResourceSubscriptions=["todo://1"]),
        listening(resourceSubscriptions="todo://1"),
        listening(resourceSubscriptions=[1]),
        {"method": "subscriptions/listen", "params": {"Notifications": {}}},
        {"method": "subscriptions/listen", "params": []},
        {"method": "subscriptions/listen", "params": {"notifications": []}},
    ],
)
def test_listening_that_another_parser_could_read_differently_is_refused(message):
    """The SDK reads `resource_subscriptions` as well."""
    assert refusal_of(written(message)) is GuardRefusal.BODY_MALFORMED


def test_the_resources_to_listen_to_have_a_limit():
    uris = ["todo://1"] * MAX_CALLS
    assert refusal_of(written(listening(resourceSubscriptions=uris))) is GuardRefusal.BODY_TOO_LARGE


def test_a_notification_is_a_call_without_an_id():
    assert calls_in(b'{"method":"notifications/initialized"}', []) == (Call("notifications/initialized"),)


def test_a_response_to_the_server_is_no_call():
    assert calls_in(b'{"jsonrpc":"2.0","id":1,"result":{}}', []) == ()


def test_no_body_is_no_call():
    assert calls_in(b"", []) == ()


@pytest.mark.parametrize(
    "body",
    [
        rb'{"\u006dethod":"tools\u002fcall","id":1,"params":{"n\u0061me":"\u0064elete_all"}}',
        b' \n\t{"method":"tools/call","id":1,"params":{"name":"delete_all"}}\r\n',
        b'{"params":{"name":"delete_all"},"id":1,"method":"tools/call"}',
    ],
)
def test_escapes_spaces_and_order_hide_no_call(body):
    assert calls_in(body, []) == (DELETE_ALL,)


@pytest.mark.parametrize(
    "body",
    [
        b'{"method":"tools/list","method":"tools/call","params":{"name":"delete_all"}}',
        rb'{"method":"tools/list","\u006dethod":"tools/call","params":{"name":"delete_all"}}',
        b'{"method":"tools/call","params":{"name":"list","name":"delete_all"}}',
        b'{"method":"tools/call","params":{"name":"list"},"params":{"name":"delete_all"}}',
        b'{"method":"tools/call","params":{"name":"list","arguments":{"a":1,"a":2}}}',
    ],
)
def test_a_repeated_name_in_an_object_is_refused(body):
    """Some parsers use the first member of this name, others the last."""
    assert refusal_of(body) is GuardRefusal.BODY_MALFORMED


@pytest.mark.parametrize(
    "body",
    [
        b'{"method":"tools/list","Method":"tools/call","params":{"name":"delete_all"}}',
        b'{"method":"tools/call","params":{"name":"list","NAME":"delete_all"}}',
        '{"method":"tools/call","param\u017f":{"name":"delete_all"},"params":{"name":"list"}}'.encode(),
    ],
)
def test_a_member_in_another_case_is_refused(body):
    """Go's parser reads `Method` as `method`, and U+017F (LATIN SMALL LETTER LONG S) as an s."""
    assert refusal_of(body) is GuardRefusal.BODY_MALFORMED


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b'{"method":"tools/call","params":{"name":"a"}} {"method":"tools/call"}',
        b'{"method":"tools/call","params":{"name":"a"},"id":NaN}',
        b'{"method":"tools/call","params":{"name":"\xff"}}',
        '\ufeff{"method":"tools/list"}'.encode(),
        '{"method":"tools/list"}'.encode("utf-16"),
        b"[]",
        b'"tools/call"',
        b'[[{"method":"tools/call"}]]',
        b'[{"method":"tools/list"},1]',
        b'{"method":["tools/call"]}',
        b'{"method":"tools/call"}',
        b'{"method":"tools/call","params":["delete_all"]}',
        b'{"method":"tools/call","params":{"name":null}}',
        rb'{"method":"tools/call","params":{"name":"delete\ud800"}}',
        b'{"method":"tools/list","id":{}}',
        b'{"method":"tools/list","id":true}',
        b'{"method":"tools/list","id":9223372036854775808}',
        b'{"method":"tools/list","id":1e999}',
        rb'{"method":"tools/list","id":"\ud800"}',
        b"[" * 100_000,
    ],
)
def test_a_malformed_or_ambiguous_message_is_refused(body):
    assert refusal_of(body) is GuardRefusal.BODY_MALFORMED


@pytest.mark.parametrize("encoding", [b"gzip", b"br", b"GZIP", b"identity, gzip", b"x"])
def test_a_compressed_body_is_refused(encoding):
    body = gzip.compress(written(CALL))
    assert refusal_of(body, (b"content-encoding", encoding)) is GuardRefusal.BODY_ENCODED


def test_the_encoding_identity_is_accepted():
    assert calls_in(written(CALL), [(b"content-encoding", b"identity")]) == (DELETE_ALL,)


@pytest.mark.parametrize("charset", [b"utf-7", b"utf-16", b'"latin1"'])
def test_another_charset_is_refused(charset):
    kind = b"application/json; charset=" + charset
    assert refusal_of(written(CALL), (b"content-type", kind)) is GuardRefusal.BODY_ENCODED


def test_utf_8_is_accepted_by_name():
    kind = b"application/json; charset=UTF-8"
    assert calls_in(written(CALL), [(b"content-type", kind)]) == (DELETE_ALL,)


# Mcp-Method and Mcp-Name (MCP 2026-07-28)


@pytest.mark.parametrize(
    "headers",
    [
        [(b"mcp-method", b"tools/call"), (b"mcp-name", b"delete_all")],
        [(b"mcp-name", b"=?base64?ZGVsZXRlX2FsbA==?=")],
        [(b"mcp-method", b"tools/call")],
        [],
    ],
)
def test_headers_that_equal_the_body_are_accepted(headers):
    assert calls_in(written(CALL), headers) == (DELETE_ALL,)


@pytest.mark.parametrize(
    "header",
    [
        (b"mcp-method", b"tools/list"),
        (b"mcp-method", b"Tools/Call"),
        (b"mcp-name", b"list"),
        (b"mcp-name", b""),
        (b"mcp-name", b"=?base64?bGlzdA==?="),
        (b"mcp-name", b"=?base64?ZGVsZXRlX2FsbB==?="),
        (b"mcp-name", b"=?base64?%?="),
    ],
)
def test_headers_that_differ_from_the_body_are_refused(header):
    assert refusal_of(written(CALL), header) is GuardRefusal.HEADERS_DIFFER


def test_every_repeated_header_must_equal_the_body():
    headers = ((b"mcp-name", b"delete_all"), (b"mcp-name", b"list"))
    assert refusal_of(written(CALL), *headers) is GuardRefusal.HEADERS_DIFFER


def test_a_header_must_equal_each_entry_of_a_batch():
    batch = written([CALL, {**CALL, "params": {"name": "list"}}])
    assert refusal_of(batch, (b"mcp-name", b"delete_all")) is GuardRefusal.HEADERS_DIFFER


# The body, as ASGI delivers it


def receiving(*parts: bytes):
    messages = [
        {"type": "http.request", "body": part, "more_body": index < len(parts)}
        for index, part in enumerate(parts, start=1)
    ]

    async def receive():
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    return receive


async def test_a_body_in_chunks_is_read_whole():
    body = written(CALL)
    assert await body_of(receiving(body[:9], body[9:20], b"", body[20:]), []) == body


async def test_a_body_beyond_the_limit_is_refused_however_it_is_sent():
    part = b" " * (MAX_CALL_BODY // 2)
    assert await body_of(receiving(part, part), []) is not None
    with pytest.raises(MessageRefused, match="longer"):
        await body_of(receiving(part, part, b" "), [])


@pytest.mark.parametrize("length", [b"%d" % (MAX_CALL_BODY + 1), b"9" * 10_000])
async def test_a_declared_length_beyond_the_limit_is_refused_unread(length):
    with pytest.raises(MessageRefused, match="longer"):
        await body_of(receiving(), [(b"content-length", length)])


async def test_a_client_that_has_gone_sends_no_body():
    assert await body_of(receiving(), []) is None
