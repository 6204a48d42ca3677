"""The flow: the official client runs it through the public endpoints, and every step is checked."""

import asyncio
from contextlib import AsyncExitStack, suppress

import httpx2
from mcp import Client, MCPError
from mcp.shared.auth import OAuthToken
from mcp.types import TextContent
from rich.console import Console

from grantledger.entrypoints.demo.browser import Arrival, Browser
from grantledger.entrypoints.demo.checks import (
    check_answer,
    check_discovery,
    check_refused_for_good,
    check_registration,
    check_step_up,
    check_token,
)
from grantledger.entrypoints.demo.client import DemoClient
from grantledger.entrypoints.demo.demo_settings import NOTES_PATH, TO_DO_PATH, TO_DO_READ, TO_DO_WRITE
from grantledger.entrypoints.demo.person import Person
from grantledger.entrypoints.demo.steps import Steps, expect

PARALLEL = 20

_STEP_UP = 2
"""The client opens the browser a second time to ask for more scopes."""


class Walk:
    def __init__(self, console: Console, origin: str, email: str, password: str) -> None:
        self._origin = origin
        self._url = f"{origin}{TO_DO_PATH}"
        self._steps = Steps(console)
        self._browser = Browser()
        self._http = httpx2.AsyncClient(timeout=30, trust_env=False)
        self._person = Person(self._browser, self._steps, email, password)
        self._client = DemoClient(self._url, self._open_browser)
        self._browser_opened = 0
        self._denied: Arrival | None = None

    async def __call__(self) -> bool:
        """Run the flow, and return whether every step has passed."""
        try:
            async with self._browser, self._http:
                async with AsyncExitStack() as stack:
                    client = await self._connect(stack)
                    await self._call_tool(client)
                    await self._ask_for_more(client)
                    await self._be_no_admin(client)
                    await self._try_the_other_server()
                    await self._refresh(client)
                await self._refresh_in_parallel()
                await self._revoke()
                await self._call_again()
        except Exception:
            if not self._steps.failed:
                raise
        return not self._steps.failed

    @property
    def _tokens(self) -> OAuthToken:
        tokens = self._client.storage.tokens
        assert tokens is not None
        return tokens

    async def _connect(self, stack: AsyncExitStack) -> Client:
        with self._steps.step("token") as step:  # the steps before it are in _open_browser
            client = await stack.enter_async_context(self._client.connected())
            check_token(self._client.traffic, self._url)
            step.seen = f"code redeemed with PKCE; state and iss checked; {self._tokens.expires_in} s"
        return client

    async def _open_browser(self, url: str) -> Arrival:
        """Act as the user: the client opens a URL and waits."""
        self._browser_opened += 1
        if self._browser_opened == _STEP_UP:
            return await self._person.allow_more(url, new=TO_DO_WRITE, before=TO_DO_READ)
        if self._browser_opened > _STEP_UP:
            self._denied = await self._person.deny(url)
            return self._denied
        with self._steps.step("discovery") as step:
            check_discovery(self._client.traffic, self._origin, self._url)
            step.seen = f"401 at {TO_DO_PATH}, then both metadata documents"
        with self._steps.step("register") as step:
            client_id = check_registration(self._client.traffic)
            step.seen = f"public client {client_id}"
        return await self._person.allow(url, resource=self._url, scope_in_words=f"Use “{TO_DO_READ}”")

    async def _call_tool(self, client: Client) -> None:
        with self._steps.step("tool call") as step:
            who = await _called(client, "whoami", {})
            expect("the tool to know its caller", who.endswith(f"allowed: {TO_DO_READ}"), came=who)
            step.seen = f"whoami answered: … allowed: {TO_DO_READ}"

    async def _ask_for_more(self, client: Client) -> None:
        with self._steps.step("step-up") as step:
            self._client.traffic.forget()
            todo = await _called(client, "add_todo", {"text": "water the plants"})
            expect("the line on the list", "water the plants" in todo, came=todo)
            check_step_up(self._client.traffic, self._url, f"{TO_DO_READ} {TO_DO_WRITE}")
            step.seen = f"403, then {TO_DO_WRITE} allowed too, and add_todo answered"

    async def _be_no_admin(self, client: Client) -> None:
        with self._steps.step("role") as step:
            self._client.traffic.forget()
            with suppress(MCPError):
                answer = await client.call_tool("delete_all_todos", {})
                expect("an error", None, came=answer)
            check_refused_for_good(self._client.traffic, self._url)
            step.seen = "delete_all_todos is for admins: 403, and nothing to ask for"

    async def _try_the_other_server(self) -> None:
        with self._steps.step("other server") as step:
            metadata = f"{self._origin}/.well-known/oauth-protected-resource{NOTES_PATH}"
            answer = await self._call_by_hand(NOTES_PATH)
            check_answer(answer, 401, 'error="invalid_token"', f'resource_metadata="{metadata}"')
            step.seen = f"{NOTES_PATH} refuses the token: 401 invalid_token"

    async def _refresh(self, client: Client) -> None:
        with self._steps.step("refresh") as step:
            before = self._tokens
            self._client.traffic.forget()
            self._client.expire_access_token()
            await _called(client, "whoami", {})
            first = self._client.traffic.exchanges[0]
            asked = (first.url.path, first.form.get("grant_type"), first.status)
            expect(
                "POST /token with the refresh token", asked == ("/token", "refresh_token", 200), came=first
            )
            after = self._tokens
            changed = (
                before.access_token != after.access_token and before.refresh_token != after.refresh_token
            )
            expect("two new tokens", changed and after.refresh_token, came="a token that was there before")
            expect("the same scope", after.scope == before.scope, came=after.scope)
            expect(
                "no further sign-in", self._browser_opened == _STEP_UP, came="the browser was opened again"
            )
            step.seen = "two new tokens, without a sign-in"

    async def _refresh_in_parallel(self) -> None:
        with self._steps.step("parallel refresh") as step:
            form = self._refresh_form()
            answers = await asyncio.gather(*(self._post("/token", form) for _ in range(PARALLEL)))
            for answer in answers:
                check_answer(answer, 200)
            pairs = {(a.json()["access_token"], a.json()["refresh_token"]) for a in answers}
            expect("one pair of tokens for all", len(pairs) == 1, came=f"{len(pairs)} pairs")
            expect("a new one", form["refresh_token"] not in pairs.pop(), came="the old refresh token")
            await self._client.storage.set_tokens(OAuthToken.model_validate_json(answers[0].content))
            step.seen = f"{PARALLEL} requests with one token, one new pair for all"

    async def _revoke(self) -> None:
        with self._steps.step("revoke") as step:
            form = self._refresh_form()
            revocation = {"token": form["refresh_token"], "client_id": form["client_id"]}
            check_answer(await self._post("/revoke", revocation), 200)
            step.seen = "the refresh token, and with it the grant"

    async def _call_again(self) -> None:
        with self._steps.step("refused call") as step:
            check_answer(await self._call_by_hand(TO_DO_PATH), 401, 'error="invalid_token"')
            check_answer(await self._post("/token", self._refresh_form()), 400, '"invalid_grant"')
            await self._client_asks_again()
            step.seen = f"401 at {TO_DO_PATH}, invalid_grant at /token, user asked again"

    async def _client_asks_again(self) -> None:
        """Let the client itself receive the 401. It opens the browser, where the user now denies access."""
        try:
            async with self._client.connected():
                pass
        except Exception:  # noqa: BLE001, S110 - how the client gives up is its own matter; what it did is checked
            pass
        expect("the client to ask its user again", self._denied, came=self._client.traffic)
        assert self._denied is not None
        answer = (self._denied.parameter("error"), self._denied.parameter("iss"))
        expect(
            "error=access_denied with iss", answer == ("access_denied", self._origin), came=self._denied.url
        )

    async def _call_by_hand(self, path: str) -> httpx2.Response:
        return await self._http.post(
            f"{self._origin}{path}",
            json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
            headers={
                "accept": "application/json, text/event-stream",
                "authorization": f"Bearer {self._tokens.access_token}",
            },
        )

    async def _post(self, path: str, form: dict[str, str]) -> httpx2.Response:
        return await self._http.post(f"{self._origin}{path}", data=form)

    def _refresh_form(self) -> dict[str, str]:
        client, refresh_token = self._client.storage.client, self._tokens.refresh_token
        assert client is not None
        assert refresh_token is not None
        return {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "client_id": client.client_id,
            "resource": self._url,
        }


async def _called(client: Client, tool: str, arguments: dict[str, str]) -> str:
    result = await client.call_tool(tool, dict(arguments))
    text = " ".join(block.text for block in result.content if isinstance(block, TextContent))
    expect(f"an answer from {tool}", not result.is_error, came=text)
    return text
