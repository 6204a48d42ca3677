"""The pages of the built-in identity: sign-in, sign-up, sign-out."""

from urllib.parse import quote

from litestar import Response
from litestar.params import FromPath

from grantledger.adapters.http.middleware import note_account, note_refusal
from grantledger.adapters.http.pages.browser import PageContext
from grantledger.adapters.http.pages.devices import KnownDevices
from grantledger.adapters.http.pages.parts import PageParts
from grantledger.adapters.http.pages.rendering import SignInAgainPage, SignInPage, SignUpPage
from grantledger.adapters.http.pages.responses import page, redirect
from grantledger.adapters.http.responses import AnyRequest
from grantledger.application.accounts.browser_sessions import SignOut
from grantledger.application.accounts.open_account import SignUp
from grantledger.application.accounts.sign_in import SignIn, SignInRefused
from grantledger.application.authorization.resume_authorization import AskToSignIn, ResumeAuthorization
from grantledger.domain.browser_session import BrowserSession
from grantledger.domain.client_registration import ClientRegistration
from grantledger.domain.email_address import EmailInvalid
from grantledger.domain.password import (
    MAX_PASSWORD_BYTES,
    MIN_PASSWORD,
    PasswordIsAddress,
    PasswordTooCommon,
    PasswordTooLong,
    PasswordTooShort,
    PasswordUnfit,
)
from grantledger.domain.person_name import MAX_NAME, NameInvalid
from grantledger.domain.refusal import Refusal

WRONG_PASSWORD = "The e-mail address or the password is not right."
NO_ADDRESS = "This is not an e-mail address."
UNFIT_NAME = f"The name has more than {MAX_NAME} characters, or some that nobody can see."
UNFIT_PASSWORD: dict[type[Refusal], str] = {
    PasswordTooShort: f"The password needs at least {MIN_PASSWORD} characters.",
    PasswordTooLong: f"The password is too long: {MAX_PASSWORD_BYTES} letters at most, fewer with accents.",
    PasswordTooCommon: "Too many people use this password, or one that is almost the same. Choose another.",
    PasswordIsAddress: "The password must not be your e-mail address.",
}
NOT_THE_SAME = "The two passwords are not the same."

# The words are the same whether or not the address had an account, so they do not reveal who has one.
SIGNED_UP = (
    "If this address had no account, it has one now: sign in with the password that you chose. "
    "If that is refused, the address had an account before, with another password."
)


def sign_in_page(
    parts: PageParts,
    context: PageContext,
    session: BrowserSession | None,
    *,
    client: ClientRegistration | None,
    email: str = "",
    problem: str | None = None,
    notice: str | None = None,
) -> Response[bytes]:
    """Return our sign-in page, or a redirect to the host's sign-in page.

    `client` is the client of the pending request. After a failed attempt the page shows `email` and
    `problem`.
    """
    if parts.ways.login_page is not None:
        return _to_login_page(parts, parts.ways.login_page, context, session)
    html = parts.render(
        SignInPage(
            base_path=parts.base_path,
            home=context.home.path,
            segment=context.segment,
            csrf_token=parts.csrf.make(context, session),
            client_name=client.metadata.client_name if client else None,
            resource_name=_resource_name(parts, context),
            email=email,
            problem=problem,
            notice=notice,
            offers_sign_up=parts.ways.sign_up,
            self_registered=client is not None and not client.approved,
        )
    )
    return page(html, status=400 if problem else 200)


def _resource_name(parts: PageParts, context: PageContext) -> str | None:
    return parts.catalogue.latest.name_of(context.pending.resource) if context.pending else None


def _to_login_page(
    parts: PageParts, login_page: str, context: PageContext, session: BrowserSession | None
) -> Response[bytes]:
    target = _login_page_for(login_page, context)
    if session is None:
        return redirect(target)
    # The user is signed in, but the client wants a new sign-in. The host's page might redirect a signed-in
    # user straight back, in a loop: a page with a link ends it.
    reason = "The application wants to be sure that it is you, and asks you to sign in once more."
    return _sign_in_again_page(parts, context, target, reason)


def confirm_page(parts: PageParts, context: PageContext) -> Response[bytes]:
    """Return the page for a user whose host asks for another sign-in before access is allowed."""
    assert parts.ways.login_page is not None  # this page exists only with a host identity
    reason = "Before you allow this access, sign in once more. Nothing was done yet."
    target = _login_page_for(parts.ways.login_page, context)
    return _sign_in_again_page(parts, context, target, reason)


def _sign_in_again_page(parts: PageParts, context: PageContext, target: str, reason: str) -> Response[bytes]:
    html = parts.render(
        SignInAgainPage(base_path=parts.base_path, home=context.home.path, login_page=target, reason=reason)
    )
    return page(html)


def _login_page_for(login_page: str, context: PageContext) -> str:
    return f"{login_page}{'&' if '?' in login_page else '?'}transaction={quote(context.segment)}"


class SignInEndpoints:
    def __init__(
        self,
        parts: PageParts,
        resume: ResumeAuthorization,
        *,
        sign_in: SignIn,
        sign_up: SignUp,
        sign_out: SignOut,
        devices: KnownDevices,
    ) -> None:
        self._parts = parts
        self._resume = resume
        self._sign_in = sign_in
        self._sign_up = sign_up
        self._sign_out = sign_out
        self._devices = devices

    async def submit_sign_in(self, request: AnyRequest, segment: FromPath[str]) -> Response[bytes]:
        submitted = await self._parts.submitted(request, segment)
        # The sign-in of the other tab stays, and the next page shows who is signed in.
        if self._parts.signed_in_since(submitted):
            return redirect(submitted.context.url)
        self._parts.check_csrf(submitted)
        email, password = submitted.form.get("email") or "", submitted.form.get("password") or ""
        note_account(request.scope, email)
        longest = self._parts.session_cookies.longest(submitted.context)
        try:
            new = await self._sign_in(
                email,
                password,
                self._parts.caller_of(request),
                device=self._devices.find(request, email),
                longest=longest,
            )
        except SignInRefused as refusal:
            note_refusal(request.scope, refusal)
            return sign_in_page(
                self._parts,
                submitted.context,
                submitted.session,
                client=await self._client(request, submitted.context),
                email=email,
                problem=WRONG_PASSWORD,
            )
        # Never reuse a session that another person may know.
        if submitted.session is not None:
            await self._sign_out(submitted.session, self._parts.caller_of(request))
        context, cookies = self._parts.signed_in(request, submitted.context, new)
        response = redirect(context.url)
        for cookie in (*cookies, *self._devices.remember(request, email)):
            response.set_cookie(cookie)
        return response

    async def show_sign_up(self, request: AnyRequest, segment: FromPath[str]) -> Response[bytes]:
        context = self._parts.contexts.find(request, segment)
        session = await self._parts.sessions(request)
        return redirect(context.url) if session is not None else self._sign_up_page(context)

    async def submit_sign_up(self, request: AnyRequest, segment: FromPath[str]) -> Response[bytes]:
        submitted = await self._parts.submitted(request, segment)
        if self._parts.signed_in_since(submitted):
            return redirect(submitted.context.url)
        self._parts.check_csrf(submitted)
        context, name = submitted.context, submitted.form.get("name") or ""
        email, password = submitted.form.get("email") or "", submitted.form.get("password") or ""
        if password != (submitted.form.get("password_again") or ""):
            return self._sign_up_page(context, email=email, name=name, problem=NOT_THE_SAME, at="password")
        try:
            await self._sign_up(email, password, self._parts.caller_of(request), name=name)
        except EmailInvalid as refusal:
            note_refusal(request.scope, refusal)
            return self._sign_up_page(context, email=email, name=name, problem=NO_ADDRESS, at="email")
        except NameInvalid as refusal:
            note_refusal(request.scope, refusal)
            return self._sign_up_page(context, email=email, name=name, problem=UNFIT_NAME, at="name")
        except PasswordUnfit as refusal:
            note_refusal(request.scope, refusal)
            problem = UNFIT_PASSWORD[type(refusal)]
            return self._sign_up_page(context, email=email, name=name, problem=problem, at="password")
        client = await self._client(request, context)
        return sign_in_page(self._parts, context, None, client=client, email=email, notice=SIGNED_UP)

    def _sign_up_page(
        self,
        context: PageContext,
        *,
        email: str = "",
        name: str = "",
        problem: str | None = None,
        at: str | None = None,
    ) -> Response[bytes]:
        """`at` is the field with the problem."""
        html = self._parts.render(
            SignUpPage(
                base_path=self._parts.base_path,
                home=context.home.path,
                segment=context.segment,
                csrf_token=self._parts.csrf.make(context, None),
                min_password=MIN_PASSWORD,
                max_name=MAX_NAME,
                email=email,
                name=name,
                problem=problem,
                at=at,
            )
        )
        return page(html, status=400 if problem else 200)

    async def _client(self, request: AnyRequest, context: PageContext) -> ClientRegistration | None:
        """Return the client of the pending request. Raises as `ResumeAuthorization` does."""
        if context.pending is None:
            return None
        asking = await self._resume(context.pending, None, self._parts.caller_of(request))
        assert isinstance(asking, AskToSignIn)  # a request that allows no page is never pending
        return asking.client


class SignOutEndpoint:
    def __init__(self, parts: PageParts, sign_out: SignOut) -> None:
        self._parts = parts
        self._sign_out = sign_out

    async def submit_sign_out(self, request: AnyRequest, segment: FromPath[str]) -> Response[bytes]:
        submitted = await self._parts.submitted(request, segment)
        signed_out = self._parts.contexts.signed_out(submitted.context)
        if submitted.session is None:  # the form was sent twice, or the user has signed out in another tab
            return redirect(signed_out.url)
        self._parts.check_csrf(submitted)
        await self._sign_out(submitted.session, self._parts.caller_of(request))
        response = redirect(self._parts.ways.logout_page or signed_out.url)
        response.set_cookie(self._parts.session_cookies.close(submitted.context.home))
        return response
