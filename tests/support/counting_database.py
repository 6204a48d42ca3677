"""A database that notes what it is asked to do, in order."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from grantledger.adapters.ledger.database import Rows, Transaction
from grantledger.adapters.ledger.sql import ByRows, Statement
from grantledger.adapters.ledger.sqlite import SqliteDatabase


class CountingDatabase(SqliteDatabase):
    """`done` is `read` for each read outside a transaction, `write` for each statement inside, `commit`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.done: list[str] = []

    async def fetch(self, statement: Statement, parameters: Mapping[str, Any]) -> Rows:
        self.done.append("read")
        return await super().fetch(statement, parameters)

    @asynccontextmanager
    async def transaction(self, realm: str) -> AsyncIterator[Any]:
        async with super().transaction(realm) as transaction:
            yield _CountedTransaction(transaction, self.done)


class _CountedTransaction:
    def __init__(self, transaction: Transaction, done: list[str]) -> None:
        self._transaction = transaction
        self._done = done

    async def fetch(self, statement: Statement, parameters: Mapping[str, Any]) -> Rows:
        self._done.append("write")
        return await self._transaction.fetch(statement, parameters)

    async def fetch_by_rows(self, statement: ByRows, rows: Rows) -> Rows:
        self._done.append("write")
        return await self._transaction.fetch_by_rows(statement, rows)

    async def commit(self) -> None:
        await self._transaction.commit()
        self._done.append("commit")
