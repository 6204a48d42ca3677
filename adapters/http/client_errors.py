"""Refusals at the endpoints where clients authenticate (RFC 6749 section 5.2, RFC 7009 section 2.2.1)."""

from typing import Any

from litestar import Request, Response

from grantledger.adapters.http.answers import NO_STORE, error_answer, too_many_requests_answer
from grantledger.adapters.http.errors import wire_error
from grantledger.application.throttling import TooManyRequests
from grantledger.domain.refusal import Refusal


def client_refused(request: Request[Any, Any, Any], refusal: Refusal) -> Response[bytes]:
    """Answer 400, 429, or 401 for `invalid_client`: on that, and on that alone, clients register again."""
    if isinstance(refusal, TooManyRequests):
        return too_many_requests_answer(refusal)
    error = wire_error(refusal)
    if error.code != "invalid_client":
        return error_answer(error, status=400)
    # "If the client attempted to authenticate via the Authorization request header field, the authorization
    # server MUST [...] include the WWW-Authenticate response header field".
    tried_header = "authorization" in request.headers
    challenge = {"www-authenticate": 'Basic realm="token endpoint"'} if tried_header else {}
    return error_answer(error, status=401, headers={**NO_STORE, **challenge})
