"""`grantledger grant`."""

import re
from collections.abc import AsyncIterator, Awaitable
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from grantledger.application.ports import MAX_PAGE, ListPage
from grantledger.domain.client_registration import CLIENT
from grantledger.domain.token_grant import TokenGrant
from grantledger.entrypoints.cli.ledger_access import (
    UserNames,
    database_options,
    found_client,
    found_grant,
    found_user,
    json_option,
    on_ledger,
    operator_options,
    this_command,
)
from grantledger.entrypoints.cli.output import (
    Columns,
    Part,
    Record,
    items_of,
    part_options,
    print_facts,
    print_list,
    print_record,
    progress,
    to_minute,
)

if TYPE_CHECKING:
    from grantledger.entrypoints.composition import Container

# A grant id is 16 random bytes in base64url, so one in 64 begins like an option.
_LIKE_AN_OPTION = re.compile(r"-[A-Za-z0-9_-]{21}")

_ALL = Part(after=None, limit=None)

_COLUMNS: Columns = {
    "grant": itemgetter("grant_id"),
    "client": itemgetter("client"),
    "user": itemgetter("user"),
    "opened": lambda grant: to_minute(grant["opened_at"]),
    "status": itemgetter("status"),
}


class CommandOfGrants(click.RichCommand):
    """A command whose grant ids may begin with `-`, without `--` before them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ids = [argument for argument in args if _LIKE_AN_OPTION.fullmatch(argument)]
        rest = [argument for argument in args if argument not in ids]
        return super().parse_args(ctx, [*rest, "--", *ids] if ids and "--" not in args else args)


@click.group()
def grant() -> None:
    """List, show and revoke grants. A grant is one consented authorization with all its tokens."""


@grant.command("list")
@click.option("--client", metavar="CLIENT_ID", help="Only grants to this client.")
@click.option(
    "--user",
    metavar="USER",
    help="Only grants of this user: an id, an e-mail address, or the id at the host application.",
)
@click.option("--live", is_flag=True, help="Leave out revoked and expired grants.")
@part_options
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
    """List the grants, newest first. Times are UTC.

    `grantledger ledger show --grant GRANT_ID` shows the events of a grant.
    """
    part = Part(after, None if everything else limit)

    async def work(container: "Container") -> None:
        found = _grants(container, part, client=client, user=user, live=live)
        if not as_json:
            found = _with_names(container, found)
        await print_list(found, as_json=as_json, columns=_COLUMNS, nothing="No grant matches.")

    on_ledger(database, config, work)


@grant.command(cls=CommandOfGrants)
@click.argument("grant_id")
@json_option
@database_options
def show(grant_id: str, *, as_json: bool, database: str | None, config: Path | None) -> None:
    """Show a grant: client, user, resource, scopes and expiry. Tokens are not shown: they are not stored."""

    async def work(container: "Container") -> None:
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


async def _with_names(container: "Container", grants: AsyncIterator[Record]) -> AsyncIterator[Record]:
    """Add the names by which people know the client and the user.

    For a client it is its `client_name`, for a user the e-mail address or the id at the host application.
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
            "user": (await users.of(user_id)).account_name or user_id,
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
    facts += [(name, f"{to_minute(grant[at])} UTC") for name, at in times.items() if grant[at] is not None]
    return [*facts, ("refreshes", str(grant["generation"])), ("master secret", grant["key_id"])]


@grant.command(cls=CommandOfGrants)
@click.argument("grant_ids", metavar="[GRANT_ID]...", nargs=-1)
@click.option("--client", metavar="CLIENT_ID", help="All live grants of this client.")
@click.option(
    "--user",
    metavar="USER",
    help="All live grants of this user: an id, an e-mail address, or the id at the host application.",
)
@click.option(
    "--yes", is_flag=True, help="Do not ask for confirmation before revoking all grants of a client or user."
)
@json_option
@operator_options
def revoke(
    *,
    grant_ids: tuple[str, ...],
    client: str | None,
    user: str | None,
    yes: bool,
    as_json: bool,
    database: str | None,
    config: Path | None,
) -> None:
    """Permanently refuse every token of these grants, from the next request on.

    Give grant ids, or --client, --user, or both for the grants of that user to that client. The clients then
    have to send their users to the browser again. If one of the named grants does not exist, nothing is
    revoked. If the command is interrupted, run it again to revoke the rest.
    """
    if bool(grant_ids) == bool(client or user):
        raise click.UsageError("Give grant ids, or --client, --user or both.")

    async def work(container: "Container") -> None:
        wanted = await _wanted_ids(container, grant_ids, client=client, user=user)
        if not grant_ids and not yes and wanted:
            click.confirm(f"Live grants that will be revoked: {len(wanted)}. Continue?", abort=True, err=True)
        caller = this_command()
        with progress("Revoking") as report:
            for done, grant_id in enumerate(wanted, start=1):
                await container.use_cases().revoke_grant(grant_id, caller)
                report(done, len(wanted))
        if as_json:
            print_record({"revoked": wanted})
        else:
            click.echo(f"{len(wanted)} revoked")

    on_ledger(database, config, work)


async def _wanted_ids(
    container: "Container", grant_ids: tuple[str, ...], *, client: str | None, user: str | None
) -> list[str]:
    if not grant_ids:
        found = _grants(container, _ALL, client=client, user=user, live=True)
        return [record["grant_id"] async for record in found]
    wanted = list(dict.fromkeys(grant_ids))
    for grant_id in wanted:
        await found_grant(container, grant_id)
    return wanted


async def _grants(
    container: "Container", part: Part, *, client: str | None, user: str | None, live: bool
) -> AsyncIterator[Record]:
    """Yield grants, the newest first. Raises `ClientNotFound` and `UserNotFound`."""
    if client is not None:
        await found_client(container, client)
    user_id = None if user is None else (await found_user(container, user)).user_id
    now = container.clock().now()

    def fetch(*, after: str | None = None, limit: int = MAX_PAGE) -> Awaitable[ListPage[TokenGrant]]:
        return container.ledger().grants(client_id=client, user_id=user_id, after=after, limit=limit)

    async for grant_id, found in items_of(fetch, part):
        if not live or found.is_usable(now=now):
            yield grant_record(grant_id, found, now=now)


def grant_record(grant_id: str, grant: TokenGrant, *, now: int) -> Record:
    return {
        "grant_id": grant_id,
        "client_id": grant.client_id,
        "user_id": grant.user_id,
        "status": _grant_status(grant, now=now),
        "resource": grant.consented.resource,
        "scopes": grant.consented.scopes,
        "opened_at": grant.opened_at,
        "refreshed_at": grant.issued_at if grant.generation else None,
        "generation": grant.generation,
        "access_expires_at": grant.access_expires_at,
        "refresh_expires_at": grant.refresh_expires_at,
        "expires_at": grant.expires_at,
        "key_id": grant.key_id,
    }


def _grant_status(grant: TokenGrant, *, now: int) -> str:
    """Return the status of the grant itself, even if its client or user is disabled."""
    if grant.revoked is not None:
        return f"revoked ({grant.revoked.removeprefix('revoked_').replace('_', ' ')})"
    return "live" if grant.is_usable(now=now) else "expired"
