"""The challenge of a resource server: `WWW-Authenticate` (RFC 6750 section 3, RFC 9728 section 5.1)."""

import re
from collections.abc import Iterable
from typing import Literal

BearerErrorCode = Literal["invalid_request", "invalid_token", "insufficient_scope"]

# RFC 6750 section 3: the characters of a quoted string that need no escape.
_QUOTABLE = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+")

# Some clients search the whole header for `error=` or `scope=`, even inside quotes.
_LOOKS_LIKE_PARAMETER = re.compile(r"(?:error|error_description|scope|resource_metadata)=")


def challenge(
    resource_metadata_url: str | None,
    *,
    scopes: Iterable[str] = (),
    error: BearerErrorCode | None = None,
    error_description: str | None = None,
) -> str:
    """Return the value of one `WWW-Authenticate` header.

    `error` and `error_description` are for requests that carried a token: without one "the resource server
    SHOULD NOT include an error code or other error information" (RFC 6750 section 3.1). Raises `ValueError`
    for text that a client's parser would misread.
    """
    if error_description is not None and error is None:
        raise ValueError("error_description needs an error")
    parameters = {
        "error": error,
        "error_description": error_description,
        "scope": " ".join(scopes) or None,
        "resource_metadata": resource_metadata_url,
    }
    parts = ", ".join(
        f'{name}="{_unescaped(name, value)}"' for name, value in parameters.items() if value is not None
    )
    return f"Bearer {parts}" if parts else "Bearer"


def _unescaped(name: str, value: str) -> str:
    if not _QUOTABLE.fullmatch(value) or _LOOKS_LIKE_PARAMETER.search(value):
        raise ValueError(f"{name} cannot be written in a challenge: {value!r}")
    return value
