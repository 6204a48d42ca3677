"""POST /register (RFC 7591)."""

from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from grantledger.adapters.http.answers import error_answer, json_answer, too_many_requests_answer
from grantledger.adapters.http.caller import CallerReader
from grantledger.adapters.http.errors import RegistrationMalformed, WireError, wire_error
from grantledger.adapters.http.middleware import note_client
from grantledger.application.clients.register_client import NewClient, RegisterClient
from grantledger.application.throttling import TooManyRequests
from grantledger.domain.client_metadata import RegistrationRequest
from grantledger.domain.client_registration import ClientIsDisabled
from grantledger.domain.refusal import Refusal

_decoder = msgspec.json.Decoder(RegistrationRequest)


def registration_endpoint(
    path: str, register_client: RegisterClient, caller_of: CallerReader
) -> HTTPRouteHandler:
    @post(path, status_code=201, exception_handlers={Refusal: _refused})
    async def register(request: Request[Any, Any, Any]) -> Response[bytes]:
        try:
            asked = _decoder.decode(await request.body())
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise RegistrationMalformed(str(error)) from error
        new = await register_client(asked, caller_of(request))
        note_client(request.scope, new.client.client_id)
        return json_answer(_registered(new), status=201)

    return register


def _registered(new: NewClient) -> dict[str, Any]:
    """Return the client information response: all effective metadata (section 3.2.1)."""
    answer = {
        "client_id": new.client.client_id,
        "client_id_issued_at": new.client.registered_at,
        **msgspec.to_builtins(new.client.metadata),
    }
    if new.secret is not None:
        # "REQUIRED if client_secret is issued [...] or 0 if it will not expire".
        answer |= {"client_secret": new.secret, "client_secret_expires_at": 0}
    return answer


def _refused(_: Request[Any, Any, Any], refusal: Refusal) -> Response[bytes]:
    if isinstance(refusal, ClientIsDisabled):
        return error_answer(WireError("access_denied", "An operator has disabled this client."), status=403)
    if isinstance(refusal, TooManyRequests):
        return too_many_requests_answer(refusal)
    return error_answer(wire_error(refusal), status=400)
