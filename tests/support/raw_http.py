"""Requests byte by byte, over a socket of their own: what no HTTP client would send."""

import json
import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from support.timeouts import TIMEOUT


class RawAnswer(Struct, frozen=True):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> tuple[int, str]:
        return self.status, str(json.loads(self.body)["error"])


def connected(origin: str, *, timeout: float = TIMEOUT) -> socket.socket:
    place = urlsplit(origin)
    return socket.create_connection((place.hostname, place.port), timeout)


def ask(origin: str, *pieces: bytes) -> RawAnswer | None:
    """Send the pieces, one after the other, and return the first answer, or None if there is none."""
    with connected(origin) as connection:
        return answer_to(connection, pieces)


def answer_to(connection: socket.socket, pieces: Iterable[bytes]) -> RawAnswer | None:
    try:
        for piece in pieces:
            connection.sendall(piece)
    except OSError:
        pass  # closed, perhaps after an answer
    return received(connection)


def received(connection: socket.socket) -> RawAnswer | None:
    data = b""
    while b"\r\n\r\n" not in data:
        try:
            more = connection.recv(65_536)
        except ConnectionResetError:
            more = b""
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        more = connection.recv(65_536)
        assert more, "the server hung up in the middle of an answer"
        body += more
    return RawAnswer(int(status.split()[1]), headers, body)


def post(path: str, body: bytes, *, kind: str, headers: bytes = b"") -> bytes:
    """Return a request that says how long its body is."""
    lines = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
    return lines.encode() + headers + b"\r\n" + body


def chunked(path: str, body: bytes, *, kind: str, size: int = 4_096) -> bytes:
    """Return a request that does not say how long its body is."""
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return head.encode() + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


def client_metadata(**members: Any) -> bytes:
    return json.dumps({"redirect_uris": ["https://client.example/callback"], **members}).encode()
