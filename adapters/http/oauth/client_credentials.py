"""Client authentication: none, client_secret_post, client_secret_basic (OAuth 2.1 section 2.4)."""

import base64
from collections.abc import Sequence
from urllib.parse import unquote_plus

from grantledger.adapters.http.errors import ClientCredentialsMixed
from grantledger.adapters.http.parameters import Parameters
from grantledger.application.clients.authenticate_client import ClientCredentials
from grantledger.domain.client_registration import ClientAuthenticationFailed


def client_credentials(authorization: Sequence[str], form: Parameters) -> ClientCredentials:
    """Return the credentials in the header or in the body, or in both if they agree.

    `authorization` holds every Authorization header of the request. Raises `ClientCredentialsMixed`, or
    `ClientAuthenticationFailed` if there are no credentials that can be read.
    """
    in_body, secret = form.get("client_id"), form.get("client_secret")
    if not authorization:
        if in_body is None:
            raise ClientAuthenticationFailed("no client_id")
        return ClientCredentials(client_id=in_body, secret=secret)
    if len(authorization) > 1:
        raise ClientCredentialsMixed("several Authorization headers")
    in_header = _basic(authorization[0])
    # OAuth 2.1 section 2.4: "The client MUST NOT use more than one authentication method in each request".
    if secret is not None and in_header.secret is not None:
        raise ClientCredentialsMixed("a secret in the header and in the body")
    if in_body not in (None, in_header.client_id):
        raise ClientCredentialsMixed("another client_id in the header than in the body")
    return in_header if in_header.secret else ClientCredentials(client_id=in_header.client_id, secret=secret)


def _basic(authorization: str) -> ClientCredentials:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise ClientAuthenticationFailed("not Basic")
    try:
        pair = base64.b64decode(encoded.strip(), validate=True).decode()
    except ValueError as error:  # not ASCII, not base64, or not UTF-8 inside
        raise ClientAuthenticationFailed("Basic credentials cannot be decoded") from error
    client_id, colon, secret = pair.partition(":")
    if not colon or not client_id:
        raise ClientAuthenticationFailed("Basic credentials without a client id")
    # RFC 6749 section 2.3.1 form-encodes both parts, but not all clients do. Our ids and secrets are the same
    # in both forms.
    client_id, secret = unquote_plus(client_id), unquote_plus(secret)
    if "\0" in client_id + secret:
        raise ClientAuthenticationFailed("Basic credentials with a NUL character")
    return ClientCredentials(client_id=client_id, secret=secret or None)
