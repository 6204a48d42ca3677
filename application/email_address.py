"""E-mail addresses as names of accounts: compared as people mean them, never as events hold them."""

import unicodedata

from grantledger.domain.refusal import Refusal

MAX_LENGTH = 254


class EmailInvalid(Refusal):
    """Not an e-mail address."""


def normalized(email: str) -> str:
    """Return the one spelling under which an address is found. Raises `EmailInvalid`."""
    folded = unicodedata.normalize("NFKC", email).strip().casefold()
    address = unicodedata.normalize("NFKC", folded)  # folding may take apart what was composed
    local, at, host = address.rpartition("@")
    if (
        not (local and at and host)
        or len(address) > MAX_LENGTH
        or any(c.isspace() or not c.isprintable() for c in address)
    ):
        raise EmailInvalid
    return address
