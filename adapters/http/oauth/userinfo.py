"""GET and POST /userinfo (OpenID Connect Core section 5.3)."""

from typing import Any

from litestar import HttpMethod, Request, Response, route
from litestar.handlers import HTTPRouteHandler

from grantledger.adapters.guards.bearer import AuthorizationMalformed, bearer_token
from grantledger.adapters.http.answers import json_answer
from grantledger.adapters.http.bearer_refusals import BearerRefusal, bearer_answer
from grantledger.adapters.http.middleware import note_refusal
from grantledger.adapters.http.parameters import FORM, read_form
from grantledger.application.tokens.describe_user import DescribeUser, OpenidNotGranted
from grantledger.domain.refusal import Refusal


def userinfo_endpoint(path: str, describe_user: DescribeUser) -> HTTPRouteHandler:
    @route(path, http_method=[HttpMethod.GET, HttpMethod.POST], status_code=200)
    async def userinfo(request: Request[Any, Any, Any]) -> Response[bytes]:
        try:
            token = await _presented(request)
        except (AuthorizationMalformed, Refusal) as refusal:
            note_refusal(request.scope, refusal)
            return bearer_answer(BearerRefusal.PLACE_MALFORMED)
        if token is None:
            return bearer_answer(BearerRefusal.TOKEN_MISSING)
        try:
            return json_answer(await describe_user(token))
        except OpenidNotGranted as refusal:
            note_refusal(request.scope, refusal)
            return bearer_answer(BearerRefusal.SCOPE_MISSING)
        except Refusal as refusal:
            note_refusal(request.scope, refusal)
            return bearer_answer(BearerRefusal.TOKEN_REFUSED)

    return userinfo


async def _presented(request: Request[Any, Any, Any]) -> str | None:
    """Return the token of the header, or of a form that was posted (RFC 6750 section 2.2); never of the URL.

    Raises `AuthorizationMalformed`, and a `Refusal` for a form that cannot be read.
    """
    in_header = bearer_token(request.scope["headers"])
    is_form = request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM
    in_form = (await read_form(request)).get("access_token") if request.method == "POST" and is_form else None
    # Section 2: "Clients MUST NOT use more than one method to transmit the token in each request."
    if in_header is not None and in_form is not None:
        raise AuthorizationMalformed("a token in the header and in the form")
    return in_header or in_form
