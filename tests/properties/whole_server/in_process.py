"""Browsers and clients without HTTP: what stands between them and the use cases, whoever plays those."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from msgspec import MsgspecError, Struct, json

from fakes.clock import FrozenClock
from grantledger.adapters.http.errors import FormForeign, ParkedRequestLost, wire_error
from grantledger.adapters.http.oauth.client_credentials import presented
from grantledger.adapters.http.parameters import Parameters
from grantledger.application.accounts.browser_sessions import NewBrowserSession
from grantledger.application.accounts.sign_in import SignInRefused
from grantledger.application.authorization.issue_code import IssuedCode
from grantledger.application.authorization.resume_authorization import AskForConsent, AskToSignIn
from grantledger.application.clients.register_client import NewClient
from grantledger.domain.authorization_request import (
    AuthorizationParameters,
    AuthorizationRequest,
    SentBack,
)
from grantledger.domain.browser_session import BrowserSession
from grantledger.domain.client_metadata import RegistrationRequest
from grantledger.domain.client_registration import ClientIsDisabled
from grantledger.domain.redirect_uri import shown_host
from grantledger.domain.refusal import Refusal
from properties.whole_server import facts
from properties.whole_server.facts import Ask, Credentials, Seen, Told
from properties.whole_server.pages import name_of
from support.policies import a_policy
from support.requests import asking

START = 1_800_000_000

POLICY = a_policy(
    code_lifetime=facts.CODE_LIFETIME,
    access_token_lifetime=facts.ACCESS_LIFETIME,
    refresh_token_lifetime=facts.REFRESH_LIFETIME,
    grant_lifetime=facts.GRANT_LIFETIME,
    refresh_reuse_window=facts.WINDOW,
    browser_session_lifetime=facts.SESSION_LIFETIME,
    transaction_lifetime=facts.TRANSACTION_LIFETIME,
)

Page = AskToSignIn | AskForConsent | IssuedCode


class OpenTab(Struct):
    browser: str
    request: AuthorizationRequest
    form_of: str | None = None
    answered: bool = False


class InProcess(ABC):
    """A tab keeps its request until it is answered; a form is good for the session that it was shown to."""

    salt = ""
    own_page = f"{POLICY.issuer}/authorize/x"

    def __init__(self) -> None:
        self.clock = FrozenClock(START)
        self._cookies: dict[str, str] = {}
        self._tabs: dict[str, OpenTab] = {}

    @property
    def now(self) -> int:
        return self.clock.now()

    def advance(self, seconds: int) -> None:
        self.clock.advance(seconds)

    # the use cases, which raise their refusals

    @abstractmethod
    def register_client(self, asked: RegistrationRequest) -> NewClient: ...

    @abstractmethod
    def start(
        self, asked: AuthorizationParameters, session: BrowserSession | None
    ) -> AuthorizationRequest: ...

    @abstractmethod
    def revoke(self, credentials: Credentials, token: str) -> str: ...

    @abstractmethod
    def resume(self, request: AuthorizationRequest, session: BrowserSession | None) -> Page: ...

    @abstractmethod
    def consent(
        self, request: AuthorizationRequest, session: BrowserSession | None, *, allowed: bool
    ) -> IssuedCode: ...

    @abstractmethod
    def find_session(self, cookie: str | None) -> BrowserSession | None: ...

    @abstractmethod
    def begin_session(self, email: str, *, right: bool) -> NewBrowserSession: ...

    @abstractmethod
    def email_of(self, session: BrowserSession) -> str | None: ...

    @abstractmethod
    def end_session(self, session: BrowserSession) -> None: ...

    # what programs do

    def register(self, body: bytes) -> Told:
        try:
            asked = json.decode(body, type=RegistrationRequest)
        except (MsgspecError, UnicodeDecodeError, RecursionError):
            return Told(400, {"error": "invalid_client_metadata"})
        try:
            new = self.register_client(asked)
        except ClientIsDisabled:
            return Told(403, {"error": "access_denied"})
        except Refusal as refusal:
            return Told(400, {"error": wire_error(refusal).code})
        secret = {"client_secret": new.secret, "client_secret_expires_at": 0} if new.secret else {}
        own = {"client_id": new.client.client_id, "client_id_issued_at": new.client.registered_at, **secret}
        return Told(201, {**own, **json.decode(json.encode(new.client.metadata))})

    def prove(self, authorization: list[str], form: dict[str, str]) -> str:
        try:
            shown = presented(authorization, Parameters(form, (), frozenset()))
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
            request = self.start(asked, self._session(browser))
        except Refusal as refusal:
            return "", _refused(refusal)
        self._tabs[request.transaction_id] = OpenTab(browser, request)
        return request.transaction_id, self.look(request.transaction_id)

    def look(self, tab: str) -> Seen:
        return self._told(self._tabs[tab], self._page)

    def sign_in(self, tab: str, email: str, *, right: bool) -> Seen:
        def submitted(opened: OpenTab, session: BrowserSession | None) -> Seen:
            if session is not None and opened.form_of is None:
                return self._page(opened, session)
            _check_form(opened, session)
            try:
                new = self.begin_session(email, right=right)
            except SignInRefused:
                again = self._page(opened, None)
                opened.form_of = _id_of(session)
                return again
            if session is not None:
                self.end_session(session)
            self._cookies[opened.browser] = new.cookie
            return self._page(opened, self._session(opened.browser))

        return self._told(self._tabs[tab], submitted)

    def decide(self, tab: str, *, allowed: bool, kept: bool) -> Seen:
        def submitted(opened: OpenTab, session: BrowserSession | None) -> Seen:
            _check_form(opened, session)
            return Seen("code", self.consent(opened.request, session, allowed=allowed).code)

        opened = self._tabs[tab]
        before, opened.answered = opened.answered, opened.answered and not kept
        seen = self._told(opened, submitted)
        opened.answered |= before
        return seen

    def sign_out(self, tab: str) -> Seen:
        def submitted(opened: OpenTab, session: BrowserSession | None) -> Seen:
            if session is not None:
                _check_form(opened, session)
                self.end_session(session)
            return self._page(opened, self._session(opened.browser))

        return self._told(self._tabs[tab], submitted)

    def _session(self, browser: str) -> BrowserSession | None:
        return self.find_session(self._cookies.get(browser))

    def _told(self, opened: OpenTab, answer: Callable[[OpenTab, BrowserSession | None], Seen]) -> Seen:
        try:
            if opened.answered or self.now >= opened.request.expires_at:
                raise ParkedRequestLost
            seen = answer(opened, self._session(opened.browser))
        except Refusal as refusal:
            seen = _refused(refusal)
        opened.answered |= seen.what in ("code", "error")
        return seen

    def _page(self, opened: OpenTab, session: BrowserSession | None) -> Seen:
        outcome = self.resume(opened.request, session)
        if isinstance(outcome, IssuedCode):
            return Seen("code", outcome.code)
        opened.form_of = _id_of(session)
        if isinstance(outcome, AskToSignIn):
            return Seen("sign in")
        name, request = outcome.client.metadata.client_name, opened.request
        where = (shown_host(request.redirect_uri), request.resource)
        as_whom = str(self.email_of(outcome.session))
        return Seen("consent", " ".join((str(name), as_whom, *where, *request.scopes)))


def _id_of(session: BrowserSession | None) -> str | None:
    return None if session is None else session.session_id


def _check_form(opened: OpenTab, session: BrowserSession | None) -> None:
    if opened.form_of != _id_of(session):
        raise FormForeign


def _refused(refusal: Refusal) -> Seen:
    if isinstance(refusal, SentBack):
        return Seen("error", wire_error(refusal.cause).code)
    return Seen(name_of(refusal))
