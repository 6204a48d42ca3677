"""POST /revoke (RFC 7009)."""

from litestar import Response

from grantledger.adapters.http.caller import CallerReader
from grantledger.adapters.http.middleware import note_client
from grantledger.adapters.http.oauth.client_credentials import client_credentials
from grantledger.adapters.http.parameters import header_values, read_form, required
from grantledger.adapters.http.responses import NOT_STORED, AnyRequest
from grantledger.application.tokens.revoke import Revocation, RevokeToken


class RevocationEndpoint:
    def __init__(self, revoke_token: RevokeToken, caller_of: CallerReader) -> None:
        self._revoke_token = revoke_token
        self._caller_of = caller_of

    async def revoke(self, request: AnyRequest) -> Response[bytes]:
        form = await read_form(request)
        credentials = client_credentials(header_values(request.scope, b"authorization"), form)
        note_client(request.scope, credentials.client_id)
        revocation = Revocation(
            credentials=credentials, token=required(form, "token"), caller=self._caller_of(request)
        )
        await self._revoke_token(revocation)
        return Response(b"", status_code=200, headers=NOT_STORED)
