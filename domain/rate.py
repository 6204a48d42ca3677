"""How often something may be done: a token bucket whose whole state is one number."""

import re

from msgspec import Struct

_PERIODS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
_RATE = re.compile(rf"([1-9][0-9]{{0,8}})/({'|'.join(_PERIODS)})")
_TINY = 1e-6  # seconds: more than any rounding error of floating point


class Rate(Struct, frozen=True):
    """At most `count` at once, and on average `count` per `period` seconds.

    A bucket is stored as the time at which it is full again (the generic cell rate algorithm). A full bucket
    equals one that was never used, so it need not be stored.
    """

    count: int
    period: int

    @property
    def interval(self) -> float:
        """Seconds until one token is refilled."""
        return self.period / self.count

    def wait(self, full_at: float, *, now: float) -> float:
        """Return the seconds until a token can be taken, 0 if one can be taken now."""
        wait = self.taken(full_at, now=now) - now - self.period
        return wait if wait > _TINY else 0

    def taken(self, full_at: float, *, now: float) -> float:
        """Return when the bucket is full again, after one token is taken."""
        return max(full_at, now) + self.interval

    def given_back(self, full_at: float) -> float:
        """Return when the bucket is full again, after one token is returned."""
        return full_at - self.interval


def parsed_rate(text: str) -> Rate | None:
    """Return the rate of a text such as "10/hour", or None for "off". Raises `ValueError`."""
    if text == "off":
        return None
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError(
            f'must be a rate such as "10/hour", per second, minute, hour or day, or "off", not {text!r}'
        )
    return Rate(count=int(found[1]), period=_PERIODS[found[2]])
