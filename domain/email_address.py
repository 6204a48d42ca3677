"""E-mail addresses as names of accounts: compared as people mean them, never as events hold them."""

import unicodedata

from grantledger.domain.refusal import Refusal

MAX_LENGTH = 254

_MOST_FOLDS = 8


class EmailInvalid(Refusal):
    """Not an e-mail address."""


def normalized(email: str) -> str:
    """Return the one spelling under which an address is found. Raises `EmailInvalid`."""
    address = _folded(email).strip()
    local, at, host = address.partition("@")
    if (
        not (local and at and host)
        or "@" in host  # RFC 5321 section 4.1.2 allows it in a quoted local part alone
        or len(address) > MAX_LENGTH
        or any(c.isspace() or not c.isprintable() for c in address)
    ):
        raise EmailInvalid
    return address


def _folded(text: str) -> str:
    """Return the text without differences of case and composition; folding one can bring back the other."""
    for _ in range(_MOST_FOLDS):
        folded = unicodedata.normalize("NFKC", text).casefold()
        if folded == text:
            return text
        text = folded
    raise EmailInvalid
