"""GET /authorize (OAuth 2.1 section 3.1) and the URL at which a parked request is resumed."""

from typing import Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from grantledger.adapters.http.middleware import note_client
from grantledger.adapters.http.pages.flow import AuthorizationFlow
from grantledger.adapters.http.pages.responses import redirect
from grantledger.adapters.http.parameters import Parameters, parsed
from grantledger.application.authorization.start_authorization import StartAuthorization
from grantledger.domain.authorization_request import AuthorizationParameters

FORMS = ("sign-in", "consent", "sign-out")
"""Where pages submit to: an address that stays in the browser where the answer is a page."""


def authorization_endpoints(flow: AuthorizationFlow, start: StartAuthorization) -> list[HTTPRouteHandler]:
    @get(f"{flow.base_path}/authorize")
    async def authorize(request: Request[Any, Any, Any]) -> Response[bytes]:
        asked = _asked(parsed(request.scope["query_string"]))
        note_client(request.scope, asked.client_id)
        session = await flow.session(request)
        return await flow.begin(request, await start(asked, session), session)

    @get(f"{flow.base_path}/authorize/{{place:str}}")
    async def resume(request: Request[Any, Any, Any], place: FromPath[str]) -> Response[bytes]:
        waiting = flow.visits.find(request, place).waiting
        assert waiting is not None  # the account has a route of its own
        return await flow.proceed(request, waiting, await flow.session(request))

    @get([f"{flow.base_path}/authorize/{{place:str}}/{form}" for form in FORMS])
    async def reload(request: Request[Any, Any, Any], place: FromPath[str]) -> Response[bytes]:
        return redirect(flow.visits.find(request, place).url)

    return [authorize, resume, reload]


def _asked(query: Parameters) -> AuthorizationParameters:
    return AuthorizationParameters(
        client_id=query.get("client_id"),
        redirect_uri=query.get("redirect_uri"),
        response_type=query.get("response_type"),
        response_mode=query.get("response_mode"),
        scope=query.get("scope"),
        state=query.get("state"),
        code_challenge=query.get("code_challenge"),
        code_challenge_method=query.get("code_challenge_method"),
        prompt=query.get("prompt"),
        max_age=query.get("max_age"),
        nonce=query.get("nonce"),
        request=query.get("request"),
        request_uri=query.get("request_uri"),
        resources=query.resources,
        repeated=query.repeated,
    )
