from collections.abc import AsyncIterator, Awaitable
from operator import itemgetter
from pathlib import Path

import rich_click as click

from grantledger.application.ports import MAX_PAGE, Page
from grantledger.application.provenance import by_operator
from grantledger.domain.client_registration import CLIENT
from grantledger.domain.token_grant import GRANT, GrantUnknown, TokenGrant
from grantledger.entrypoints.cli.failures import Failed
from grantledger.entrypoints.cli.finding import EmailAddresses, user_id_of
from grantledger.entrypoints.cli.ids import CommandOfGrants
from grantledger.entrypoints.cli.listing import Columns, Cut, cut_options, each, print_list
from grantledger.entrypoints.cli.options import database_options, json_option
from grantledger.entrypoints.cli.output import moment, print_facts, print_record
from grantledger.entrypoints.cli.progress import counting
from grantledger.entrypoints.cli.records import Record, grant_record
from grantledger.entrypoints.cli.running import on_ledger, this_command
from grantledger.entrypoints.container import Container

_ALL = Cut(after=None, limit=None)


_COLUMNS: Columns = {
    "grant": itemgetter("grant_id"),
    "client": itemgetter("client"),
    "user": itemgetter("user"),
    "opened": lambda grant: moment(grant["opened_at"]),
    "status": itemgetter("status"),
}


@click.group()
def grant() -> None:
    """What users have granted to clients: each grant is one consented authorization with all its tokens."""


@grant.command("list")
@click.option("--client", metavar="CLIENT_ID", help="Only those of this client.")
@click.option("--user", metavar="USER", help="Only those of this user, an id or an e-mail address.")
@click.option("--live", is_flag=True, help="Neither the revoked nor the expired ones.")
@cut_options
@json_option
@database_options
def list_grants(
    *,
    client: str | None,
    user: str | None,
    live: bool,
    limit: int,
    everything: bool,
    after: str | None,
    as_json: bool,
    database: str | None,
    config: Path | None,
) -> None:
    """Show the grants, the newest first. Times are UTC.

    Of the latest tokens; what happened to a grant is told by `grantledger ledger show --grant GRANT_ID`.
    """
    cut = Cut(after, None if everything else limit)

    async def work(container: Container) -> None:
        found = _grants(container, cut, client=client, user=user, live=live)
        if not as_json:
            found = _with_names(container, found)
        await print_list(found, as_json=as_json, columns=_COLUMNS, nothing="There is no such grant.")

    on_ledger(database, config, work)


@grant.command(cls=CommandOfGrants)
@click.argument("grant_id")
@json_option
@database_options
def show(grant_id: str, *, as_json: bool, database: str | None, config: Path | None) -> None:
    """Show a grant: who may do what, where, and until when. Tokens are never shown: they are not kept."""

    async def work(container: Container) -> None:
        found = (await container.ledger().load(GRANT, grant_id)).state
        if found is None:
            raise Failed(f"there is no grant {grant_id!r}")
        record = grant_record(grant_id, found, now=container.clock().now())
        if as_json:
            print_record(record)
        else:
            async for named in _with_names(container, _only(record)):
                print_facts(_facts(named))

    on_ledger(database, config, work)


@grant.command(cls=CommandOfGrants)
@click.argument("grant_ids", metavar="[GRANT_ID]...", nargs=-1)
@click.option("--client", metavar="CLIENT_ID", help="All live grants of this client.")
@click.option("--user", metavar="USER", help="All live grants of this user, an id or an e-mail address.")
@click.option("--yes", is_flag=True, help="Do not ask before revoking all of a client or user.")
@database_options
def revoke(
    *,
    grant_ids: tuple[str, ...],
    client: str | None,
    user: str | None,
    yes: bool,
    database: str | None,
    config: Path | None,
) -> None:
    """Refuse every token of these grants from the next request on, for good.

    Name grants, or a client or user, or both for what that user granted to that client. Clients send their
    users to the browser again.
    """
    if bool(grant_ids) == bool(client or user):
        raise click.UsageError("Name grants, or give --client, --user or both.")

    async def work(container: Container) -> None:
        wanted = list(grant_ids) or await _live(container, client=client, user=user)
        if not grant_ids and not yes and wanted:
            click.confirm(f"{len(wanted)} live grants will be revoked. Go on?", abort=True, err=True)
        by = by_operator(this_command())
        with counting("revoking", len(wanted)) as revoked:
            for grant_id in wanted:
                try:
                    await container.revoke_grant()(grant_id, by)
                except GrantUnknown:
                    raise Failed(f"there is no grant {grant_id!r}") from None
                revoked(1)
        click.echo(f"{len(wanted)} revoked")

    on_ledger(database, config, work)


async def _live(container: Container, *, client: str | None, user: str | None) -> list[str]:
    found = _grants(container, _ALL, client=client, user=user, live=True)
    return [record["grant_id"] async for record in found]


async def _grants(
    container: Container, cut: Cut, *, client: str | None, user: str | None, live: bool
) -> AsyncIterator[Record]:
    user_id = None if user is None else await user_id_of(container, user)
    now = container.clock().now()

    def fetch(*, after: str | None = None, limit: int = MAX_PAGE) -> Awaitable[Page[TokenGrant]]:
        return container.ledger().grants(client_id=client, user_id=user_id, after=after, limit=limit)

    async for grant_id, found in each(fetch, cut):
        if not live or found.is_usable(now=now):
            yield grant_record(grant_id, found, now=now)


async def _only(record: Record) -> AsyncIterator[Record]:
    yield record


async def _with_names(container: Container, grants: AsyncIterator[Record]) -> AsyncIterator[Record]:
    """Add what people know client and user by: the name that the client gave itself, the e-mail address."""
    emails = EmailAddresses(container)
    names: dict[str, str | None] = {}
    async for grant in grants:
        client_id, user_id = grant["client_id"], grant["user_id"]
        if client_id not in names:
            client = (await container.ledger().load(CLIENT, client_id)).state
            names[client_id] = client.metadata.client_name if client else None
        yield {
            **grant,
            "client": names[client_id] or client_id,
            "user": await emails.of(user_id) or user_id,
        }


def _facts(grant: Record) -> list[tuple[str, str]]:
    facts = [
        ("grant", grant["grant_id"]),
        ("status", grant["status"]),
        ("client", grant["client"]),
        ("", grant["client_id"]),
        ("user", grant["user"]),
        ("", grant["user_id"]),
        ("resource", grant["resource"]),
        ("scopes", " ".join(grant["scopes"])),
    ]
    times = {
        "opened": "opened_at",
        "last refresh": "refreshed_at",
        "access until": "access_expires_at",
        "refresh until": "refresh_expires_at",
        "ends": "expires_at",
    }
    facts += [(name, f"{moment(grant[at])} UTC") for name, at in times.items() if grant[at] is not None]
    return [*facts, ("refreshes", str(grant["generation"])), ("master secret", grant["key_id"])]
