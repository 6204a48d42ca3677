"""`grantledger ledger`."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec
import rich_click as click
from msgspec import Struct, structs

from grantledger.application.history.as_of import PastClient, PastGrant, PastUser
from grantledger.entrypoints.cli.failures import (
    ClientNotFound,
    CommandFailed,
    GrantNotFound,
    NotThereThen,
    RowsDiffer,
    UserNotFound,
)
from grantledger.entrypoints.cli.ledger_access import (
    database_options,
    existing,
    json_option,
    named_user,
    on_ledger,
    settings_of,
)
from grantledger.entrypoints.cli.output import print_facts, print_record, progress, to_second
from grantledger.entrypoints.cli.past_state import facts_of

if TYPE_CHECKING:
    from rich.console import Console, Group

    from grantledger.adapters.ledger.database import Database
    from grantledger.adapters.ledger.history import Audit, Filter, RecordedEvent
    from grantledger.adapters.ledger.replay import Difference, ReplayedPage

MAX_DIFFERENCES = 50
"""How many differences are printed; `--json` prints all."""

_AGO = re.compile(r"(\d{1,6})([smhd])")
_SECONDS = re.compile(r"\d{9,12}(\.\d{1,6})?")
"""Seconds since 1970. Eight digits are not seconds but a date, such as 20261121."""
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_NOT_FOUND: dict[str, type[CommandFailed]] = {
    "client": ClientNotFound,
    "user": UserNotFound,
    "grant": GrantNotFound,
}

_TIMES = frozenset({"auth_time", "since"})
"""Fields in seconds since 1970, in addition to those that end in `_at` or `_until`."""

_ONLY_IN_JSON = frozenset(
    {
        "client_registration",
        "code_challenge",
        "code_key",
        "nonce",
        "public_key",
        "secret_digest",
        "session_id",
        "transaction_id",
    }
)
"""Fields that people cannot use, such as digests and challenges."""


class Moment(click.ParamType[datetime]):
    """A time: ISO 8601, in UTC unless it names a zone; seconds since 1970; or a duration before now."""

    name = "TIME"

    def convert(self, value: str, *_: object) -> datetime:
        if ago := _AGO.fullmatch(value):
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        try:
            moment = (
                datetime.fromtimestamp(float(value), UTC)
                if _SECONDS.fullmatch(value)
                else datetime.fromisoformat(value)
            )
        except (ValueError, OverflowError, OSError):
            self.fail(
                f"{value!r} is neither a time like 2026-11-21T09:00 nor a duration like 90s, 15m, 2h or 7d"
            )
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@click.group()
def ledger() -> None:
    """Read the ledger, check or rebuild the read model, and copy the ledger to another database."""


# ledger show


@ledger.command()
@click.option(
    "--client", metavar="CLIENT_ID", help="Only events of this client, and of its codes, grants and consents."
)
@click.option(
    "--user",
    metavar="USER",
    help="Only events of this user's account, sessions, codes, grants and consents. USER is an id, an e-mail "
    "address, or the id at the host application.",
)
@click.option("--grant", metavar="GRANT_ID", help="Only events of this grant and of its code.")
@click.option(
    "--since",
    type=Moment(),
    help="Only events recorded at this time or later: 2026-11-21T09:00 (UTC), or 15m, 2h, 7d ago.",
)
@click.option(
    "--as-of",
    type=Moment(),
    help="Show the state of the client, user or grant at this time, instead of its events.",
)
@json_option
@database_options
def show(
    *,
    as_of: datetime | None,
    client: str | None,
    user: str | None,
    grant: str | None,
    since: datetime | None,
    as_json: bool,
    database: str | None,
    config: Path | None,
) -> None:
    """Show the events of the ledger, oldest first.

    With several filters, an event must match all of them. Deleted clients and revoked grants are found too.
    A client, user or grant without any event is an error.

    A time is ISO 8601, in UTC unless it names a zone, or seconds since 1970, or a duration before now such as
    90s, 15m, 2h or 7d.

    With --as-of, give one of --client, --user and --grant. The command shows the metadata of a client, the
    roles of a user, or the client, resource and scopes of a grant and whether its tokens were accepted.
    """
    from grantledger.adapters.ledger.history import Filter
    from grantledger.entrypoints.databases import database_of

    if as_of is not None:
        filters = {"client": client, "user": user, "grant": grant}
        named = [(what, name) for what, name in filters.items() if name is not None]
        if len(named) != 1 or since is not None:
            raise click.UsageError("--as-of takes one of --client, --user and --grant, and no other filter.")
        _show_as_of(database, config, as_of, *named[0], as_json=as_json)
        return
    settings = settings_of(database, config)
    user_id = None if user is None else _user_id(database, config, user)
    wanted = Filter(client=client, user=user_id, grant=grant, since=since)
    events = events_of(database_of(settings), settings.realm, wanted)
    if as_json:
        for event in events:
            # Events are stored as arrays of their fields. JSON for programs also has the names of the fields.
            print_record({**structs.asdict(event), "event": structs.asdict(event.event)})
    else:
        from rich.console import Console

        print_events(events, Console(highlight=False))


def events_of(database: "Database", realm: str, wanted: "Filter") -> Iterator["RecordedEvent"]:
    """Return the events of a ledger that pass the filter.

    Raises `CannotOpen`, `SchemaMismatch`, and `ClientNotFound`, `UserNotFound` or `GrantNotFound` if the log
    has no event of the client, user or grant.
    """
    from grantledger.adapters.ledger import migrations
    from grantledger.adapters.ledger.history import Audit

    migrations.check(database)
    audit = Audit(database, realm=realm)
    events = audit.events(wanted)
    first = next(events, None)
    if first is None:
        _check_known(audit, wanted)
        return events
    return chain((first,), events)


def _user_id(database: str | None, config: Path | None, name: str) -> str:
    """Return the id of the user that an operator names. Raises `UserNotFound`.

    An id is returned unchanged: a copy of a ledger can then be read without its master secret.
    """
    if name.startswith("glu_"):
        return name
    return on_ledger(database, config, lambda container: named_user(container, name))


def _check_known(audit: "Audit", wanted: "Filter") -> None:
    from grantledger.adapters.ledger.history import Filter

    for what, value in structs.asdict(wanted).items():
        named = what in _NOT_FOUND and value is not None
        if named and next(audit.events(Filter(**{what: value})), None) is None:
            raise _NOT_FOUND[what](f"there is no {what} {value!r}")


def print_events(events: Iterator["RecordedEvent"], console: "Console") -> None:
    """Print the events as a table. Ids are whole, so that they can be used as filters."""
    from rich.table import Table

    first = next(events, None)
    if first is None:
        console.print("No event matches.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("time (UTC)", no_wrap=True)
    table.add_column("what happened", overflow="fold")
    table.add_column("by", no_wrap=True)
    for event in chain((first,), events):
        time = event.recorded_at.strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(str(event.position), time, _event_cell(event), event.actor_kind or "")
    console.print(table)


def _event_cell(event: "RecordedEvent") -> "Group":
    from rich.console import Group
    from rich.text import Text

    aggregate, fact, _ = event.tag.replace("_", " ").split(".")
    facts = (Text(f"{name}: {value}", style="dim") for name, value in _facts_of_event(event))
    return Group(Text(f"{aggregate} {fact}", style="bold"), *facts)


def _facts_of_event(event: "RecordedEvent") -> Iterator[tuple[str, str]]:
    """Yield what distinguishes this event from others of its kind. Times are left out: they have a column."""
    yield from event.about.items()
    for field, value in structs.asdict(event.event).items():
        name = field.removesuffix("_id").replace("_", " ")
        if value is None or field in _ONLY_IN_JSON or field.endswith("_at") or name in event.about:
            continue
        is_time = field in _TIMES or field.endswith("_until")
        yield name, f"{to_second(value)} UTC" if is_time else _text(value)


def _text(value: Any) -> str:
    if isinstance(value, Struct):
        fields = msgspec.to_builtins(value)
        return str(fields.get("client_name") or fields)
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


# ledger show --as-of


def _show_as_of(
    database: str | None,
    config: Path | None,
    moment: datetime,
    what: str,
    name: str,
    *,
    as_json: bool,
) -> None:
    """Print the client, user or grant as it was. Raises `NotThereThen`."""
    import asyncio

    moment = moment.astimezone(UTC)
    at = moment.isoformat().replace("+00:00", "Z")
    microseconds = (moment - _EPOCH) // timedelta(microseconds=1)
    key = _user_id(database, config, name) if what == "user" else name
    container = existing(
        database, config
    )  # the ledger is not opened: a copy can be read without its master secret

    async def read() -> PastClient | PastUser | PastGrant | None:
        use_cases = container.use_cases()
        if what == "grant":
            return await use_cases.read_grant_as_of(key, microseconds)
        if what == "user":
            return await use_cases.read_user_as_of(key, microseconds)
        return await use_cases.read_client_as_of(key, microseconds)

    found = asyncio.run(read())
    if found is None:
        raise NotThereThen(f"the {what} did not exist at {at}")
    if as_json:
        print_record({"as_of": at, **msgspec.to_builtins(found)})
    else:
        print_facts((("as of", at), *facts_of(found)))


# ledger replay


@ledger.command()
@json_option
@database_options
def replay(*, as_json: bool, database: str | None, config: Path | None) -> None:
    """Replay the log, and compare the result with the read model.

    Changes nothing, and may run while servers run. If rows are missing, have no events, or differ from the
    result, the command names each of them and exits with 1. `ledger rebuild` corrects them.
    """
    from grantledger.adapters.ledger.replay import Replay

    container = existing(database, config)
    replaying = Replay(container.database(), now=container.clock().now, realm=container.settings.realm)
    events = rows = found = 0
    shown: list[Difference] = []
    total = replaying.events()

    with progress("Replaying") as report:

        def compared(page: "ReplayedPage") -> None:
            nonlocal events, rows
            events, rows = events + page.events, rows + len(page.rows)
            report(events, max(events, total))

        for found, difference in enumerate(replaying.differences(compared), start=1):
            if as_json:
                print_record(_difference_record(difference))
            elif found <= MAX_DIFFERENCES:
                shown.append(difference)
    for difference in shown:
        click.echo(str(difference))
    if as_json:
        print_record({"events": events, "rows": rows, "differences": found})
    else:
        more = f" ({found - MAX_DIFFERENCES} not shown)" if found > MAX_DIFFERENCES else ""
        differ = "all equal to the read model" if not found else f"{found} differ from the read model{more}"
        click.echo(f"{events} events replayed into {rows} rows: {differ}")
    if found:
        raise RowsDiffer("the read model differs from the log: `grantledger ledger rebuild` corrects it")


def _difference_record(difference: "Difference") -> dict[str, str]:
    return {"category": difference.category, "key": difference.key, "difference": difference.sentence}


# ledger rebuild


@ledger.command()
@json_option
@database_options
def rebuild(*, as_json: bool, database: str | None, config: Path | None) -> None:
    """Build the read model again from the log, and replace the old one.

    May run while servers run; requests do not wait for it. If it is interrupted, nothing has changed. Run it
    after `ledger replay` has found a difference, or after an upgrade that changes the read model. It rebuilds
    every realm of the database, and needs disk space for a second copy of the rows.
    """
    from grantledger.adapters.ledger.rebuild import Rebuild

    container = existing(database, config)
    begun, events = perf_counter(), 0
    with progress("Rebuilding") as report:
        for step in Rebuild(container.database(), now=container.clock().now()).steps():
            report(step.folded, step.events)
            events = step.folded
    seconds = round(perf_counter() - begun, 3)
    if as_json:
        print_record({"events": events, "seconds": seconds})
    else:
        click.echo(f"{events} events replayed; the read model is rebuilt")


# ledger copy


@ledger.command()
@click.option(
    "--to",
    "target",
    required=True,
    metavar="DATABASE",
    help="Where to: the path of a new SQLite file, or the URL of an empty PostgreSQL database.",
)
@json_option
@database_options
def copy(*, target: str, as_json: bool, database: str | None, config: Path | None) -> None:
    """Copy the whole ledger to another database: from SQLite or PostgreSQL, to SQLite or PostgreSQL.

    Stop every server first: the command refuses a ledger that is in use, and a target that is not empty. It
    compares the copy with the source, and the copied read model with a replay of the copied log. If it is
    interrupted, the target stays empty, and you can start it again. Afterwards, let the servers use the new
    database with the same master secret.
    """
    from grantledger.adapters.ledger.copying import Copy
    from grantledger.adapters.ledger.replay import Replay
    from grantledger.entrypoints.databases import database_at
    from grantledger.entrypoints.settings import check_setting

    check_setting("database", target)
    container = existing(database, config)
    here, there = container.database(), database_at(target)
    copying = Copy(here, there)
    rows = events = found = 0
    with ExitStack() as closing:
        for each in (here, there):
            closing.callback(each.engine.dispose)
        with progress("Copying") as report:
            for step in copying.steps():
                rows = step.rows // 2
                report(step.done, step.rows)
        with progress("Replaying") as report:
            for realm in copying.realms():
                replaying = Replay(there, now=container.clock().now, realm=realm)
                total = events + replaying.events()

                def compared(page: "ReplayedPage", total: int = total) -> None:
                    nonlocal events
                    events += page.events
                    report(events, total)

                found += sum(1 for _ in replaying.differences(compared))
    if as_json:
        print_record({"database": there.name, "rows": rows, "events": events, "differences": found})
    else:
        click.echo(
            f"{rows} rows copied to {there.name}; {events} events replayed: {found or 'no'} differences"
        )
    if found:
        raise RowsDiffer("the read model differs from the log: `grantledger ledger rebuild` corrects it")
