"""A keep-alive HTTP/1.1 connection that costs little, so that the bench measures the server, not itself."""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

import httptools

IDLE = 3.0
"""Seconds after which a connection is opened again: some servers close one that was idle for 5."""


class Response(NamedTuple):
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> str | None:
        return next((value.decode("latin-1") for key, value in self.headers if key.lower() == name), None)

    def cookies(self) -> list[str]:
        return [value.decode("latin-1") for key, value in self.headers if key.lower() == b"set-cookie"]

    def json(self) -> dict[str, str]:
        answer: dict[str, str] = json.loads(self.body)
        return answer


class Unexpected(Exception):  # noqa: N818 - what happened
    """The server gave an answer that cannot occur in a working flow."""

    def __init__(self, step: str, response: Response) -> None:
        start = response.body[:400].decode("utf-8", "replace")
        super().__init__(f"{step}: HTTP {response.status} {response.header(b'location') or ''} {start}")


def get(host: str, path: str, headers: Mapping[str, str]) -> bytes:
    return _request("GET", host, path, headers, None)


def post_form(host: str, path: str, form: Mapping[str, str], headers: Mapping[str, str]) -> bytes:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return _request("POST", host, path, {**headers, **kind}, urlencode(form).encode())


def post_json(host: str, path: str, body: object, headers: Mapping[str, str]) -> bytes:
    kind = {"Content-Type": "application/json"}
    return _request("POST", host, path, {**headers, **kind}, json.dumps(body).encode())


def _request(method: str, host: str, path: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    if "Accept" not in headers:
        lines.append("Accept: */*")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


class Connection(asyncio.Protocol):
    """Sends one request at a time to a port of this machine, and connects again when needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Response] | None = None
        self._used = 0.0

    async def request(self, data: bytes) -> Response:
        """Return the response. Raises `ConnectionError` where the server closes instead of answering."""
        if self._transport is not None and time.monotonic() - self._used > IDLE:
            self.close()
        loop = asyncio.get_running_loop()
        if self._transport is None:
            transport, _ = await loop.create_connection(lambda: self, "127.0.0.1", self._port)
            self._transport = transport
            self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""
        self._answer = loop.create_future()
        self._transport.write(data)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the server closed the connection"))

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._used = time.monotonic()
        response = Response(self._parser.get_status_code(), self._headers, self._body)
        if not self._parser.should_keep_alive():
            self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(response)
