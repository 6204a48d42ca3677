"""POST /token (OAuth 2.1 section 3.2)."""

from typing import Any

from litestar import Response

from grantledger.adapters.http.caller import CallerReader
from grantledger.adapters.http.errors import GrantTypeUnsupported
from grantledger.adapters.http.middleware import note_client, note_warning
from grantledger.adapters.http.oauth.client_credentials import client_credentials
from grantledger.adapters.http.parameters import header_values, read_form, required
from grantledger.adapters.http.responses import AnyRequest, json_answer
from grantledger.application.tokens.current_tokens import Tokens
from grantledger.application.tokens.redeem_code import CodeRedemption, RedeemCode
from grantledger.application.tokens.refresh_grant import Refresh, RefreshGrant


class TokenEndpoint:
    """ID tokens have `issuer` as `iss`. If `issuer` is None, they have the issuer of the server."""

    def __init__(
        self,
        redeem_code: RedeemCode,
        refresh_grant: RefreshGrant,
        caller_of: CallerReader,
        issuer: str | None = None,
    ) -> None:
        self._redeem_code = redeem_code
        self._refresh_grant = refresh_grant
        self._caller_of = caller_of
        self._issuer = issuer

    async def token(self, request: AnyRequest) -> Response[bytes]:
        form = await read_form(request)
        grant_type = required(form, "grant_type")
        credentials = client_credentials(header_values(request.scope, b"authorization"), form)
        note_client(request.scope, credentials.client_id)
        match grant_type:
            case "authorization_code":
                redemption = CodeRedemption(
                    credentials=credentials,
                    code=required(form, "code"),
                    code_verifier=form.get("code_verifier"),
                    redirect_uri=form.get("redirect_uri"),
                    resources=form.resources,
                    caller=self._caller_of(request),
                    issuer=self._issuer,
                )
                return json_answer(_token_response(await self._redeem_code(redemption)))
            case "refresh_token":
                refresh = Refresh(
                    credentials=credentials,
                    refresh_token=required(form, "refresh_token"),
                    scope=form.get("scope"),
                    resources=form.resources,
                    caller=self._caller_of(request),
                )
                tokens = await self._refresh_grant(refresh)
                if tokens.retried_elsewhere:
                    note_warning(request.scope, "RefreshRetriedElsewhere")
                return json_answer(_token_response(tokens))
        raise GrantTypeUnsupported


def _token_response(tokens: Tokens) -> dict[str, Any]:
    """OAuth 2.1 section 3.2.3. `expires_in` is in seconds."""
    response = {
        "access_token": tokens.access_token,
        "token_type": "Bearer",  # clients compare it case-sensitively
        "expires_in": tokens.expires_in,
        "scope": " ".join(tokens.scopes),
    }
    if tokens.refresh_token is not None:
        response["refresh_token"] = tokens.refresh_token
    if tokens.id_token is not None:
        response["id_token"] = tokens.id_token
    return response
