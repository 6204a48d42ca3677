"""Ids that begin with their time (RFC 9562 section 5.7)."""


def uuid7(microseconds: int, random: int) -> bytes:
    """Return a UUIDv7: 48 bits of milliseconds, 12 bits of their fraction, 62 random bits."""
    milliseconds, rest = divmod(microseconds, 1000)
    fraction = rest * 4096 // 1000
    return (milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | random).to_bytes(16, "big")
