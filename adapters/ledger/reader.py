"""Reads for decisions and lists. Each decision has one query, which joins all that it needs."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from grantledger.adapters.ledger import private_records
from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.events import EventCodec, EventUnreadable
from grantledger.adapters.ledger.private_records import Sealer
from grantledger.adapters.ledger.read_model import FOLDS, state_of
from grantledger.adapters.ledger.sql import BEGINS, Statement
from grantledger.application.ports import (
    MAX_PAGE,
    AppFacts,
    AuthorizationFacts,
    BrowserSessionFacts,
    CodeFacts,
    GrantFacts,
    ListPage,
    Unavailable,
)
from grantledger.domain.aggregate import Kind, Versioned
from grantledger.domain.authorization_code import CODE
from grantledger.domain.browser_session import SIGNIN
from grantledger.domain.client_registration import CLIENT, ClientRegistration
from grantledger.domain.consent import CONSENT, Consent, consent_key
from grantledger.domain.token_grant import GRANT, TokenGrant
from grantledger.domain.user_account import USER, UserAccount

S = TypeVar("S")


class Reader:
    """`DecisionReader`, `Listings`, `PrivateRecords`, and `load` of `Ledger`.

    A read sees every append that was acknowledged before it. Raises `Unavailable` in an outage, and for
    events that this release cannot decode.
    """

    def __init__(self, database: Database, *, sealer: Sealer, realm: str) -> None:
        self._database = database
        self._statements = database.statements
        self._sealer = sealer
        self._realm = realm
        self._codec = EventCodec()

    async def load(self, kind: Kind[S], key: str) -> Versioned[S]:
        row, version = await self._row(self._statements.load[kind.category], kind, key)
        if row is None:
            return Versioned(kind=kind, key=key, version=version)
        return await self._stream(kind, key, row)

    async def grant_facts(self, grant_id: str) -> GrantFacts | None:
        found = await self._database.fetch(
            self._statements.grant_facts, {"realm": self._realm, "key": grant_id}
        )
        if not found:
            return None
        row = found[0]
        grant = await self._stream(GRANT, grant_id, row[0:3])
        assert grant.state is not None
        return GrantFacts(
            grant=grant,
            client=await self._stream(CLIENT, grant.state.client_id, row[3:6]),
            user=await self._stream(USER, grant.state.user_id, row[6:9]),
        )

    async def code_facts(self, transaction_id: str) -> CodeFacts:
        row, version = await self._row(self._statements.code_facts, CODE, transaction_id)
        if row is None:
            return CodeFacts(
                code=Versioned(kind=CODE, key=transaction_id, version=version),
                client=Versioned(kind=CLIENT, key=""),
                user=Versioned(kind=USER, key=""),
                consent=Versioned(kind=CONSENT, key=""),
            )
        code = await self._stream(CODE, transaction_id, row[0:3])
        assert code.state is not None
        user_id, client_id = code.state.user_id, code.state.client_id
        key = row[12] or consent_key(user_id, client_id)
        return CodeFacts(
            code=code,
            client=await self._stream(CLIENT, client_id, row[3:6]),
            user=await self._stream(USER, user_id, row[6:9]),
            consent=await self._stream(CONSENT, key, row[9:12]),
        )

    async def authorization_facts(
        self, *, client_id: str, user_id: str, session_id: str, transaction_id: str
    ) -> AuthorizationFacts:
        where = {
            "realm": self._realm,
            "client_id": client_id,
            "user_id": user_id,
            "session_id": session_id,
            "code_key": transaction_id,
            "code_stream": CODE.stream_id(transaction_id),
        }
        ((*row, issued),) = await self._database.fetch(self._statements.authorization_facts, where)
        session = await self._stream(SIGNIN, session_id, row[6:9])
        if not user_id and session.state is not None:
            user_id = session.state.user_id
        code = await self._stream(CODE, transaction_id, row[12:15])
        if issued and code.version == 0:
            code = Versioned(kind=CODE, key=transaction_id, version=issued)
        return AuthorizationFacts(
            client=await self._stream(CLIENT, client_id, row[0:3]),
            user=await self._stream(USER, user_id, row[3:6]),
            session=session,
            consent=await self._stream(CONSENT, consent_key(user_id, client_id), row[9:12]),
            code=code,
        )

    async def browser_session_facts(self, session_id: str) -> BrowserSessionFacts | None:
        where = {"realm": self._realm, "key": session_id}
        found = await self._database.fetch(self._statements.browser_session_facts, where)
        if not found:
            return None
        row = found[0]
        session = (await self._stream(SIGNIN, session_id, row[0:3])).state
        assert session is not None
        user = (await self._stream(USER, session.user_id, row[3:6])).state
        key_id, sealed, user_id = row[7], row[8], session.user_id

        def email() -> str | None:
            return None if sealed is None else self._sealer.open(key_id, user_id, "email", sealed)

        return BrowserSessionFacts(session=session, user=user, email=email)

    async def connected_apps(self, user_id: str, *, now: int) -> Sequence[AppFacts]:
        where = {"realm": self._realm, "user_id": user_id, "now": now, "bound": 2_000, "most": MAX_PAGE}
        apps: dict[str, AppFacts] = {}
        for row in await self._database.fetch(self._statements.connected_apps, where):
            key, client_id, registration, connections, since, last_refresh = row[6:12]
            consent = (await self._stream(CONSENT, key, row[0:3])).state
            client = (await self._stream(CLIENT, client_id, row[3:6])).state
            assert consent is not None
            assert client is not None
            is_present = registration == client.registration
            if is_present or client_id not in apps:  # grants of two registrations are two rows
                apps[client_id] = AppFacts(
                    client=client,
                    consent=consent,
                    connections=connections if is_present else 0,
                    since=since if is_present else None,
                    last_refresh=last_refresh or None if is_present else None,
                )
        return tuple(apps.values())

    async def clients(
        self, *, after: str | None = None, limit: int = MAX_PAGE
    ) -> ListPage[ClientRegistration]:
        return await self._page(CLIENT, {}, after, limit)

    async def unused_clients(self, before: int) -> Sequence[Versioned[ClientRegistration]]:
        unused: list[Versioned[ClientRegistration]] = []
        where = {"realm": self._realm, "before": before, "began": -1, "key": "", "most": MAX_PAGE}
        while rows := await self._database.fetch(self._statements.prunable_clients, where):
            unused += [await self._stream(CLIENT, row[0], row[1:4]) for row in rows if not row[5]]
            if len(unused) >= MAX_PAGE:
                break
            where |= {"key": rows[-1][0], "began": rows[-1][4]}
            await asyncio.sleep(0)  # there may be many pages of used clients
        return unused[:MAX_PAGE]

    async def users(self, *, after: str | None = None, limit: int = MAX_PAGE) -> ListPage[UserAccount]:
        return await self._page(USER, {}, after, limit)

    async def grants(
        self,
        *,
        client_id: str | None = None,
        user_id: str | None = None,
        after: str | None = None,
        limit: int = MAX_PAGE,
    ) -> ListPage[TokenGrant]:
        where = {"client_id": client_id, "user_id": user_id}
        given = {name: value for name, value in where.items() if value is not None}
        return await self._page(GRANT, given, after, limit)

    async def consents(
        self, user_id: str, *, after: str | None = None, limit: int = MAX_PAGE
    ) -> ListPage[Consent]:
        return await self._page(CONSENT, {"user_id": user_id}, after, limit)

    async def find(self, name: str, lookup: str) -> str | None:
        fetch, statements = self._database.fetch, self._statements
        digests = self._sealer.lookups(name, lookup)
        owner = await private_records.find_owner(fetch, statements, self._realm, name, digests)
        if owner is None:
            await private_records.check_secrets(fetch, statements, self._realm, self._sealer.key_ids)
        return owner

    async def value(self, subject: str, name: str) -> str | None:
        where = {"realm": self._realm, "subject": subject, "name": name}
        found = await self._database.fetch(self._statements.sealed, where)
        return self._sealer.open(found[0][0], subject, name, found[0][1]) if found else None

    async def values(self, subject: str, names: Collection[str]) -> Mapping[str, str]:
        where = {"realm": self._realm, "subject": subject}
        found = await self._database.fetch(self._statements.all_sealed, where)
        return {
            name: self._sealer.open(key_id, subject, name, sealed)
            for name, key_id, sealed in found
            if name in names
        }

    async def _page(self, kind: Kind[S], where: dict[str, str], after: str | None, limit: int) -> ListPage[S]:
        category, realm = kind.category, {"realm": self._realm}
        cursor = {}
        if after is not None:
            began = await self._began(kind, after)
            if began is None:
                return ListPage(items=(), after=None)
            cursor = {"began": began, "key": after}
        statement = self._statements.page(category, tuple(where), after=after is not None)
        rows = await self._database.fetch(statement, {**realm, **where, **cursor, "most": limit + 1})
        items = [await self._stream(kind, row[0], row[1:4]) for row in rows[:limit]]
        return ListPage(items=tuple(items), after=items[-1].key if len(rows) > limit else None)

    async def _began(self, kind: Kind[Any], key: str) -> Any:
        """Return the value by which a row is ordered in lists, or None if there is no stream of that key.

        The row may have been deleted since the page before: then its events give the value.
        """
        where = {"realm": self._realm, "key": key}
        found = await self._database.fetch(self._statements.cursor(kind.category), where)
        if found:
            return found[0][0]
        stream = await self._folded(kind, key)
        return None if stream.state is None else getattr(stream.state, BEGINS[kind.category])

    async def _stream(self, kind: Kind[S], key: str, row: Sequence[Any]) -> Versioned[S]:
        """Return the aggregate of a row. If another release wrote the row, fold the events again."""
        version, fold, state = row
        if version is None:
            return Versioned(kind=kind, key=key)
        if fold != FOLDS[kind.category]:
            return await self._folded(kind, key)
        try:
            return Versioned(kind=kind, key=key, version=version, state=state_of(kind.category, state))
        except msgspec.MsgspecError as error:
            raise Unavailable(f"the row of {kind.stream_id(key)} cannot be read: {error}") from error

    async def _folded(self, kind: Kind[S], key: str) -> Versioned[S]:
        where = {"realm": self._realm, "stream_id": kind.stream_id(key)}
        rows = await self._database.fetch(self._statements.stream, where)
        try:
            return Versioned(kind=kind, key=key).evolved(
                self._codec.decode(tag, data) for _, tag, data in rows
            )
        except EventUnreadable as error:
            raise Unavailable(str(error)) from error

    async def _row(self, statement: Statement, kind: Kind[Any], key: str) -> tuple[Sequence[Any] | None, int]:
        """Return the row of the stream and 0; without a row None and the version of the stream.

        A stream that has events but no row is finished.
        """
        where = {"realm": self._realm, "key": key}
        if rows := await self._database.fetch(statement, where):
            return rows[0], 0
        stream = {"realm": self._realm, "stream_id": kind.stream_id(key)}
        ((version,),) = await self._database.fetch(self._statements.last_version, stream)
        # Another append may have begun the stream between the two reads: then it has a row now.
        if version and (rows := await self._database.fetch(statement, where)):
            return rows[0], 0
        return None, version or 0
