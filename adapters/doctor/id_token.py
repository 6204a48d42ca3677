"""The check of an ID token as its clients make it (OpenID Connect Core section 3.1.3.7)."""

from typing import Any

import msgspec
from joserfc import jwt
from joserfc.jwk import KeySet
from joserfc.util import urlsafe_b64decode

_SYMMETRIC = "HS"


def against(token: str, *, keys: dict[str, Any], issuer: str) -> str | None:
    """Return what speaks against the ID token, without a part of it; None if nothing does."""
    try:
        header = msgspec.json.decode(urlsafe_b64decode(token.partition(".")[0].encode()), type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return "it is no JWT"
    algorithm = str(header.get("alg"))
    if algorithm == "none" or algorithm.startswith(_SYMMETRIC):
        return f"it is signed with {algorithm}, for which no key is published"
    try:
        claims = jwt.decode(token, KeySet.import_key_set(keys), algorithms=[algorithm]).claims  # type: ignore[arg-type]
    except Exception as error:  # noqa: BLE001 - joserfc has no common error for malformed keys
        return f"its signature by {algorithm} is of no published key ({type(error).__name__})"
    return None if claims.get("iss") == issuer else f"iss is {claims.get('iss')!r}, and the issuer {issuer!r}"
