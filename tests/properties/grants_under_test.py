"""Token grants of the use cases and of a running server, for the state machine of refreshes."""

import asyncio
from collections.abc import Hashable, Sequence

from msgspec.structs import replace

from grantledger.adapters.crypto.jws import JwkMaker, LedgerKeys
from grantledger.adapters.crypto.jwts import JwtAccessTokens
from grantledger.application.keys.signing_keys import MakeSigningKeys
from grantledger.application.tokens.current_tokens import Tokens
from grantledger.domain.refusal import Refusal
from grantledger.domain.signing_keys import ES256
from properties.over_http import OverHttp, refusal
from properties.over_use_cases import OverUseCases, error_code
from properties.refresh_family import SCOPES, START, Asked, Good, Pair, Settings
from support.many_ledgers import Storages
from support.oauth import redemption
from support.policies import POLICY, a_policy
from support.requests import MCP, NOTES
from support.story import CALLER, Story
from support.timed_server import TimedServers
from support.wire import Answer

MONTH = 30 * 86_400


class GrantsOfTheUseCases(OverUseCases):
    """A grant is identified by its id."""

    resources = POLICY.resources

    def __init__(self, settings: Settings, storages: Storages) -> None:
        policy = a_policy(
            resources=self.resources,
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
        grant_id = self.run(self.story.looks_up(tokens)).grant_id
        assert grant_id is not None
        return grant_id, _pair(tokens)

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
            return error_code(refused)
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
            return error_code(refused)
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


class GrantsWithJwts(GrantsOfTheUseCases):
    """Access tokens are JWTs, signed with real keys."""

    resources = tuple(replace(resource, jwt=ES256) for resource in POLICY.resources)

    async def _begin(self) -> None:
        await super()._begin()
        clock = self._outside.clock
        await MakeSigningKeys(self._ledger, JwkMaker(), clock)(CALLER)
        self._outside.access_token_signer = JwtAccessTokens(LedgerKeys(self._ledger, self._ledger, clock))
        self.story = Story(self._ledger, self._policy, self._outside)


NO_TOKENS = Tokens(access_token="", refresh_token=None, expires_in=0, scopes=(), resource="")


class GrantsOverHttp(OverHttp):
    """A grant is identified by its first access token."""

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
