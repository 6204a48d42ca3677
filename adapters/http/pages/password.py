"""Changing the password, and signing out everywhere: what ends the sessions of the built-in identity."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from grantledger.adapters.http.middleware import note_refusal
from grantledger.adapters.http.pages.account import told
from grantledger.adapters.http.pages.flow import AuthorizationFlow
from grantledger.adapters.http.pages.rendering import PasswordPage
from grantledger.adapters.http.pages.responses import page, redirect
from grantledger.adapters.http.pages.sessions import SESSION
from grantledger.adapters.http.pages.sign_in import NOT_THE_SAME, UNFIT_PASSWORD, session_cookie
from grantledger.adapters.http.pages.submissions import Submissions
from grantledger.application.accounts.browser_sessions import SignOutEverywhere
from grantledger.application.accounts.change_password import ChangePassword, PasswordWrong
from grantledger.application.connected_apps.disconnect_app import DisconnectEveryApp
from grantledger.domain.browser_session import BrowserSession
from grantledger.domain.password import MIN_PASSWORD, PasswordTooLong, PasswordTooShort

WRONG_OLD = "The present password is not right."


def password_pages(
    flow: AuthorizationFlow,
    submissions: Submissions,
    change_password: ChangePassword,
    disconnect_all: DisconnectEveryApp,
) -> list[HTTPRouteHandler]:
    path = f"{flow.visits.account_url}/password"

    async def shown(
        request: Request[Any, Any, Any],
        session: BrowserSession,
        *,
        problem: str | None = None,
        at: str | None = None,
    ) -> Response[bytes]:
        visit, cookie = flow.visits.begin(request)
        html = flow.pages(
            PasswordPage(
                base_path=flow.base_path,
                place=visit.place,
                csrf_token=flow.form_tokens.make(visit, session),
                user_name=await flow.session.name(request, session),
                min_password=MIN_PASSWORD,
                problem=problem,
                at=at,
            )
        )
        answer = page(html, status=400 if problem else 200)
        answer.set_cookie(cookie)
        return answer

    @get(path)
    async def show_password(request: Request[Any, Any, Any]) -> Response[bytes]:
        session = await flow.session(request)
        return redirect(flow.visits.account_url) if session is None else await shown(request, session)

    @post(path)
    async def submit_password(request: Request[Any, Any, Any]) -> Response[bytes]:
        sent = await submissions.of_account(request)
        old, new = sent.form.get("old_password") or "", sent.form.get("new_password") or ""
        if new != (sent.form.get("new_password_again") or ""):
            return await shown(request, sent.session, problem=NOT_THE_SAME, at="new")
        try:
            opened = await change_password(sent.session.user_id, old, new, flow.caller_of(request))
        except (PasswordTooShort, PasswordTooLong) as refusal:
            note_refusal(request.scope, refusal)
            return await shown(request, sent.session, problem=UNFIT_PASSWORD[type(refusal)], at="new")
        except PasswordWrong as refusal:
            note_refusal(request.scope, refusal)
            return await shown(request, sent.session, problem=WRONG_OLD, at="old")
        every = sent.form.get("disconnect") == "every"
        if every:
            await disconnect_all(sent.session.user_id, flow.caller_of(request))
        answer = told(flow, "password-and-apps" if every else "password")
        answer.set_cookie(session_cookie(flow, opened))
        return answer

    return [show_password, submit_password]


def sign_out_everywhere_form(
    flow: AuthorizationFlow,
    submissions: Submissions,
    sign_out_everywhere: SignOutEverywhere,
    disconnect_all: DisconnectEveryApp,
) -> HTTPRouteHandler:
    @post(f"{flow.visits.account_url}/sign-out-everywhere")
    async def submit_sign_out_everywhere(request: Request[Any, Any, Any]) -> Response[bytes]:
        sent = await submissions.of_account(request)
        # The sessions first: nobody of them connects an app again while the apps are disconnected.
        await sign_out_everywhere(sent.session.user_id, flow.caller_of(request))
        if sent.form.get("disconnect") == "every":
            await disconnect_all(sent.session.user_id, flow.caller_of(request))
        answer = redirect(flow.visits.account_url)
        answer.set_cookie(flow.cookies.clear(SESSION))
        return answer

    return submit_sign_out_everywhere
