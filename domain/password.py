"""Length limits of passwords, and the bytes of a password that are hashed."""

import unicodedata

from grantledger.domain.refusal import Refusal

MIN_PASSWORD = 8
"""In characters."""

MAX_PASSWORD_BYTES = 1024
"""Counted in `password_bytes`. Longer passwords take longer to hash."""


class PasswordTooShort(Refusal):
    """The password is shorter than 8 characters."""


class PasswordTooLong(Refusal):
    """The password is longer than 1024 bytes of UTF-8."""


def password_bytes(password: str) -> bytes:
    """Return the bytes that are hashed, with accented letters composed (NFC, RFC 8265 section 4.2.2).

    Keyboards differ in how they encode the same accented letter.
    """
    return unicodedata.normalize("NFC", password).encode(errors="surrogatepass")


def check_password(password: str) -> None:
    """Raise `PasswordTooShort` or `PasswordTooLong` unless the length is allowed."""
    if len(password) < MIN_PASSWORD:
        raise PasswordTooShort
    if len(password_bytes(password)) > MAX_PASSWORD_BYTES:
        raise PasswordTooLong
