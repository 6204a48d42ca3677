"""Requests as bytes over connections that are kept: a state machine sends tens of thousands of them."""

import socket
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
from msgspec import Struct

from support.timeouts import TIMEOUT

_IDLE = 2
"""Seconds after which an idle connection is not used again: the server closes it after five."""


class Answer(Struct, frozen=True):
    status: int
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Connection:
    def __init__(self, origin: str) -> None:
        where = urlsplit(origin)
        self._address = (where.hostname, where.port)
        self._socket: socket.socket | None = None
        self._used = 0.0
        self._rest = b""

    def send(self, data: bytes) -> None:
        if self._socket is None or time.monotonic() - self._used > _IDLE:
            self.close()
            self._socket = socket.create_connection(self._address, TIMEOUT)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._used = time.monotonic()
        self._socket.sendall(data)

    def receive(self) -> Answer:
        """Read one answer. All answers of the server have a Content-Length."""
        head = self._until(b"\r\n\r\n")
        status, *lines = head.decode("ascii").lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        length = int(headers.get("content-length", 0))
        while len(self._rest) < length:
            self._more()
        body, self._rest = self._rest[:length], self._rest[length:]
        self._used = time.monotonic()
        if headers.get("connection") == "close":
            self.close()
        return Answer(int(status.split()[1]), body)

    def close(self) -> None:
        self._rest = b""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _until(self, end: bytes) -> bytes:
        while end not in self._rest:
            self._more()
        head, _, self._rest = self._rest.partition(end)
        return head

    def _more(self) -> None:
        assert self._socket is not None
        data = self._socket.recv(65_536)
        assert data, "the server hung up"
        self._rest += data


class Wire:
    """Kept connections to one server."""

    def __init__(self, origin: str, base: str = "") -> None:
        self._origin = origin
        self._base = base
        self._connections: list[Connection] = []

    def get(self, path: str, **headers: str) -> bytes:
        return self._request("GET", path, headers)

    def post(self, path: str, form: dict[str, str], **headers: str) -> bytes:
        headers = {"content-type": "application/x-www-form-urlencoded", **headers}
        return self._request("POST", path, headers, urlencode(form).encode())

    def in_turn(self, requests: Sequence[bytes]) -> list[Answer]:
        """Send all of them down one connection and return the answers, in their order."""
        if not requests:
            return []
        (connection,) = self._lanes(1)
        connection.send(b"".join(requests))
        return [connection.receive() for _ in requests]

    def at_once(self, requests: Sequence[bytes]) -> list[Answer]:
        """Send each down a connection of its own before any answer is read."""
        lanes = self._lanes(len(requests))
        for connection, request in zip(lanes, requests, strict=True):
            connection.send(request)
        return [connection.receive() for connection in lanes]

    def close(self) -> None:
        for connection in self._connections:
            connection.close()

    def _lanes(self, count: int) -> list[Connection]:
        while len(self._connections) < count:
            self._connections.append(Connection(self._origin))
        return self._connections[:count]

    def _request(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
        head = {"host": urlsplit(self._origin).netloc, **headers, "content-length": str(len(body))}
        lines = [f"{method} {self._base}{path} HTTP/1.1", *(f"{n}: {v}" for n, v in head.items())]
        return "\r\n".join([*lines, "", ""]).encode() + body
