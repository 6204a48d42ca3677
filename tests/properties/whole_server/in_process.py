"""Browsers and clients without HTTP: what stands between them and the use cases, whoever plays those."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from fakes.clock import FrozenClock
from grantledger.adapters.http.refusals import FormForeign, ParkedRequestLost
from grantledger.adapters.http.wire_errors import wire_error
from grantledger.application.issue_code import IssuedCode
from grantledger.application.resume_authorization import AskForConsent, AskToSignIn
from grantledger.application.sign_in import NewBrowserSession, SignInRefused
from grantledger.domain.authorization_request import (
    AuthorizationParameters,
    AuthorizationRequest,
    SentBack,
)
from grantledger.domain.browser_session import BrowserSession
from grantledger.domain.redirect_uri import shown_host
from grantledger.domain.refusal import Refusal
from properties.whole_server.facts import Ask, Seen
from properties.whole_server.pages import name_of
from support.requests import asking

START = 1_800_000_000

Page = AskToSignIn | AskForConsent | IssuedCode


class OpenTab(Struct):
    browser: str
    request: AuthorizationRequest
    form_of: str | None = None
    answered: bool = False


class InProcess(ABC):
    """A tab keeps its request until it is answered; a form is good for the session that it was shown to."""

    salt = ""

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
    def start(
        self, asked: AuthorizationParameters, session: BrowserSession | None
    ) -> AuthorizationRequest: ...

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
    def end_session(self, session: BrowserSession) -> None: ...

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

    def decide(self, tab: str, *, allowed: bool, times: int) -> list[Seen]:
        def submitted(opened: OpenTab, session: BrowserSession | None) -> Seen:
            _check_form(opened, session)
            return Seen("code", self.consent(opened.request, session, allowed=allowed).code)

        kept = [replace(self._tabs[tab]) for _ in range(times - 1)]
        return [self._told(opened, submitted) for opened in (self._tabs[tab], *kept)]

    def sign_out(self, tab: str) -> Seen:
        def submitted(opened: OpenTab, session: BrowserSession | None) -> Seen:
            _check_form(opened, session)
            if session is not None:
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
        return Seen("consent", " ".join((str(name), str(outcome.email), *where, *request.scopes)))


def _id_of(session: BrowserSession | None) -> str | None:
    return None if session is None else session.session_id


def _check_form(opened: OpenTab, session: BrowserSession | None) -> None:
    if opened.form_of != _id_of(session):
        raise FormForeign


def _refused(refusal: Refusal) -> Seen:
    if isinstance(refusal, SentBack):
        return Seen("error", wire_error(refusal.cause).code)
    return Seen(name_of(refusal))
