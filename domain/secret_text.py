"""Master secrets as operators write them: base64 of at least 32 random bytes."""

import base64
from collections.abc import Sequence

MIN_BYTES = 32


class MasterSecretInvalid(ValueError):  # noqa: N818 - named for the fact, like a refusal
    """A secret is missing, too short, malformed or given twice. The message holds no secret."""


def parsed_secrets(texts: Sequence[str]) -> list[bytes]:
    """Return the bytes of the secrets, in the same order. Raises `MasterSecretInvalid`.

    The secrets are base64 or base64url, with or without padding. The output of `openssl rand -base64 32` can
    be used, and also the output of `openssl rand -hex 32`, because hex digits are base64 characters too.
    """
    secrets = [_bytes_of(text) for text in texts]
    if not secrets:
        raise MasterSecretInvalid("there is no master secret")
    for number, secret in enumerate(secrets, start=1):
        if len(secret) < MIN_BYTES:
            raise MasterSecretInvalid(f"master secret {number} has {len(secret)} of {MIN_BYTES} bytes")
    if len(set(secrets)) < len(secrets):
        raise MasterSecretInvalid("two master secrets are the same")
    return secrets


def _bytes_of(text: str) -> bytes:
    bare = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except ValueError:
        raise MasterSecretInvalid("a master secret is not written in base64") from None
