"""The name that a user gives, which apps get with the scope `profile`."""

import unicodedata

from grantledger.domain.refusal import Refusal

MAX_NAME = 200
"""Maximum length of a name, in characters."""


_MOST_TYPED = 4 * MAX_NAME
"""A composed letter has at most four parts."""


class NameInvalid(Refusal):
    """The name is longer than 200 characters, or has control characters."""


def checked_name(name: str) -> str | None:
    """Return the name composed (NFC) and without surrounding space, or None if nothing is left.

    Raises `NameInvalid`.
    """
    typed = name.strip()
    # Before it is composed: to compose thousands of accents takes 0.1 s, in which the server answers nobody.
    if len(typed) > _MOST_TYPED:
        raise NameInvalid
    text = unicodedata.normalize("NFC", typed)
    if len(text) > MAX_NAME or any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in text):
        raise NameInvalid
    return text or None
