"""POST /token (OAuth 2.1 section 3.2)."""

from typing import Any

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from grantledger.adapters.http.answers import json_answer
from grantledger.adapters.http.caller import CallerReader
from grantledger.adapters.http.client_errors import client_refused
from grantledger.adapters.http.errors import GrantTypeUnsupported
from grantledger.adapters.http.middleware import note_client
from grantledger.adapters.http.oauth.client_credentials import presented
from grantledger.adapters.http.parameters import read_form, required
from grantledger.application.tokens.current_tokens import Tokens
from grantledger.application.tokens.redeem_code import CodeRedemption, RedeemCode
from grantledger.application.tokens.refresh_grant import Refresh, RefreshGrant
from grantledger.domain.refusal import Refusal


class TokenResponse(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """OAuth 2.1 section 3.2.3. `expires_in` is in seconds; clients match `Bearer` case-sensitively."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str
    refresh_token: str | None = None
    id_token: str | None = None


def token_endpoint(
    path: str, redeem_code: RedeemCode, refresh_grant: RefreshGrant, caller_of: CallerReader
) -> HTTPRouteHandler:
    @post(path, status_code=200, exception_handlers={Refusal: client_refused})
    async def token(request: Request[Any, Any, Any]) -> Response[bytes]:
        form = await read_form(request)
        grant_type = required(form, "grant_type")
        credentials = presented(request.headers.getall("authorization", []), form)
        note_client(request.scope, credentials.client_id)
        match grant_type:
            case "authorization_code":
                redemption = CodeRedemption(
                    credentials=credentials,
                    code=required(form, "code"),
                    code_verifier=form.get("code_verifier"),
                    redirect_uri=form.get("redirect_uri"),
                    resources=form.resources,
                    caller=caller_of(request),
                )
                return _answer(await redeem_code(redemption))
            case "refresh_token":
                refresh = Refresh(
                    credentials=credentials,
                    refresh_token=required(form, "refresh_token"),
                    scope=form.get("scope"),
                    resources=form.resources,
                    caller=caller_of(request),
                )
                return _answer(await refresh_grant(refresh))
        raise GrantTypeUnsupported

    return token


def _answer(tokens: Tokens) -> Response[bytes]:
    return json_answer(
        TokenResponse(
            access_token=tokens.access_token,
            token_type="Bearer",
            expires_in=tokens.expires_in,
            scope=" ".join(tokens.scopes),
            refresh_token=tokens.refresh_token,
            id_token=tokens.id_token,
        )
    )
