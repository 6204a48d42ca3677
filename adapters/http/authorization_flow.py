"""What the authorization pages share: who is signed in, what is asked, and which page comes next."""

from typing import Any

from litestar import Request, Response

from grantledger.adapters.http.authorization_response import AuthorizationResponses
from grantledger.adapters.http.caller import CallerReader
from grantledger.adapters.http.cookies import PageCookies
from grantledger.adapters.http.form_tokens import FormTokens
from grantledger.adapters.http.page_answers import page, redirect
from grantledger.adapters.http.pages.render import ConsentPage, Pages, ScopeLine, SignInPage, words_for
from grantledger.adapters.http.parked_requests import ParkedRequests
from grantledger.adapters.http.refusals import ParkedRequestLost
from grantledger.adapters.http.request_log import note_client
from grantledger.application.find_browser_session import FindBrowserSession
from grantledger.application.issue_code import IssuedCode
from grantledger.application.policy import ServerPolicy
from grantledger.application.resume_authorization import AskForConsent, AskToSignIn, ResumeAuthorization
from grantledger.domain import redirect_uri
from grantledger.domain.authorization_request import AuthorizationRequest
from grantledger.domain.browser_session import BrowserSession

SESSION = "session"
"""The purpose of the cookie that keeps a browser signed in."""


class AuthorizationFlow:
    def __init__(
        self,
        *,
        resume: ResumeAuthorization,
        find_session: FindBrowserSession,
        policy: ServerPolicy,
        base_path: str,
        login_page: str | None,
        pages: Pages,
        responses: AuthorizationResponses,
        parked: ParkedRequests,
        cookies: PageCookies,
        form_tokens: FormTokens,
        caller_of: CallerReader,
    ) -> None:
        self._resume = resume
        self._find_session = find_session
        self._resource_names = {r.identifier: r.name or r.identifier for r in policy.resources}
        self._login_page = login_page
        self._pages = pages
        self._form_tokens = form_tokens
        self.base_path = base_path
        self.responses = responses
        self.parked = parked
        self.cookies = cookies
        self.caller_of = caller_of

    async def session(self, request: Request[Any, Any, Any]) -> BrowserSession | None:
        return await self._find_session(request.cookies.get(self.cookies.name(SESSION)))

    def waiting(self, request: Request[Any, Any, Any], transaction_id: str) -> AuthorizationRequest:
        """Return the authorization request that waits in this browser. Raises `ParkedRequestLost`."""
        waiting = self.parked.find(transaction_id, request.cookies)
        if waiting is None:
            raise ParkedRequestLost
        note_client(request.scope, waiting.client_id)
        return waiting

    def url_of(self, waiting: AuthorizationRequest) -> str:
        return f"{self.base_path}/authorize/{waiting.transaction_id}"

    async def begin(
        self, request: Request[Any, Any, Any], asked: AuthorizationRequest, session: BrowserSession | None
    ) -> Response[bytes]:
        """Answer at once where no page is needed; else park the request and go to its own URL."""
        outcome = await self._resume(asked, session, self.caller_of(request))
        if isinstance(outcome, IssuedCode):
            return self.responses.success(outcome)
        answer = redirect(self.url_of(asked))
        for cookie in self.parked.park(asked, request.cookies):
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
            case AskToSignIn() if self._login_page is not None:
                joint = "&" if "?" in self._login_page else "?"
                return redirect(f"{self._login_page}{joint}transaction={waiting.transaction_id}")
            case AskToSignIn():
                return self._sign_in_page(outcome, waiting, session)
            case AskForConsent():
                return self._consent_page(outcome, waiting)

    async def sign_in_again(
        self,
        request: Request[Any, Any, Any],
        waiting: AuthorizationRequest,
        session: BrowserSession | None,
        *,
        email: str,
        problem: str,
    ) -> Response[bytes]:
        """Show the sign-in page once more, saying what was wrong."""
        asking = await self._resume(waiting, None, self.caller_of(request))
        assert isinstance(asking, AskToSignIn)  # a request that allows no page is never parked
        return self._sign_in_page(asking, waiting, session, email=email, problem=problem)

    def done(self, waiting: AuthorizationRequest, answer: Response[bytes]) -> Response[bytes]:
        """Let the browser forget the request that this answers."""
        answer.set_cookie(self.parked.forget(waiting.transaction_id))
        return answer

    def _sign_in_page(
        self,
        asking: AskToSignIn,
        waiting: AuthorizationRequest,
        session: BrowserSession | None,
        *,
        email: str = "",
        problem: str | None = None,
    ) -> Response[bytes]:
        html = self._pages.sign_in(
            SignInPage(
                base_path=self.base_path,
                transaction_id=waiting.transaction_id,
                csrf_token=self._form_tokens.make(waiting, session),
                client_name=asking.client.metadata.client_name,
                resource_name=self._resource_names[waiting.resource],
                email=email,
                problem=problem,
            )
        )
        return page(html, status=400 if problem else 200)

    def _consent_page(self, asking: AskForConsent, waiting: AuthorizationRequest) -> Response[bytes]:
        metadata = asking.client.metadata
        html = self._pages.consent(
            ConsentPage(
                base_path=self.base_path,
                transaction_id=waiting.transaction_id,
                csrf_token=self._form_tokens.make(waiting, asking.session),
                user_email=asking.email or asking.session.user_id,
                client_name=metadata.client_name,
                client_id=asking.client.client_id,
                client_uri=metadata.client_uri,
                redirect_host=redirect_uri.shown_host(waiting.redirect_uri),
                is_loopback=redirect_uri.is_loopback(waiting.redirect_uri),
                is_private_use=not waiting.redirect_uri.startswith(("https:", "http:")),
                self_registered=True,
                scopes=tuple(ScopeLine(scope, words_for(scope)) for scope in waiting.scopes),
                resource=waiting.resource,
                resource_name=self._resource_names[waiting.resource],
            )
        )
        return page(html)
