import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

import rich_click as click
from rich.console import Console

from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.audit import Audit, Filter, Line
from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.mapper import TagMapper
from grantledger.entrypoints.cli.ledger_as_of import show_as_of
from grantledger.entrypoints.cli.ledger_filters import check_known, user_wanted
from grantledger.entrypoints.cli.ledger_lines import print_lines
from grantledger.entrypoints.cli.ledger_replay import rebuild, replay
from grantledger.entrypoints.cli.options import database_options, json_option, settings_of
from grantledger.entrypoints.cli.output import print_record

_AGO = re.compile(r"(\d{1,6})([smhd])")
_SECONDS = re.compile(r"\d{9,12}(\.\d{1,6})?")
"""Since 1970. Eight digits are a day, 20261121."""
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Moment(click.ParamType[datetime]):
    """A moment: ISO 8601, in UTC unless it names its zone; seconds since 1970; or how long ago."""

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
                f"{value!r} is neither a time like 2026-11-21T09:00 nor one ago like 90s, 15m, 2h or 7d"
            )
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@click.group()
def ledger() -> None:
    """The memory of everything that happened."""


for command in (replay, rebuild):
    ledger.add_command(command)


@ledger.command()
@click.option("--client", metavar="CLIENT_ID", help="Only what happened to this client, or for it.")
@click.option(
    "--user",
    metavar="USER",
    help="Only what happened to this user's account, codes and grants: an id, an e-mail address or the "
    "host's id.",
)
@click.option("--grant", metavar="GRANT_ID", help="Only what happened to this grant, and to its code.")
@click.option(
    "--since",
    type=Moment(),
    help="Only what was recorded then or later: 2026-11-21T09:00 (UTC), 15m, 2h, 7d.",
)
@click.option(
    "--as-of",
    type=Moment(),
    help="Not what happened, but how the client or the grant was at this moment, judged by it.",
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
    """Show what happened, in the order in which it happened.

    Several filters together show what passes all of them. A client, user or grant that was deleted or revoked
    is found; one that nothing was ever recorded of is an error. Times are UTC: 2026-11-21T09:00, with another
    zone if it is named, or seconds since 1970.

    With --as-of, and either --client or --grant, it shows what that was at the moment: what a grant was good
    for, whether it was live, and whose it was.
    """
    if as_of is not None:
        if (client is None) == (grant is None) or user is not None or since is not None:
            raise click.UsageError("--as-of takes either --client or --grant, and no other filter.")
        show_as_of(database, config, as_of, client=client, grant=grant, as_json=as_json)
        return
    settings = settings_of(database, config)
    user_id = None if user is None else user_wanted(database, config, user)
    wanted = Filter(client=client, user=user_id, grant=grant, since=since)
    lines = lines_of(settings.database, settings.realm, wanted)
    if as_json:
        for line in lines:
            print_record(line)
    else:
        print_lines(lines, Console(highlight=False))


def lines_of(database: str | Path, realm: str, wanted: Filter) -> Iterator[Line]:
    """Return lines of a ledger. Raises `CannotOpen`, `SchemaMismatch` and as `check_known` does."""
    file = Database(database)
    migrations.check(file)
    audit = Audit(file, TagMapper(), realm=realm)
    lines = audit.lines(wanted)
    first = next(lines, None)
    if first is None:
        check_known(audit, wanted)
        return lines
    return chain((first,), lines)
