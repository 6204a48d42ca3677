"""The signed-in home: which apps are connected, and an end to each."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from grantledger.adapters.http.errors import FormForeign
from grantledger.adapters.http.pages.flow import AuthorizationFlow
from grantledger.adapters.http.pages.rendering import AccountPage, App, AppAccess, ScopeLine, words_for
from grantledger.adapters.http.pages.responses import page, redirect
from grantledger.adapters.http.pages.submissions import Submissions
from grantledger.application.connected_apps.disconnect_app import DisconnectApp
from grantledger.application.connected_apps.list_connected_apps import (
    ConnectedApp,
    ListConnectedApps,
)

NOTICE = "notice"
"""The purpose of the cookie that says what was just done. A link cannot make the page say it."""

NOTICES = {
    "disconnected": "The app is disconnected. Its access has ended.",
    "password": "Your password is changed. Every other browser is signed out.",
    "password-and-apps": "Your password is changed, every other browser is signed out, "
    "and all apps are disconnected.",
}


def told(flow: AuthorizationFlow, notice: str) -> Response[bytes]:
    """Send the browser back to the account, where it will be told that."""
    answer = redirect(flow.visits.account_url)
    answer.set_cookie(flow.cookies.set(NOTICE, notice, max_age=60))
    return answer


def account_pages(
    flow: AuthorizationFlow,
    submissions: Submissions,
    list_apps: ListConnectedApps,
    disconnect: DisconnectApp,
) -> list[HTTPRouteHandler]:
    url = flow.visits.account_url

    @get(url)
    async def show_account(request: Request[Any, Any, Any]) -> Response[bytes]:
        session = await flow.session(request)
        visit, cookie = flow.visits.begin(request)
        if session is None:
            answer = await flow.sign_in_page(request, visit, None)
            answer.set_cookie(cookie)
            return answer
        notice = request.cookies.get(flow.cookies.name(NOTICE))
        html = flow.pages(
            AccountPage(
                base_path=flow.base_path,
                place=visit.place,
                csrf_token=flow.form_tokens.make(visit, session),
                user_name=await flow.session.name(request, session),
                apps=tuple(_shown(flow, app) for app in await list_apps(session.user_id)),
                built_in=flow.ways.built_in,
                logout_page=flow.ways.logout_page,
                notice=NOTICES.get(notice or ""),
            )
        )
        answer = page(html)
        answer.set_cookie(cookie)
        if notice is not None:
            answer.set_cookie(flow.cookies.clear(NOTICE))
        return answer

    @post(f"{url}/disconnect")
    async def submit_disconnect(request: Request[Any, Any, Any]) -> Response[bytes]:
        sent = await submissions.of_account(request)
        client_id = sent.form.get("client_id")
        if client_id is None:
            raise FormForeign("no client")
        await disconnect(sent.session.user_id, client_id, flow.caller_of(request))
        return told(flow, "disconnected")

    @get([f"{url}/{form}" for form in ("disconnect", "sign-out-everywhere")])
    async def reload_account() -> Response[bytes]:
        return redirect(url)

    return [show_account, submit_disconnect, reload_account]


def _shown(flow: AuthorizationFlow, app: ConnectedApp) -> App:
    return App(
        client_id=app.client.client_id,
        client_name=app.client.metadata.client_name,
        hosts=app.hosts,
        access=tuple(
            AppAccess(
                resource=access.resource,
                resource_name=flow.resource_names.get(access.resource, access.resource),
                scopes=tuple(ScopeLine(scope, words_for(scope)) for scope in access.scopes),
            )
            for access in app.access
        ),
        connections=app.connections,
        since=app.since,
        last_refresh=app.last_refresh,
        disabled=app.client.disabled,
    )
