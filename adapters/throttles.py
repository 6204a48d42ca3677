"""Throttles that count in the memory of this process, which is bounded."""

import hashlib
import heapq
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

from grantledger.application.throttling import ActionLimit, GuessLimit, RegistrationLimit
from grantledger.domain.digests import length_prefixed
from grantledger.domain.rate import Rate

MOST_KEYS = 16_384
"""About 2 MiB. A key is remembered until its bucket is full again, mostly minutes."""


class Digests:
    """Keyed digests of keys, which may hold e-mail addresses. Each process makes a key of its own."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def __call__(self, *parts: str) -> bytes:
        return hashlib.blake2b(length_prefixed(*parts), key=self._key, digest_size=16).digest()


class InProcessThrottle:
    """`Throttle` for one rate.

    When there are too many keys, it forgets the keys nearest to full first. So a flood of keys that are
    used once does not make it forget an exhausted one.
    """

    def __init__(
        self, rate: Rate, *, now: Callable[[], float] = time.monotonic, most_keys: int = MOST_KEYS
    ) -> None:
        self._rate = rate
        self._now = now
        self._most_keys = most_keys
        self._digest = Digests()
        self._full_at: dict[bytes, float] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, *key: str) -> int:
        name, now = self._digest(*key), self._now()
        full_at = self._full_at.get(name, now)
        wait = self._rate.wait(full_at, now=now)
        if wait:
            return math.ceil(wait)
        self._full_at[name] = self._rate.taken(full_at, now=now)
        if len(self._full_at) > self._most_keys:
            self._make_room(now)
        return 0

    def give_back(self, *key: str) -> None:
        name = self._digest(*key)
        full_at = self._full_at.get(name)
        if full_at is None:
            return
        full_at = self._rate.given_back(full_at)
        if full_at > self._now():
            self._full_at[name] = full_at
        else:
            del self._full_at[name]

    def _make_room(self, now: float) -> None:
        """Forget full buckets, which changes nothing, then free at least an eighth, so that this is rare."""
        self._full_at = {name: full_at for name, full_at in self._full_at.items() if full_at > now}
        surplus = len(self._full_at) - self._most_keys * 7 // 8
        if surplus > 0:
            for name in heapq.nsmallest(surplus, self._full_at, key=self._full_at.__getitem__):
                del self._full_at[name]


class Unthrottled:
    """`Throttle` that is switched off."""

    def take(self, *_: str) -> int:
        return 0

    def give_back(self, *_: str) -> None:
        pass


class RecentNetworks:
    """`KnownNetworks`: the most recent ones. A forgotten network only faces all bounds again."""

    def __init__(self, *, most_keys: int = MOST_KEYS) -> None:
        self._most_keys = most_keys
        self._digest = Digests()
        self._known: OrderedDict[bytes, None] = OrderedDict()

    def add(self, subject: str, network: str) -> None:
        name = self._digest(subject, network)
        self._known[name] = None
        self._known.move_to_end(name)
        if len(self._known) > self._most_keys:
            self._known.popitem(last=False)

    def has(self, subject: str, network: str) -> bool:
        return self._digest(subject, network) in self._known


def throttle_of(
    rate: Rate | None, *, now: Callable[[], float] = time.monotonic
) -> InProcessThrottle | Unthrottled:
    """Return a new throttle for the rate. Without a rate it limits nothing."""
    return Unthrottled() if rate is None else InProcessThrottle(rate, now=now)


def tenfold(rate: Rate | None) -> Rate | None:
    return None if rate is None else Rate(rate.count * 10, rate.period)


def guess_limit(
    rate: Rate | None, *, per_network: bool = True, most_waiting: int | None = None
) -> GuessLimit:
    """Return the limit of `rate` per subject and network, and of ten times that per subject and per network.

    Without `per_network`, one network may guess at any number of subjects.
    """
    return GuessLimit(
        per_subject_and_network=throttle_of(rate),
        per_network=throttle_of(tenfold(rate) if per_network else None),
        per_subject=throttle_of(tenfold(rate)),
        known_networks=RecentNetworks(),
        most_waiting=most_waiting,
    )


def action_limit(name: str, rate: Rate | None, *, now: Callable[[], float] = time.monotonic) -> ActionLimit:
    """Return the limit: `rate` for each key, and ten times `rate` for each group of keys."""
    return ActionLimit(name, inner=throttle_of(rate, now=now), outer=throttle_of(tenfold(rate), now=now))


def registration_limit(
    *, total: Rate | None, per_network: Rate | None, now: Callable[[], float] = time.monotonic
) -> RegistrationLimit:
    """Return the limit of the two rates; a fifth of the total is the reserve."""
    general, reserve = _with_reserve(total)
    first = None if total is None else Rate(1, total.period)
    return RegistrationLimit(
        total=throttle_of(general, now=now),
        reserve=throttle_of(reserve, now=now),
        first_of_site=throttle_of(first, now=now),
        per_network=throttle_of(per_network, now=now),
    )


def _with_reserve(total: Rate | None) -> tuple[Rate | None, Rate | None]:
    if total is None:
        return None, None
    reserve = max(1, total.count // 5)
    return Rate(max(1, total.count - reserve), total.period), Rate(reserve, total.period)
