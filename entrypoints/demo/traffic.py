"""Records requests and responses, so that the demo can check what the client did on its own."""

from typing import Any
from urllib.parse import parse_qsl

import httpx2
import msgspec
from msgspec import Struct


class Exchange(Struct):
    """A request with its form parameters, and its response with the JSON content."""

    method: str
    url: httpx2.URL
    form: dict[str, str]
    status: int
    headers: httpx2.Headers
    json: Any

    def __str__(self) -> str:
        return f"{self.method} {self.url.path} {self.status}"


class Traffic:
    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []

    async def record(self, response: httpx2.Response) -> None:
        """Record a response before the client reads it: an event hook of httpx2."""
        request = response.request
        form: dict[str, str] = {}
        if request.headers.get("content-type") == "application/x-www-form-urlencoded":
            form = dict(parse_qsl(request.content.decode()))
        body = None
        if response.headers.get("content-type", "").startswith("application/json"):
            content = await response.aread()  # the response keeps the content, and the client reads it again
            body = msgspec.json.decode(content) if content else None  # SDK version 1 sends an empty 202
        self.exchanges.append(
            Exchange(
                method=request.method,
                url=request.url,
                form=form,
                status=response.status_code,
                headers=response.headers,
                json=body,
            )
        )

    def to(self, path: str) -> list[Exchange]:
        return [exchange for exchange in self.exchanges if exchange.url.path == path]

    def forget(self) -> None:
        self.exchanges.clear()

    def __str__(self) -> str:
        return ", ".join(map(str, self.exchanges)) or "nothing"
