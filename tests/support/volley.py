"""Many requests at one moment: each is sent but for its last byte, then all the last bytes at once."""

import asyncio
from collections.abc import Sequence
from urllib.parse import urlencode, urlsplit

import httpx
from msgspec import Struct

from support.patience import PATIENCE


class Shot(Struct, frozen=True):
    """A form for one of the servers."""

    origin: str
    path: str
    form: dict[str, str]


class Held(Struct, frozen=True):
    """A request of which the server has all but the last byte."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    last: bytes

    def release(self) -> None:
        self.writer.write(self.last)

    async def answer(self) -> httpx.Response:
        """Return the answer; raises `httpx.RemoteProtocolError` when the connection ends without one."""
        try:
            async with asyncio.timeout(PATIENCE):
                whole = await self.reader.read()
        except ConnectionError as error:
            raise httpx.RemoteProtocolError(str(error)) from error
        finally:
            self.writer.close()
        head, separator, body = whole.partition(b"\r\n\r\n")
        if not separator:
            raise httpx.RemoteProtocolError("no answer")
        status, *lines = head.decode("ascii").split("\r\n")
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        return httpx.Response(int(status.split()[1]), headers=headers, content=body)

    def hang_up(self) -> None:
        self.writer.transport.abort()


async def held(shot: Shot) -> Held:
    """Connect and send the request but for its last byte."""
    where = urlsplit(shot.origin)
    assert where.hostname
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    body = urlencode(shot.form).encode()
    head = (
        f"POST {shot.path} HTTP/1.1\r\nhost: {where.netloc}\r\nconnection: close\r\n"
        f"content-type: application/x-www-form-urlencoded\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body[:-1])
    await writer.drain()
    return Held(reader, writer, body[-1:])


async def volley(shots: Sequence[Shot]) -> list[httpx.Response]:
    """Return the answers in the order of the shots."""
    ready = await asyncio.gather(*(held(shot) for shot in shots))
    for one in ready:
        one.release()
    return await asyncio.gather(*(one.answer() for one in ready))


def refreshing(client_id: str, refresh_token: str) -> dict[str, str]:
    """Return the form that presents a refresh token."""
    return {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": refresh_token}
