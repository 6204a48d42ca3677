"""E-mail addresses as account names: validity, and the normal form in which they are compared.

An address is stored as it was typed. Two addresses are one account if their normal forms are equal:
surrounding space is dropped, letters are composed (NFC), `A` to `Z` are lower case, and the host is lower
case. Nothing else is changed, so that two mailboxes never become one account: `straße` and `strasse` differ,
and so do a full-width letter and a plain one.
"""

import string
import unicodedata

from grantledger.domain.refusal import Refusal

MAX_LENGTH = 254

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


class EmailInvalid(Refusal):
    """Not an e-mail address."""


def typed(email: str) -> str:
    """Return the address as typed, without surrounding space, to be stored. Raises `EmailInvalid`."""
    address = email.strip()
    local, at, host = address.partition("@")
    if (
        not (local and at and host)
        or "@" in host  # RFC 5321 section 4.1.2 allows it only in a quoted local part
        or len(address) > MAX_LENGTH
        or any(c.isspace() or not c.isprintable() for c in address)
    ):
        raise EmailInvalid
    return address


def normalized(email: str) -> str:
    """Return the normal form of an address, by which its account is found. Raises `EmailInvalid`."""
    local, _, host = _composed(typed(email)).partition("@")
    return typed(_composed(f"{local.translate(_LOWER)}@{_lower(host)}"))


def _lower(host: str) -> str:
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in host)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)
