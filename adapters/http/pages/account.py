"""The account page: the connected apps, and a button to disconnect each."""

from litestar import Response

from grantledger.adapters.http.errors import FormForeign
from grantledger.adapters.http.pages.browser import PageContext
from grantledger.adapters.http.pages.homes import sent_cookies
from grantledger.adapters.http.pages.parts import PageParts
from grantledger.adapters.http.pages.rendering import AccountPage, App, AppAccess, Notice, scope_lines
from grantledger.adapters.http.pages.responses import account_page, redirect
from grantledger.adapters.http.pages.sign_in import sign_in_page
from grantledger.adapters.http.responses import AnyRequest
from grantledger.application.connected_apps.disconnect_app import DisconnectApp
from grantledger.application.connected_apps.list_connected_apps import (
    ConnectedApp,
    ListConnectedApps,
)

NOTICE = "notice"
"""The purpose of the cookie with the notice to show. In the URL, any link could choose the notice."""

NOTICES = {
    "disconnected": Notice("The app is disconnected. Its access has ended."),
    "password": Notice("Your password is changed. Every other browser is signed out."),
    "password-and-apps": Notice(
        "Your password is changed, every other browser is signed out, and all apps are disconnected."
    ),
    "password-not-apps": Notice(
        "Your password is changed, and every other browser is signed out. But this server could not "
        "disconnect all of your apps. Those below are still connected.",
        is_problem=True,
    ),
}


def account_with_notice(parts: PageParts, context: PageContext, notice: str) -> Response[bytes]:
    """Redirect to the account page, which then shows the notice once."""
    response = redirect(context.url)
    response.set_cookie(parts.cookies.set(NOTICE, notice, context.home, max_age=60))
    return response


class AccountEndpoints:
    def __init__(self, parts: PageParts, list_apps: ListConnectedApps, disconnect: DisconnectApp) -> None:
        self._parts = parts
        self._list_apps = list_apps
        self._disconnect = disconnect

    async def show_account(self, request: AnyRequest) -> Response[bytes]:
        parts = self._parts
        session = await parts.sessions(request)
        context = parts.contexts.of_account(request)
        if session is None:
            if context.home.segment:
                return redirect(parts.contexts.signed_out(context).url)
            return sign_in_page(parts, context, None, client=None)
        notice = sent_cookies(request).get(parts.cookies.name(NOTICE, context.home))
        html = parts.render(
            AccountPage(
                base_path=parts.base_path,
                home=context.home.path,
                segment=context.segment,
                csrf_token=parts.csrf.make(context, session),
                user_name=parts.sessions.name(request, session),
                apps=tuple(self._shown(app) for app in await self._list_apps(session.user_id)),
                built_in=parts.ways.built_in,
                own_sessions=parts.ways.own_sessions,
                logout_page=parts.ways.logout_page,
                notice=NOTICES.get(notice or ""),
            )
        )
        response = account_page(html)
        if notice is not None:
            response.set_cookie(parts.cookies.clear(NOTICE, context.home))
        return response

    async def submit_disconnect(self, request: AnyRequest) -> Response[bytes]:
        submitted = await self._parts.submitted_to_account(request)
        client_id = submitted.form.get("client_id")
        if client_id is None:
            raise FormForeign("no client")
        await self._disconnect(submitted.session.user_id, client_id, self._parts.caller_of(request))
        return account_with_notice(self._parts, submitted.context, "disconnected")

    async def reload_account(self, request: AnyRequest) -> Response[bytes]:
        """Redirect a reload to the account page: after a refused form, the browser shows the form's URL."""
        return redirect(self._parts.contexts.of_account(request).url)

    def _shown(self, app: ConnectedApp) -> App:
        offered = self._parts.catalogue.latest
        return App(
            client_id=app.client.client_id,
            client_name=app.client.metadata.client_name,
            hosts=app.hosts,
            access=tuple(
                AppAccess(
                    resource=access.resource,
                    resource_name=offered.name_of(access.resource),
                    scopes=scope_lines(access.scopes, built_in=self._parts.ways.built_in),
                )
                for access in app.access
            ),
            connections=app.connections,
            since=app.since,
            last_refresh=app.last_refresh,
            disabled=app.client.disabled,
        )
