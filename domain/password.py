"""The rules for passwords, and the bytes that are hashed for a password."""

import unicodedata
from collections.abc import Iterator

from grantledger.domain.limits import is_longer
from grantledger.domain.refusal import Refusal

MIN_PASSWORD = 12
"""Minimum length of a password, in characters."""

MAX_PASSWORD_BYTES = 1024
"""Counted in `password_bytes`. Longer passwords take longer to hash."""

_MOST_TYPED = 3 * MAX_PASSWORD_BYTES
"""A composed letter has at least a third of the bytes of its parts."""

_MAX_ADDED = 4
"""Maximum length of the text that is added to a common password, or that a refused password repeats."""


class PasswordUnfit(Refusal):
    """No account can have this password."""


class PasswordTooShort(PasswordUnfit):
    """The password is shorter than 12 characters."""


class PasswordTooLong(PasswordUnfit):
    """The password is longer than 1024 bytes of UTF-8."""


class PasswordTooCommon(PasswordUnfit):
    """The password is a common one, perhaps repeated or with up to four characters added."""


class PasswordIsAddress(PasswordUnfit):
    """The password is the user's e-mail address, or the part of it before the @."""


def password_bytes(password: str) -> bytes:
    """Return the bytes that are hashed, with accented letters composed (NFC, RFC 8265 section 4.2.2).

    Keyboards differ in how they encode the same accented letter.
    """
    return unicodedata.normalize("NFC", password).encode(errors="surrogatepass")


def is_too_long(password: str) -> bool:
    """Whether the password has more than `MAX_PASSWORD_BYTES`."""
    # As typed first: to compose thousands of accents takes 0.1 s, in which the server answers nobody.
    far_too_long = is_longer(password, _MOST_TYPED)
    return far_too_long or len(password_bytes(password)) > MAX_PASSWORD_BYTES


def check_length(password: str) -> None:
    """Raise `PasswordTooShort` or `PasswordTooLong` unless the length is allowed."""
    if len(password) < MIN_PASSWORD:
        raise PasswordTooShort
    if is_too_long(password):
        raise PasswordTooLong


def check_is_not_address(password: str, email: str) -> None:
    """Raise `PasswordIsAddress` if the password is the address or its part before the @, in any case."""
    secret, address = password.strip().casefold(), email.strip().casefold()
    if secret in (address, address.rpartition("@")[0]):
        raise PasswordIsAddress


def check_is_no_repetition(password: str) -> None:
    """Raise `PasswordTooCommon` if the password is a repetition of one text of at most four characters."""
    if len(_repeated(password.casefold())) <= _MAX_ADDED:
        raise PasswordTooCommon


def cores(password: str) -> Iterator[str]:
    """Yield the texts to look up in a list of common passwords.

    They are the password, the text that it repeats, and the password without up to four characters at its
    start or end, all in lower case. The password is common if the list has one of them.
    """
    text = password.casefold()
    yield text
    yield _repeated(text)
    for added in range(1, _MAX_ADDED + 1):
        yield text[:-added]
        yield text[added:]


def _repeated(text: str) -> str:
    """Return the shortest text that this one is a repetition of, perhaps cut at the end."""
    # The second copy begins where the text first occurs in itself again.
    length = (text + text).find(text, 1)
    if length < len(text):
        return text[:length]
    for length in range(1, len(text) // 2 + 1):
        if text.startswith(text[length:]):
            return text[:length]
    return text
