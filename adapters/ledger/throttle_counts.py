"""What the processes of a realm have counted together, in a table of the ledger's database."""

from collections.abc import Sequence

from grantledger.adapters.ledger.database import Database, Transaction
from grantledger.adapters.ledger.ledger import EventLedger
from grantledger.adapters.throttles import ThrottleCount


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
            found.extend(ThrottleCount(kind, bytes(key), full_at) for kind, key, full_at in merged)

        await self._ledger.perform(write)
        return found

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

        await self._ledger.perform(delete)
