"""The pages of the built-in identity by which somebody gets in and out: sign-in, sign-up, sign-out."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from grantledger.adapters.http.middleware import note_refusal
from grantledger.adapters.http.pages.flow import AuthorizationFlow
from grantledger.adapters.http.pages.responses import redirect
from grantledger.adapters.http.pages.sessions import SESSION
from grantledger.adapters.http.pages.submissions import Submissions
from grantledger.application.accounts.browser_sessions import NewBrowserSession, SignOut
from grantledger.application.accounts.open_account import SignUp
from grantledger.application.accounts.sign_in import SignIn, SignInRefused
from grantledger.domain.email_address import EmailInvalid
from grantledger.domain.password import (
    MAX_PASSWORD_BYTES,
    MIN_PASSWORD,
    PasswordTooLong,
    PasswordTooShort,
)
from grantledger.domain.refusal import Refusal

WRONG_PASSWORD = "The e-mail address or the password is not right."
NO_ADDRESS = "This is not an e-mail address."
UNFIT_PASSWORD: dict[type[Refusal], str] = {
    PasswordTooShort: f"The password needs at least {MIN_PASSWORD} characters.",
    PasswordTooLong: f"The password is too long: {MAX_PASSWORD_BYTES} letters at most, fewer with accents.",
}
NOT_THE_SAME = "The two passwords are not the same."

# The same for an address that had an account: nobody learns here who has one.
SIGNED_UP = (
    "If this address had no account, it has one now: sign in with the password that you chose. "
    "If that is refused, the address had an account before, with another password."
)


def session_cookie(flow: AuthorizationFlow, new: NewBrowserSession) -> Cookie:
    lifetime = new.session.expires_at - new.session.signed_in_at
    return flow.cookies.set(SESSION, new.cookie, max_age=lifetime)


def sign_in_form(
    flow: AuthorizationFlow, submissions: Submissions, sign_in: SignIn, sign_out: SignOut
) -> HTTPRouteHandler:
    @post(f"{flow.base_path}/authorize/{{place:str}}/sign-in")
    async def submit_sign_in(request: Request[Any, Any, Any], place: FromPath[str]) -> Response[bytes]:
        sent = await submissions.received(request, place)
        # Signed in meanwhile, in another tab: that sign-in stays, and the next page shows whose it is.
        if sent.session is not None and submissions.made_for_nobody(sent):
            return redirect(sent.visit.url)
        submissions.check(sent)
        email, password = sent.form.get("email") or "", sent.form.get("password") or ""
        try:
            new = await sign_in(email, password, flow.caller_of(request))
        except SignInRefused as refusal:
            note_refusal(request.scope, refusal)
            return await flow.sign_in_page(
                request, sent.visit, sent.session, email=email, problem=WRONG_PASSWORD
            )
        # A session that somebody else may know of must not become this user's.
        if sent.session is not None:
            await sign_out(sent.session, flow.caller_of(request))
        answer = redirect(sent.visit.url)
        answer.set_cookie(session_cookie(flow, new))
        return answer

    return submit_sign_in


def sign_up_pages(
    flow: AuthorizationFlow, submissions: Submissions, sign_up: SignUp
) -> list[HTTPRouteHandler]:
    path = f"{flow.base_path}/authorize/{{place:str}}/sign-up"

    @get(path)
    async def show_sign_up(request: Request[Any, Any, Any], place: FromPath[str]) -> Response[bytes]:
        visit = flow.visits.find(request, place)
        session = await flow.session(request)
        return redirect(visit.url) if session is not None else flow.sign_up_page(visit)

    @post(path)
    async def submit_sign_up(request: Request[Any, Any, Any], place: FromPath[str]) -> Response[bytes]:
        sent = await submissions.received(request, place)
        if sent.session is not None and submissions.made_for_nobody(sent):
            return redirect(sent.visit.url)
        submissions.check(sent)
        email, password = sent.form.get("email") or "", sent.form.get("password") or ""
        if password != (sent.form.get("password_again") or ""):
            return flow.sign_up_page(sent.visit, email=email, problem=NOT_THE_SAME, at="password")
        try:
            await sign_up(email, password, flow.caller_of(request))
        except EmailInvalid as refusal:
            note_refusal(request.scope, refusal)
            return flow.sign_up_page(sent.visit, email=email, problem=NO_ADDRESS, at="email")
        except (PasswordTooShort, PasswordTooLong) as refusal:
            note_refusal(request.scope, refusal)
            problem = UNFIT_PASSWORD[type(refusal)]
            return flow.sign_up_page(sent.visit, email=email, problem=problem, at="password")
        return await flow.sign_in_page(request, sent.visit, None, email=email, notice=SIGNED_UP)

    return [show_sign_up, submit_sign_up]


def sign_out_form(flow: AuthorizationFlow, submissions: Submissions, sign_out: SignOut) -> HTTPRouteHandler:
    @post(f"{flow.base_path}/authorize/{{place:str}}/sign-out")
    async def submit_sign_out(request: Request[Any, Any, Any], place: FromPath[str]) -> Response[bytes]:
        sent = await submissions.received(request, place)
        if sent.session is None:  # sent twice, or signed out in another tab
            return redirect(sent.visit.url)
        submissions.check(sent)
        await sign_out(sent.session, flow.caller_of(request))
        answer = redirect(sent.visit.url)
        answer.set_cookie(flow.cookies.clear(SESSION))
        return answer

    return submit_sign_out
