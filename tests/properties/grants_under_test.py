"""The systems for the machine of refresh families: the domain alone, the use cases, the running server."""

import asyncio
from collections.abc import Hashable, Sequence

from msgspec.structs import replace

from grantledger.application.tokens.current_tokens import Tokens
from grantledger.domain.refusal import Refusal
from grantledger.domain.token_grant import (
    Event,
    GrantOpened,
    Lifetimes,
    Narrowing,
    RefreshTokenAlreadyUsed,
    RefreshTokenReused,
    TokenGrant,
    earliest,
    evolve,
)
from properties.over_domain import OverDomain
from properties.over_http import OverHttp, refusal
from properties.over_use_cases import OverUseCases, told
from properties.refresh_family import NOT_GRANTED, SCOPES, START, Asked, Good, Pair, Settings
from support.grants import OPENED, RESOURCE
from support.oauth import redemption
from support.policies import a_policy
from support.requests import MCP, NOTES
from support.storage import Storages
from support.timed_server import TimedServers
from support.wire import Answer

MONTH = 30 * 86_400


class GrantsOfTheDomain(OverDomain):
    """Tokens are what they claim: (generation, pair, expiry) and generation."""

    in_one_look = 1_000

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._limit = settings.limit
        self._lifetimes = Lifetimes(
            access_token=settings.access, refresh_token=settings.refresh, reuse_window=settings.window
        )
        self._grants: dict[str, TokenGrant] = {}

    def open(self, *, refreshes: bool = True) -> tuple[str, Pair]:
        now = self.clock.now()
        limit = None if self._limit is None else now + self._limit
        opened = replace(
            OPENED,
            scopes=SCOPES,
            opened_at=now,
            access_expires_at=earliest(now + self._lifetimes.access_token, limit),
            refresh_expires_at=earliest(now + self._lifetimes.refresh_token, limit) if refreshes else None,
            expires_at=limit,
        )
        name = f"grant {len(self._grants)}"
        self._happens(name, opened)
        return name, self._pair(name)

    def refresh(
        self, grant: str, token: Hashable, asked: Asked, *, times: int = 1, thief: bool = False
    ) -> list[Pair | str]:
        return [self._refresh(grant, token, asked, thief=thief) for _ in range(times)]

    def damaged(self, refresh_token: Hashable) -> Hashable:
        raise AssertionError("nothing is sealed")

    def good_for(self, tokens: Sequence[tuple[str, Hashable]]) -> list[Good | None]:
        return [self._good_for(grant, token) for grant, token in tokens]

    def revoke(self, grant: str, token: Hashable) -> str | None:
        now = self.clock.now()
        if isinstance(token, tuple):
            self._happens(grant, *self._grants[grant].revoke_access(generation=token[0], now=now))
        else:
            self._happens(grant, *self._grants[grant].revoke("revoked_by_client", now=now))
        return None

    def _refresh(self, grant: str, token: Hashable, asked: Asked, *, thief: bool) -> Pair | str:
        assert isinstance(token, int)
        narrowing = Narrowing(
            scope=_scope(asked),
            resources=_resources(asked, RESOURCE),
            known_scopes=frozenset({*SCOPES, *NOT_GRANTED}),
        )
        try:
            events = self._grants[grant].refresh(
                client_id="glc_thief" if thief else OPENED.client_id,
                client_registration=OPENED.client_registration,
                generation=token,
                asked=narrowing,
                key_id="key-1",
                lifetimes=self._lifetimes,
                now=self.clock.now(),
            )
        except Refusal as refused:
            return told(refused)
        self._happens(grant, *events)
        if any(isinstance(event, RefreshTokenReused) for event in events):
            return told(RefreshTokenAlreadyUsed())
        return self._pair(grant)

    def _happens(self, grant: str, *events: Event) -> None:
        for event in events:
            self.happened(event)
            before = None if isinstance(event, GrantOpened) else self._grants[grant]
            self._grants[grant] = evolve(before, event)

    def _good_for(self, grant: str, token: Hashable) -> Good | None:
        assert isinstance(token, tuple)
        generation, pair, expires_at = token
        try:
            access = self._grants[grant].check_access(
                generation=generation, pair=pair, expires_at=expires_at, now=self.clock.now()
            )
        except Refusal:
            return None
        return Good(access.scopes, expires_at)

    def _pair(self, name: str) -> Pair:
        grant = self._grants[name]
        return Pair(
            access=(grant.generation, grant.pair, grant.access_expires_at),
            refresh=None if grant.refresh_expires_at is None else grant.generation,
            scopes=grant.current.scopes,
            expires_in=max(0, grant.access_expires_at - self.clock.now()),
        )


class GrantsOfTheUseCases(OverUseCases):
    """Tokens are readable here, so a grant goes by its id."""

    in_one_look = 12

    def __init__(self, settings: Settings, storages: Storages) -> None:
        policy = a_policy(
            refresh_reuse_window=settings.window,
            access_token_lifetime=settings.access,
            refresh_token_lifetime=settings.refresh,
            grant_lifetime=settings.limit,
        )
        super().__init__(storages, policy)
        self._thief = self.run(self.story.registers(client_name="Thief")).client
        once = self.story.registers(client_name="Once", grant_types=("authorization_code",))
        self._once = self.run(once).client

    def open(self, *, refreshes: bool = True) -> tuple[str, Pair]:
        client = self.client if refreshes else self._once
        tokens = self.run(self.story.tokens(client, self.session, scope=" ".join(SCOPES)))
        sealed = self.story.sealer.read(tokens.access_token)
        assert sealed is not None
        return sealed.claims.grant_id, _pair(tokens)

    def refresh(
        self, grant: str, token: Hashable, asked: Asked, *, times: int = 1, thief: bool = False
    ) -> list[Pair | str]:
        return self.run(self._refresh_at_once(token, asked, times, thief=thief))

    def damaged(self, refresh_token: Hashable) -> Hashable:
        return f"{refresh_token}x"

    def good_for(self, tokens: Sequence[tuple[str, Hashable]]) -> list[Good | None]:
        return self.run(self._good_for(tokens))

    def revoke(self, grant: str, token: Hashable) -> str | None:
        try:
            self.run(self.story.revokes(self.client, str(token)))
        except Refusal as refused:
            return told(refused)
        return None

    async def _refresh_at_once(
        self, token: Hashable, asked: Asked, times: int, *, thief: bool
    ) -> list[Pair | str]:
        return await asyncio.gather(*(self._refresh(token, asked, thief=thief) for _ in range(times)))

    async def _refresh(self, token: Hashable, asked: Asked, *, thief: bool) -> Pair | str:
        client = self._thief if thief else self.client
        presented = replace(NO_TOKENS, refresh_token=token)
        resources = _resources(asked, MCP)
        try:
            tokens = await self.story.refreshes(client, presented, scope=_scope(asked), resources=resources)
        except Refusal as refused:
            return told(refused)
        return _pair(tokens)

    async def _good_for(self, tokens: Sequence[tuple[str, Hashable]]) -> list[Good | None]:
        found: list[Good | None] = []
        for _, token in tokens:
            try:
                session = await self.story.look_up_session(str(token))
            except Refusal:
                found.append(None)
            else:
                found.append(Good(session.scopes, session.expires_at))
        return found


NO_TOKENS = Tokens(access_token="", refresh_token=None, expires_in=0, scopes=(), resource="")


class GrantsOverHttp(OverHttp):
    """A grant goes by its first access token."""

    in_one_look = 12

    def __init__(self, settings: Settings, servers: TimedServers) -> None:
        limit = {} if settings.limit is None else {"grant_expires_in": str(settings.limit)}
        super().__init__(
            servers(
                refresh_reuse_window=str(settings.window),
                access_token_expires_in=str(settings.access),
                refresh_token_expires_in=str(settings.refresh),
                browser_session_expires_in=str(MONTH),
                **limit,
            )
        )
        self._thief = self.server.run(self.register(client_name="Thief"))
        once = self.register(client_name="Once", grant_types=["authorization_code"])
        self._once = self.server.run(once)

    def open(self, *, refreshes: bool = True) -> tuple[str, Pair]:
        client_id = self.client_id if refreshes else self._once
        code = self.code(client_id, scope=" ".join(SCOPES))
        (answer,) = self.token(redemption(client_id, code))
        assert answer.status == 200, answer
        pair = _answered(answer)
        return str(pair.access), pair

    def refresh(
        self, grant: str, token: Hashable, asked: Asked, *, times: int = 1, thief: bool = False
    ) -> list[Pair | str]:
        form = {
            "grant_type": "refresh_token",
            "client_id": self._thief if thief else self.client_id,
            "refresh_token": str(token),
        }
        scope = _scope(asked)
        form |= {} if scope is None else {"scope": scope}
        for resource in _resources(asked, f"{self.server.server.issuer}/mcp"):
            form["resource"] = resource
        answers = self.token(*[form] * times)
        return [_answered(answer) if answer.status == 200 else refusal(answer) for answer in answers]

    def damaged(self, refresh_token: Hashable) -> Hashable:
        token = str(refresh_token)
        return token[:-20] + ("a" if token[-20] != "a" else "b") + token[-19:]

    def good_for(self, tokens: Sequence[tuple[str, Hashable]]) -> list[Good | None]:
        return [self._good_for(answer) for answer in self.sessions([str(token) for _, token in tokens])]

    def revoke(self, grant: str, token: Hashable) -> str | None:
        answer = self.revoke_token(self.client_id, str(token))
        return None if answer.status == 200 else refusal(answer)

    def _good_for(self, answer: Answer) -> Good | None:
        if answer.status == 401:
            return None
        assert answer.status == 200, answer
        session = answer.json()
        assert session["user_id"] == self.account.user_id
        return Good(tuple(session["scope"].split()), session["expires_at"] - self.began + START)


def _scope(asked: Asked) -> str | None:
    return None if asked.scopes is None else " ".join(asked.scopes)


def _resources(asked: Asked, granted: str) -> tuple[str, ...]:
    return () if asked.same_resource is None else (granted if asked.same_resource else NOTES,)


def _pair(tokens: Tokens) -> Pair:
    return Pair(
        access=tokens.access_token,
        refresh=tokens.refresh_token,
        scopes=tokens.scopes,
        expires_in=tokens.expires_in,
    )


def _answered(answer: Answer) -> Pair:
    tokens = answer.json()
    return Pair(
        access=tokens["access_token"],
        refresh=tokens.get("refresh_token"),
        scopes=tuple(tokens["scope"].split()),
        expires_in=tokens["expires_in"],
    )
