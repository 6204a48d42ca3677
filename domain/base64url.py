"""base64url without padding, with exactly one text per byte string: RFC 4648 sections 5 and 3.5."""

import binascii

_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_FROM_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def encode(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).translate(_TO_URL_SAFE, b"=").decode()


def decode(text: str) -> bytes | None:
    """Return the bytes, or None for a text that `encode` never returns.

    Lenient decoders ignore stray characters, padding and unused bits, so several texts would mean one value.
    """
    try:
        raw = binascii.a2b_base64(text.encode("ascii").translate(_FROM_URL_SAFE) + b"==")
    except ValueError:
        return None
    return raw if encode(raw) == text else None
