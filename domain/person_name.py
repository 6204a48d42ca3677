"""The name that a user gives, which apps get with the scope `profile`."""

import unicodedata

from grantledger.domain.refusal import Refusal

MAX_NAME = 200
"""Maximum length of a name, in characters."""


class NameInvalid(Refusal):
    """The name is longer than 200 characters, or has control characters."""


def checked_name(name: str) -> str | None:
    """Return the name composed (NFC) and without surrounding space, or None if nothing is left.

    Raises `NameInvalid`.
    """
    text = unicodedata.normalize("NFC", name).strip()
    if len(text) > MAX_NAME or any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in text):
        raise NameInvalid
    return text or None
