"""Every statement of the hot path, as SQLAlchemy Core, compiled once for a dialect.

Measured: a keyed select takes 5 us as text on the driver and 19 us through a SQLAlchemy connection.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

from sqlalchemy import (
    ClauseElement,
    ColumnElement,
    Dialect,
    FromClause,
    Insert,
    Table,
    TableClause,
    Text,
    and_,
    bindparam,
    case,
    cast,
    column,
    delete,
    func,
    insert,
    literal,
    literal_column,
    null,
    select,
    tuple_,
    union_all,
    update,
    values,
)
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.selectable import ScalarSelect, Select, Subquery

from grantledger.adapters.ledger.schema import ROWS, events, heads, private_record, throttles, tracking

CHUNKS = (64, 16, 4, 1)
"""Rows per multi-row statement: few sizes, so that the driver keeps each of them prepared."""


class Statement(NamedTuple):
    """SQL text with placeholders, and the names of the parameters in their order."""

    text: str
    names: tuple[str, ...]
    constants: Mapping[str, Any]
    """Parameters whose values are part of the statement."""

    def ordered(self, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the values in the order that the driver needs."""
        if self.constants:
            parameters = {**self.constants, **parameters}
        return tuple([parameters[name] for name in self.names])


ByRows = Callable[[int], str]
"""The text of a statement for that number of rows; the parameters are the rows' columns in their order."""


class Statements:
    """What the ledger executes on one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.load = {category: self.one(_row(table)) for category, table in ROWS.items()}
        self.stream = self.one(_stream())
        self.append_at = self.one(_append_at())
        self.last_version = self.one(select(last_version(bindparam("realm"), bindparam("stream_id"))))
        self.grant_facts = self.one(_grant_facts(self._found(_grant)))
        self.code_facts = self.one(_code_facts())
        self.authorization_facts = self.one(_authorization_facts())
        self.browser_session_facts = self.one(_session_facts())
        self.connected_apps = self.one(_connected_apps())
        self.prunable_clients = self.one(_prunable_clients())
        self.sealed = self.one(_sealed())
        self.all_sealed = self.one(_all_sealed())
        self.next_key_id = self.one(_next_key_id())
        self.revision = self.one(select(column("version_num")).select_from(alembic_version))
        self.head = self.one(select(heads.c.position).where(_at(heads, "realm")))
        self.move_head = self.one(
            update(heads).where(heads.c.realm == bindparam("at")).values(position=bindparam("position"))
        )
        self.begin_head = self.one(insert(heads))
        self.insert_events = self._by_rows(lambda rows: insert(events).values(_binds(events, rows)))
        self.versions = self._by_rows(_versions)
        self.put = {category: self._by_rows(partial(self.putting, table)) for category, table in ROWS.items()}
        self.put_private = self._by_rows(
            lambda rows: self._upsert(
                private_record, rows, [private_record.c[name] for name in ("lookup", "key_id", "sealed")]
            )
        )
        self.erase_private = self.one(
            delete(private_record).where(_at(private_record, "realm", "subject", "name"))
        )
        self.sweep = {category: self.one(_ended(ROWS[category])) for category in ("code", "signin")}
        self.sweep_end = self.one(_sweep_end())
        self.sweep_grants = self.one(_ended_grants())
        self.merge_throttles = self._by_rows(self._merge_throttles)
        self.merged_throttles = self.one(_merged_throttles())
        self.throttle_surplus = self.one(_throttle_surplus())
        self.sweep_throttles = self.one(_sweep_throttles())

    def one(self, statement: ClauseElement) -> Statement:
        """Return the compiled statement."""
        made = statement.compile(dialect=self._dialect, compile_kwargs={"render_postcompile": True})
        assert isinstance(made, SQLCompiler)
        names = tuple(made.positiontup or ())
        assert names or not made.params, "the dialect must have positional parameters"
        return Statement(str(made), names, {n: v for n, v in made.params.items() if v is not None})

    @cache  # noqa: B019 - one instance per database, which lives as long as the process
    def page(self, category: str, where: tuple[str, ...], *, after: bool) -> Statement:
        """Return a page of rows, newest first; the parameters are realm, filters, the cursor and `most`."""
        c = ROWS[category].c
        began = c[BEGINS[category]]
        wanted: list[ColumnElement[bool]] = [c[name] == bindparam(name) for name in ("realm", *where)]
        if after:
            wanted.append(tuple_(began, c.key) < tuple_(bindparam("began"), bindparam("key")))
        statement = select(c.key, c.version, c.fold, c.state, began).where(*wanted)
        return self.one(statement.order_by(began.desc(), c.key.desc()).limit(bindparam("most")))

    @cache  # noqa: B019 - as above
    def cursor(self, category: str) -> Statement:
        """Return the time at which the row of a key began. Time and key are the cursor of a page."""
        c = ROWS[category].c
        return self.one(select(c[BEGINS[category]]).where(_at(ROWS[category], "realm", "key")))

    @cache  # noqa: B019 - as above
    def owner(self, lookups: int) -> Statement:
        """Return whose record has one of so many lookup digests: `lookup_0` and so on.

        It is one statement, so that it also finds a record that is resealed at this moment.
        """
        c = private_record.c
        digests: list[Any] = [bindparam(f"lookup_{number}") for number in range(lookups)]
        return self.one(select(c.subject).where(_at(private_record, "realm", "name"), c.lookup.in_(digests)))

    def _found(self, table: Table) -> Subquery:
        """Return the row of a key, to join others to it."""
        row = select(table).where(_at(table, "realm", "key"))
        if self._dialect.name != "sqlite":
            # The limit makes PostgreSQL look it up before any join. Without that and without statistics it
            # walks an index of the realm whose order suits a join. SQLite does not; a limit would cost 3 us.
            row = row.limit(literal_column("1"))
        return row.subquery("found")

    def _by_rows(self, statement: Callable[[int], ClauseElement]) -> ByRows:
        return cache(lambda rows: self.one(statement(rows)).text)

    def upserting(self, table: Table) -> Any:
        """Return the dialect's INSERT that knows ON CONFLICT."""
        if self._dialect.name == "sqlite":
            return sqlite_insert(table)
        # With SQLite alone, each command would wait 0.03 s for this import.
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert  # noqa: PLC0415

        return postgresql_insert(table)

    def _upsert(self, table: Table, rows: int, changing: Sequence[Any]) -> Insert:
        """Insert rows, or change those that are there: one statement for new and for known streams."""
        statement = self.upserting(table).values(_binds(table, rows))
        made: Insert = statement.on_conflict_do_update(
            index_elements=list(table.primary_key.columns),
            set_={each.name: statement.excluded[each.name] for each in changing},
        )
        return made

    def _merge_throttles(self, rows: int) -> ClauseElement:
        """Add what a process has counted to the buckets, and return them.

        A row of the parameters is a bucket that was full at `merged_at`; what was counted is the time
        from then to `full_at`.
        """
        statement = self.upserting(throttles).values(_binds(throttles, rows))
        known, new = throttles.c, statement.excluded
        emptied = case((known.full_at > new.merged_at, known.full_at), else_=new.merged_at)
        merged: ClauseElement = statement.on_conflict_do_update(
            index_elements=list(throttles.primary_key.columns),
            set_={"full_at": emptied + new.full_at - new.merged_at, "merged_at": new.merged_at},
        ).returning(known.kind, known.key, known.full_at)
        return merged

    def putting(self, table: Table, rows: int) -> Insert:
        """Return the statement of `put`, for a connection of SQLAlchemy."""
        return self._upsert(table, rows, _changing(table))

    def tracking(self) -> Insert:
        """Return the statement that notes how far a follower has read, unless it had read further."""
        statement = self.upserting(tracking)
        made: Insert = statement.on_conflict_do_update(
            index_elements=[tracking.c.realm, tracking.c.application_name],
            set_={"notification_id": statement.excluded.notification_id},
            where=tracking.c.notification_id < statement.excluded.notification_id,
        )
        return made


alembic_version = TableClause("alembic_version", column("version_num"))

BEGINS = {"client": "registered_at", "grant": "opened_at", "user": "opened_at", "consent": "client_id"}
"""By category, the column by which a list is ordered: when the row began; consents have no time."""


def _changing(table: Table) -> list[Any]:
    return [each for each in table.c if not (each.primary_key or each.info.get("fixed"))]


def _at(table: Table, *names: str) -> ColumnElement[bool]:
    return and_(*(table.c[name] == bindparam(name) for name in names))


def _binds(table: Table, rows: int) -> list[dict[str, Any]]:
    return [{each.name: bindparam(f"{each.name}_{row}") for each in table.c} for row in range(rows)]


def _facts(table: FromClause) -> tuple[Any, ...]:
    return table.c.version, table.c.fold, table.c.state


def _row(table: Table) -> ClauseElement:
    return select(*_facts(table)).where(_at(table, "realm", "key"))


def _stream() -> ClauseElement:
    statement = select(events.c.version, events.c.tag, events.c.data)
    return statement.where(_at(events, "realm", "stream_id")).order_by(events.c.version)


def _append_at() -> ClauseElement:
    return select(events.c.append_id).where(_at(events, "realm", "stream_id", "version"))


def last_version(realm: Any, stream_id: Any) -> ScalarSelect[Any]:
    """Return the last version of a stream, null if it is empty, with one search of an index.

    Not `max(version)`: of a table without statistics PostgreSQL may plan that as a walk through the whole
    log of the realm (ADR 0087).
    """
    statement = select(events.c.version).where(events.c.realm == realm, events.c.stream_id == stream_id)
    return statement.order_by(events.c.version.desc()).limit(literal_column("1")).scalar_subquery()


def _versions(rows: int) -> ClauseElement:
    """Return the version of each stream; the parameters are (realm, stream_id) for each."""
    data: list[tuple[Any, ...]] = [
        (bindparam(f"realm_{row}"), bindparam(f"stream_{row}")) for row in range(rows)
    ]
    wanted = values(column("realm", Text), column("stream_id", Text), name="wanted").data(data).cte("wanted")
    # The last version of each stream is one look into the index, however long the stream is.
    last = (
        select(func.max(events.c.version))
        .where(events.c.realm == wanted.c.realm, events.c.stream_id == wanted.c.stream_id)
        .correlate(wanted)
        .scalar_subquery()
    )
    return select(wanted.c.stream_id, last)


_grant, _client, _user = ROWS["grant"], ROWS["client"], ROWS["user"]
_code, _consent, _signin = ROWS["code"], ROWS["consent"], ROWS["signin"]


def _grant_facts(grant: Subquery) -> ClauseElement:
    return select(*_facts(grant), *_facts(_client), *_facts(_user)).select_from(
        grant.outerjoin(
            _client, and_(_client.c.realm == grant.c.realm, _client.c.key == grant.c.client_id)
        ).outerjoin(_user, and_(_user.c.realm == grant.c.realm, _user.c.key == grant.c.user_id))
    )


def _code_facts() -> ClauseElement:
    consent = and_(
        _consent.c.realm == _code.c.realm,
        _consent.c.user_id == _code.c.user_id,
        _consent.c.client_id == _code.c.client_id,
    )
    return (
        select(*_facts(_code), *_facts(_client), *_facts(_user), *_facts(_consent), _consent.c.key)
        .select_from(
            _code.outerjoin(
                _client, and_(_client.c.realm == _code.c.realm, _client.c.key == _code.c.client_id)
            )
            .outerjoin(_user, and_(_user.c.realm == _code.c.realm, _user.c.key == _code.c.user_id))
            .outerjoin(_consent, consent)
        )
        .where(_at(_code, "realm", "key"))
    )


def _authorization_facts() -> ClauseElement:
    """Join to keys that the caller knows, so that any of the rows may be missing.

    If `user_id` is empty, the user is that of the session.
    """
    given: dict[str, ColumnElement[str]] = {
        name: cast(bindparam(name), Text)
        for name in ("realm", "client_id", "user_id", "session_id", "code_key", "code_stream")
    }
    # A subquery, not the joined row: on that, PostgreSQL joins by a filter and not by an index.
    of_session = select(_signin.c.user_id).where(
        _signin.c.realm == given["realm"], _signin.c.key == given["session_id"]
    )
    given["user_id"] = func.coalesce(func.nullif(given["user_id"], literal("")), of_session.scalar_subquery())
    asked = select(*(value.label(name) for name, value in given.items())).cte("asked")
    # A code whose row was deleted still has events: its transaction must not give a second code.
    issued = last_version(asked.c.realm, asked.c.code_stream)
    source: FromClause = asked
    for table, wanted in (
        (_signin, _signin.c.key == asked.c.session_id),
        (_code, _code.c.key == asked.c.code_key),
        (_client, _client.c.key == asked.c.client_id),
        (_user, _user.c.key == asked.c.user_id),
        (
            _consent,
            and_(_consent.c.user_id == asked.c.user_id, _consent.c.client_id == asked.c.client_id),
        ),
    ):
        source = source.outerjoin(table, and_(table.c.realm == asked.c.realm, wanted))
    tables = (_client, _user, _signin, _consent, _code)
    return select(*(each for table in tables for each in _facts(table)), issued).select_from(source)


def _session_facts() -> ClauseElement:
    secret = private_record
    return (
        select(*_facts(_signin), *_facts(_user), _user.c.key, secret.c.key_id, secret.c.sealed)
        .select_from(
            _signin.outerjoin(
                _user, and_(_user.c.realm == _signin.c.realm, _user.c.key == _signin.c.user_id)
            ).outerjoin(
                secret,
                and_(
                    secret.c.realm == _signin.c.realm,
                    secret.c.subject == _signin.c.user_id,
                    secret.c.name == literal("email"),
                ),
            )
        )
        .where(_at(_signin, "realm", "key"))
    )


def _connected_apps() -> ClauseElement:
    """Return the clients of a user with their usable grants counted, the most recently connected first.

    Only the newest `bound` grants and `bound` consents are read, so that no user can make the query slow.
    """
    recent = (
        select(
            _grant.c.client_id,
            _grant.c.client_registration,
            _grant.c.opened_at,
            _grant.c.refreshed_at,
            _grant.c.ends_at,
        )
        .where(_at(_grant, "realm", "user_id"))
        .order_by(_grant.c.opened_at.desc(), _grant.c.key.desc())
        .limit(bindparam("bound"))
        .subquery("recent")
    )
    alive = (
        select(
            recent.c.client_id,
            recent.c.client_registration,
            func.count().label("connections"),
            func.min(recent.c.opened_at).label("since"),
            func.max(recent.c.opened_at).label("latest"),
            func.max(recent.c.refreshed_at).label("last_refresh"),
        )
        .where(recent.c.ends_at > bindparam("now"))
        .group_by(recent.c.client_id, recent.c.client_registration)
        .subquery("alive")
    )
    given = (
        select(_consent.c.key, _consent.c.client_id)
        .where(_at(_consent, "realm", "user_id"))
        .order_by(_consent.c.client_id)
        .limit(bindparam("bound"))
        .subquery("given")
    )
    # Both sorted by client in one pass. PostgreSQL may run a join of them as a loop in a loop: 4.7 s for
    # 2,000 consents and 2,000 grants, instead of 0.02 s.
    both = union_all(
        select(*alive.c, null().label("key")),
        select(given.c.client_id, *[null()] * 5, given.c.key),
    ).subquery("both")
    matched = select(
        *both.c,
        func.max(both.c.key).over(partition_by=both.c.client_id).label("consent_key"),
        func.count(both.c.connections).over(partition_by=both.c.client_id).label("alive"),
    ).subquery("matched")
    latest = func.coalesce(matched.c.latest, 0)
    chosen = (
        select(
            matched.c.consent_key.label("key"),
            matched.c.client_id,
            matched.c.client_registration,
            matched.c.connections,
            matched.c.since,
            latest.label("latest"),
            matched.c.last_refresh,
        )
        .where(
            matched.c.consent_key.is_not(None), (matched.c.key.is_(None)) | (matched.c.alive == literal(0))
        )
        .order_by(latest.desc(), matched.c.client_id)
        .limit(bindparam("most"))
        .subquery("chosen")
    )
    realm: ColumnElement[str] = bindparam("realm")
    return (
        select(
            *_facts(_consent),
            *_facts(_client),
            chosen.c.key,
            chosen.c.client_id,
            chosen.c.client_registration,
            chosen.c.connections,
            chosen.c.since,
            chosen.c.last_refresh,
        )
        .select_from(
            chosen.join(_consent, and_(_consent.c.realm == realm, _consent.c.key == chosen.c.key)).join(
                _client, and_(_client.c.realm == realm, _client.c.key == chosen.c.client_id)
            )
        )
        .order_by(chosen.c.latest.desc(), chosen.c.client_id)
    )


def _prunable_clients() -> ClauseElement:
    """Return the next `most` clients after the cursor that may be pruned, and whether each was ever used."""
    c = _client.c
    used = (
        select(_consent.c.key)
        .where(_consent.c.realm == c.realm, _consent.c.client_id == c.key)
        .correlate(_client)
        .exists()
    )
    return (
        select(c.key, *_facts(_client), c.registered_at, used)
        .where(
            c.realm == bindparam("realm"),
            c.prunable == literal(1),
            c.registered_at <= bindparam("before"),
            tuple_(c.registered_at, c.key) > tuple_(bindparam("began"), bindparam("key")),
        )
        .order_by(c.registered_at, c.key)
        .limit(bindparam("most"))
    )


def _sealed() -> ClauseElement:
    statement = select(private_record.c.key_id, private_record.c.sealed)
    return statement.where(_at(private_record, "realm", "subject", "name"))


def _all_sealed() -> ClauseElement:
    statement = select(private_record.c.name, private_record.c.key_id, private_record.c.sealed)
    return statement.where(_at(private_record, "realm", "subject"))


def _next_key_id() -> ClauseElement:
    c = private_record.c
    return select(func.min(c.key_id)).where(c.realm == bindparam("realm"), c.key_id > bindparam("key_id"))


def _ended(table: Table) -> ClauseElement:
    """Delete the rows that ended first: `most`, and those that ended in the same second as the last."""
    c = table.c
    ended: Select[Any] = select(c.ends_at).where(
        c.realm == bindparam("realm"), c.ends_at <= bindparam("horizon")
    )
    first = ended.order_by(c.ends_at).limit(bindparam("most")).subquery("first")
    # A range of the index on both sides, for which no planner needs to know `most`.
    last = select(func.max(first.c.ends_at)).scalar_subquery()
    return delete(table).where(c.realm == bindparam("of"), c.ends_at <= last)


def _sweep_end() -> ClauseElement:
    """Return the last of the next `most` keys of grants after `key`, and how many they are."""
    c = _grant.c
    some = select(c.key).where(c.realm == bindparam("realm"), c.key > bindparam("key")).order_by(c.key)
    found = some.limit(bindparam("most")).subquery()
    return select(func.max(found.c.key), func.count())


def _ended_grants() -> ClauseElement:
    c = _grant.c
    return delete(_grant).where(
        c.realm == bindparam("realm"),
        c.key > bindparam("key"),
        c.key <= bindparam("last"),
        c.ends_at <= bindparam("horizon"),
    )


def _merged_throttles() -> ClauseElement:
    """Return the buckets that were merged since a time, the newest first."""
    c = throttles.c
    since = select(c.kind, c.key, c.full_at).where(
        c.realm == bindparam("realm"), c.merged_at >= bindparam("since")
    )
    return since.order_by(c.merged_at.desc()).limit(bindparam("most"))


def _throttle_surplus() -> ClauseElement:
    """Return when the first bucket beyond the `most` emptiest ones is full again."""
    c = throttles.c
    emptiest = select(c.full_at).where(c.realm == bindparam("realm")).order_by(c.full_at.desc())
    return emptiest.limit(literal(1)).offset(bindparam("most"))


def _sweep_throttles() -> ClauseElement:
    c = throttles.c
    return delete(throttles).where(c.realm == bindparam("realm"), c.full_at <= bindparam("horizon"))
