"""Several texts as one byte string, such that no two lists of texts make the same."""


def length_prefixed(*parts: str) -> bytes:
    """Return the UTF-8 of the parts, each after its length in 4 bytes."""
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
