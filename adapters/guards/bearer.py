"""Reading the access token of a request (OAuth 2.1 section 5.1.1)."""

from collections.abc import Iterable


class AuthorizationMalformed(Exception):  # noqa: N818 - what the request is
    """The Authorization header is there and cannot be read as one Bearer token."""


def bearer_token(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the token of the one Authorization header; no other place is read.

    None when there is none, or one of another scheme: who tried that is told how to do it (RFC 6750
    section 3.1), not that the request is malformed. `headers` are ASGI headers, names in lower case.

    Raises `AuthorizationMalformed`.
    """
    values = [value for name, value in headers if name == b"authorization"]
    if not values:
        return None
    if len(values) > 1:
        raise AuthorizationMalformed("more than one Authorization header")
    scheme, _, token = values[0].decode("latin-1").partition(" ")
    if scheme.lower() != "bearer":
        return None
    token = token.strip()
    if not token or " " in token:
        raise AuthorizationMalformed("not a Bearer token")
    return token
