"""Master secrets as the ledger uses them. Of a secret only its key id is shown."""

from collections.abc import Sequence

import rich_click as click

from grantledger.domain.master_secrets import UsedSecret
from grantledger.entrypoints.cli.output import moment, print_record, print_table
from grantledger.entrypoints.cli.progress import progress
from grantledger.entrypoints.container import Container


async def used_secrets(container: Container) -> Sequence[UsedSecret]:
    """Return each secret that is configured or in use, the newest first."""
    with progress("Reading the ledger") as tell:
        return await container.describe_master_secrets()(tell)


def print_secrets(found: Sequence[UsedSecret], *, as_json: bool) -> None:
    if as_json:
        for one in found:
            print_record(one)
        return
    print_table(
        ("master secret", "role", "private records", "live grants", "until (UTC)"),
        [
            (one.key_id, one.role, str(one.private_records), str(one.live_grants), moment(one.live_until))
            for one in found
        ],
    )


def warn_of_what_lives(found: Sequence[UsedSecret], newest: str) -> None:
    """Say on standard error which older secrets have to be kept, and until when."""
    for one in found:
        if one.key_id != newest and one.live_grants:
            click.secho(
                f"Keep {one.key_id}: {one.live_grants} live grants have tokens of it, the last until "
                f"{moment(one.live_until)} UTC. Then run: grantledger secret retire {one.key_id}",
                fg="yellow",
                err=True,
            )
