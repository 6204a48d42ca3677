"""Throttles that count in memory, and the exchange of these counts between the processes of a server.

A request only reads and writes the memory, which is bounded. A task merges the counts with those of the other
processes in the database, about once a second (ADR 0082).
"""

import asyncio
import hashlib
import heapq
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

from grantledger.application.ports import Unavailable
from grantledger.application.throttling import ActionLimit, GuessLimit, RegistrationLimit
from grantledger.domain.digests import length_prefixed
from grantledger.domain.rate import Rate

MOST_KEYS = 16_384
"""About 2 MiB of keys. A key is kept until its bucket is full again, mostly for some minutes."""

PAUSE = 1.0
"""Seconds between two merges with the counts of the other processes."""

MERGE_TIMEOUT = 12.0
"""Seconds for which one merge waits for the database, also while a server stops.

Longer than the ledger keeps a write that it has not begun.
"""

_OVERLAP = 5
"""Each read of the other processes' counts overlaps the last by so many seconds: clocks may be behind."""

_MOST_MERGED = 1_000
"""Maximum number of keys of one throttle in one merge, emptiest buckets first. The rest is merged later."""

_MOST_READ = 2_000
"""Maximum number of counts that are read at once from the other processes, the newest first."""

_MOST_ROWS = 65_536
"""Maximum number of rows of a realm in the database. If there are more, the fullest buckets are deleted."""

_SWEEP_EVERY = 60
"""Seconds between two sweeps of the rows."""


class Digests:
    """Keyed digests of what is counted, which may contain e-mail addresses. The default key is random."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or secrets.token_bytes(32)

    def __call__(self, *parts: str) -> bytes:
        return hashlib.blake2b(length_prefixed(*parts), key=self._key, digest_size=16).digest()


class Counted(NamedTuple):
    """What this process has counted for a key but not shared yet, and when its bucket is full again."""

    seconds: float
    full_at: float


class InProcessThrottle:
    """`Throttle` for one rate.

    When there are too many keys, it forgets the keys nearest to full first. So a flood of keys that are
    used once does not make it forget an exhausted one.

    A key is shared with other processes once more than the fraction `shared_above` of its bucket is used:
    0 shares every key, None shares none.
    """

    def __init__(
        self,
        rate: Rate,
        *,
        now: Callable[[], float] = time.time,
        most_keys: int = MOST_KEYS,
        digest: Digests | None = None,
        shared_above: float | None = None,
    ) -> None:
        self._rate = rate
        self._now = now
        self._most_keys = most_keys
        self._digest = digest or Digests()
        self._shared_above = math.inf if shared_above is None else shared_above * rate.period
        self._full_at: dict[bytes, float] = {}
        self._merged: dict[bytes, float] = {}  # when buckets are full again, as the database says
        self._changed: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, *key: str) -> int:
        name, now = self._digest(*key), self._now()
        full_at = self._full_at.get(name, now)
        wait = self._rate.wait(full_at, now=now)
        if wait:
            return math.ceil(wait)
        self._full_at[name] = full_at = self._rate.taken(full_at, now=now)
        if full_at - now > self._shared_above:
            self._changed.add(name)
        if len(self._full_at) > self._most_keys:
            self._make_room(now)
        return 0

    def give_back(self, *key: str) -> None:
        name = self._digest(*key)
        full_at = self._full_at.get(name)
        if full_at is None:
            return
        if name in self._merged:
            self._changed.add(name)
        full_at = self._rate.given_back(full_at)
        if full_at > self._now():
            self._full_at[name] = full_at
        else:
            del self._full_at[name]

    def collect(self, most: int) -> dict[bytes, Counted]:
        """Return what was counted since the last call, for at most `most` keys, emptiest buckets first."""
        now = self._now()
        found = {
            name: Counted(self._unshared(name, now), self._full_at.get(name, now)) for name in self._changed
        }
        found = {name: counted for name, counted in found.items() if counted.seconds}
        chosen = heapq.nlargest(most, found, key=lambda name: found[name].full_at)
        self._changed = set(found).difference(chosen)
        return {name: found[name] for name in chosen}

    def collect_again(self, names: Iterable[bytes]) -> None:
        """Let the next `collect` return these keys too, because they could not be shared."""
        self._changed.update(names)

    def learn(self, name: bytes, full_at: float, *, shared: Counted | None = None) -> None:
        """Take over the time at which a bucket is full again by the counts of all processes.

        `shared` is what `collect` returned, if those counts include it already.
        """
        now = self._now()
        if shared is None:
            unshared = self._unshared(name, now)
        else:
            unshared = self._full_at.get(name, min(now, shared.full_at)) - shared.full_at
        self._merged[name] = full_at
        full_at = max(full_at, now) + unshared
        if full_at > now:
            self._full_at[name] = full_at
        else:
            self._full_at.pop(name, None)
        if len(self._merged) > self._most_keys or len(self._full_at) > self._most_keys:
            self._make_room(now)

    def _unshared(self, name: bytes, now: float) -> float:
        return max(self._full_at.get(name, now), now) - max(self._merged.get(name, now), now)

    def _make_room(self, now: float) -> None:
        """Forget full buckets, which changes no decision, and others until an eighth is free."""
        self._full_at = {name: full_at for name, full_at in self._full_at.items() if full_at > now}
        surplus = len(self._full_at) - self._most_keys * 7 // 8
        if surplus > 0:
            for name in heapq.nsmallest(surplus, self._full_at, key=self._full_at.__getitem__):
                del self._full_at[name]
        self._merged = {name: at for name, at in self._merged.items() if name in self._full_at}
        self._changed &= self._full_at.keys()


class Unthrottled:
    """`Throttle` that is switched off."""

    def take(self, *_: str) -> int:
        return 0

    def give_back(self, *_: str) -> None:
        pass


class RecentNetworks:
    """`KnownNetworks`: keeps the most recent ones. A forgotten one is limited like an unknown network."""

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


class ThrottleCount(NamedTuple):
    """A bucket of all processes: the kind of its throttle, the digest of its key, and when it is full again.

    Times are microseconds since 1970.
    """

    kind: str
    key: bytes
    full_at: int


class ThrottleCounts(Protocol):
    """What the processes of a realm have counted together. Every method raises `Unavailable`."""

    async def merge(self, counted: Sequence[ThrottleCount], *, now: int) -> Sequence[ThrottleCount]:
        """Add counts and return the sums. `full_at` of a count is as if nothing else had been counted.

        A count whose sum is not returned was not added. If this raises `Unavailable`, none was added.
        """
        ...

    async def changed(self, since: int, *, most: int) -> Sequence[ThrottleCount]:
        """Return the buckets that were merged since that time, the newest first."""
        ...

    async def sweep(self, *, now: int, most: int) -> None:
        """Delete full buckets. If more than `most` remain, delete the fullest of them too."""
        ...


class Throttles:
    """Makes the throttles of a server, and merges their counts with those of the other processes.

    `key` is the same for all processes of a realm, so that they make the same digests.
    """

    def __init__(self, key: bytes | None = None, *, now: Callable[[], float] = time.time) -> None:
        self._digests = Digests(key)
        self._now = now
        self._shared: dict[str, InProcessThrottle] = {}
        self._sharing: asyncio.Task[None] | None = None
        self._looked_at = 0.0
        self._swept_at = now()

    def guess_limit(
        self, kind: str, rate: Rate | None, *, per_network: bool = True, most_waiting: int | None = None
    ) -> GuessLimit:
        """Return a limit with `rate` for each pair of subject and network.

        For each subject, and for each network, it is ten times `rate`. Without `per_network`, one network may
        guess at any number of subjects.
        """
        return GuessLimit(
            per_subject_and_network=self._of(f"{kind}, subject and network", rate),
            per_network=self._of(f"{kind}, network", tenfold(rate) if per_network else None),
            per_subject=self._of(f"{kind}, subject", tenfold(rate)),
            known_networks=RecentNetworks(),
            most_waiting=most_waiting,
        )

    def action_limit(self, name: str, rate: Rate | None) -> ActionLimit:
        """Return a limit with `rate` for each key, and ten times `rate` for each group of keys.

        Its callers are authenticated, and most stay far below the limit. So a bucket is shared only if more
        than a quarter of it is used.
        """
        return ActionLimit(
            name,
            inner=self._of(f"{name}, each", rate, shared_above=0.25),
            outer=self._of(f"{name}, group", tenfold(rate), shared_above=0.25),
        )

    def registration_limit(
        self, kind: str, *, total: Rate | None, per_network: Rate | None
    ) -> RegistrationLimit:
        """Return a limit with these two rates. A fifth of the total is the reserve."""
        general, reserve = _with_reserve(total)
        first = None if total is None else Rate(1, total.period)
        return RegistrationLimit(
            total=self._of(f"{kind}, total", general),
            reserve=self._of(f"{kind}, reserve", reserve),
            first_of_site=self._of(f"{kind}, first of site", first),
            per_network=self._of(f"{kind}, network", per_network),
        )

    async def run(self, counts: ThrottleCounts) -> None:
        """Merge repeatedly until the task is cancelled. In an outage each process counts for itself."""
        while True:
            await asyncio.sleep(PAUSE)
            with suppress(Unavailable):
                await self.merge(counts)

    async def merge(self, counts: ThrottleCounts) -> None:
        """Share what was counted here, and learn what others have counted. Raises `Unavailable`."""
        if not self._shared:
            return
        await self._share(counts)
        now = self._now()
        since = max(0.0, self._looked_at - _OVERLAP)
        for count in reversed(await counts.changed(_microseconds(since), most=_MOST_READ)):
            if count.kind in self._shared:  # another release may have other throttles
                self._shared[count.kind].learn(count.key, count.full_at / 1e6)
        self._looked_at = now
        if now - self._swept_at >= _SWEEP_EVERY:
            self._swept_at = now
            await counts.sweep(now=_microseconds(now), most=_MOST_ROWS)

    async def _share(self, counts: ThrottleCounts) -> None:
        """Share what was counted here, after an earlier sharing has ended.

        A sharing goes on when its caller is cancelled or times out. So no count is added a second time while
        it is unknown whether the first time succeeded.
        """
        try:
            async with asyncio.timeout(MERGE_TIMEOUT):
                if self._sharing is not None:
                    await asyncio.wait([self._sharing])
                self._sharing = asyncio.create_task(self._share_counted(counts))
                self._sharing.add_done_callback(_ignore_failure)
                await asyncio.shield(self._sharing)
                self._sharing = None
        except TimeoutError:
            raise Unavailable("the counts of throttles cannot be shared") from None

    async def _share_counted(self, counts: ThrottleCounts) -> None:
        collected = {kind: throttle.collect(_MOST_MERGED) for kind, throttle in self._shared.items()}
        now = self._now()
        counted = [
            ThrottleCount(kind, name, _microseconds(now + each.seconds))
            for kind, found in collected.items()
            for name, each in found.items()
        ]
        if not counted:
            return
        try:
            for kind, name, full_at in await counts.merge(counted, now=_microseconds(now)):
                self._shared[kind].learn(name, full_at / 1e6, shared=collected[kind].pop(name))
        finally:
            for kind, found in collected.items():
                self._shared[kind].collect_again(found)

    def _of(
        self, kind: str, rate: Rate | None, *, shared_above: float = 0.0
    ) -> InProcessThrottle | Unthrottled:
        """Return a new throttle for the rate. Without a rate it limits nothing."""
        if rate is None:
            return Unthrottled()
        digest = Digests(self._digests(kind))
        made = InProcessThrottle(rate, now=self._now, digest=digest, shared_above=shared_above)
        self._shared[kind] = made
        return made


def _ignore_failure(sharing: asyncio.Task[None]) -> None:
    """Let asyncio log no error if a sharing fails after its caller was cancelled or timed out."""
    if not sharing.cancelled():
        sharing.exception()


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)


def tenfold(rate: Rate | None) -> Rate | None:
    return None if rate is None else Rate(rate.count * 10, rate.period)


def _with_reserve(total: Rate | None) -> tuple[Rate | None, Rate | None]:
    if total is None:
        return None, None
    reserve = max(1, total.count // 5)
    return Rate(max(1, total.count - reserve), total.period), Rate(reserve, total.period)
