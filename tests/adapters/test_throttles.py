import asyncio
import gc
import re
from collections.abc import Sequence

import pytest

from grantledger.adapters.throttles import InProcessThrottle, RecentNetworks, ThrottleCount, Throttles
from grantledger.application.ports import Unavailable
from grantledger.domain.rate import Rate


class Time:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def time() -> Time:
    return Time()


def throttle(time: Time, count: int = 3, *, most_keys: int = 100) -> InProcessThrottle:
    return InProcessThrottle(Rate(count, 60), now=time, most_keys=most_keys)


def test_one_more_than_the_rate_is_refused_with_the_seconds_to_wait(time: Time):
    counts = throttle(time)
    assert [counts.take("ada") for _ in range(4)] == [0, 0, 0, 20]
    time.now += 0.5
    assert counts.take("ada") == 20


def test_refused_attempts_do_not_lengthen_the_wait(time: Time):
    counts = throttle(time)
    for _ in range(50):
        counts.take("ada")
    assert counts.take("ada") == 20


def test_keys_are_counted_apart(time: Time):
    counts = throttle(time)
    for _ in range(4):
        counts.take("ada")
    assert counts.take("eve") == 0
    assert [counts.take("a", "b") for _ in range(4)] == [0, 0, 0, 20]
    assert counts.take("ab") == 0


def test_what_is_given_back_leaves_nothing_behind(time: Time):
    counts = throttle(time)
    counts.take("ada")
    counts.give_back("ada")
    counts.give_back("nobody")
    assert len(counts) == 0


def test_the_memory_is_bounded(time: Time):
    counts = throttle(time, most_keys=100)
    for n in range(10_000):
        counts.take(str(n))
        assert len(counts) <= 100


def test_a_flood_of_keys_does_not_wash_away_one_that_is_used_up(time: Time):
    counts = throttle(time, most_keys=100)
    for _ in range(4):
        counts.take("ada")
    for n in range(10_000):
        counts.take(str(n))
    assert counts.take("ada") == 20


def test_keys_that_are_full_again_are_forgotten_first(time: Time):
    counts = throttle(time, most_keys=100)
    for n in range(90):
        counts.take(str(n))
    time.now += 60
    for n in range(20):
        counts.take(f"new {n}")
    assert len(counts) == 20


def test_an_address_is_nowhere_in_memory_in_clear(time: Time):
    counts, networks = throttle(time), RecentNetworks()
    counts.take("ada@example.com", "192.0.2.1")
    networks.add("ada@example.com", "192.0.2.1")
    assert not re.search(r"ada@|192\.0", repr([vars(counts), vars(networks)]))


def test_of_too_many_counts_the_emptiest_buckets_are_shared_first(time: Time):
    counts = InProcessThrottle(Rate(3, 60), now=time, shared_above=0)
    for key, count in (("ada", 1), ("eve", 3), ("bob", 2)):
        for _ in range(count):
            counts.take(key)
    assert [one.seconds for one in counts.collect(2).values()] == [60, 40]
    assert [one.seconds for one in counts.collect(2).values()] == [20]
    assert counts.collect(2) == {}


def test_a_flood_of_what_others_have_counted_is_bounded(time: Time):
    counts = InProcessThrottle(Rate(3, 60), now=time, most_keys=100, shared_above=0)
    for n in range(1_000):
        counts.learn(str(n).encode(), time.now + 20)
        assert len(counts) <= 100


class StuckCounts:
    """Counts of a database that hangs, and then fails."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.over = asyncio.Event()

    async def merge(self, _: Sequence[ThrottleCount], *, now: int) -> Sequence[ThrottleCount]:
        return await self._fails(f"merge at {now}")

    async def changed(self, since: int, *, most: int) -> Sequence[ThrottleCount]:
        return await self._fails(f"{most} changed since {since}")

    async def sweep(self, *, now: int, most: int) -> None:
        await self._fails(f"sweep {most} at {now}")

    async def _fails(self, call: str) -> Sequence[ThrottleCount]:
        self.asked.set()
        await self.over.wait()
        raise Unavailable(call)


async def test_a_merge_that_fails_after_it_was_cancelled_logs_no_error(time: Time):
    """Fails if a server that stops in an outage logs `Task exception was never retrieved`."""
    errors: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context["message"]))
    throttles, counts = Throttles(now=time), StuckCounts()
    with throttles.action_limit("refreshes", Rate(1, 60)).counted("ada"):
        pass
    merging = asyncio.create_task(throttles.merge(counts))
    await counts.asked.wait()
    merging.cancel()
    await asyncio.wait([merging])
    counts.over.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del throttles, merging
    gc.collect()
    assert errors == []


def test_off_counts_nothing():
    off = Throttles().action_limit("refreshes", None)
    for _ in range(100):
        with off.counted("ada"):
            pass


def test_a_network_is_known_once_it_was_added():
    networks = RecentNetworks()
    networks.add("ada", "home")
    assert networks.has("ada", "home")
    assert not networks.has("ada", "elsewhere")
    assert not networks.has("eve", "home")


def test_the_network_that_was_added_longest_ago_is_forgotten_first():
    networks = RecentNetworks(most_keys=2)
    for subject in ("ada", "eve", "ada", "bob"):
        networks.add(subject, "home")
    assert [networks.has(subject, "home") for subject in ("ada", "eve", "bob")] == [True, False, True]
