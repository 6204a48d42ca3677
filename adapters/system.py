"""The time and the randomness of the operating system."""

import secrets
import time


class SystemClock:
    def now(self) -> int:
        return int(time.time())


class SystemRandomness:
    def token(self, prefix: str = "", *, size: int = 32) -> str:
        return prefix + secrets.token_urlsafe(size)
