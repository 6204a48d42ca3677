"""The whole server as its use cases, with browsers and clients that need no HTTP."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from msgspec import MsgspecError, Struct, json

from fakes.clock import FrozenClock
from grantledger.adapters.http.errors import FormForeign, PendingRequestLost, wire_error
from grantledger.adapters.http.oauth.client_credentials import client_credentials
from grantledger.adapters.http.parameters import Parameters
from grantledger.application.accounts.sign_in import SignInRefused
from grantledger.application.authorization.issue_code import IssuedCode
from grantledger.application.authorization.resume_authorization import AskToSignIn
from grantledger.application.clients.authenticate_client import ClientCredentials
from grantledger.application.tokens.current_tokens import Tokens
from grantledger.application.tokens.redeem_code import CodeRedemption
from grantledger.application.tokens.refresh_grant import Refresh
from grantledger.application.tokens.revoke import Revocation
from grantledger.domain.authorization_request import (
    AuthorizationRequest,
    SentBack,
)
from grantledger.domain.browser_session import BrowserSession
from grantledger.domain.client_metadata import RegistrationRequest
from grantledger.domain.client_registration import ClientIsDisabled
from grantledger.domain.redirect_uri import shown_host
from grantledger.domain.refusal import Refusal
from grantledger.domain.role import Role, Roles
from properties.whole_server import facts
from properties.whole_server.facts import (
    EVIDENCE,
    Ask,
    Credentials,
    Pair,
    Redemption,
    RegistrationAnswer,
    Seen,
    Session,
)
from properties.whole_server.pages import name_of
from support.codes import VERIFIER
from support.many_ledgers import Storages
from support.policies import a_policy
from support.requests import asking
from support.storage import CountingLedger
from support.story import CALLER, PASSWORD
from support.use_cases import Outside, UseCases

T = TypeVar("T")


START = 1_800_000_000

POLICY = a_policy(
    code_lifetime=facts.CODE_LIFETIME,
    access_token_lifetime=facts.ACCESS_LIFETIME,
    refresh_token_lifetime=facts.REFRESH_LIFETIME,
    grant_lifetime=facts.GRANT_LIFETIME,
    refresh_reuse_window=facts.WINDOW,
    browser_session_lifetime=facts.SESSION_LIFETIME,
    transaction_lifetime=facts.TRANSACTION_LIFETIME,
    roles=Roles((Role(name="editor", scopes=(facts.EDITORS_SCOPE,)),)),
)


class OpenTab(Struct):
    browser: str
    request: AuthorizationRequest
    form_of: str | None = None
    shown: tuple[str, ...] = ()
    denied: bool = False


class ServerOfTheUseCases:
    """A tab keeps its request until it is denied or expires; a form fits the session that it was shown to."""

    salt = ""
    own_page = f"{POLICY.issuer}/authorize/x"

    def __init__(self, storages: Storages) -> None:
        self.clock = FrozenClock(START)
        self._cookies: dict[str, str] = {}
        self._tabs: dict[str, OpenTab] = {}
        self._runner = asyncio.Runner()
        self._storage = storages(self.clock.now)
        self._ledger = CountingLedger(self._run(self._storage.__aenter__()))
        self._do = UseCases(self._ledger, POLICY, Outside(clock=self.clock))
        self._accounts = 0

    @property
    def now(self) -> int:
        return self.clock.now()

    def advance(self, seconds: int) -> None:
        self.clock.advance(seconds)

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

    def change_role(self, user_id: str, *, is_editor: bool) -> None:
        change = self._do.grant_role if is_editor else self._do.revoke_role
        self._run(change(user_id, "editor", CALLER))

    # what programs do

    def register(self, body: bytes) -> RegistrationAnswer:
        try:
            asked = json.decode(body, type=RegistrationRequest)
        except (MsgspecError, UnicodeDecodeError, RecursionError):
            return RegistrationAnswer(400, {"error": "invalid_client_metadata"})
        try:
            new = self._run(self._do.register_client(asked, CALLER))
        except ClientIsDisabled:
            return RegistrationAnswer(403, {"error": "access_denied"})
        except Refusal as refusal:
            return RegistrationAnswer(400, {"error": wire_error(refusal).code})
        secret = {"client_secret": new.secret, "client_secret_expires_at": 0} if new.secret else {}
        own = {"client_id": new.client.client_id, "client_id_issued_at": new.client.registered_at, **secret}
        metadata = json.decode(json.encode(new.client.metadata))
        return RegistrationAnswer(201, {**own, **metadata, "redirect_uris": [*new.redirect_uris]})

    def prove(self, authorization: list[str], form: dict[str, str]) -> str:
        try:
            shown = client_credentials(authorization, Parameters(form, (), frozenset()))
        except Refusal as refusal:
            return wire_error(refusal).code
        return self.revoke(Credentials(shown.client_id, shown.secret), "unknown")

    # what browsers do

    def authorize(self, browser: str, client_id: str, ask: Ask) -> tuple[str, Seen]:
        asked = asking(
            client_id=client_id,
            redirect_uri=ask.redirect_uri,
            scope=ask.scope,
            resources=(ask.resource,) if ask.resource else (),
            prompt=ask.prompt,
        )
        try:
            request = self._run(self._do.start_authorization(asked, self._session(browser))).request
        except Refusal as refusal:
            return "", _refused(refusal)
        self._tabs[request.transaction_id] = OpenTab(browser, request)
        return request.transaction_id, self.look(request.transaction_id)

    def look(self, tab: str) -> Seen:
        return self._answered(self._tabs[tab], self._page)

    def sign_in(self, tab: str, email: str, *, right: bool) -> Seen:
        def submitted(opened: OpenTab, session: BrowserSession | None) -> Seen:
            if session is not None and opened.form_of is None:
                return self._page(opened, session)
            _check_form(opened, session)
            try:
                new = self._run(self._do.sign_in(email, PASSWORD if right else "wrong", CALLER))
            except SignInRefused:
                again = self._page(opened, None)
                opened.form_of = _id_of(session)
                return again
            if session is not None:
                self._run(self._do.sign_out(session, CALLER))
            self._cookies[opened.browser] = new.cookie
            return self._page(opened, self._session(opened.browser))

        return self._answered(self._tabs[tab], submitted)

    def decide(self, tab: str, *, allowed: bool, kept: bool) -> Seen:
        def submitted(opened: OpenTab, session: BrowserSession | None) -> Seen:
            _check_form(opened, session)
            given = self._do.give_consent(
                opened.request, session, allowed=allowed, caller=CALLER, shown=opened.shown
            )
            return Seen("code", self._run(given).code)

        opened = self._tabs[tab]
        before, opened.denied = opened.denied, opened.denied and not kept
        seen = self._answered(opened, submitted)
        opened.denied |= before
        return seen

    def sign_out(self, tab: str) -> Seen:
        def submitted(opened: OpenTab, session: BrowserSession | None) -> Seen:
            if session is not None:
                _check_form(opened, session)
                self._run(self._do.sign_out(session, CALLER))
            return self._page(opened, self._session(opened.browser))

        return self._answered(self._tabs[tab], submitted)

    def _session(self, browser: str) -> BrowserSession | None:
        found = self._run(self._do.find_browser_session(self._cookies.get(browser)))
        return found.session if found else None

    def _answered(self, opened: OpenTab, answer: Callable[[OpenTab, BrowserSession | None], Seen]) -> Seen:
        try:
            if opened.denied or self.now >= opened.request.expires_at:
                raise PendingRequestLost
            seen = answer(opened, self._session(opened.browser))
        except Refusal as refusal:
            seen = _refused(refusal)
        opened.denied |= seen.what == "error"
        return seen

    def _page(self, opened: OpenTab, session: BrowserSession | None) -> Seen:
        outcome = self._run(self._do.resume_authorization(opened.request, session, CALLER))
        if isinstance(outcome, IssuedCode):
            return Seen("code", outcome.code)
        opened.form_of = _id_of(session)
        if isinstance(outcome, AskToSignIn):
            return Seen("sign in")
        opened.shown = outcome.scopes
        name, request = outcome.client.metadata.client_name, opened.request
        where = (shown_host(request.redirect_uri), request.resource)
        as_whom = str(self._run(self._ledger.value(outcome.session.user_id, "email")))
        return Seen("consent", " ".join((str(name), as_whom, *where, *outcome.scopes)))

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

    def recorded(self) -> Counter[str]:
        return Counter({tag: self._ledger.tags[tag] for tag in EVIDENCE if self._ledger.tags[tag]})

    async def _sessions(self, asked: Sequence[tuple[str, str | None]]) -> list[Session | None]:
        found: list[Session | None] = []
        for token, resource in asked:
            try:
                one = await self._do.look_up_session(token, resource=resource)
            except Refusal:
                found.append(None)
            else:
                assert one.user_id is not None
                found.append(Session(one.user_id, one.client_id, one.scopes, one.resource, one.expires_at))
        return found

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)


def answer(request: Callable[[], T]) -> T | str:
    """Return the result, or the error code of a refusal."""
    try:
        return request()
    except Refusal as refusal:
        return wire_error(refusal).code


def _credentials(shown: Credentials) -> ClientCredentials:
    return ClientCredentials(client_id=shown.client_id, secret=shown.secret)


def _pair(tokens: Tokens) -> Pair:
    return Pair(tokens.access_token, tokens.refresh_token, tokens.scopes, tokens.expires_in)


def _id_of(session: BrowserSession | None) -> str | None:
    return None if session is None else session.session_id


def _check_form(opened: OpenTab, session: BrowserSession | None) -> None:
    if opened.form_of != _id_of(session):
        raise FormForeign


def _refused(refusal: Refusal) -> Seen:
    if isinstance(refusal, SentBack):
        return Seen("error", wire_error(refusal.cause).code)
    return Seen(name_of(refusal))
