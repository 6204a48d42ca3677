"""Whatever the body: a guarded call never reaches an application, however that application reads JSON."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pydantic_core
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from grantledger.adapters.guards.asgi import BearerGuard
from grantledger.adapters.guards.calls import CallOptions
from support.guarding import SESSION, guarded

RULES = {"tools/call:delete_*": "todo:delete", "resources/read": "todo:read"}
METHODS = ["tools/call", "tools/list", "resources/read", "prompts/get", "Tools/Call", "tools/call ", "x"]
NAMES = ["delete_all", "read", "Delete_all", "delete_", "todo://list"]


# Bodies: pairs instead of objects, so that a name can appear twice, and text that may be escaped


def spelled(text: str) -> st.SearchStrategy[str]:
    """A JSON string, any character of which may be an escape."""

    def one(character: str) -> st.SearchStrategy[str]:
        plain = json.dumps(character, ensure_ascii=False)[1:-1]
        return st.sampled_from([plain, plain, plain, f"\\u{ord(character):04x}"])

    return st.tuples(*map(one, text)).map(lambda parts: f'"{"".join(parts)}"')


def member(names: list[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(st.sampled_from(names).flatmap(spelled), values).map(":".join)


def object_of(*members: st.SearchStrategy[str], extra: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """An object with these members, and sometimes with one more of the same meaning, in any order."""
    usual = st.tuples(*members).map(list)
    more: st.SearchStrategy[list[str]] = st.one_of(
        st.just([]), st.just([]), st.lists(extra, min_size=1, max_size=1)
    )
    together = st.tuples(usual, more).map(lambda both: both[0] + both[1])
    return together.flatmap(st.permutations).map(lambda parts: "{{{}}}".format(", ".join(parts)))


SCALARS = st.sampled_from(["1", "null", "true", '"a"', "[]", "{}"])
NAMED = st.sampled_from(NAMES).flatmap(spelled)
PARAMS = object_of(
    member(["name"], NAMED),
    member(["uri"], NAMED),
    extra=member(["name", "uri", "Name", "NAME", "arguments"], st.one_of(NAMED, SCALARS)),
)
METHOD = st.sampled_from(METHODS).flatmap(spelled)
MESSAGES = object_of(
    member(["method"], METHOD),
    member(["params"], PARAMS),
    member(["id"], st.just("1")),
    extra=st.one_of(
        member(["method", "Method"], METHOD),
        member(["params", "Params", "param\u017f"], PARAMS),
        member(["id", "jsonrpc", "method", "params"], SCALARS),
    ),
)
TEXTS = st.one_of(
    MESSAGES,
    MESSAGES,
    st.lists(MESSAGES, max_size=3).map(lambda parts: "[{}]".format(",".join(parts))),
    st.tuples(MESSAGES, MESSAGES).map("\n".join),
)
ENCODINGS = st.sampled_from([*["utf-8"] * 12, "utf-8-sig", "utf-16", "utf-7"])
BODIES = st.tuples(TEXTS, ENCODINGS).map(lambda drawn: drawn[0].encode(drawn[1]))
HEADERS = st.lists(
    st.sampled_from(
        [
            (b"mcp-method", b"tools/list"),
            (b"mcp-method", b"tools/call"),
            (b"mcp-name", b"read"),
            (b"content-encoding", b"identity"),
            (b"content-type", b"application/json; charset=utf-7"),
        ]
    ),
    max_size=1,
)


IN_UTF_7 = (
    b'{"method":"tools/list","x":"+ACI-,+ACI-method+ACI-:+ACI-tools/call+ACI-,'
    b'+ACI-params+ACI-:{+ACI-name+ACI-:+ACI-delete_a+ACI-},+ACI-y+ACI-:+ACI-1"}'
)
"""In UTF-8 a list, in UTF-7 a call."""


# How applications may read a body


def first_counts(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(reversed(pairs))


def any_case(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name.casefold(): value for name, value in pairs}


READERS: dict[str, Callable[[bytes], Any]] = {
    "the mcp SDK": pydantic_core.from_json,
    "json": json.loads,
    "the first name counts": lambda body: json.loads(body, object_pairs_hook=first_counts),
    "names in any case": lambda body: json.loads(body, object_pairs_hook=any_case),
    "only the first line": lambda body: json.loads(body.splitlines()[0]),
    "UTF-7": lambda body: json.loads(body.decode("utf-7")),
}


def guarded_calls(read: Any) -> list[Any]:
    found = []
    for message in read if isinstance(read, list) else [read]:
        if isinstance(message, dict):
            params = message.get("params")
            name = params.get("name") if isinstance(params, dict) else None
            deletes = message.get("method") == "tools/call" and str(name).startswith("delete_")
            if deletes or message.get("method") == "resources/read":
                found.append(message)
    return found


async def passed(body: bytes, cuts: list[int], headers: list[tuple[bytes, bytes]]) -> list[bytes]:
    """Send a body in parts through a guard; return the bodies that reach the application."""
    reached: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def verify(access_token: str, *, resource: str | None = None) -> Any:
        return SESSION

    ends = sorted(cut % (len(body) + 1) for cut in cuts)
    parts = [body[a:b] for a, b in zip([0, *ends], [*ends, len(body)], strict=True)]
    statuses: list[int] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: Any) -> None:
        if "status" in message:
            statuses.append(message["status"])

    given_headers = [(b"authorization", b"Bearer good"), *headers]
    scope = {"type": "http", "method": "POST", "path": "/mcp", "query_string": b"", "headers": given_headers}
    await BearerGuard(app, guarded(verify), calls=CallOptions(rules=RULES))(scope, receive, send)
    event(f"status {statuses[0]}")
    return reached


@settings(max_examples=60)
@given(body=BODIES, cuts=st.lists(st.integers(0, 500), max_size=3), headers=HEADERS)
@example(b'{"method":"tools/call","method":"tools/list","params":{"name":"delete_all"}}', [], [])
@example(b'{"method":"tools/list","params":{"name":"delete_a"},"Method":"tools/call"}', [], [])
@example('{"method":"tools/call","params":{"name":"x"},"param\u017f":{"name":"delete_a"}}'.encode(), [], [])
@example(b'[{"method":"tools/list"},{"method":"tools/call","params":{"name":"delete_a"}}]', [], [])
@example(IN_UTF_7, [], [(b"content-type", b"application/json; charset=utf-7")])
def test_no_reading_of_a_passed_body_has_a_guarded_call(body, cuts, headers):
    for reached in asyncio.run(passed(body, cuts, headers)):
        assert reached == body
        for name, read in READERS.items():
            try:
                found = guarded_calls(read(reached))
            except (ValueError, IndexError, RecursionError):
                continue
            if name == "UTF-7" and not any(b"utf-7" in value for _, value in headers):
                continue
            assert found == [], name
