"""Limits with throttles of given rates, on a clock that a test may set."""

import time
from collections.abc import Callable

from grantledger.adapters.throttles import InProcessThrottle, RecentPlaces, Unthrottled
from grantledger.application.throttling import GuessLimit, RegistrationLimit
from grantledger.domain.rate import Rate


def guess_limit(
    here: Rate | None,
    per_place: Rate | None,
    per_subject: Rate | None,
    now: Callable[[], float] = time.monotonic,
) -> GuessLimit:
    """None: no bound."""
    return GuessLimit(
        here=throttle(here, now),
        per_place=throttle(per_place, now),
        per_subject=throttle(per_subject, now),
        proven=RecentPlaces(),
    )


def registration_limit(
    total: Rate | None, per_place: Rate | None, now: Callable[[], float] = time.monotonic
) -> RegistrationLimit:
    return RegistrationLimit(total=throttle(total, now), per_place=throttle(per_place, now))


def throttle(rate: Rate | None, now: Callable[[], float]) -> InProcessThrottle | Unthrottled:
    return Unthrottled() if rate is None else InProcessThrottle(rate, now=now)
