"""Parallel requests: all but the last byte of each is sent first, then all the last bytes at once."""

import asyncio
from collections.abc import Sequence
from urllib.parse import urlencode, urlsplit

import httpx2
from msgspec import Struct

from support.timeouts import TIMEOUT


class FormRequest(Struct, frozen=True):
    """A form to post to one of the servers."""

    origin: str
    path: str
    form: dict[str, str]


class HeldRequest(Struct, frozen=True):
    """A request of which all but the last byte is sent."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    last: bytes

    def release(self) -> None:
        self.writer.write(self.last)

    async def answer(self) -> httpx2.Response:
        """Return the response. Raises `httpx2.RemoteProtocolError` when the connection ends without one."""
        try:
            async with asyncio.timeout(TIMEOUT):
                whole = await self.reader.read()
        except ConnectionError as error:
            raise httpx2.RemoteProtocolError(str(error)) from error
        finally:
            self.writer.close()
        head, separator, body = whole.partition(b"\r\n\r\n")
        if not separator:
            raise httpx2.RemoteProtocolError("no answer")
        status, *lines = head.decode("ascii").split("\r\n")
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        return httpx2.Response(int(status.split()[1]), headers=headers, content=body)

    def hang_up(self) -> None:
        self.writer.transport.abort()


async def hold_back(request: FormRequest) -> HeldRequest:
    """Connect and send the request except its last byte."""
    where = urlsplit(request.origin)
    assert where.hostname
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    body = urlencode(request.form).encode()
    head = (
        f"POST {request.path} HTTP/1.1\r\nhost: {where.netloc}\r\nconnection: close\r\n"
        f"content-type: application/x-www-form-urlencoded\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body[:-1])
    await writer.drain()
    return HeldRequest(reader, writer, body[-1:])


async def concurrently(requests: Sequence[FormRequest]) -> list[httpx2.Response]:
    """Send all requests at the same moment; return the responses in the order of the requests."""
    ready = await asyncio.gather(*(hold_back(request) for request in requests))
    for one in ready:
        one.release()
    return await asyncio.gather(*(one.answer() for one in ready))


def refreshing(client_id: str, refresh_token: str) -> dict[str, str]:
    """Return the form that presents a refresh token."""
    return {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": refresh_token}
