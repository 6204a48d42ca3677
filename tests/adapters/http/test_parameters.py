"""Bodies and parameters, as `urllib` and Litestar read them."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from litestar import Litestar, Request, post
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp

from grantledger.adapters.asgi_types import Message, Receive, Scope, Send
from grantledger.adapters.http.errors import ParametersMalformed, PlainResponse
from grantledger.adapters.http.limits import MAX_BODY, MAX_PARAMETERS
from grantledger.adapters.http.parameters import parsed, read_body
from grantledger.adapters.http.responses import AnyRequest

PARTS = ("&", "=", "+", "%", "%2B", "%3d", "%C3%BC", "%c3", "%zz", ";", "a", "resource", "ü", " ")


@given(st.lists(st.sampled_from(PARTS)).map("".join))
@example("=&==")
@example("&" * MAX_PARAMETERS)
@example("&" * (MAX_PARAMETERS - 1))
def test_parameters_are_those_that_urllib_finds(text):
    try:
        pairs = parse_qsl(
            text.encode().decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except ValueError:
        with pytest.raises(ParametersMalformed):
            parsed(text.encode())
        return
    found = parsed(text.encode())
    resources = [value for name, value in pairs if name == "resource"]
    others = [pair for pair in pairs if pair[0] != "resource"]
    assert found.resources == tuple(filter(None, resources))
    first = dict(reversed(others))  # of several values the first counts, and an empty one is none
    assert found.values == {name: value for name, value in first.items() if value}
    assert found.repeated == {name for name, _ in others if sum(name == other for other, _ in others) > 1}


def posting(
    chunks: Iterable[bytes], *, length: int | str | None = None, then: str = "http.request"
) -> AnyRequest:
    """A request whose body comes in chunks."""
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": then})  # ASGI lets a server leave out an empty body
    headers = [] if length is None else [(b"content-length", str(length).encode())]
    scope: Any = {"type": "http", "method": "POST", "path": "/token", "headers": headers, "state": {}}

    async def receive() -> Any:
        return messages.pop(0)

    return Request(scope, receive)


async def test_the_chunks_of_a_body_are_joined():
    assert await read_body(posting([b"a", b"", b"bc"], length=3)) == b"abc"


async def test_a_body_of_the_greatest_size_is_read():
    assert len(await read_body(posting([b"x" * MAX_BODY], length=MAX_BODY))) == MAX_BODY


@pytest.mark.parametrize("length", [MAX_BODY + 1, "9" * 5_000])
async def test_a_body_that_is_announced_as_too_large_is_refused_unread(length: int | str):
    with pytest.raises(HTTPException) as refused:
        await read_body(posting([], length=length, then="not received"))
    assert refused.value.status_code == 413


async def test_a_body_that_grows_too_large_is_refused_before_its_end():
    with pytest.raises(HTTPException) as refused:
        await read_body(posting([b"x" * MAX_BODY, b"x"], then="not received"))
    assert refused.value.status_code == 413


async def test_a_request_whose_client_has_gone_ends():
    with pytest.raises(HTTPException, match="disconnected"):
        await read_body(posting([b"a"], then="http.disconnect"))


async def test_a_body_that_a_litestar_host_has_read_is_still_there():
    async def ours(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainResponse(200, [], await read_body(Request(scope, receive))).send(send)

    @post("/token")
    async def mounted() -> ASGIApp:
        return ours

    async def read_early(request: AnyRequest) -> None:
        await request.body()

    host: Any = Litestar([mounted], before_request=read_early, openapi_config=None)
    transport = httpx2.ASGITransport(host)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.post("/token", content=b"grant_type=x")).content == b"grant_type=x"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
