"""POST /revoke (RFC 7009)."""

from typing import Any

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from grantledger.adapters.http.answers import NO_STORE
from grantledger.adapters.http.caller import CallerReader
from grantledger.adapters.http.client_errors import client_refused
from grantledger.adapters.http.middleware import note_client
from grantledger.adapters.http.oauth.client_credentials import presented
from grantledger.adapters.http.parameters import read_form, required
from grantledger.application.tokens.revoke import Revocation, RevokeToken
from grantledger.domain.refusal import Refusal


def revocation_endpoint(path: str, revoke_token: RevokeToken, caller_of: CallerReader) -> HTTPRouteHandler:
    @post(path, status_code=200, exception_handlers={Refusal: client_refused})
    async def revoke(request: Request[Any, Any, Any]) -> Response[bytes]:
        form = await read_form(request)
        credentials = presented(request.headers.getall("authorization", []), form)
        note_client(request.scope, credentials.client_id)
        revocation = Revocation(
            credentials=credentials, token=required(form, "token"), caller=caller_of(request)
        )
        await revoke_token(revocation)
        return Response(b"", headers=NO_STORE)

    return revoke
