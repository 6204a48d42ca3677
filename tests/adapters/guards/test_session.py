"""`get_mcp_session`: the headers of any framework."""

from collections.abc import Callable
from typing import Any

import httpx2
import litestar.datastructures
import pytest
import starlette.datastructures

from grantledger.adapters.guards.session import RequestHeaders, session_of
from support.guarding import RESOURCE

GOOD = (b"authorization", b"Bearer good")
TWO = [GOOD, (b"authorization", b"Bearer other")]

FRAMEWORKS: dict[str, Callable[[Any], RequestHeaders]] = {
    "a mapping": lambda raw: {name.decode().title(): value.decode() for name, value in raw},
    "an ASGI scope": list,
    "pairs of text": lambda raw: [(name.decode(), value.decode()) for name, value in raw],
    "Starlette": lambda raw: starlette.datastructures.Headers(raw=raw),
    "Litestar": litestar.datastructures.Headers,
    "httpx": httpx2.Headers,
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_the_token_is_read_from_the_headers_of_any_framework(ledger, framework: str):
    headers: RequestHeaders = FRAMEWORKS[framework]([GOOD])
    assert await session_of(headers, ledger, resource=RESOURCE) is not None


@pytest.mark.parametrize("value", ["bearer good", "Bearer  good"])
async def test_the_scheme_is_found_in_any_case_and_with_two_spaces(ledger, value: str):
    assert await session_of({"Authorization": value}, ledger, resource=RESOURCE) is not None


@pytest.mark.parametrize("framework", [name for name in FRAMEWORKS if name != "a mapping"])
async def test_two_authorization_headers_open_no_session(ledger, framework: str):
    assert await session_of(FRAMEWORKS[framework](TWO), ledger, resource=RESOURCE) is None
    assert ledger.asked == []


@pytest.mark.parametrize("value", ["Bearer \u20ac", "Bearer go\u2010od", "\U0001f511"])
async def test_a_character_that_no_header_can_hold_causes_no_error(ledger, value: str):
    headers = {"Authorization": value, "X-Name": "\u20ac"}
    assert await session_of(headers, ledger, resource=RESOURCE) is None
