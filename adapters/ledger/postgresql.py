"""The ledger in PostgreSQL: asyncpg for requests, psycopg through SQLAlchemy for commands and tools.

The SQL keeps to what ADR 0071 lists, so that it also runs behind a transaction pooler and on distributed
engines.
"""

import asyncio
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cache
from typing import Any, NamedTuple

import asyncpg
import psycopg
from sqlalchemy import (
    BigInteger,
    ClauseElement,
    Connection,
    Integer,
    TableValuedAlias,
    Text,
    bindparam,
    column,
    create_engine,
    func,
    insert,
    inspect,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from grantledger.adapters.ledger import private_records
from grantledger.adapters.ledger.database import (
    CommitOutcomeUnknown,
    Rows,
    Transaction,
    TransactionAborted,
    UniqueTaken,
)
from grantledger.adapters.ledger.postgresql_url import parsed
from grantledger.adapters.ledger.schema import ROWS, events, heads, tracking
from grantledger.adapters.ledger.sql import CHUNKS, ByRows, Statement, Statements, last_version
from grantledger.adapters.ledger.writer import Append, Outcome
from grantledger.application.ports import Conflict, MasterSecretMissing, Unavailable

POOL_SIZE = 10
"""Connections of one process that read. Each realm has one more, which writes."""

READ_TIMEOUT = 5.0
"""Seconds that a read may take."""

POOL_TIMEOUT = 5.0
"""Seconds that a read may wait for a connection that is free."""

_COMMAND_TIMEOUT = 15.0
"""Seconds without an answer after which a writing connection is given up. The server gives up earlier."""

_LOCAL = {"lock_timeout": 5_000, "statement_timeout": 10_000, "idle_in_transaction_session_timeout": 5_000}
"""Milliseconds, set in each transaction of the writer, because a pooler forgets the settings of a session.

The last one ends the transaction of a process that was stopped while it held the lock of a realm's head.
"""

PLANNING = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_sort": "off",
    "jit": "off",  # up to PostgreSQL 17 a plan that must use what is off looks expensive enough for it
}
"""Settings with which a connection begins, unless a pooler would forget them: each statement is planned once,
and finds its rows by an index even if it was planned while the table was empty (ADR 0087).
"""

_TOOL_IDLE = 15_000
"""The same for a command that was stopped while it held the locks of all heads."""

_LOOK_UP = 10.0
"""Seconds for which an unknown outcome is looked up, again and again while the server restarts."""

_AGAIN = ("40001", "40P01")
"""SQLSTATEs of a transaction that may be tried again: a serialization failure and a deadlock."""

_OUTAGES = ("08", "25", "28", "3D", "42", "53", "55", "57", "58", "XX")
"""Classes of SQLSTATE whose cause is the server, the network, the role or the schema, not the data."""

_LOST = ("08", "57P")
"""The first characters of the SQLSTATEs with which a server ends a connection, for example when it stops."""

_DIALECT = asyncpg_dialect()  # type: ignore[no-untyped-call]


class PostgresDatabase:
    """One PostgreSQL database. `url` is a libpq URL, which also sets TLS, role and `application_name`.

    Raises `CannotOpen` for a URL that asyncpg and libpq do not both understand.
    """

    def __init__(
        self, url: str, *, name: str = "PostgreSQL", pool_size: int = POOL_SIZE, pooler: bool = False
    ) -> None:
        self.name = name
        self._url = parsed(url, name)
        self._pooler = pooler
        self.statements = _STATEMENTS
        # In autocommit: a transaction begins where `reading` and `writing` begin it.
        self.engine = create_engine(
            "postgresql+psycopg://", creator=self.connect, isolation_level="AUTOCOMMIT", pool_pre_ping=True
        )
        self._hosts = list(self._url.hosts)
        self._idle: list[asyncpg.Connection[Any]] = []
        self._slots = asyncio.Semaphore(pool_size)
        self._writing: dict[str, asyncpg.Connection[Any]] = {}
        self._doubts: dict[str, list[_Doubt]] = {}
        self._doubt_tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(**self._url.libpq, prepare_threshold=None if self._pooler else 5)

    # Reads

    async def fetch(self, statement: Statement, parameters: Mapping[str, Any]) -> Rows:
        if self._slots.locked():
            await self._free_slot()
        else:
            await self._slots.acquire()
        try:
            return await self._read(statement.text, statement.ordered(parameters))
        finally:
            self._slots.release()

    async def fetch_after_commits(
        self, realm: str, statement: Statement, parameters: Mapping[str, Any]
    ) -> Rows:
        loop = asyncio.get_running_loop()
        doubt = _Doubt(statement, parameters, loop.time() + _LOOK_UP, loop.create_future())
        self._doubts.setdefault(realm, []).append(doubt)
        if len(self._doubts[realm]) == 1:
            task = loop.create_task(self._resolve_doubts(realm))
            self._doubt_tasks.add(task)
            task.add_done_callback(self._doubt_tasks.discard)
        return await doubt.answer

    async def _free_slot(self) -> None:
        try:
            async with asyncio.timeout(POOL_TIMEOUT):
                await self._slots.acquire()
        except TimeoutError:
            raise Unavailable("every connection to the database is in use") from None

    async def _read(self, query: str, arguments: Sequence[Any]) -> Rows:
        idle = self._idle_connection()
        try:
            return await self._read_on(idle or await self._connected(READ_TIMEOUT), query, arguments)
        except Exception as error:
            # Repeat the read if the connection was lost while it was idle, or if the server ended the
            # statement because of another transaction. After a timeout it would only time out again.
            if not (_is_aborted(error) or (idle is not None and _is_lost(error))):
                raise _unavailable(error) from error
        try:
            return await self._read_on(await self._connected(READ_TIMEOUT), query, arguments)
        except Exception as error:
            raise _unavailable(error) from error

    def _idle_connection(self) -> "asyncpg.Connection[Any] | None":
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return None

    async def _read_on(
        self, connection: "asyncpg.Connection[Any]", query: str, arguments: Sequence[Any]
    ) -> Rows:
        try:
            if not self._pooler:
                rows: Rows = await connection.fetch(query, *arguments)
            else:
                # Without a cache asyncpg prepares and executes in two messages. Between them the pooler may
                # change the server's connection, unless they are in one transaction.
                async with connection.transaction(readonly=True):
                    rows = await connection.fetch(query, *arguments)
        except BaseException as error:
            if isinstance(error, asyncpg.PostgresError) and not _is_lost(error):
                self._keep(connection)  # the server has answered
            else:
                connection.terminate()
            raise
        self._keep(connection)
        return rows

    def _keep(self, connection: "asyncpg.Connection[Any]") -> None:
        if self._closed:
            connection.terminate()
        elif not connection.is_closed():
            self._idle.append(connection)

    async def _resolve_doubts(self, realm: str) -> None:
        """Do each read that waits for commits of the realm, on another connection: the writer's may hang."""
        doubts = self._doubts[realm]
        while doubts:
            try:
                await self._read_under_lock(realm, doubts)
            except Exception as error:  # noqa: BLE001 - every waiting read must get an answer
                now = asyncio.get_running_loop().time()
                for doubt in [doubt for doubt in doubts if self._closed or doubt.until < now]:
                    doubts.remove(doubt)
                    doubt.fail(_unavailable(error))
                await asyncio.sleep(0.1)
        del self._doubts[realm]

    async def _read_under_lock(self, realm: str, doubts: "list[_Doubt]") -> None:
        connection = await self._connected(_COMMAND_TIMEOUT)
        try:
            await self._lock(connection, realm)
            # A read that is added while the head is locked waits for an earlier COMMIT, which has ended too.
            while doubts:
                doubt = doubts[0]
                rows = await connection.fetch(
                    doubt.statement.text, *doubt.statement.ordered(doubt.parameters)
                )
                doubts.remove(doubt)
                if not doubt.answer.done():
                    doubt.answer.set_result(rows)
        finally:
            connection.terminate()

    async def _connected(self, command_timeout: float) -> "asyncpg.Connection[Any]":
        """Connect to the first host that takes writes, and try it first the next time."""
        if self._closed:
            raise Unavailable("the ledger is closed")
        failed: Exception | None = None
        for host in tuple(self._hosts):
            try:
                connection = await self._connected_to(host, command_timeout)
            except Exception as error:  # noqa: BLE001 - the last one is raised
                failed = error
            else:
                self._hosts.sort(key=lambda other: other != host)
                return connection
        assert failed is not None, "a URL names a host or leaves it to the driver"
        raise failed

    async def _connected_to(
        self, host: tuple[str | None, int | None], command_timeout: float
    ) -> "asyncpg.Connection[Any]":
        name, port = host
        connection: asyncpg.Connection[Any] = await asyncpg.connect(
            **self._url.asyncpg,
            server_settings={**self._url.server_settings, **({} if self._pooler else PLANNING)},
            host=name,
            port=port,
            # A share for each host: with one timeout for all, the first could use it up.
            timeout=self._url.connect_timeout / len(self._url.hosts),
            command_timeout=command_timeout,
            statement_cache_size=0 if self._pooler else 200,
        )
        made = connection._transport.get_extra_info("socket")  # noqa: SLF001 - asyncpg has no setting for this
        if made.family in (socket.AF_INET, socket.AF_INET6):
            for option in self._url.socket_options:
                made.setsockopt(*option)
        return connection

    # Writes

    @asynccontextmanager
    async def transaction(self, realm: str) -> AsyncIterator["PostgresTransaction"]:
        try:
            connection = await self._begun(realm)
            transaction = PostgresTransaction(connection)
            yield transaction
            if not transaction.committed:
                await connection.execute("ROLLBACK")
        except asyncio.CancelledError:
            self._stop_writing(realm)
            raise
        except Exception as error:
            translated = _translated(error)
            if isinstance(translated, Unavailable):
                # After a failover the same connection may lead to a server that takes no writes.
                self._stop_writing(realm)
            else:
                await self._roll_back(realm)
            if translated is error:
                raise
            raise translated from error

    async def record(
        self,
        transaction: Transaction,
        realm: str,
        appends: Sequence[Append],
        *,
        now: Callable[[], int],
        known_secrets: Sequence[str],
    ) -> list[Outcome]:
        batch = _Batch(appends)
        recorded_at = now()
        while round_ := batch.next_round():
            accepted = []
            for append in round_:
                try:
                    for row in append.private:
                        await private_records.check_free(
                            transaction, self.statements, realm, row, known_secrets
                        )
                except (Conflict, MasterSecretMissing) as refused:
                    batch.refuse(append, refused)
                else:
                    accepted.append(append)
            if not accepted:
                continue
            statement, parameters = _batch_of(realm, accepted, recorded_at)
            for index, stream_id in await transaction.fetch(statement, parameters):
                batch.refuse(accepted[index], Conflict(stream_id), stale=stream_id)
            written = [append for append in accepted if append not in batch.outcomes]
            batch.wrote(written)
            private = [row for append in written for row in append.private]
            if private:
                await private_records.write(transaction, self.statements, realm, private)
        return [batch.outcomes[append] for append in appends]

    async def _begun(self, realm: str) -> "asyncpg.Connection[Any]":
        kept = self._writing.get(realm)
        if kept is not None:
            try:
                await self._lock(kept, realm)
                return kept
            except Exception as error:
                if not _is_lost(error):
                    raise
                # The connection was lost while it was idle. It has written nothing, so another can begin.
                self._stop_writing(realm)
        made = self._writing[realm] = await self._connected(_COMMAND_TIMEOUT)
        await self._lock(made, realm)
        return made

    async def _lock(self, connection: "asyncpg.Connection[Any]", realm: str) -> None:
        if await connection.execute(_begin(realm)) == "SELECT 0":
            # A realm begins while no migration and no rebuild runs: those lock the revision, then all heads.
            await connection.execute("SELECT version_num FROM alembic_version FOR SHARE")
            await connection.execute(_new_head(realm))
            await connection.execute(_locked_head(realm))

    async def _roll_back(self, realm: str) -> None:
        connection = self._writing.get(realm)
        if connection is None:
            return
        try:
            async with asyncio.timeout(1.0):
                await connection.execute("ROLLBACK")
        except Exception:  # noqa: BLE001 - the server rolls back what its client has left
            self._stop_writing(realm)

    def _stop_writing(self, realm: str) -> None:
        connection = self._writing.pop(realm, None)
        if connection is not None:
            connection.terminate()

    # Commands and tools

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin() as transaction:
                yield connection
                transaction.rollback()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            connection.execution_options(isolation_level="READ COMMITTED")
            with connection.begin():
                connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = {_TOOL_IDLE}"))
                # First the revision, which also stops a realm from beginning, and then every head.
                if inspect(connection).has_table("alembic_version"):
                    connection.execute(text("SELECT version_num FROM alembic_version FOR UPDATE"))
                    connection.execute(select(heads.c.realm).order_by(heads.c.realm).with_for_update())
                yield connection

    @contextmanager
    def rebuilding(self) -> Iterator[bool]:
        row = {"realm": "", "application_name": "rebuild", "notification_id": 0}
        with self.engine.connect() as connection:
            connection.execute(upsert(tracking).values(row).on_conflict_do_nothing())
        with self.engine.connect() as connection:
            connection.execution_options(isolation_level="READ COMMITTED")
            transaction = connection.begin()
            try:
                connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
                only = select(tracking.c.realm).where(
                    tracking.c.realm == "", tracking.c.application_name == "rebuild"
                )
                found = connection.execute(only.with_for_update(skip_locked=True)).all()
                yield bool(found)
            finally:
                with suppress(DBAPIError):  # if the server has restarted, the lock is gone already
                    transaction.rollback()

    def create(self) -> None:
        """Do nothing: the database is made by its administrator."""

    def why(self, error: Exception) -> str:
        return " ".join(str(error).split()) or type(error).__name__

    async def open(self) -> None:
        """Allow reads. May be called again after `close`."""
        self._closed = False

    async def close(self, patience: float) -> None:
        self._closed = True
        open_ones = [*self._idle, *self._writing.values()]
        self._idle.clear()
        self._writing.clear()
        closing = (connection.close(timeout=patience) for connection in open_ones)
        await asyncio.gather(*closing, return_exceptions=True)
        self.engine.dispose()


class _Doubt(NamedTuple):
    """A read that waits until every commit in its realm has ended, but not longer than `until`."""

    statement: Statement
    parameters: Mapping[str, Any]
    until: float
    answer: "asyncio.Future[Rows]"

    def fail(self, error: Unavailable) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class PostgresTransaction:
    """A transaction that holds the lock of the realm's head."""

    def __init__(self, connection: "asyncpg.Connection[Any]") -> None:
        self._connection = connection
        self.committed = False

    async def fetch(self, statement: Statement, parameters: Mapping[str, Any]) -> Rows:
        rows: Rows = await self._connection.fetch(statement.text, *statement.ordered(parameters))
        return rows

    async def fetch_by_rows(self, statement: ByRows, rows: Rows) -> Rows:
        found: list[Any] = []
        start = 0
        for size in CHUNKS:
            while len(rows) - start >= size:
                values = [value for row in rows[start : start + size] for value in row]
                found += await self._connection.fetch(statement(size), *values)
                start += size
        return found

    async def commit(self) -> None:
        try:
            status = await self._connection.execute("COMMIT")
        except Exception as error:
            if getattr(error, "sqlstate", None) in _AGAIN:
                raise
            self._connection.terminate()
            raise CommitOutcomeUnknown(str(error) or type(error).__name__) from error
        if status != "COMMIT":
            raise Unavailable(f"the transaction ended with {status}")
        self.committed = True


class _Batch:
    """The appends of a transaction, in rounds that one statement can check and write.

    A statement does not see what it writes. So if two appends write to the same stream, the later one belongs
    to a later round. Most of these are then refused without asking the database.
    """

    def __init__(self, appends: Sequence[Append]) -> None:
        self._left: Sequence[Append] = appends
        self._versions: dict[str, int] = {}
        self._stale: set[tuple[str, int]] = set()
        self.outcomes: dict[Append, Outcome] = {}

    def next_round(self) -> list[Append]:
        while self._left:
            chosen: list[Append] = []
            later: list[Append] = []
            written: set[str] = set()
            for append in self._left:
                conflict = self._conflict(append)
                if conflict is not None:
                    self.outcomes[append] = conflict
                elif any(stream_id in written for stream_id, _ in append.expected):
                    later.append(append)
                else:
                    chosen.append(append)
                    written.update(event.stream_id for event in append.events)
            self._left = later
            if chosen:
                return chosen
        return []

    def refuse(self, append: Append, why: Conflict | Unavailable, *, stale: str | None = None) -> None:
        self.outcomes[append] = why
        self._stale.update(expected for expected in append.expected if expected[0] == stale)

    def wrote(self, appends: Sequence[Append]) -> None:
        for append in appends:
            self.outcomes[append] = None
            self._versions.update((event.stream_id, event.version) for event in append.events)

    def _conflict(self, append: Append) -> Conflict | None:
        if len({(event.stream_id, event.version) for event in append.events}) < len(append.events):
            return Conflict("two changes of one stream")
        for stream_id, version in append.expected:
            if (stream_id, version) in self._stale or self._versions.get(stream_id, version) != version:
                return Conflict(stream_id)
        return None


_LINE = [each for each in events.c if each.name not in ("realm", "position", "recorded_at")]
_LINE_AT = [index for index, each in enumerate(events.c) if each in _LINE]


def _batch_of(realm: str, appends: Sequence[Append], recorded_at: int) -> tuple[Statement, Mapping[str, Any]]:
    """Return the one statement that checks and writes the appends, with its parameters.

    The parameters are arrays, one for each column, so that batches of all sizes share a statement.
    """
    asked = [(n, *expected) for n, append in enumerate(appends) for expected in append.expected]
    lines = [
        (n, event.row(realm, 0, recorded_at, append.envelope))
        for n, append in enumerate(appends)
        for event in append.events
    ]
    rows: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for n, append in enumerate(appends):
        for row in append.rows:
            rows[row.category].append((n, *row.values(realm)[1:]))
    parameters: dict[str, Any] = {"of": realm, "recorded_at": recorded_at}
    for name, values in zip(("append", "stream_id", "version"), zip(*asked, strict=True), strict=True):
        parameters[f"asked_{name}"] = values
    parameters["line_append"] = [n for n, _ in lines]
    for each, index in zip(_LINE, _LINE_AT, strict=True):
        parameters[f"line_{each.name}"] = [line[index] for _, line in lines]
    for category, found in rows.items():
        names = ("append", *(each.name for each in ROWS[category].c if each.name != "realm"))
        for name, values in zip(names, zip(*found, strict=True), strict=True):
            parameters[f"{category}_{name}"] = values
    return batch_statement(tuple(sorted(rows))), parameters


@cache
def batch_statement(categories: tuple[str, ...]) -> Statement:
    """Return the statement for appends whose rows are of these categories. It returns the refused appends."""
    realm: Any = bindparam("of", type_=Text)
    number, version = column("append", Integer), column("version", BigInteger)
    asked = _unnested("asked", {"append": Integer(), "stream_id": Text(), "version": BigInteger()})
    last = last_version(realm, asked.c.stream_id)
    stale = asked.c[version.name] != func.coalesce(last, literal_column("0"))
    refused = select(asked.c.append, asked.c.stream_id).where(stale).cte("refused")
    refused_appends = select(refused.c.append)
    line = _unnested("line", {"append": Integer(), **{each.name: each.type for each in _LINE}}, "n")
    lines = (
        select(*(line.c[each.name] for each in _LINE), func.row_number().over(order_by=line.c.n).label("nth"))
        .where(line.c[number.name].not_in(refused_appends))
        .cte("lines")
    )
    total = select(func.count().label("events")).select_from(lines).cte("total")
    head = (
        update(heads)
        .where(heads.c.realm == realm)
        .values(position=heads.c.position + total.c.events)
        .returning((heads.c.position - total.c.events).label("before"))
        .cte("head")
    )
    values = {each.name: lines.c[each.name] for each in _LINE} | {
        "realm": realm,
        "position": head.c.before + lines.c.nth,
        "recorded_at": bindparam("recorded_at", type_=BigInteger),
    }
    writes = [
        insert(events).from_select(
            [each.name for each in events.c], select(*(values[each.name] for each in events.c))
        )
    ]
    for category in categories:
        table = ROWS[category]
        own = [each for each in table.c if each.name != "realm"]
        row = _unnested(category, {"append": Integer(), **{each.name: each.type for each in own}})
        chosen = select(realm, *(row.c[each.name] for each in own)).where(
            row.c[number.name].not_in(refused_appends)
        )
        made = upsert(table).from_select(["realm", *(each.name for each in own)], chosen)
        changing = [each for each in own if not (each.primary_key or each.info.get("fixed"))]
        writes.append(
            made.on_conflict_do_update(
                index_elements=list(table.primary_key.columns),
                set_={each.name: made.excluded[each.name] for each in changing},
            )
        )
    statement: ClauseElement = select(refused.c.append, refused.c.stream_id).add_cte(
        *(write.cte(f"write_{n}") for n, write in enumerate(writes))
    )
    return _STATEMENTS.one(statement)


_STATEMENTS = Statements(_DIALECT)


def _unnested(
    name: str, columns: Mapping[str, TypeEngine[Any]], ordinality: str | None = None
) -> TableValuedAlias:
    """Return a table of rows whose columns are parameters, one array for each."""
    arrays = [bindparam(f"{name}_{each}", type_=ARRAY(kind)) for each, kind in columns.items()]
    named = [column(each, kind) for each, kind in columns.items()]
    return (
        func.unnest(*arrays)
        .table_valued(*named, with_ordinality=ordinality, name=f"given_{name}")
        .render_derived()
    )


@cache
def _begin(realm: str) -> str:
    timeouts = "".join(f" SET LOCAL {name} = {value};" for name, value in _LOCAL.items())
    return f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;{timeouts} {_locked_head(realm)}"


def _locked_head(realm: str) -> str:
    return _with_values(select(heads.c.position).where(heads.c.realm == realm).with_for_update())


def _new_head(realm: str) -> str:
    return _with_values(upsert(heads).values(realm=realm, position=0).on_conflict_do_nothing())


def _with_values(statement: ClauseElement) -> str:
    return str(statement.compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True}))


def _is_aborted(error: Exception) -> bool:
    """Whether the server has ended the statement because of another transaction."""
    return getattr(error, "sqlstate", None) in _AGAIN


def _is_lost(error: BaseException) -> bool:
    """Whether the connection was lost. A timeout does not show that."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(_LOST)
    return isinstance(error, (asyncpg.InterfaceError, OSError)) and not isinstance(error, TimeoutError)


def _translated(error: Exception) -> Exception:
    state = getattr(error, "sqlstate", None) or ""
    if isinstance(error, asyncpg.PostgresError):
        if state == "23505":
            return UniqueTaken(str(error))
        if state in _AGAIN:
            return TransactionAborted(str(error))
        return _unavailable(error) if state.startswith(_OUTAGES) else error
    lost = (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
    return _unavailable(error) if isinstance(error, lost) else error


def _unavailable(cause: Exception) -> Unavailable:
    if isinstance(cause, Unavailable):
        return cause
    return Unavailable(str(cause) or type(cause).__name__)
