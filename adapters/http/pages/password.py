"""Changing the password, and signing out everywhere, for users of the built-in identity."""

from litestar import Response

from grantledger.adapters.http.errors import AppsStillConnected
from grantledger.adapters.http.middleware import note_refusal
from grantledger.adapters.http.pages.account import account_with_notice
from grantledger.adapters.http.pages.parts import PageParts
from grantledger.adapters.http.pages.rendering import PasswordPage
from grantledger.adapters.http.pages.responses import account_page, redirect
from grantledger.adapters.http.pages.sign_in import NOT_THE_SAME, UNFIT_PASSWORD
from grantledger.adapters.http.responses import AnyRequest
from grantledger.application.accounts.browser_sessions import SignOutEverywhere
from grantledger.application.accounts.change_password import ChangePassword, PasswordWrong
from grantledger.application.connected_apps.disconnect_app import DisconnectEveryApp
from grantledger.application.connected_apps.list_connected_apps import ListConnectedApps
from grantledger.application.ports import Unavailable
from grantledger.domain.browser_session import BrowserSession
from grantledger.domain.password import MIN_PASSWORD, PasswordUnfit

WRONG_OLD = "The current password is not right."


class PasswordEndpoints:
    def __init__(
        self,
        parts: PageParts,
        *,
        change_password: ChangePassword,
        sign_out_everywhere: SignOutEverywhere,
        disconnect_all: DisconnectEveryApp,
        list_apps: ListConnectedApps,
    ) -> None:
        self._parts = parts
        self._change_password = change_password
        self._sign_out_everywhere = sign_out_everywhere
        self._disconnect_all = disconnect_all
        self._list_apps = list_apps

    async def show_password(self, request: AnyRequest) -> Response[bytes]:
        session = await self._parts.sessions(request)
        if session is None:
            return redirect(self._parts.contexts.of_account(request).url)
        return await self._password_page(request, session)

    async def submit_password(self, request: AnyRequest) -> Response[bytes]:
        submitted = await self._parts.submitted_to_account(request)
        session, form = submitted.session, submitted.form
        caller = self._parts.caller_of(request)
        old, new = form.get("old_password") or "", form.get("new_password") or ""
        if new != (form.get("new_password_again") or ""):
            return await self._password_page(request, session, problem=NOT_THE_SAME, at="new")
        try:
            longest = self._parts.session_cookies.longest(submitted.context)
            opened = await self._change_password(session.user_id, old, new, caller, longest=longest)
        except PasswordUnfit as refusal:
            note_refusal(request.scope, refusal)
            problem = UNFIT_PASSWORD[type(refusal)]
            return await self._password_page(request, session, problem=problem, at="new")
        except PasswordWrong as refusal:
            note_refusal(request.scope, refusal)
            return await self._password_page(request, session, problem=WRONG_OLD, at="old")
        notice = "password"
        if form.get("disconnect") == "every":
            try:
                await self._disconnect_all(session.user_id, caller)
                notice = "password-and-apps"
            except Unavailable as outage:
                # The password is changed, so the response must set the cookie of the new session.
                note_refusal(request.scope, outage)
                notice = "password-not-apps"
        context, cookies = self._parts.signed_in(request, submitted.context, opened)
        response = account_with_notice(self._parts, context, notice)
        for cookie in cookies:
            response.set_cookie(cookie)
        return response

    async def submit_sign_out_everywhere(self, request: AnyRequest) -> Response[bytes]:
        submitted = await self._parts.submitted_to_account(request)
        user_id, caller = submitted.session.user_id, self._parts.caller_of(request)
        # Sessions first, so that none of them connects an app again while apps are being disconnected.
        await self._sign_out_everywhere(user_id, caller)
        if submitted.form.get("disconnect") == "every":
            try:
                await self._disconnect_all(user_id, caller)
            except Unavailable as outage:
                raise AppsStillConnected(str(outage)) from outage
        response = redirect(self._parts.contexts.signed_out(submitted.context).url)
        response.set_cookie(self._parts.session_cookies.close(submitted.context.home))
        return response

    async def _password_page(
        self,
        request: AnyRequest,
        session: BrowserSession,
        *,
        problem: str | None = None,
        at: str | None = None,
    ) -> Response[bytes]:
        """`at` is the field with the problem."""
        context = self._parts.contexts.of_account(request)
        html = self._parts.render(
            PasswordPage(
                base_path=self._parts.base_path,
                home=context.home.path,
                segment=context.segment,
                csrf_token=self._parts.csrf.make(context, session),
                user_name=self._parts.sessions.name(request, session),
                min_password=MIN_PASSWORD,
                has_apps=bool(await self._list_apps(session.user_id)),
                problem=problem,
                at=at,
            )
        )
        return account_page(html, status=400 if problem else 200)
