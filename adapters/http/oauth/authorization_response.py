"""The redirect that answers a client: with a code, or with an error."""

from urllib.parse import parse_qsl, urlencode

from litestar import Response

from grantledger.adapters.http.errors import wire_error
from grantledger.adapters.http.pages.responses import redirect
from grantledger.application.authorization.issue_code import IssuedCode
from grantledger.domain.authorization_request import SentBack


class AuthorizationResponses:
    """Every response has `iss` once, even if the redirect URI has such a parameter (RFC 9207 section 2).

    The value of `iss` is `issuer`, unless the client knows this server by another issuer identifier.
    """

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer

    def success(self, issued: IssuedCode) -> Response[bytes]:
        """OAuth 2.1 section 4.1.2."""
        return redirect(self._location(issued, {"code": issued.code}))

    def error(self, sent_back: SentBack) -> Response[bytes]:
        """OAuth 2.1 section 4.1.2.1."""
        return redirect(self.error_location(sent_back))

    def error_location(self, sent_back: SentBack) -> str:
        error = wire_error(sent_back.cause)
        parameters = {"error": error.code, "error_description": error.description}
        return self._location(sent_back, parameters)

    def _location(self, response: IssuedCode | SentBack, parameters: dict[str, str]) -> str:
        parameters = {
            **parameters,
            **({"state": response.state} if response.state is not None else {}),
            "iss": response.issuer or self._issuer,
        }
        # The URI is not parsed and rebuilt, because `urllib` writes `app:///callback` as `app:/callback`.
        target, _, registered = response.redirect_uri.partition("?")
        # The query of a registered redirect URI stays, without parameters of our names (OAuth 2.1 section
        # 2.3).
        pairs = parse_qsl(registered, keep_blank_values=True)
        if any(name in parameters for name, _ in pairs):
            registered = urlencode([(name, value) for name, value in pairs if name not in parameters])
        query = "&".join(part for part in (registered, urlencode(parameters)) if part)
        return f"{target}?{query}"
