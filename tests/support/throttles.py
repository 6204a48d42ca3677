"""Limits with throttles of given rates, on a clock that a test may set."""

import time
from collections.abc import Callable

from grantledger.adapters.throttles import InProcessThrottle, RecentNetworks, Unthrottled
from grantledger.application.throttling import GuessLimit, RegistrationLimit
from grantledger.domain.rate import Rate


def guess_limit(
    per_subject_and_network: Rate | None,
    per_network: Rate | None,
    per_subject: Rate | None,
    now: Callable[[], float] = time.monotonic,
    *,
    most_waiting: int | None = None,
) -> GuessLimit:
    """None: no bound."""
    return GuessLimit(
        per_subject_and_network=throttle(per_subject_and_network, now),
        per_network=throttle(per_network, now),
        per_subject=throttle(per_subject, now),
        known_networks=RecentNetworks(),
        most_waiting=most_waiting,
    )


def registration_limit(
    total: Rate | None, per_network: Rate | None, now: Callable[[], float] = time.monotonic
) -> RegistrationLimit:
    """Return the limit without a reserve; `adapters.throttles.registration_limit` has one."""
    return RegistrationLimit(
        total=throttle(total, now),
        reserve=throttle(Rate(1, 10**9), now),
        first_of_site=_Never(),
        per_network=throttle(per_network, now),
    )


class _Never:
    def take(self, *_: str) -> int:
        return 1

    def give_back(self, *_: str) -> None:
        raise AssertionError("nothing was taken")


def throttle(rate: Rate | None, now: Callable[[], float]) -> InProcessThrottle | Unthrottled:
    return Unthrottled() if rate is None else InProcessThrottle(rate, now=now)
