"""What may be somebody's password."""

import unicodedata

from grantledger.domain.refusal import Refusal

MIN_PASSWORD = 8
"""In characters."""

MAX_PASSWORD_BYTES = 1024
"""As `password_bytes` counts them. Hashing takes longer for longer ones."""


class PasswordTooShort(Refusal):
    """The password is shorter than 8 characters."""


class PasswordTooLong(Refusal):
    """The password is longer than 1024 bytes of UTF-8."""


def password_bytes(password: str) -> bytes:
    """Return what is hashed.

    Keyboards differ in how they write the same accented letter: RFC 8265 section 4.2.2 composes them (NFC).
    """
    return unicodedata.normalize("NFC", password).encode(errors="surrogatepass")


def check_password(password: str) -> None:
    """Raise `PasswordTooShort` or `PasswordTooLong` unless it may be somebody's password."""
    if len(password) < MIN_PASSWORD:
        raise PasswordTooShort
    if len(password_bytes(password)) > MAX_PASSWORD_BYTES:
        raise PasswordTooLong
