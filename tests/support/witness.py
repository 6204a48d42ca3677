"""Remembers every response that a server gave, and checks later whether it still holds."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TypeVar

import httpx2
from msgspec import Struct

from grantledger.adapters.ledger.replay import Replay
from support.oauth import Person
from support.overtaken import overtaken
from support.stores import Ledger, asked, opened
from support.timeouts import TIMEOUT

T = TypeVar("T")

AT_ONCE = 16
COME_BACK = "server cannot answer now"
"""In the text of every 503, for programs and for users. An overloaded server may answer so."""


CODE_IS_GOOD = 500
"""Seconds for which a code is certainly good. It expires after 600, and a machine may be slow."""

CAN_RETRY = 200
"""Seconds for which a lost refresh can certainly be retried. The servers of these tests allow 300."""


class Code(Struct, frozen=True):
    """A code that a client was given, and when it was asked for."""

    client: str
    value: str
    asked_at: float

    @property
    def is_good(self) -> bool:
        return time.monotonic() - self.asked_at < CODE_IS_GOOD


class Grant(Struct):
    """What a client was given for one code."""

    client: str
    code: Code
    access_tokens: list[str]
    refresh_token: str


class Witness:
    """Forgets what an unanswered request may have changed, except a refresh, which can be retried.

    `unanswered` counts requests in flight when the server ended, `unheard` those that found no server.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.clients: list[str] = []
        self.allowed: list[str] = []
        self.codes: list[Code] = []
        self.alive: list[Grant] = []
        self.unsure: list[tuple[Grant, float]] = []  # with the time at which the unanswered refresh was sent
        self.dead: list[Grant] = []
        self.refused: list[str] = []
        self.answered = 0
        self.refused_for_now = 0
        self.unanswered = 0
        self.unheard = 0
        self.checked = 0

    # Requests, whose answers are remembered

    async def keep_busy(self, person: Person, over: asyncio.Event) -> None:
        """Send one random request after the other until `over` is set or the server is gone.

        Raises `AssertionError` when an answer is not what it must be.
        """
        steps: list[Callable[[Person], Awaitable[None]]] = [
            self.register,
            self.ask_for_a_code,
            self.ask_for_a_code,
            self.redeem,
            self.redeem,
            self.refresh,
            self.refresh,
            self.refresh,
            self.revoke,
            self.revoke_access,
        ]
        while not over.is_set():
            try:
                await self.random.choice(steps)(person)
            except httpx2.TimeoutException as error:
                raise AssertionError(f"no answer within {TIMEOUT} s") from error
            except httpx2.ConnectError:
                self.unheard += 1
                return
            except httpx2.TransportError:
                self.unanswered += 1
                return
            except AssertionError as error:
                if COME_BACK not in str(error):
                    raise
                self.refused_for_now += 1
            else:
                self.answered += 1

    async def register(self, person: Person) -> None:
        self.clients.append((await person.register())["client_id"])

    async def ask_for_a_code(self, person: Person) -> None:
        if not self.clients:
            await self.register(person)
        # Mostly one whose consent is remembered already.
        client = self.random.choice(self.clients[:5])
        asked_at = time.monotonic()
        self.codes.append(Code(client, await person.code(client), asked_at))
        if client not in self.allowed:
            self.allowed.append(client)

    async def redeem(self, person: Person) -> None:
        self.codes = [code for code in self.codes if code.is_good]
        while not self.codes:
            await self.ask_for_a_code(person)
        code = self._taken(self.codes)
        answer = await person.redeem(code.client, code.value)
        assert answer.status_code == 200, answer.text
        self._opened(code, answer)

    def _opened(self, code: Code, answer: httpx2.Response) -> None:
        tokens = answer.json()
        self.alive.append(Grant(code.client, code, [tokens["access_token"]], tokens["refresh_token"]))

    async def refresh(self, person: Person) -> None:
        while not self.alive:
            await self.redeem(person)
        grant = self._taken(self.alive)
        sent = time.monotonic()
        try:
            answer = await person.refresh(grant.client, grant.refresh_token)
            assert answer.status_code == 200, answer.text
        except (httpx2.TransportError, AssertionError):
            self.unsure.append((grant, sent))
            raise
        tokens = answer.json()
        grant.access_tokens = [*grant.access_tokens[-3:], tokens["access_token"]]
        grant.refresh_token = tokens["refresh_token"]
        self.alive.append(grant)

    async def revoke(self, person: Person) -> None:
        while not self.alive:
            await self.redeem(person)
        grant = self._taken(self.alive)
        answer = await person.revoke(grant.client, grant.refresh_token)
        assert answer.status_code == 200, answer.text
        self.dead.append(grant)

    async def revoke_access(self, person: Person) -> None:
        """Revoke the newest access token, and with it the older ones. The refresh token stays valid."""
        while not self.alive:
            await self.redeem(person)
        grant = self._taken(self.alive)
        if grant.access_tokens:
            answer = await person.revoke(grant.client, grant.access_tokens[-1])
            assert answer.status_code == 200, answer.text
            self.refused += grant.access_tokens
            grant.access_tokens = []
        self.alive.append(grant)

    def _taken(self, from_: list[T]) -> T:
        return from_.pop(self.random.randrange(len(from_)))

    # Checks that the answers are still true

    async def untruths(self, person: Person, *, at_most: int | None = None) -> list[str]:
        """Return a sentence for each earlier response that no longer holds.

        Checks all, or `2 * at_most` of each kind.
        """
        unsure = [grant for grant, sent in self.unsure if time.monotonic() - sent < CAN_RETRY]
        self.alive += unsure
        self.unsure = []
        found = await self._asked(person, self._grant_lives, unsure)
        codes = self._some(self.codes, at_most)
        # A code that has expired is unknown, and its replay revokes nothing.
        replayed = self._some([one for one in self.alive if one.code.is_good], (at_most or 100) // 5)
        alive = [grant for grant in self._some(self.alive, at_most) if grant not in replayed]
        found += await self._asked(person, self._client_is_known, self._some(self.clients, at_most))
        found += await self._asked(person, self._consent_is_remembered, self.allowed)
        found += await self._asked(person, self._token_is_refused, self._some(self.refused, at_most))
        found += await self._asked(person, self._grant_is_dead, self._some(self.dead, at_most))
        found += await self._asked(person, self._grant_lives, alive)
        found += await self._asked(person, self._code_is_good, codes)
        found += await self._asked(person, self._code_is_spent, replayed)
        return found

    def _some(self, facts: list[T], at_most: int | None) -> list[T]:
        if at_most is None or len(facts) <= 2 * at_most:
            return [*facts]
        return [*self.random.sample(facts[:-at_most], at_most), *facts[-at_most:]]

    async def _asked(
        self, person: Person, question: Callable[[Person, T], Awaitable[str | None]], facts: Iterable[T]
    ) -> list[str]:
        turns = asyncio.Semaphore(AT_ONCE)

        async def ask(fact: T) -> str | None:
            async with turns:
                self.checked += 1
                return await question(person, fact)

        return [found for found in await asyncio.gather(*map(ask, facts)) if found is not None]

    async def _client_is_known(self, person: Person, client: str) -> str | None:
        # An unknown client is 401.
        answer = await _now(lambda: person.refresh(client, "glrt_unknown"))
        return None if answer.status_code == 400 else f"client {client} is not known: {answer.text}"

    async def _consent_is_remembered(self, person: Person, client: str) -> str | None:
        answer = await _now(lambda: person.authorize(client, prompt="none"))
        where = answer.headers.get("location", "")
        return None if "code=" in where else f"a remembered consent is asked again: {where}"

    async def _token_is_refused(self, person: Person, token: str) -> str | None:
        answer = await _now(lambda: person.session(token))
        return None if answer.status_code == 401 else f"a revoked access token is good: {answer.text}"

    async def _grant_is_dead(self, person: Person, grant: Grant) -> str | None:
        statuses = await self._sessions(person, grant)
        refresh = await _now(lambda: person.refresh(grant.client, grant.refresh_token))
        if statuses == [401] * len(statuses) and refresh.status_code == 400:
            return None
        return f"a revoked grant lives: {statuses}, {refresh.text}"

    async def _grant_lives(self, person: Person, grant: Grant) -> str | None:
        statuses = await self._sessions(person, grant)
        if statuses != [200] * len(statuses):
            return f"an access token is lost: {statuses}"
        answer = await _now(lambda: person.refresh(grant.client, grant.refresh_token))
        if answer.status_code != 200:
            return f"a refresh token is lost: {answer.text}"
        grant.refresh_token = answer.json()["refresh_token"]
        return None

    async def _sessions(self, person: Person, grant: Grant) -> list[int]:
        asked = [await _now(partial(person.session, token)) for token in grant.access_tokens]
        return [answer.status_code for answer in asked]

    async def _code_is_good(self, person: Person, code: Code) -> str | None:
        if not code.is_good:
            return None
        answer = await _now(lambda: person.redeem(code.client, code.value))
        if answer.status_code != 200:
            return f"a code is lost: {answer.text}"
        self.codes.remove(code)
        self._opened(code, answer)
        return None

    async def _code_is_spent(self, person: Person, grant: Grant) -> str | None:
        answer = await _now(lambda: person.redeem(grant.client, grant.code.value))
        if answer.status_code != 400:
            return f"a code opened a second grant: {answer.text}"
        self.alive.remove(grant)
        self.dead.append(grant)
        return await self._grant_is_dead(person, grant)


async def _now(request: Callable[[], Awaitable[httpx2.Response]]) -> httpx2.Response:
    """Ask again while the server answers 503, and return the last answer."""
    for _ in range(TIMEOUT):
        answer = await request()
        if answer.status_code != 503:
            return answer
        await asyncio.sleep(1)
    return await request()


async def signed_in(origin: str) -> httpx2.Cookies:
    """Sign in, and return what the browser then holds."""
    person = visitor(origin, httpx2.Cookies())
    async with person.http:
        client = (await person.register())["client_id"]
        await person.sign_in(await person.asked(client))
    return person.http.cookies


def visitor(origin: str, cookies: httpx2.Cookies) -> Person:
    """Return a user with these cookies."""
    person = Person.at(origin)
    person.http.cookies = cookies
    # A busy machine might close a kept connection just as the next request goes out.
    person.http.headers["connection"] = "close"
    return person


def contradictions(ledger: Ledger, *, now: int | None = None) -> list[str]:
    """Return what contradicts itself: the log, the rows, or the pages of a SQLite file.

    Rows that ended before `now` may be missing; the time is the machine's where it is left out.
    """
    with opened(ledger) as database:
        replay = Replay(database, now=lambda: int(time.time()) if now is None else now)
        differences = [str(found) for found in replay.differences()]
    ((count, last),) = asked(ledger, "SELECT count(*), coalesce(max(position), 0) FROM events")
    gaps = [] if count == last else [f"{count} events, but the last is at position {last}"]
    pages = [] if isinstance(ledger, str) else asked(ledger, "PRAGMA integrity_check(1)")
    return differences + gaps + overtaken(ledger) + [found for (found,) in pages if found != "ok"]
