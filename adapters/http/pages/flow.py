"""What the authorization pages share: who is signed in, what is asked, and which page comes next."""

from typing import Any
from urllib.parse import quote

from litestar import Request, Response
from msgspec import Struct

from grantledger.adapters.http.caller import CallerReader
from grantledger.adapters.http.oauth.authorization_response import AuthorizationResponses
from grantledger.adapters.http.pages.browser import FormTokens, PageCookies, ParkedRequests, Visit, Visits
from grantledger.adapters.http.pages.rendering import (
    ConsentPage,
    Pages,
    ScopeLine,
    SignInAgainPage,
    SignInPage,
    SignUpPage,
    words_for,
)
from grantledger.adapters.http.pages.responses import page, redirect
from grantledger.adapters.http.pages.sessions import BrowserSessions
from grantledger.application.authorization.issue_code import IssuedCode
from grantledger.application.authorization.resume_authorization import (
    AskForConsent,
    AskToSignIn,
    ResumeAuthorization,
)
from grantledger.application.policy import ServerPolicy
from grantledger.domain import redirect_uri
from grantledger.domain.authorization_request import AuthorizationRequest
from grantledger.domain.browser_session import BrowserSession
from grantledger.domain.client_registration import ClientRegistration
from grantledger.domain.password import MIN_PASSWORD


class SignInWays(Struct, frozen=True, kw_only=True):
    """Where people sign in: on the page of the host application, or on ours, which may offer to sign up."""

    login_page: str | None
    logout_page: str | None
    sign_up: bool

    @property
    def built_in(self) -> bool:
        return self.login_page is None


class AuthorizationFlow:
    def __init__(
        self,
        *,
        resume: ResumeAuthorization,
        sessions: BrowserSessions,
        policy: ServerPolicy,
        base_path: str,
        ways: SignInWays,
        pages: Pages,
        responses: AuthorizationResponses,
        parked: ParkedRequests,
        visits: Visits,
        cookies: PageCookies,
        form_tokens: FormTokens,
        caller_of: CallerReader,
    ) -> None:
        self._resume = resume
        self.resource_names = {r.identifier: r.name or r.identifier for r in policy.resources}
        self._parked = parked
        self.ways = ways
        self.pages = pages
        self.form_tokens = form_tokens
        self.session = sessions
        self.base_path = base_path
        self.responses = responses
        self.visits = visits
        self.cookies = cookies
        self.caller_of = caller_of

    async def begin(
        self, request: Request[Any, Any, Any], asked: AuthorizationRequest, session: BrowserSession | None
    ) -> Response[bytes]:
        """Answer at once where no page is needed; else park the request and go to its own URL."""
        outcome = await self._resume(asked, session, self.caller_of(request))
        if isinstance(outcome, IssuedCode):
            return self.responses.success(outcome)
        answer = redirect(self.visits.of_request(asked).url)
        for cookie in self._parked.park(asked, request.cookies):
            answer.set_cookie(cookie)
        return answer

    async def proceed(
        self, request: Request[Any, Any, Any], waiting: AuthorizationRequest, session: BrowserSession | None
    ) -> Response[bytes]:
        """Show the page that a waiting request needs now, or send the browser on with the code."""
        outcome = await self._resume(waiting, session, self.caller_of(request))
        match outcome:
            case IssuedCode():
                return self.done(waiting, self.responses.success(outcome))
            case AskToSignIn():
                visit = self.visits.of_request(waiting)
                return await self.sign_in_page(request, visit, session, client=outcome.client)
            case AskForConsent():
                return self._consent_page(outcome, waiting, await self.session.name(request, outcome.session))

    async def sign_in_page(
        self,
        request: Request[Any, Any, Any],
        visit: Visit,
        session: BrowserSession | None,
        *,
        client: ClientRegistration | None = None,
        email: str = "",
        problem: str | None = None,
        notice: str | None = None,
    ) -> Response[bytes]:
        """Let somebody sign in; after an attempt with the e-mail address and what is to be said of it."""
        if self.ways.login_page is not None:
            return self._to_login_page(self.ways.login_page, visit, session)
        if visit.waiting is not None and client is None:
            asking = await self._resume(visit.waiting, None, self.caller_of(request))
            assert isinstance(asking, AskToSignIn)  # a request that allows no page is never parked
            client = asking.client
        html = self.pages(
            SignInPage(
                base_path=self.base_path,
                place=visit.place,
                csrf_token=self.form_tokens.make(visit, session),
                client_name=client.metadata.client_name if client else None,
                resource_name=self.resource_names[visit.waiting.resource] if visit.waiting else None,
                email=email,
                problem=problem,
                notice=notice,
                offers_sign_up=self.ways.sign_up,
            )
        )
        return page(html, status=400 if problem else 200)

    def sign_up_page(
        self, visit: Visit, *, email: str = "", problem: str | None = None, at: str | None = None
    ) -> Response[bytes]:
        """Let somebody open an account; `at` is the field that the problem is about."""
        html = self.pages(
            SignUpPage(
                base_path=self.base_path,
                place=visit.place,
                csrf_token=self.form_tokens.make(visit, None),
                min_password=MIN_PASSWORD,
                email=email,
                problem=problem,
                at=at,
            )
        )
        return page(html, status=400 if problem else 200)

    def done(self, waiting: AuthorizationRequest, answer: Response[bytes]) -> Response[bytes]:
        """Let the browser forget the request that this answers."""
        answer.set_cookie(self._parked.forget(waiting.transaction_id))
        return answer

    def _to_login_page(
        self, login_page: str, visit: Visit, session: BrowserSession | None
    ) -> Response[bytes]:
        target = f"{login_page}{'&' if '?' in login_page else '?'}transaction={quote(visit.place)}"
        if session is None:
            return redirect(target)
        # Signed in, but the client asks for it anew. A page that sees a user may send them straight back:
        # with a click between, that ends.
        html = self.pages(SignInAgainPage(base_path=self.base_path, login_page=target))
        return page(html)

    def _consent_page(
        self, asking: AskForConsent, waiting: AuthorizationRequest, user_name: str
    ) -> Response[bytes]:
        metadata = asking.client.metadata
        visit = self.visits.of_request(waiting)
        html = self.pages(
            ConsentPage(
                base_path=self.base_path,
                place=visit.place,
                csrf_token=self.form_tokens.make(visit, asking.session),
                user_name=user_name,
                built_in=self.ways.built_in,
                logout_page=self.ways.logout_page,
                client_name=metadata.client_name,
                client_id=asking.client.client_id,
                client_uri=metadata.client_uri,
                redirect_host=redirect_uri.shown_host(waiting.redirect_uri),
                is_loopback=redirect_uri.is_loopback(waiting.redirect_uri),
                is_private_use=not waiting.redirect_uri.startswith(("https:", "http:")),
                self_registered=not asking.client.approved,
                scopes=tuple(ScopeLine(scope, words_for(scope)) for scope in waiting.scopes),
                resource=waiting.resource,
                resource_name=self.resource_names[waiting.resource],
            )
        )
        return page(html)
