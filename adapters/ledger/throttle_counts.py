"""The throttle counts that the processes of a realm share, in a table of the ledger's database."""

from collections.abc import Sequence
from contextlib import suppress

from grantledger.adapters.ledger.database import CommitOutcomeUnknown, Database, Transaction
from grantledger.adapters.ledger.ledger import EventLedger
from grantledger.adapters.throttles import ThrottleCount

_MOST_OF_OTHERS = 2_000
"""A look-up reads this many counts more than it looks for, as other processes may have merged newer ones."""


class LedgerThrottleCounts:
    """`ThrottleCounts`. Its writes take turns with the appends of the ledger's writer."""

    def __init__(self, ledger: EventLedger, database: Database, realm: str) -> None:
        self._ledger = ledger
        self._database = database
        self._statements = database.statements
        self._realm = realm

    async def merge(self, counted: Sequence[ThrottleCount], *, now: int) -> list[ThrottleCount]:
        rows = [(self._realm, *count, now) for count in counted]
        found: list[ThrottleCount] = []

        async def write(transaction: Transaction) -> None:
            merged = await transaction.fetch_by_rows(self._statements.merge_throttles, rows)
            found[:] = [ThrottleCount(kind, bytes(key), full_at) for kind, key, full_at in merged]

        try:
            await self._ledger.perform(write)
        except CommitOutcomeUnknown:
            return await self._looked_up(counted, now)
        return found

    async def _looked_up(self, counted: Sequence[ThrottleCount], now: int) -> list[ThrottleCount]:
        """Return those of the counts that are in the table, so that the caller does not add them again.

        A key that another process has merged since `now` passes for ours, so our count of it may be lost.
        """
        where = {"realm": self._realm, "since": now, "most": len(counted) + _MOST_OF_OTHERS}
        found = await self._database.fetch_after_commits(
            self._realm, self._statements.merged_throttles, where
        )
        ours = {(count.kind, count.key) for count in counted}
        merged = [ThrottleCount(kind, bytes(key), full_at) for kind, key, full_at in found]
        return [count for count in merged if (count.kind, count.key) in ours]

    async def changed(self, since: int, *, most: int) -> list[ThrottleCount]:
        where = {"realm": self._realm, "since": since, "most": most}
        found = await self._database.fetch(self._statements.merged_throttles, where)
        return [ThrottleCount(kind, bytes(key), full_at) for kind, key, full_at in found]

    async def sweep(self, *, now: int, most: int) -> None:
        realm = {"realm": self._realm}
        surplus = await self._database.fetch(self._statements.throttle_surplus, {**realm, "most": most})
        horizon = max(now, surplus[0][0] if surplus else 0)

        async def delete(transaction: Transaction) -> None:
            await transaction.fetch(self._statements.sweep_throttles, {**realm, "horizon": horizon})

        with suppress(CommitOutcomeUnknown):  # the next sweep deletes them
            await self._ledger.perform(delete)
