"""How often something may be done: a token bucket whose whole state is one number."""

import re

from msgspec import Struct

_PERIODS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
_RATE = re.compile(rf"([1-9][0-9]{{0,8}})/({'|'.join(_PERIODS)})")
_TINY = 1e-6  # seconds: rounding errors of floating point


class Rate(Struct, frozen=True):
    """`count` at once, and as many in each `period` of seconds on average.

    All that has to be remembered of a bucket is when it will be full again (the generic cell rate algorithm).
    One that is full and one that was never used are the same, so the memory of it may be dropped then.
    """

    count: int
    period: int

    @property
    def interval(self) -> float:
        """Seconds in which one is refilled."""
        return self.period / self.count

    def wait(self, full_at: float, *, now: float) -> float:
        """Return the seconds until one may be taken, 0 when it may be now."""
        wait = self.taken(full_at, now=now) - now - self.period
        return wait if wait > _TINY else 0

    def taken(self, full_at: float, *, now: float) -> float:
        """Return when the bucket is full again, after one is taken."""
        return max(full_at, now) + self.interval

    def given_back(self, full_at: float) -> float:
        """Return when the bucket is full again, after one is given back."""
        return full_at - self.interval


def parsed_rate(text: str) -> Rate | None:
    """Return the rate that is written as "10/hour", None for "off". Raises a ValueError, "must be ..."."""
    if text == "off":
        return None
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError(
            f'must be a rate as "10/hour", per second, minute, hour or day, or "off", not {text!r}'
        )
    return Rate(count=int(found[1]), period=_PERIODS[found[2]])
