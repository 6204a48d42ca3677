"""Authorization codes of the use cases and of the running server, for the machine of their life cycle."""

import asyncio
from typing import Any

from grantledger.domain.refusal import Refusal
from properties.code_lifecycle import LIFETIME
from properties.over_http import OverHttp, refusal
from properties.over_use_cases import FOREVER, OverUseCases, error_code
from support.codes import ANOTHER_VERIFIER
from support.many_ledgers import Storages
from support.oauth import redemption
from support.policies import a_policy
from support.requests import NOTES
from support.timed_server import TimedServers

THIEF = "https://thief.example/callback"
MONTH = 30 * 86_400


class CodesOfTheUseCases(OverUseCases):
    """A grant is identified by its id, because its tokens are readable here."""

    def __init__(self, storages: Storages) -> None:
        policy = a_policy(
            code_lifetime=LIFETIME, access_token_lifetime=FOREVER, refresh_token_lifetime=FOREVER
        )
        super().__init__(storages, policy)
        self._thief = self.run(self.story.registers(client_name="Thief")).client
        self._tokens: dict[str, str] = {}

    def issue(self) -> str:
        return self.run(self.story.code(self.client, self.session))

    def redeem(self, code: str, mistake: str | None, times: int) -> list[str]:
        return self.run(self._redeem_at_once(code, mistake, times))

    def alive(self, grants: list[str]) -> list[bool]:
        return [self.run(self._is_alive(grant)) for grant in grants]

    def revoke(self, grant: str) -> None:
        access = self.story.sealer.read(self._tokens[grant])
        assert access is not None
        refresh_token = self.story.sealer.refresh_token(access.claims, access.nonce)
        self.run(self.story.revokes(self.client, refresh_token))

    async def _redeem_at_once(self, code: str, mistake: str | None, times: int) -> list[str]:
        return await asyncio.gather(*(self._redeem(code, mistake) for _ in range(times)))

    async def _redeem(self, code: str, mistake: str | None) -> str:
        mistakes: dict[str | None, dict[str, Any]] = {
            None: {},
            "another client": {},
            "another redirect URI": {"redirect_uri": THIEF},
            "another verifier": {"code_verifier": ANOTHER_VERIFIER},
            "no verifier": {"code_verifier": None},
            "another resource": {"resources": (NOTES,)},
        }
        client = self._thief if mistake == "another client" else self.client
        try:
            tokens = await self.story.redeems(client, code, **mistakes[mistake])
        except Refusal as refused:
            return error_code(refused)
        sealed = self.story.sealer.read(tokens.access_token)
        assert sealed is not None
        self._tokens[sealed.claims.grant_id] = tokens.access_token
        return sealed.claims.grant_id

    async def _is_alive(self, grant: str) -> bool:
        try:
            await self.story.look_up_session(self._tokens[grant])
        except Refusal:
            return False
        return True


class CodesOverHttp(OverHttp):
    """A grant is identified by its access token."""

    def __init__(self, servers: TimedServers) -> None:
        super().__init__(
            servers(
                code_expires_in=str(LIFETIME),
                access_token_expires_in=str(MONTH),
                refresh_token_expires_in=str(MONTH),
                browser_session_expires_in=str(MONTH),
            )
        )
        self._thief = self.server.run(self.register(client_name="Thief"))
        self._refresh_tokens: dict[str, str] = {}

    def issue(self) -> str:
        return self.code(self.client_id)

    def redeem(self, code: str, mistake: str | None, times: int) -> list[str]:
        mistakes: dict[str | None, dict[str, str]] = {
            None: {},
            "another client": {"client_id": self._thief},
            "another redirect URI": {"redirect_uri": THIEF},
            "another verifier": {"code_verifier": ANOTHER_VERIFIER},
            "no verifier": {"code_verifier": ""},
            "another resource": {"resource": NOTES},
        }
        form = redemption(self.client_id, code) | mistakes[mistake]
        outcomes = []
        for answer in self.token(*[form] * times):
            if answer.status != 200:
                outcomes.append(refusal(answer))
                continue
            tokens = answer.json()
            self._refresh_tokens[tokens["access_token"]] = tokens["refresh_token"]
            outcomes.append(tokens["access_token"])
        return outcomes

    def alive(self, grants: list[str]) -> list[bool]:
        statuses = [answer.status for answer in self.sessions(grants)]
        assert set(statuses) <= {200, 401}
        return [status == 200 for status in statuses]

    def revoke(self, grant: str) -> None:
        assert self.revoke_token(self.client_id, self._refresh_tokens[grant]).status == 200
