"""The time and the randomness of the operating system."""

import secrets
import time


class SystemClock:
    def now(self) -> int:
        return int(time.time())


_ORDERED = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
"""The characters of base64url in the order of their bytes, which is the order of the ledger's keys."""

_LETTER_FIRST = 1 << 47
"""Ids begin with a letter: a command would take a leading `-` for an option."""


class SystemRandomness:
    def token(self, prefix: str = "", *, size: int = 32) -> str:
        return prefix + secrets.token_urlsafe(size)

    def new_id(self) -> str:
        at = time.time_ns() // 1_000_000 | _LETTER_FIRST
        ordered = [_ORDERED[at >> shift & 63] for shift in (42, 36, 30, 24, 18, 12, 6, 0)]
        return "".join(ordered) + secrets.token_urlsafe(10)
