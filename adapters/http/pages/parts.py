"""What all pages share: how they are built, and how they read a submitted form."""

from litestar.datastructures import Cookie
from msgspec import Struct

from grantledger.adapters.embedding.host_identity import HostUser
from grantledger.adapters.http.caller import CallerReader
from grantledger.adapters.http.pages.browser import (
    ACCOUNT,
    CsrfTokens,
    PageContext,
    PageContexts,
    PageCookies,
    PendingRequests,
)
from grantledger.adapters.http.pages.homes import Homes
from grantledger.adapters.http.pages.rendering import PageRenderer
from grantledger.adapters.http.pages.sessions import BrowserSessions, SessionCookies
from grantledger.adapters.http.parameters import Parameters, read_form
from grantledger.adapters.http.responses import AnyRequest
from grantledger.application.accounts.browser_sessions import NewBrowserSession
from grantledger.application.ports import AuthorizationFacts
from grantledger.application.resources.catalogue import Catalogue
from grantledger.domain.authorization_request import SignInNeeded
from grantledger.domain.browser_session import BrowserSession


class SignInWays(Struct, frozen=True, kw_only=True):
    """Where users sign in: at the host's `login_page`, or on our page, which may offer `sign_up`."""

    login_page: str | None
    logout_page: str | None
    sign_up: bool
    own_sessions: bool = True
    """Whether this server keeps the sessions: of the built-in identity, and of a host's users on loopback."""

    @property
    def built_in(self) -> bool:
        return self.login_page is None


class SubmittedForm(Struct, frozen=True):
    """A form and the session of the browser that sent it. Its CSRF token is not checked yet.

    `facts` are those of the pending request, if they were read with the session.
    """

    context: PageContext
    session: BrowserSession | None
    form: Parameters
    facts: AuthorizationFacts | None


class AccountForm(Struct, frozen=True):
    """A form of the account pages, from the signed-in user, with a valid CSRF token."""

    context: PageContext
    session: BrowserSession
    form: Parameters


class PageParts(Struct, frozen=True, kw_only=True):
    """What all pages share."""

    base_path: str
    ways: SignInWays
    catalogue: Catalogue
    render: PageRenderer
    homes: Homes
    cookies: PageCookies
    session_cookies: SessionCookies
    pending_requests: PendingRequests
    contexts: PageContexts
    csrf: CsrfTokens
    sessions: BrowserSessions
    caller_of: CallerReader

    async def submitted(self, request: AnyRequest, segment: str) -> SubmittedForm:
        """Raises `PendingRequestLost`, `ParametersMalformed`, `ParameterRepeated`, `UserIsDisabled`."""
        context = self.contexts.find(request, segment)
        form = await read_form(request)
        pending = context.pending
        if pending is None:
            return SubmittedForm(context, await self.sessions(request), form, None)
        session, facts = await self.sessions.asking(
            request, client_id=pending.client_id, transaction_id=pending.transaction_id
        )
        return SubmittedForm(context, session, form, facts)

    async def submitted_to_account(self, request: AnyRequest) -> AccountForm:
        """Raises what `submitted` raises, `SignInNeeded`, and `FormForeign`."""
        submitted = await self.submitted(request, ACCOUNT)
        if submitted.session is None:
            raise SignInNeeded
        self.check_csrf(submitted)
        return AccountForm(submitted.context, submitted.session, submitted.form)

    def check_csrf(self, submitted: SubmittedForm) -> None:
        """Raises `FormForeign` unless the form was made for this context and session."""
        self.csrf.check(submitted.form, submitted.context, submitted.session)

    def signed_in(
        self, request: AnyRequest, context: PageContext, new: NewBrowserSession, user: HostUser | None = None
    ) -> tuple[PageContext, list[Cookie]]:
        """Return the context and cookies of a new session. `user` is set if a host vouches for its user."""
        home, cookie = self.session_cookies.open(new, user)
        cookies = [cookie]
        if context.pending is not None and home.segment:
            cookies.append(self.pending_requests.carry(context.pending, request, home))
        return context.at(home), cookies

    def signed_in_since(self, submitted: SubmittedForm) -> bool:
        """Return whether the form was made before a sign-in in another tab."""
        return submitted.session is not None and self.csrf.fits(submitted.form, submitted.context, None)
