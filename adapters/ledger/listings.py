"""Lists of rows, newest first, a page at a time."""

import sqlite3
from collections.abc import Mapping
from functools import cache
from typing import TypeVar

from sqlalchemy import bindparam, select, tuple_

from grantledger.adapters.ledger import read_model
from grantledger.adapters.ledger.mapper import TagMapper
from grantledger.adapters.ledger.schema import ROWS
from grantledger.adapters.ledger.statements import compiled
from grantledger.application.ports import Page
from grantledger.domain.aggregate import Kind

S = TypeVar("S")

_TIME = {"client": "registered_at", "grant": "opened_at", "user": "opened_at", "consent": "key"}
"""By category, the column that says when its row began; a consent has no beginning, only an order."""


def page(
    cursor: sqlite3.Cursor,
    realm: str,
    kind: Kind[S],
    mapper: TagMapper,
    *,
    where: Mapping[str, str],
    after: str | None,
    limit: int,
) -> Page[S]:
    """Return the rows that begin behind the one with the key `after`, nothing where that is unknown."""
    place: list[tuple[int, str]] = []
    if after is not None:
        place = cursor.execute(_place(kind.category), (realm, after)).fetchall()
        if not place:
            return Page(items=(), after=None)
    statement = page_statement(kind.category, tuple(where), from_place=bool(place))
    parameters = (realm, *where.values(), *(value for found in place for value in found), limit + 1)
    keys = [key for (key,) in cursor.execute(statement, parameters).fetchall()]
    items = tuple(read_model.load(cursor, realm, kind, key, mapper) for key in keys[:limit])
    return Page(items=items, after=keys[limit - 1] if len(keys) > limit else None)


@cache
def _place(category: str) -> str:
    c = ROWS[category].c
    statement = select(c[_TIME[category]], c.key)
    statement = statement.where(c.realm == bindparam("realm"), c.key == bindparam("key"))
    return compiled(statement, "realm", "key")


@cache
def page_statement(category: str, where: tuple[str, ...], *, from_place: bool) -> str:
    """Return the SQL of a page, whose parameters are realm, filters, place and limit."""
    c = ROWS[category].c
    time = c[_TIME[category]]
    wanted = [c[name] == bindparam(name) for name in ("realm", *where)]
    if from_place:
        wanted.append(tuple_(time, c.key) < tuple_(bindparam("time"), bindparam("key")))
    statement = select(c.key).where(*wanted).order_by(time.desc(), c.key.desc())
    named = ("realm", *where, *(("time", "key") if from_place else ()))
    return f"{compiled(statement, *named)} LIMIT ?"
