"""How often something may be done: a bucket that refills steadily, told by one number."""

from msgspec import Struct

_TINY = 1e-6  # seconds: what floating point owes


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
