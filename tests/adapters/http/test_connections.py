"""Connections: how responses are written, and what happens to a refused connection."""

import asyncio
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from grantledger.adapters.asgi_types import ASGIApp, Receive, Scope, Send
from grantledger.adapters.http import connections
from grantledger.adapters.http.connections import BoundedProtocol

HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
BODY = {"type": "http.response.body", "body": b"ok"}


class Wire(asyncio.Transport):
    """Keeps what is written, write by write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 50_000) if name in ("peername", "sockname") else default

    def write_eof(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def turns_of_the_loop() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def a_protocol(app: ASGIApp, wire: Wire, limit_concurrency: int | None = None) -> BoundedProtocol:
    config = Config(app, http=BoundedProtocol, log_config=None, limit_concurrency=limit_concurrency)
    config.load()
    protocol = BoundedProtocol(config=config, server_state=ServerState(), app_state={})
    protocol.connection_made(wire)
    return protocol


async def asked(app: ASGIApp, request: bytes) -> Wire:
    wire = Wire()
    protocol = a_protocol(app, wire)
    protocol.data_received(request)
    await turns_of_the_loop()
    protocol.connection_lost(None)
    return wire


async def answers(_: Scope, __: Receive, send: Send) -> None:
    await send(HEAD)
    await send(BODY)


async def test_a_connection_that_was_refused_is_not_refused_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connections, "HEAD_TIMEOUT", 0.01)
    wire = Wire()
    protocol = a_protocol(answers, wire, limit_concurrency=0)
    await asyncio.sleep(0.05)
    (written,) = wire.writes
    assert written.startswith(b"HTTP/1.1 503 ")
    protocol.connection_lost(None)


async def test_a_head_and_the_body_that_follows_at_once_are_one_write():
    wire = await asked(answers, b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
    (written,) = wire.writes
    assert written.startswith(b"HTTP/1.1 200 OK\r\n")
    assert written.endswith(b"\r\n\r\nok")


async def test_a_head_does_not_wait_for_a_body_that_comes_later():
    async def is_slow(_: Scope, __: Receive, send: Send) -> None:
        await send(HEAD)
        await asyncio.Event().wait()

    (written,) = (await asked(is_slow, b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")).writes
    assert written.endswith(b"content-length: 2\r\n\r\n")


async def test_a_head_without_a_body_is_sent_before_the_connection_closes():
    wire = await asked(answers, b"HEAD / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    (written,) = wire.writes
    assert written.endswith(b"connection: close\r\n\r\n")
    assert wire.closed
