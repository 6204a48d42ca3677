"""Limits that uvicorn lacks: the size of the head, the time of a request, and the number of connections."""

import asyncio
import secrets
import socket
import struct
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from grantledger.adapters import logs
from grantledger.adapters.http.errors import CONNECTION_ERRORS, error_response
from grantledger.adapters.http.limits import (
    ANSWER_TIMEOUT,
    BODY_TIMEOUT,
    HEAD_TIMEOUT,
    MAX_DISCARDED,
    MAX_HEAD,
)

_NO_LINGER = struct.pack("ii", 1, 0)
"""The kernel drops unsent data and resets the connection."""

_LINGER = 1.0
"""Seconds before a refused connection is closed: closing at once would destroy the response."""


class _HeadTooLarge(Exception):  # noqa: N818 - ends the parsing
    pass


class BoundedProtocol(HttpToolsProtocol):
    """Refuses requests before the application sees them.

    uvicorn's `limit_concurrency` is the limit of connections in this process.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._most_connections, self.limit_concurrency = self.limit_concurrency, None
        self._in_head = False
        self._head = 0  # bytes of the head that the parser has read
        self._fed = 0  # bytes received for the current head, parsed or not: one header may be endless
        self._discarded = 0
        self._too_large = False
        self._refused = False
        self._deadline: float | None = None
        self._unread_since: float | None = None
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline = self.loop.time() + HEAD_TIMEOUT
        if self._most_connections is not None and len(self.connections) > self._most_connections:
            self._refuse(503, (b"retry-after", b"1"))
        self._watch = self.loop.call_later(HEAD_TIMEOUT, self._check_time)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        self._unread_since = None
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        head = self.scope if self._in_head else None
        super().data_received(data)
        if head is not None and self._in_head and self.scope is head:
            self._fed += len(data)
            if self._fed > MAX_HEAD:
                self._refuse(431)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the parser's message is not for clients
        self._refuse(431 if self._too_large else 400)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head, self._fed, self._discarded = True, 0, 0, 0
        self._deadline = self.loop.time() + HEAD_TIMEOUT

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + 4)
        # Trailers of a chunked body must not become headers, because they come after the checks of the
        # headers.
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._deadline = self.loop.time() + BODY_TIMEOUT
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            self.cycle.transport = _JoinedWrites(self.transport, self.loop)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        if self.cycle.response_complete:
            self._discarded += len(body)
            if self._discarded > MAX_DISCARDED:
                self.transport.close()

    def on_message_complete(self) -> None:
        self._deadline = None
        super().on_message_complete()

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > MAX_HEAD:
            self._too_large = True
            raise _HeadTooLarge

    def _check_time(self) -> None:
        now = self.loop.time()
        if self._is_unread(now):
            self._cut_off()
            return
        if self._deadline is not None and self.flow.read_paused:
            self._deadline = now + BODY_TIMEOUT  # paused: the application is slow, not the client
        if self._deadline is not None and now >= self._deadline:
            self._refuse(408)
        self._watch = self.loop.call_at(self._deadline or now + HEAD_TIMEOUT, self._check_time)

    def _cut_off(self) -> None:
        """Abort the connection and drop unsent data. A normal close would wait for the client to read it."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()

    def _is_unread(self, now: float) -> bool:
        """Whether the client has left response data unread for too long, at two checks in a row."""
        if not self.transport.get_write_buffer_size():
            self._unread_since = None
        elif self._unread_since is None:
            self._unread_since = now
        return self._unread_since is not None and now - self._unread_since >= ANSWER_TIMEOUT

    def _refuse(self, status: int, *headers: tuple[bytes, bytes]) -> None:
        """Write the response and close. If another response has begun, only close."""
        self._refused, self._deadline = True, None
        request_id = secrets.token_hex(8)
        logs.write_line(
            "info", "request", correlation_id=request_id, status=status, refusal="before it was read"
        )
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        if cycle is not None and not cycle.response_complete:
            if self._in_head or cycle.response_started:
                self.transport.close()
                return
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.write(_raw_response(status, request_id, headers))
        self.transport.write_eof()
        self.flow.resume_reading()
        self.loop.call_later(_LINGER, self.transport.close)


class _JoinedWrites:
    """The transport of one response. If the body follows at once, it writes head and body together.

    uvicorn writes them separately: two system calls and two packets for each response.
    """

    __slots__ = ("_head", "_is_begun", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._is_begun = False
        self._head = b""

    def write(self, data: bytes) -> None:
        if not self._is_begun:
            self._is_begun, self._head = True, data
            self._loop.call_soon(self._flush)
        elif self._head:
            self._head += data
            self._flush()
        else:
            self._transport.write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def _flush(self) -> None:
        head, self._head = self._head, b""
        if head and not self._transport.is_closing():
            self._transport.write(head)


def _raw_response(status: int, request_id: str, headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    response = error_response(
        CONNECTION_ERRORS[status],
        [
            (b"cache-control", b"no-store"),
            (b"x-request-id", request_id.encode()),
            (b"connection", b"close"),
            *headers,
        ],
    )
    lines = [
        b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode()),
        *(b"%s: %s" % header for header in response.headers),
    ]
    return b"\r\n".join([*lines, b"", response.body])
