"""Which master secrets live tokens were sealed under: told by the log, which has every issue."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct
from sqlalchemy import bindparam, func, select

from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.mapper import TagMapper
from grantledger.adapters.ledger.schema import events
from grantledger.adapters.ledger.statements import compiled
from grantledger.application.keys.master_secrets import LiveTokens
from grantledger.domain.kinds import tag_of
from grantledger.domain.token_grant import MAX_REUSE_WINDOW, GrantOpened, GrantRefreshed, GrantRevoked

_PAGE = 1_000
_ISSUES = compiled(
    select(events.c.position, events.c.stream_id, events.c.tag, events.c.data)
    .where(events.c.realm == bindparam("realm"), events.c.position > bindparam("position"))
    .where(events.c.tag.in_([bindparam("opened"), bindparam("refreshed"), bindparam("revoked")]))
    .order_by(events.c.position),
    "realm",
    "position",
    "opened",
    "refreshed",
    "revoked",
)
_TAGS = tuple(tag_of(event) for event in (GrantOpened, GrantRefreshed, GrantRevoked))
_END = compiled(select(func.max(events.c.position)))


class _Issued(NamedTuple):
    """Of one grant: its newest secret, the end of its access tokens, and that of all tokens by secret."""

    newest: str
    access_until: int
    until: dict[str, int]


class SecretUse:
    """`IssuedTokens`: older access tokens live to their own end, superseded refresh tokens as retries do."""

    def __init__(self, database: Database, mapper: TagMapper, realm: str) -> None:
        self._database = database
        self._mapper = mapper
        self._realm = realm

    async def live(self, *, now: int, progress: Callable[[int, int], None]) -> Mapping[str, LiveTokens]:
        found: dict[str, LiveTokens] = {}
        for issued in (await asyncio.to_thread(self._grants, now, progress)).values():
            for key_id, until in issued.until.items():
                if until > now:
                    before = found.get(key_id, LiveTokens(0, 0))
                    found[key_id] = LiveTokens(before.grants + 1, max(before.until, until))
        return found

    def _grants(self, now: int, progress: Callable[[int, int], None]) -> dict[str, _Issued]:
        grants: dict[str, _Issued] = {}
        last, end = 0, self._end()
        while page := self._page(last):
            for _, stream_id, tag, data in page:
                issued = _after(grants.pop(stream_id, None), self._mapper.event(tag, data))
                if issued is not None and max(issued.until.values()) > now:
                    grants[stream_id] = issued
            last = page[-1][0]
            progress(last, max(last, end))
        return grants

    def _end(self) -> int:
        with self._database.engine.connect() as connection:
            return connection.exec_driver_sql(_END).scalar_one() or 0

    def _page(self, last: int) -> Sequence[Any]:
        with self._database.engine.connect() as connection:
            parameters = (self._realm, last, *_TAGS, _PAGE)
            return connection.exec_driver_sql(f"{_ISSUES} LIMIT ?", parameters).fetchall()


def _after(before: _Issued | None, event: Struct) -> _Issued | None:
    if not isinstance(event, GrantOpened | GrantRefreshed):
        return None
    until = dict(before.until) if before else {}
    if before and isinstance(event, GrantRefreshed):
        # Its refresh token is superseded now: of the older secret only access tokens and retries are left.
        until[before.newest] = max(before.access_until, event.refreshed_at + MAX_REUSE_WINDOW)
    access_until = max(event.access_expires_at, before.access_until if before else 0)
    until[event.key_id] = max(event.access_expires_at, event.refresh_expires_at or 0)
    return _Issued(event.key_id, access_until, until)
