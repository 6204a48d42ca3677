"""E-mail addresses as account names: validity, and the normal form in which they are compared."""

import unicodedata

from grantledger.domain.refusal import Refusal

MAX_LENGTH = 254

_MAX_FOLDS = 8


class EmailInvalid(Refusal):
    """Not an e-mail address."""


def normalized(email: str) -> str:
    """Return the normal form of an address, by which its account is found. Raises `EmailInvalid`."""
    address = _folded(email).strip()
    local, at, host = address.partition("@")
    if (
        not (local and at and host)
        or "@" in host  # RFC 5321 section 4.1.2 allows it only in a quoted local part
        or len(address) > MAX_LENGTH
        or any(c.isspace() or not c.isprintable() for c in address)
    ):
        raise EmailInvalid
    return address


def _folded(text: str) -> str:
    """Return the text in lower case and composed (NFKC); each step can undo the other, so both repeat."""
    for _ in range(_MAX_FOLDS):
        folded = unicodedata.normalize("NFKC", text).casefold()
        if folded == text:
            return text
        text = folded
    raise EmailInvalid
