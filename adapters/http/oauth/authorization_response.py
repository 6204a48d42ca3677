"""The one way in which answers leave for a client: code, denial and error alike."""

from urllib.parse import parse_qsl, urlencode

from litestar import Response

from grantledger.adapters.http.errors import wire_error
from grantledger.adapters.http.pages.responses import redirect
from grantledger.application.authorization.issue_code import IssuedCode
from grantledger.domain.authorization_request import SentBack


class AuthorizationResponses:
    """`iss` is on every answer, and once, even where the redirect URI carries one (RFC 9207 section 2)."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer

    def success(self, issued: IssuedCode) -> Response[bytes]:
        """OAuth 2.1 section 4.1.2."""
        return redirect(self._location(issued.redirect_uri, {"code": issued.code}, issued.state))

    def error(self, sent_back: SentBack) -> Response[bytes]:
        """OAuth 2.1 section 4.1.2.1."""
        told = wire_error(sent_back.cause)
        answer = {"error": told.code, "error_description": told.description}
        return redirect(self._location(sent_back.redirect_uri, answer, sent_back.state))

    def _location(self, redirect_uri: str, answer: dict[str, str], state: str | None) -> str:
        answer = {**answer, **({"state": state} if state is not None else {}), "iss": self._issuer}
        # Not taken apart and put together again: `urllib` writes `app:///callback` as `app:/callback`.
        target, _, kept = redirect_uri.partition("?")
        # The query of a registered redirect URI stays, but for names that are ours (OAuth 2.1 section 2.3).
        if any(name in answer for name, _ in parse_qsl(kept, keep_blank_values=True)):
            pairs = parse_qsl(kept, keep_blank_values=True)
            kept = urlencode([(name, value) for name, value in pairs if name not in answer])
        query = "&".join(part for part in (kept, urlencode(answer)) if part)
        return f"{target}?{query}"
