"""Failed sign-ins of existing accounts, counted in memory and recorded apart from the requests."""

import asyncio
from contextlib import suppress

from msgspec import Struct

from grantledger.application.ports import Clock, Ledger, Unavailable
from grantledger.application.provenance import Caller, by_system
from grantledger.application.retry import retry_on_conflict
from grantledger.domain.user_account import FAILURES_PERIOD, USER

MOST_ACCOUNTS = 10_000
"""How many accounts are counted at once. Failures of further accounts are only logged."""

PAUSE = 1.0
"""Seconds between two checks of the counts."""

_CALLER = Caller(correlation_id="failed-sign-ins")


class _Count(Struct):
    failures: int
    since: int
    due: int


class FailedSignIns:
    """Count failed sign-ins, and record at most one event per account and hour.

    A request only calls `count`, which takes the same time with and without an account. `run` records the
    events.
    """

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._counts: dict[str, _Count] = {}

    def count(self, user_id: str) -> None:
        """Count one failed sign-in of an existing account."""
        counted = self._counts.get(user_id)
        if counted is not None:
            counted.failures += 1
        elif len(self._counts) < MOST_ACCOUNTS:
            # Due at the next check, even if the clock is set back before it.
            self._counts[user_id] = _Count(failures=1, since=self._clock.now(), due=0)

    async def run(self) -> None:
        """Record what is due, again and again, until the task is cancelled. Outages only delay it."""
        while True:
            await asyncio.sleep(PAUSE)
            await self.record()

    async def record(self) -> None:
        """Record the counts that are due. In an outage they are kept for the next call."""
        now = self._clock.now()
        due = [user_id for user_id, counted in self._counts.items() if counted.due <= now]
        with suppress(Unavailable):
            for user_id in due:
                await self._record(user_id)

    async def _record(self, user_id: str) -> None:
        counted = self._counts[user_id]
        failures = counted.failures
        due = await retry_on_conflict(lambda: self._attempt(user_id, failures, counted.since))
        if due is not None:
            counted.due = due
        elif counted.failures == failures:
            del self._counts[user_id]
        else:  # more sign-ins failed while the event was recorded
            now = self._clock.now()
            self._counts[user_id] = _Count(
                failures=counted.failures - failures, since=now, due=now + FAILURES_PERIOD
            )

    async def _attempt(self, user_id: str, failures: int, since: int) -> int | None:
        """Record an event and return None, or record nothing and return when the next one is due."""
        user = await self._ledger.load(USER, user_id)
        if user.state is None:
            return None
        now = self._clock.now()
        events = user.state.count_failures(failures, since=since, now=now)
        if not events:
            return user.state.failures_due
        await self._ledger.record([user.then(events)], by_system(_CALLER))
        return None
