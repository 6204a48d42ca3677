"""Two systems for the machine of refresh families: the domain alone, and the use cases over a ledger."""

import asyncio
from collections.abc import Coroutine, Hashable
from typing import Any, TypeVar

from msgspec.structs import replace

from fakes.clock import FrozenClock
from grantledger.application.tokens import Tokens
from grantledger.domain.client_registration import ClientRegistration
from grantledger.domain.refusal import Refusal
from grantledger.domain.token_grant import (
    Lifetimes,
    Narrowing,
    RefreshTokenAlreadyUsed,
    RefreshTokenReused,
    TokenGrant,
    earliest,
)
from properties.refresh_family import SCOPES, START, Pair, Settings
from support.grants import OPENED, after, an_open_grant
from support.policies import a_policy
from support.storage import Storages
from support.story import CALLER, EMAIL, PASSWORD, Story

T = TypeVar("T")


class GrantsOfTheDomain:
    """Tokens are what they claim: (generation, pair, expiry) and generation."""

    has_clients_and_users = False

    def __init__(self, settings: Settings) -> None:
        self._clock = FrozenClock(START)
        self._limit = settings.limit
        self._lifetimes = Lifetimes(
            access_token=settings.access, refresh_token=settings.refresh, reuse_window=settings.window
        )
        self._grants: dict[str, TokenGrant] = {}

    def advance(self, seconds: int) -> None:
        self._clock.advance(seconds)

    def open(self) -> tuple[str, Pair]:
        now = self._clock.now()
        limit = None if self._limit is None else now + self._limit
        name = f"grant {len(self._grants)}"
        self._grants[name] = an_open_grant(
            scopes=SCOPES,
            opened_at=now,
            access_expires_at=earliest(now + self._lifetimes.access_token, limit),
            refresh_expires_at=earliest(now + self._lifetimes.refresh_token, limit),
            expires_at=limit,
        )
        return name, self._pair(name)

    def refresh(self, grant: str, refresh_token: Hashable, scopes: tuple[str, ...] | None) -> Pair:
        assert isinstance(refresh_token, int)
        events = self._grants[grant].refresh(
            client_id=OPENED.client_id,
            client_registration=OPENED.client_registration,
            generation=refresh_token,
            asked=Narrowing(
                scope=" ".join(scopes) if scopes else None, resources=(), known_scopes=frozenset(SCOPES)
            ),
            key_id="key-1",
            lifetimes=self._lifetimes,
            now=self._clock.now(),
        )
        self._grants[grant] = after(self._grants[grant], events)
        if any(isinstance(event, RefreshTokenReused) for event in events):
            raise RefreshTokenAlreadyUsed
        return self._pair(grant)

    def accepted(self, grant: str, access_tokens: list[Hashable]) -> list[tuple[str, ...] | None]:
        return [self._accepted(grant, token) for token in access_tokens]

    def revoke_access(self, grant: str, access_token: Hashable) -> None:
        generation, _, _ = _claims(access_token)
        events = self._grants[grant].revoke_access(generation=generation, now=self._clock.now())
        self._grants[grant] = after(self._grants[grant], events)

    def revoke(self, grant: str, refresh_token: Hashable) -> None:
        events = self._grants[grant].revoke("revoked_by_client", now=self._clock.now())
        self._grants[grant] = after(self._grants[grant], events)

    def disable_client(self) -> None:
        raise NotImplementedError

    def delete_client_and_register_it_anew(self) -> None:
        raise NotImplementedError

    def disable_user(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        pass

    def _accepted(self, grant: str, token: Hashable) -> tuple[str, ...] | None:
        generation, pair, expires_at = _claims(token)
        try:
            access = self._grants[grant].check_access(
                generation=generation, pair=pair, expires_at=expires_at, now=self._clock.now()
            )
        except Refusal:
            return None
        return access.scopes

    def _pair(self, name: str) -> Pair:
        grant = self._grants[name]
        return Pair(
            access=(grant.generation, grant.pair, grant.access_expires_at),
            refresh=grant.generation,
            scopes=grant.current.scopes,
            expires_in=max(0, grant.access_expires_at - self._clock.now()),
        )


class GrantsOfTheUseCases:
    """Grants of one client and one user, over the ledger that `storages` opens."""

    has_clients_and_users = True

    def __init__(self, settings: Settings, storages: Storages) -> None:
        self._runner = asyncio.Runner()
        self._storage = storages()
        self._policy = a_policy(
            refresh_reuse_window=settings.window,
            access_token_lifetime=settings.access,
            refresh_token_lifetime=settings.refresh,
            grant_lifetime=settings.limit,
        )
        self._run(self._begin())

    def advance(self, seconds: int) -> None:
        self._story.clock.advance(seconds)

    def open(self) -> tuple[str, Pair]:
        tokens = self._run(self._story.tokens(self._client, self._session, scope=" ".join(SCOPES)))
        sealed = self._story.sealer.read(tokens.access_token)
        assert sealed is not None
        return sealed.claims.grant_id, _pair(tokens)

    def refresh(self, grant: str, refresh_token: Hashable, scopes: tuple[str, ...] | None) -> Pair:
        scope = None if scopes is None else " ".join(scopes)
        presented = replace(NO_TOKENS, refresh_token=refresh_token)
        return _pair(self._run(self._story.refreshes(self._client, presented, scope=scope)))

    def accepted(self, grant: str, access_tokens: list[Hashable]) -> list[tuple[str, ...] | None]:
        return self._run(self._accepted(access_tokens))

    def revoke_access(self, grant: str, access_token: Hashable) -> None:
        self._run(self._story.revokes(self._client, str(access_token)))

    def revoke(self, grant: str, refresh_token: Hashable) -> None:
        self._run(self._story.revokes(self._client, str(refresh_token)))

    def disable_client(self) -> None:
        self._run(self._story.disable_client(self._client.client_id, CALLER))

    def delete_client_and_register_it_anew(self) -> None:
        self._run(self._register_anew())

    def disable_user(self) -> None:
        self._run(self._story.disable_user(self._session.user_id, CALLER))

    def close(self) -> None:
        self._run(self._storage.__aexit__(None, None, None))
        self._runner.close()

    async def _begin(self) -> None:
        self._story = Story(await self._storage.__aenter__(), self._policy)
        self._client: ClientRegistration = (await self._story.registers()).client
        await self._story.open_account(EMAIL, PASSWORD, CALLER)
        self._session = replace(await self._story.signs_in(), expires_at=START * 2)

    async def _register_anew(self) -> None:
        await self._story.delete_client(self._client.client_id, CALLER)
        self._client = (await self._story.registers()).client

    async def _accepted(self, access_tokens: list[Hashable]) -> list[tuple[str, ...] | None]:
        accepted: list[tuple[str, ...] | None] = []
        for token in access_tokens:
            try:
                accepted.append((await self._story.look_up_session(str(token))).scopes)
            except Refusal:
                accepted.append(None)
        return accepted

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)


NO_TOKENS = Tokens(access_token="", refresh_token=None, expires_in=0, scopes=(), resource="")


def _pair(tokens: Tokens) -> Pair:
    return Pair(
        access=tokens.access_token,
        refresh=tokens.refresh_token,
        scopes=tokens.scopes,
        expires_in=tokens.expires_in,
    )


def _claims(access_token: Hashable) -> tuple[int, int, int]:
    assert isinstance(access_token, tuple)
    generation, pair, expires_at = access_token
    return generation, pair, expires_at
