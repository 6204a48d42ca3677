"""The check of an ID token as clients make it (OpenID Connect Core section 3.1.3.7)."""

from typing import Any

import msgspec
from joserfc import jwt
from joserfc.jwk import KeySet

from grantledger.domain import base64url

_SYMMETRIC = "HS"


def id_token_fault(token: str, *, keys: dict[str, Any], issuer: str) -> str | None:
    """Return what is wrong with the ID token, None if nothing is. The result has no part of the token."""
    try:
        header = msgspec.json.decode(base64url.decode(token.partition(".")[0]) or b"", type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return "it is not a JWT"
    algorithm = str(header.get("alg"))
    if algorithm == "none" or algorithm.startswith(_SYMMETRIC):
        return f"it is signed with {algorithm}, for which no key is published"
    try:
        claims = jwt.decode(token, KeySet.import_key_set(keys), algorithms=[algorithm]).claims  # type: ignore[arg-type]
    except Exception as error:  # noqa: BLE001 - joserfc has no common error for malformed keys
        return f"no published key verifies its {algorithm} signature ({type(error).__name__})"
    iss = claims.get("iss")
    return None if iss == issuer else f"iss is {iss!r}, but the issuer is {issuer!r}"
