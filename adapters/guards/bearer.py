"""Reading the access token of a request (OAuth 2.1 section 5.1.1)."""

from collections.abc import Iterable


class AuthorizationMalformed(Exception):  # noqa: N818 - a property of the request
    """There is more than one Authorization header, or its value is not one Bearer token."""


def bearer_token(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the token of the Authorization header; nothing else is read.

    Return None if there is no such header, or if it has another scheme or no token. Such a request gets a
    challenge, because its client may have no token yet (RFC 6750 section 3.1). `headers` are ASGI headers,
    with names in lower case.

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
    if " " in token:
        raise AuthorizationMalformed("not a Bearer token")
    return token or None
