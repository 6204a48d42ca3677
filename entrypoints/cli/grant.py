from collections.abc import AsyncIterator
from operator import itemgetter
from pathlib import Path

import rich_click as click

from grantledger.domain.client_registration import CLIENT
from grantledger.entrypoints.cli.finding import UserNames, found_grant
from grantledger.entrypoints.cli.grant_revoke import revoke
from grantledger.entrypoints.cli.grants_wanted import wanted_grants
from grantledger.entrypoints.cli.ids import CommandOfGrants
from grantledger.entrypoints.cli.listing import Columns, Cut, cut_options, print_list
from grantledger.entrypoints.cli.options import database_options, json_option
from grantledger.entrypoints.cli.output import moment, print_facts, print_record
from grantledger.entrypoints.cli.records import Record, grant_record
from grantledger.entrypoints.cli.running import on_ledger
from grantledger.entrypoints.container import Container

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


grant.add_command(revoke)


@grant.command("list")
@click.option("--client", metavar="CLIENT_ID", help="Only those of this client.")
@click.option(
    "--user", metavar="USER", help="Only those of this user: an id, an e-mail address or the host's id."
)
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
        found = wanted_grants(container, cut, client=client, user=user, live=live)
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
        found = await found_grant(container, grant_id)
        record = grant_record(grant_id, found, now=container.clock().now())
        if as_json:
            print_record(record)
        else:
            async for named in _with_names(container, _only(record)):
                print_facts(_facts(named))

    on_ledger(database, config, work)


async def _only(record: Record) -> AsyncIterator[Record]:
    yield record


async def _with_names(container: Container, grants: AsyncIterator[Record]) -> AsyncIterator[Record]:
    """Add what people know client and user by: the name that the client gave itself, the e-mail address
    or the id at the host.
    """
    users = UserNames(container)
    names: dict[str, str | None] = {}
    async for grant in grants:
        client_id, user_id = grant["client_id"], grant["user_id"]
        if client_id not in names:
            client = (await container.ledger().load(CLIENT, client_id)).state
            names[client_id] = client.metadata.client_name if client else None
        yield {
            **grant,
            "client": names[client_id] or client_id,
            "user": (await users.of(user_id)).name or user_id,
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
