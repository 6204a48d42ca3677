"""GET and POST /userinfo (OpenID Connect Core section 5.3)."""

from litestar import Response

from grantledger.adapters.guards.bearer import AuthorizationMalformed, bearer_token
from grantledger.adapters.http.errors import BearerRefusal, bearer_response
from grantledger.adapters.http.middleware import note_refusal
from grantledger.adapters.http.parameters import is_form, read_form
from grantledger.adapters.http.responses import AnyRequest, json_answer, litestar_response
from grantledger.application.tokens.describe_user import DescribeUser, OpenidNotGranted
from grantledger.domain.refusal import Refusal


class UserinfoEndpoint:
    def __init__(self, describe_user: DescribeUser) -> None:
        self._describe_user = describe_user

    async def userinfo(self, request: AnyRequest) -> Response[bytes]:
        try:
            token = await _sent_token(request)
        except (AuthorizationMalformed, Refusal) as refusal:
            note_refusal(request.scope, refusal)
            return litestar_response(bearer_response(BearerRefusal.TOKEN_REPEATED))
        if token is None:
            return litestar_response(bearer_response(BearerRefusal.TOKEN_MISSING))
        try:
            return json_answer(await self._describe_user(token))
        except OpenidNotGranted as refusal:
            note_refusal(request.scope, refusal)
            return litestar_response(bearer_response(BearerRefusal.SCOPE_MISSING))
        except Refusal as refusal:
            note_refusal(request.scope, refusal)
            return litestar_response(bearer_response(BearerRefusal.TOKEN_REFUSED))


async def _sent_token(request: AnyRequest) -> str | None:
    """Return the token from the header or from a posted form (RFC 6750 section 2.2), never from the URL.

    Raises `AuthorizationMalformed`, and a `Refusal` for a form that cannot be read.
    """
    in_header = bearer_token(request.scope["headers"])
    posts_form = request.method == "POST" and is_form(request)
    in_form = (await read_form(request)).get("access_token") if posts_form else None
    # Section 2: "Clients MUST NOT use more than one method to transmit the token in each request."
    if in_header is not None and in_form is not None:
        raise AuthorizationMalformed("a token in the header and in the form")
    return in_header or in_form
