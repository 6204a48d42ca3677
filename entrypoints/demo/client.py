"""The official `mcp` client: its OAuth provider and its transport, through their public interfaces."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)

from grantledger.entrypoints.demo.browser import Arrival
from grantledger.entrypoints.demo.traffic import Traffic

CLIENT_NAME = "Grantledger demo client"
REDIRECT_URI = "http://127.0.0.1:33418/callback"
"""Nothing listens there: the scripted browser reads the redirect and does not follow it."""


class MemoryStorage(TokenStorage):
    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class DemoClient:
    """A client of one MCP server. `open_browser` plays the user: it opens the URL in a browser."""

    def __init__(self, server_url: str, open_browser: Callable[[str], Awaitable[Arrival]]) -> None:
        self.storage = MemoryStorage()
        self.traffic = Traffic()
        self._server_url = server_url
        self._user_opens = open_browser
        self._arrival: Arrival | None = None
        self._provider = OAuthClientProvider(
            server_url,
            OAuthClientMetadata.model_validate(
                {
                    "client_name": CLIENT_NAME,
                    "redirect_uris": [REDIRECT_URI],
                    "token_endpoint_auth_method": "none",
                }
            ),
            self.storage,
            redirect_handler=self._open_browser,
            callback_handler=self._wait_for_callback,
        )

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Client]:
        """Connect, and sign in if needed."""
        async with (
            httpx2.AsyncClient(
                auth=self._provider,
                event_hooks={"response": [self.traffic.record]},
                timeout=30,
                trust_env=False,  # no proxy between programs of one machine
            ) as http,
            Client(streamable_http_client(self._server_url, http_client=http)) as client,
        ):
            yield client

    def expire_access_token(self) -> None:
        """Make the client treat its access token as expired."""
        self._provider.context.token_expiry_time = time.time() - 1

    async def _open_browser(self, url: str) -> None:
        self._arrival = await self._user_opens(url)

    async def _wait_for_callback(self) -> AuthorizationCodeResult:
        """Return the parameters of the redirect; the client checks `state` and `iss`."""
        assert self._arrival is not None
        return AuthorizationCodeResult(
            code=self._arrival.parameter("code") or "",
            state=self._arrival.parameter("state"),
            iss=self._arrival.parameter("iss"),
        )
