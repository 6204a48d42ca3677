"""The whole server as its use cases, over any ledger."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from grantledger.adapters.http.errors import wire_error
from grantledger.application.accounts.browser_sessions import NewBrowserSession
from grantledger.application.authorization.issue_code import IssuedCode
from grantledger.application.clients.authenticate_client import ClientCredentials
from grantledger.application.clients.register_client import NewClient
from grantledger.application.ports import PrivateRecord
from grantledger.application.provenance import Provenance
from grantledger.application.tokens.current_tokens import Tokens
from grantledger.application.tokens.redeem_code import CodeRedemption
from grantledger.application.tokens.refresh_grant import Refresh
from grantledger.application.tokens.revoke import Revocation
from grantledger.domain.aggregate import Change
from grantledger.domain.authorization_request import AuthorizationParameters, AuthorizationRequest
from grantledger.domain.browser_session import BrowserSession
from grantledger.domain.client_metadata import RegistrationRequest
from grantledger.domain.kinds import tag_of
from grantledger.domain.refusal import Refusal
from properties.whole_server.facts import EVIDENCE, Credentials, Pair, Redemption, Session
from properties.whole_server.in_process import POLICY, InProcess, Page
from support.codes import VERIFIER
from support.storage import InterleavingLedger, Storage, Storages
from support.story import CALLER, PASSWORD
from support.use_cases import Outside, UseCases

T = TypeVar("T")


class CountingLedger(InterleavingLedger):
    """Counts the events that were recorded, by their tags."""

    def __init__(self, inner: Storage) -> None:
        super().__init__(inner)
        self.tags: Counter[str] = Counter()

    async def record(
        self, changes: Sequence[Change[Any]], by: Provenance, private: Sequence[PrivateRecord] = ()
    ) -> None:
        await super().record(changes, by, private)
        self.tags.update(tag_of(happened) for change in changes for happened in change.events)


class ServerOfTheUseCases(InProcess):
    def __init__(self, storages: Storages) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._storage = storages()
        self._ledger = CountingLedger(self._run(self._storage.__aenter__()))
        self._do = UseCases(self._ledger, POLICY, Outside(clock=self.clock))
        self._accounts = 0

    def close(self) -> None:
        self._run(self._storage.__aexit__(None, None, None))
        self._runner.close()

    # operators

    def open_account(self) -> tuple[str, str]:
        self._accounts += 1
        email = f"user-{self._accounts}@example.com"
        return self._run(self._do.open_account(email, PASSWORD, CALLER)), email

    def disable_client(self, client_id: str) -> None:
        self._run(self._do.disable_client(client_id, CALLER))

    def delete_client(self, client_id: str) -> None:
        self._run(self._do.delete_client(client_id, CALLER))

    def disable_user(self, user_id: str) -> None:
        self._run(self._do.disable_user(user_id, CALLER))

    # what stands behind the endpoints

    def register_client(self, asked: RegistrationRequest) -> NewClient:
        return self._run(self._do.register_client(asked, CALLER))

    def start(self, asked: AuthorizationParameters, session: BrowserSession | None) -> AuthorizationRequest:
        return self._run(self._do.start_authorization(asked, session))

    def resume(self, request: AuthorizationRequest, session: BrowserSession | None) -> Page:
        return self._run(self._do.resume_authorization(request, session, CALLER))

    def consent(
        self, request: AuthorizationRequest, session: BrowserSession | None, *, allowed: bool
    ) -> IssuedCode:
        return self._run(self._do.give_consent(request, session, allowed=allowed, caller=CALLER))

    def find_session(self, cookie: str | None) -> BrowserSession | None:
        return self._run(self._do.find_browser_session(cookie))

    def begin_session(self, email: str, *, right: bool) -> NewBrowserSession:
        return self._run(self._do.sign_in(email, PASSWORD if right else "wrong", CALLER))

    def email_of(self, session: BrowserSession) -> str | None:
        return self._run(self._ledger.value(session.user_id, "email"))

    def end_session(self, session: BrowserSession) -> None:
        self._run(self._do.sign_out(session, CALLER))

    # clients

    def redeem(self, credentials: Credentials, redemption: Redemption) -> Pair | str:
        request = CodeRedemption(
            credentials=_credentials(credentials),
            code=redemption.code,
            code_verifier=VERIFIER if redemption.verifier is None else redemption.verifier or None,
            redirect_uri=redemption.redirect_uri,
            resources=(redemption.resource,) if redemption.resource else (),
            caller=CALLER,
        )
        return answer(lambda: _pair(self._run(self._do.redeem_code(request))))

    def refresh(
        self, credentials: Credentials, token: str, *, scope: str | None, resource: str | None
    ) -> Pair | str:
        request = Refresh(
            credentials=_credentials(credentials),
            refresh_token=token,
            scope=scope,
            resources=(resource,) if resource else (),
            caller=CALLER,
        )
        return answer(lambda: _pair(self._run(self._do.refresh_grant(request))))

    def revoke(self, credentials: Credentials, token: str) -> str:
        request = Revocation(credentials=_credentials(credentials), token=token, caller=CALLER)
        return answer(lambda: self._run(self._do.revoke_token(request))) or ""

    def sessions(self, asked: Sequence[tuple[str, str | None]]) -> list[Session | None]:
        return self._run(self._sessions(asked))

    def remembered(self) -> Counter[str]:
        return Counter({tag: self._ledger.tags[tag] for tag in EVIDENCE if self._ledger.tags[tag]})

    async def _sessions(self, asked: Sequence[tuple[str, str | None]]) -> list[Session | None]:
        found: list[Session | None] = []
        for token, resource in asked:
            try:
                one = await self._do.look_up_session(token, resource=resource)
            except Refusal:
                found.append(None)
            else:
                found.append(Session(one.user_id, one.client_id, one.scopes, one.resource, one.expires_at))
        return found

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)


def answer(request: Callable[[], T]) -> T | str:
    """Return what a client is told: the error code where it is refused."""
    try:
        return request()
    except Refusal as refusal:
        return wire_error(refusal).code


def _credentials(shown: Credentials) -> ClientCredentials:
    return ClientCredentials(client_id=shown.client_id, secret=shown.secret)


def _pair(tokens: Tokens) -> Pair:
    return Pair(tokens.access_token, tokens.refresh_token, tokens.scopes, tokens.expires_in)
