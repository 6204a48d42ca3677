"""POST /register (RFC 7591)."""

from typing import Any

import msgspec
from litestar import Response

from grantledger.adapters.guards.bearer import AuthorizationMalformed, bearer_token
from grantledger.adapters.http.caller import CallerReader
from grantledger.adapters.http.errors import CLIENT_DISABLED, RegistrationMalformed, error_response
from grantledger.adapters.http.middleware import note_client, note_refusal
from grantledger.adapters.http.parameters import read_body
from grantledger.adapters.http.responses import AnyRequest, json_answer, litestar_response
from grantledger.application.clients.register_client import NewClient, RegisterClient
from grantledger.domain.client_metadata import RegistrationRequest
from grantledger.domain.client_registration import ClientIsDisabled
from grantledger.domain.registration_tokens import RegistrationTokenRefused

_decoder = msgspec.json.Decoder(RegistrationRequest)


class RegistrationEndpoint:
    def __init__(
        self, register_client: RegisterClient, caller_of: CallerReader, *, needs_token: bool
    ) -> None:
        self._register_client = register_client
        self._needs_token = needs_token
        self._caller_of = caller_of

    async def register(self, request: AnyRequest) -> Response[bytes]:
        token = self._token_of(request)
        try:
            registration = _decoder.decode(await read_body(request))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise RegistrationMalformed(str(error)) from error
        try:
            new = await self._register_client(registration, self._caller_of(request), token=token)
        except ClientIsDisabled as refusal:
            note_refusal(request.scope, refusal)
            return litestar_response(error_response(CLIENT_DISABLED))
        note_client(request.scope, new.client.client_id)
        return json_answer(_client_information(new), status=201)

    def _token_of(self, request: AnyRequest) -> str | None:
        """Return the registration token, if one is needed: open registration ignores the header."""
        if not self._needs_token:
            return None
        try:
            return bearer_token(request.scope["headers"])
        except AuthorizationMalformed as error:
            raise RegistrationTokenRefused(str(error)) from error


def _client_information(new: NewClient) -> dict[str, Any]:
    """Return the client information response: all effective metadata (section 3.2.1)."""
    information = {
        "client_id": new.client.client_id,
        "client_id_issued_at": new.client.registered_at,
        **msgspec.to_builtins(new.client.metadata),
        # The redirect URIs as sent: a client may compare them, and the stored ones may have other loopback
        # ports.
        "redirect_uris": new.redirect_uris,
    }
    if new.secret is not None:
        # "REQUIRED if client_secret is issued [...] or 0 if it will not expire".
        information |= {"client_secret": new.secret, "client_secret_expires_at": 0}
    return information
