"""The authorization flow: which page a request needs next, or which response the client gets."""

from litestar import Response

from grantledger.adapters.http.oauth.authorization_response import AuthorizationResponses
from grantledger.adapters.http.pages.browser import PageContext
from grantledger.adapters.http.pages.consent import consent_page
from grantledger.adapters.http.pages.parts import PageParts
from grantledger.adapters.http.pages.responses import redirect
from grantledger.adapters.http.pages.sign_in import sign_in_page
from grantledger.adapters.http.responses import AnyRequest
from grantledger.application.authorization.issue_code import IssuedCode
from grantledger.application.authorization.resume_authorization import (
    AskForConsent,
    AskToSignIn,
    ResumeAuthorization,
)
from grantledger.application.authorization.start_authorization import StartedAuthorization
from grantledger.domain.browser_session import BrowserSession


class AuthorizationFlow:
    def __init__(
        self, parts: PageParts, responses: AuthorizationResponses, resume: ResumeAuthorization
    ) -> None:
        self._parts = parts
        self._responses = responses
        self._resume = resume

    async def begin(
        self, request: AnyRequest, started: StartedAuthorization, session: BrowserSession | None
    ) -> Response[bytes]:
        """Answer with a code if no page is needed. Otherwise keep the request and redirect to its page."""
        asked = started.request
        outcome = await self._resume(asked, session, self._parts.caller_of(request), started.facts)
        if isinstance(outcome, IssuedCode):
            return self._responses.success(outcome)
        response = redirect(self._parts.contexts.of_pending(asked).url)
        for cookie in self._parts.pending_requests.keep(asked, request):
            response.set_cookie(cookie)
        return response

    async def proceed(
        self, request: AnyRequest, context: PageContext, session: BrowserSession | None
    ) -> Response[bytes]:
        """Return the page that the pending request needs now, or the redirect with the code."""
        pending = context.pending
        assert pending is not None  # the account pages have routes of their own
        outcome = await self._resume(pending, session, self._parts.caller_of(request))
        match outcome:
            case IssuedCode():  # the cookie of the request stays, for a user who goes back (ADR 0059)
                return self._responses.success(outcome)
            case AskToSignIn() if context.home.segment:
                return redirect(self._parts.contexts.signed_out(context).url)
            case AskToSignIn():
                page = sign_in_page(self._parts, context, session, client=outcome.client)
                return self._trimmed(page, request, pending.transaction_id)
            case AskForConsent():
                user_name = self._parts.sessions.name(request, outcome.session)
                page = consent_page(self._parts, outcome, context, pending, user_name=user_name)
                return self._trimmed(page, request, pending.transaction_id)

    def _trimmed(self, page: Response[bytes], request: AnyRequest, transaction_id: str) -> Response[bytes]:
        for cookie in self._parts.pending_requests.trim(request, transaction_id):
            page.set_cookie(cookie)
        return page
