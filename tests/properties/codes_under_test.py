"""Two systems for the machine of code lifecycles: the domain alone, and the use cases over a ledger."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from msgspec.structs import replace

from fakes.clock import FrozenClock
from grantledger.domain.authorization_code import (
    AuthorizationCode,
    CodeAlreadyRedeemed,
    CodeRedeemed,
    CodeReplayed,
    evolve,
)
from grantledger.domain.client_registration import ClientRegistration
from grantledger.domain.refusal import Refusal
from properties.code_lifecycle import LIFETIME, START
from support.codes import ANOTHER_VERIFIER, a_code, redeem
from support.policies import a_policy
from support.requests import NOTES
from support.storage import InterleavingLedger, Storages
from support.story import CALLER, EMAIL, PASSWORD, Story

T = TypeVar("T")

FOREVER = 10**9
THIEF = "https://thief.example/callback"

_MISTAKES_OF_THE_DOMAIN: dict[str | None, dict[str, Any]] = {
    None: {},
    "another client": {"client_id": "glc_thief"},
    "another redirect URI": {"redirect_uri": THIEF},
    "another verifier": {"verifier": ANOTHER_VERIFIER},
    "no verifier": {"verifier": None},
    "another resource": {"resources": (NOTES,)},
}

_MISTAKES_OF_THE_USE_CASES: dict[str | None, dict[str, Any]] = {
    None: {},
    "another client": {},
    "another redirect URI": {"redirect_uri": THIEF},
    "another verifier": {"code_verifier": ANOTHER_VERIFIER},
    "no verifier": {"code_verifier": None},
    "another resource": {"resources": (NOTES,)},
}


class CodesOfTheDomain:
    """A replay that is remembered ends the grant that it names; that is all there is to grants here."""

    has_clients_and_users = False

    def __init__(self) -> None:
        self._clock = FrozenClock(START)
        self._codes: dict[str, AuthorizationCode] = {}
        self._alive: dict[str, bool] = {}

    def advance(self, seconds: int) -> None:
        self._clock.advance(seconds)

    def issue(self) -> str:
        name = f"code {len(self._codes)}"
        self._codes[name] = a_code(issued_at=self._clock.now(), expires_at=self._clock.now() + LIFETIME)
        return name

    def redeem(self, code: str, mistake: str | None, times: int) -> list[str]:
        return [self._redeem(code, mistake) for _ in range(times)]

    def is_alive(self, grant: str) -> bool:
        return self._alive[grant]

    def revoke(self, grant: str) -> None:
        self._alive[grant] = False

    def disable_client(self) -> None:
        raise NotImplementedError

    def delete_client_and_register_it_anew(self) -> None:
        raise NotImplementedError

    def disable_user(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        pass

    def _redeem(self, code: str, mistake: str | None) -> str:
        grant_id = f"grant {len(self._alive)}"
        try:
            outcome = redeem(
                self._codes[code], at=self._clock.now(), grant_id=grant_id, **_MISTAKES_OF_THE_DOMAIN[mistake]
            )
        except Refusal:
            return "no"
        for happened in outcome:
            self._codes[code] = evolve(self._codes[code], happened)
        match outcome:
            case (CodeRedeemed(grant_id=opened),):
                self._alive[opened] = True
                return opened
            case (CodeReplayed(grant_id=suspect),):
                self._alive[suspect] = False
        return "replay"


class CodesOfTheUseCases:
    """Codes of one client and one user, over the ledger that `storages` opens, truly redeemed at once."""

    has_clients_and_users = True

    def __init__(self, storages: Storages) -> None:
        self._runner = asyncio.Runner()
        self._storage = storages()
        self._tokens: dict[str, str] = {}
        self._run(self._begin())

    def advance(self, seconds: int) -> None:
        self._story.clock.advance(seconds)

    def issue(self) -> str:
        return self._run(self._story.code(self._client, self._session))

    def redeem(self, code: str, mistake: str | None, times: int) -> list[str]:
        return self._run(self._redeem_at_once(code, mistake, times))

    def is_alive(self, grant: str) -> bool:
        return self._run(self._is_alive(grant))

    def revoke(self, grant: str) -> None:
        self._run(self._revoke(grant))

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
        ledger = InterleavingLedger(await self._storage.__aenter__())
        policy = a_policy(
            code_lifetime=LIFETIME, access_token_lifetime=FOREVER, refresh_token_lifetime=FOREVER
        )
        self._story = Story(ledger, policy)
        self._client: ClientRegistration = (await self._story.registers()).client
        self._thief = (await self._story.registers(client_name="Thief")).client
        await self._story.open_account(EMAIL, PASSWORD, CALLER)
        self._session = replace(await self._story.signs_in(), expires_at=START + FOREVER)

    async def _redeem_at_once(self, code: str, mistake: str | None, times: int) -> list[str]:
        return await asyncio.gather(*(self._redeem(code, mistake) for _ in range(times)))

    async def _redeem(self, code: str, mistake: str | None) -> str:
        client = self._thief if mistake == "another client" else self._client
        try:
            tokens = await self._story.redeems(client, code, **_MISTAKES_OF_THE_USE_CASES[mistake])
        except CodeAlreadyRedeemed:
            return "replay"
        except Refusal:
            return "no"
        sealed = self._story.sealer.read(tokens.access_token)
        assert sealed is not None
        self._tokens[sealed.claims.grant_id] = tokens.access_token
        return sealed.claims.grant_id

    async def _is_alive(self, grant: str) -> bool:
        try:
            await self._story.look_up_session(self._tokens[grant])
        except Refusal:
            return False
        return True

    async def _revoke(self, grant: str) -> None:
        access = self._story.sealer.read(self._tokens[grant])
        assert access is not None
        refresh_token = self._story.sealer.refresh_token(access.claims, access.nonce)
        await self._story.revokes(self._client, refresh_token)

    async def _register_anew(self) -> None:
        await self._story.delete_client(self._client.client_id, CALLER)
        self._client = (await self._story.registers()).client

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)
