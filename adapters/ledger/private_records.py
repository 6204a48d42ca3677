"""Private records: sealed values next to the log. They can be erased or resealed without changing history."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from grantledger.adapters.ledger.database import Rows, Transaction
from grantledger.adapters.ledger.sql import Statement, Statements
from grantledger.application.ports import Conflict, MasterSecretMissing, PrivateRecord


class Sealer(Protocol):
    """Seals and opens the values of private records."""

    @property
    def key_ids(self) -> Sequence[str]:
        """The ids of all master secrets that this process has, newest first."""
        ...

    def seal(self, subject: str, name: str, value: str) -> tuple[str, bytes]:
        """Seal the value with the newest secret. Return the id of that secret, and the sealed value.

        It opens for the same subject and name only.
        """
        ...

    def open(self, key_id: str, subject: str, name: str, sealed: bytes) -> str:
        """Return the value."""
        ...

    def lookups(self, name: str, value: str) -> Sequence[bytes]:
        """Return the keyed digests of the value, one per master secret, newest first."""
        ...


class Fetch(Protocol):
    async def __call__(self, statement: Statement, parameters: Mapping[str, Any], /) -> Rows: ...


class PrivateRow(NamedTuple):
    """A record to write, or to erase if `sealed` is None. `lookups` are its digests, newest first."""

    subject: str
    name: str
    lookups: tuple[bytes, ...]
    key_id: str
    sealed: bytes | None


def sealed_row(record: PrivateRecord, sealer: Sealer) -> PrivateRow:
    if record.value is None:
        return PrivateRow(record.subject, record.name, (), "", None)
    # The lookup is the value itself, so that resealing can compute its digest again.
    assert record.lookup in (None, record.value)
    lookups = () if record.lookup is None else tuple(sealer.lookups(record.name, record.lookup))
    key_id, sealed = sealer.seal(record.subject, record.name, record.value)
    return PrivateRow(record.subject, record.name, lookups, key_id, sealed)


async def check_free(
    transaction: Transaction, statements: Statements, realm: str, row: PrivateRow, known: Sequence[str]
) -> None:
    """Raise `Conflict` if another subject's record of this name has the same lookup.

    The digest of that record may come from an older master secret. Raises `MasterSecretMissing` if records
    are sealed under a secret that is not `known`: the lookups of those records cannot be compared.
    """
    if not row.lookups:
        return
    await check_secrets(transaction.fetch, statements, realm, known)
    owner = await find_owner(transaction.fetch, statements, realm, row.name, row.lookups)
    if owner not in (None, row.subject):
        raise Conflict(f"another subject's {row.name} has the same lookup")


async def find_owner(
    fetch: Fetch, statements: Statements, realm: str, name: str, lookups: Sequence[bytes]
) -> str | None:
    """Return the subject whose record of this name has one of these lookup digests."""
    digests = {f"lookup_{number}": lookup for number, lookup in enumerate(lookups)}
    found = await fetch(statements.owner(len(lookups)), {"realm": realm, "name": name, **digests})
    return str(found[0][0]) if found else None


async def check_secrets(fetch: Fetch, statements: Statements, realm: str, known: Sequence[str]) -> None:
    """Raise `MasterSecretMissing` if a record is sealed under a secret that is not `known`.

    This process cannot compute the lookup digest of such a record, so it cannot say that a record is missing.
    """
    key_id: str | None = ""
    while key_id is not None:
        ((key_id,),) = await fetch(statements.next_key_id, {"realm": realm, "key_id": key_id})
        if key_id is not None and key_id not in known:
            raise MasterSecretMissing(key_id)


async def write(
    transaction: Transaction, statements: Statements, realm: str, rows: Sequence[PrivateRow]
) -> None:
    """Write each row, and replace the earlier one of its subject and name."""
    kept = []
    for row in rows:
        if row.sealed is None:
            where = {"realm": realm, "subject": row.subject, "name": row.name}
            await transaction.fetch(statements.erase_private, where)
        else:
            newest = row.lookups[0] if row.lookups else None
            kept.append((realm, row.subject, row.name, newest, row.key_id, row.sealed))
    await transaction.fetch_by_rows(statements.put_private, kept)
