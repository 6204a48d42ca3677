"""The challenge of a resource server (RFC 6750 section 3, RFC 9728 section 5.1), written in one place."""

import re
from collections.abc import Iterable
from typing import Literal

BearerError = Literal["invalid_request", "invalid_token", "insufficient_scope"]

# What RFC 6750 section 3 allows in a quoted string that needs no escapes.
_QUOTABLE = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+")

# Clients look for `error=` or `scope=` anywhere in the header, inside of quotes too.
_LOOKS_LIKE_PARAMETER = re.compile(r"(?:error|error_description|scope|resource_metadata)=")


def challenge(
    resource_metadata_url: str | None,
    *,
    scopes: Iterable[str] = (),
    error: BearerError | None = None,
    error_description: str | None = None,
) -> str:
    """Return the value of one `WWW-Authenticate` header line, without metadata where there is none to tell.

    `error` and `error_description` are for requests that brought a token: without one "the resource server
    SHOULD NOT include an error code or other error information" (RFC 6750 section 3.1). Raises `ValueError`
    for text that a client's parser would misread.
    """
    if error_description is not None and error is None:
        raise ValueError("a description needs the error that it describes")
    parameters = {
        "error": error,
        "error_description": error_description,
        "scope": " ".join(scopes) or None,
        "resource_metadata": resource_metadata_url,
    }
    said = {name: value for name, value in parameters.items() if value is not None}
    parts = ", ".join(f'{name}="{_plain(name, value)}"' for name, value in said.items())
    return f"Bearer {parts}" if parts else "Bearer"


def _plain(name: str, value: str) -> str:
    if not _QUOTABLE.fullmatch(value) or _LOOKS_LIKE_PARAMETER.search(value):
        raise ValueError(f"{name} cannot be said in a challenge: {value!r}")
    return value
