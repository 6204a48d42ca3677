"""Lists are shortened in JSON and in event streams, whatever the size of the chunks."""

import json
from typing import Any

import pytest

from grantledger.adapters.guards.listings import ShorterList
from grantledger.adapters.guards.messages import Call

TOOLS = [{"name": "read"}, {"name": "delete_all", "title": "Löschen"}]
LISTED = {"jsonrpc": "2.0", "id": 1, "result": {"tools": TOOLS}}
SHORT = {"jsonrpc": "2.0", "id": 1, "result": {"tools": TOOLS[:1]}}


async def is_shown(call: Call) -> bool:
    assert call.method == "tools/call"
    return call.name != "delete_all"


async def shortened(content_type: str, *parts: bytes) -> tuple[dict[str, str], bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    shorter = ShorterList(send, "tools/list", is_shown)
    headers = [(b"content-type", content_type.encode()), (b"content-length", b"%d" % len(b"".join(parts)))]
    if content_type.startswith("text/event-stream"):
        headers.pop()
    await shorter({"type": "http.response.start", "status": 200, "headers": headers})
    for number, part in enumerate(parts, start=1):
        await shorter({"type": "http.response.body", "body": part, "more_body": number < len(parts)})
    start, *bodies = sent
    named = {name.decode(): value.decode() for name, value in start["headers"]}
    return named, b"".join(message["body"] for message in bodies)


def pieces(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_a_json_list_is_shortened_with_its_length(size):
    headers, body = await shortened("application/json", *pieces(json.dumps(LISTED).encode(), size))
    assert json.loads(body) == SHORT
    assert headers["content-length"] == str(len(body))


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
async def test_a_list_in_an_event_stream_is_shortened(size, end):
    notification = '{"jsonrpc":"2.0","method":"notifications/progress"}'
    events = f"id: 1{end}data:{end}{end}event: message{end}data: {notification}{end}{end}"
    stream = f"{events}event: message{end}id: 2{end}data: {json.dumps(LISTED)}{end}{end}"
    _, body = await shortened("text/event-stream", *pieces(stream.encode(), size))
    first, second, third, rest = body.decode().split("\r\n\r\n")
    assert "id: 1" in first
    assert notification in second
    assert third.startswith("event: message\r\nid: 2\r\ndata: ")
    assert json.loads(third.rpartition("data: ")[2]) == SHORT
    assert rest == ""


async def test_an_event_that_does_not_end_is_passed_on():
    _, body = await shortened("text/event-stream", b"data: {", b"}")
    assert body == b"data: {}"


@pytest.mark.parametrize(
    "answer", [{"error": {"code": 1}}, {"result": {}}, {"result": {"tools": [{}]}}, [], {"result": []}]
)
async def test_a_response_without_a_list_is_passed_on(answer):
    body = json.dumps(answer).encode()
    assert (await shortened("application/json", body))[1] == body


async def test_another_media_type_is_passed_on():
    assert (await shortened("text/plain", b"a", b"b"))[1] == b"ab"


async def test_the_list_is_private_where_the_protocol_has_a_cache_scope():
    listed = {"result": {"tools": TOOLS, "cacheScope": "public"}}
    _, body = await shortened("application/json", json.dumps(listed).encode())
    assert json.loads(body)["result"]["cacheScope"] == "private"
