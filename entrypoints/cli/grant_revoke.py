from pathlib import Path

import rich_click as click

from grantledger.entrypoints.cli.finding import found_grant
from grantledger.entrypoints.cli.grants_wanted import wanted_grants
from grantledger.entrypoints.cli.ids import CommandOfGrants
from grantledger.entrypoints.cli.listing import Cut
from grantledger.entrypoints.cli.options import database_options, json_option
from grantledger.entrypoints.cli.output import print_record
from grantledger.entrypoints.cli.progress import progress
from grantledger.entrypoints.cli.running import on_ledger, this_command
from grantledger.entrypoints.container import Container

_ALL = Cut(after=None, limit=None)


@click.command(cls=CommandOfGrants)
@click.argument("grant_ids", metavar="[GRANT_ID]...", nargs=-1)
@click.option("--client", metavar="CLIENT_ID", help="All live grants of this client.")
@click.option(
    "--user", metavar="USER", help="All live grants of this user: an id, an e-mail address or the host's id."
)
@click.option("--yes", is_flag=True, help="Do not ask before revoking all of a client or user.")
@json_option
@database_options
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
    """Refuse every token of these grants from the next request on, for good.

    Name grants, or a client or user, or both for what that user granted to that client. Clients send their
    users to the browser again. Where one that is named is not there, nothing is revoked; where a run is cut
    short, the same command revokes the rest.
    """
    if bool(grant_ids) == bool(client or user):
        raise click.UsageError("Name grants, or give --client, --user or both.")

    async def work(container: Container) -> None:
        wanted = await _wanted(container, grant_ids, client=client, user=user)
        if not grant_ids and not yes and wanted:
            click.confirm(f"{len(wanted)} live grants will be revoked. Go on?", abort=True, err=True)
        caller = this_command()
        with progress("Revoking") as tell:
            for done, grant_id in enumerate(wanted, start=1):
                await container.revoke_grant()(grant_id, caller)
                tell(done, len(wanted))
        if as_json:
            print_record({"revoked": wanted})
        else:
            click.echo(f"{len(wanted)} revoked")

    on_ledger(database, config, work)


async def _wanted(
    container: Container, grant_ids: tuple[str, ...], *, client: str | None, user: str | None
) -> list[str]:
    if not grant_ids:
        found = wanted_grants(container, _ALL, client=client, user=user, live=True)
        return [record["grant_id"] async for record in found]
    wanted = list(dict.fromkeys(grant_ids))
    for grant_id in wanted:
        await found_grant(container, grant_id)
    return wanted
