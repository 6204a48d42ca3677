"""Reads for decisions: one keyed statement on the event loop's own thread, no hop."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import msgspec
from eventsourcing.persistence import MapperDeserialisationError
from sqlalchemy import bindparam, select

from grantledger.adapters.ledger import listings, outcome, private_rows, read_model
from grantledger.adapters.ledger.append import Append
from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.mapper import TagMapper
from grantledger.adapters.ledger.projection import FOLDS, state_of
from grantledger.adapters.ledger.schema import ROWS
from grantledger.adapters.ledger.statements import compiled
from grantledger.application.ports import Page, Standing, Unavailable
from grantledger.domain.aggregate import Kind, Versioned
from grantledger.domain.client_registration import CLIENT
from grantledger.domain.token_grant import GRANT
from grantledger.domain.user_account import USER

S = TypeVar("S")

_BUSY_TIMEOUT = 100
"""Milliseconds; the event loop stands still for so long. Writers never keep a reader waiting in WAL."""

_grant, _client, _user = ROWS["grant"].c, ROWS["client"].c, ROWS["user"].c
_STANDING = compiled(
    select(
        _grant.version,
        _grant.fold,
        _grant.state,
        _client.fold,
        _client.state,
        _user.fold,
        _user.state,
    )
    .outerjoin_from(
        ROWS["grant"],
        ROWS["client"],
        (_client.realm == _grant.realm) & (_client.key == _grant.client_id),
    )
    .outerjoin(ROWS["user"], (_user.realm == _grant.realm) & (_user.key == _grant.user_id))
    .where(_grant.realm == bindparam("realm"), _grant.key == bindparam("key")),
    "realm",
    "key",
)
_CLIENT_FOLD, _USER_FOLD = FOLDS["client"], FOLDS["user"]
_STANDING_FOLDS = (FOLDS["grant"], _CLIENT_FOLD, _USER_FOLD)
_code = ROWS["code"].c
_SPENT = compiled(
    select(_code.version).where(
        _code.realm == bindparam("realm"), _code.transaction_id == bindparam("transaction_id")
    ),
    "realm",
    "transaction_id",
)


class Reader:
    """Sees all that was acknowledged before it was asked. Raises `Unavailable` in an outage."""

    def __init__(self, database: Database, mapper: TagMapper, realm: str) -> None:
        self._database = database
        self._mapper = mapper
        self._realm = realm
        self._connection: sqlite3.Connection | None = None
        self._place: tuple[int, int] | None = None
        self._closed = False

    def load(self, kind: Kind[S], key: str) -> Versioned[S]:
        with self._reading() as cursor:
            return read_model.load(cursor, self._realm, kind, key, self._mapper)

    def standing(self, grant_id: str) -> Standing | None:
        with self._reading() as cursor:
            found = cursor.execute(_STANDING, (self._realm, grant_id)).fetchall()
            if not found:
                return None
            version, fold, grant, client_fold, client, user_fold, user = found[0]
            if (fold, client_fold or _CLIENT_FOLD, user_fold or _USER_FOLD) != _STANDING_FOLDS:
                return self._refolded_standing(cursor, grant_id)
            return Standing(
                grant=Versioned(kind=GRANT, key=grant_id, version=version, state=state_of("grant", grant)),
                client=None if client is None else state_of("client", client),
                user=None if user is None else state_of("user", user),
            )

    def _refolded_standing(self, cursor: sqlite3.Cursor, grant_id: str) -> Standing:
        cursor.execute("BEGIN")  # one view of all three streams
        try:
            grant = read_model.load(cursor, self._realm, GRANT, grant_id, self._mapper)
            assert grant.state is not None
            client = read_model.load(cursor, self._realm, CLIENT, grant.state.client_id, self._mapper)
            user = read_model.load(cursor, self._realm, USER, grant.state.user_id, self._mapper)
        finally:
            cursor.execute("ROLLBACK")
        return Standing(grant=grant, client=client.state, user=user.state)

    def is_spent(self, transaction_id: str) -> bool:
        with self._reading() as cursor:
            return bool(cursor.execute(_SPENT, (self._realm, transaction_id)).fetchall())

    def page(self, kind: Kind[S], where: Mapping[str, str], *, after: str | None, limit: int) -> Page[S]:
        with self._reading() as cursor:
            return listings.page(
                cursor, self._realm, kind, self._mapper, where=where, after=after, limit=limit
            )

    def owner(self, name: str, lookups: Sequence[bytes], known: Sequence[str]) -> str | None:
        """Return the subject whose private record one of the digests finds.

        Raises `Unavailable` where there is none, but one may be kept under a secret that is not `known`.
        """
        with self._reading() as cursor:
            found = (private_rows.owner(cursor, self._realm, name, lookup) for lookup in lookups)
            subject = next((subject for subject in found if subject is not None), None)
            if subject is None:
                private_rows.check_secrets(cursor, self._realm, known)
            return subject

    def sealed(self, subject: str, name: str) -> tuple[str, bytes] | None:
        """Return the key id and the sealed bytes of a private record."""
        with self._reading() as cursor:
            return private_rows.sealed(cursor, self._realm, subject, name)

    def stands(self, append: Append) -> bool:
        """Whether the append was committed."""
        with self._reading() as cursor:
            return outcome.stands(cursor, self._realm, append)

    def open(self) -> None:
        """Read again after `close`; before it a reader is open from the start."""
        self._closed = False

    def close(self) -> None:
        self._closed = True
        self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Cursor]:
        try:
            place = self._database.place()
            if self._place != place:
                self._disconnect()
            if self._connection is None:
                if self._closed:
                    raise Unavailable("the ledger is closed")
                self._connection = self._database.connect(busy_timeout=_BUSY_TIMEOUT)
                self._place = place
            yield self._connection.cursor()
        except (sqlite3.Error, OSError) as error:
            self._disconnect()  # the next read opens a new one, and works when the cause is gone
            raise Unavailable(str(error)) from error
        except (MapperDeserialisationError, msgspec.MsgspecError) as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from error
