"""`grantledger secret`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from grantledger.application.keys.master_secrets import SecretsUnchangeable
from grantledger.domain.master_secrets import (
    MasterSecretHoldsRecords,
    MasterSecretNeeded,
    MasterSecretSeals,
    MasterSecretUnknown,
    MasterSecretWaits,
    UsedSecret,
)
from grantledger.entrypoints.cli.failures import SecretRefused, SecretsByHand
from grantledger.entrypoints.cli.ledger_access import database_options, json_option, on_ledger, this_command
from grantledger.entrypoints.cli.output import print_record, print_table, progress, to_minute

if TYPE_CHECKING:
    from grantledger.entrypoints.composition import Container


@click.group()
def secret() -> None:
    """The master secrets: the first one seals tokens, cookies and private records, all of them open.

    To change it: `secret rotate` adds a new one, which every server learns when it is restarted; `secret
    rotate --to KEY_ID` lets it seal; `secret retire KEY_ID` drops the old one. Nobody is signed out by that.
    The ledger remembers each step, by the key id.
    """


@secret.command("list")
@json_option
@database_options
def list_secrets(*, as_json: bool, database: str | None, config: Path | None) -> None:
    """Show what is sealed under each master secret: private records, and tokens of live grants."""

    async def work(container: "Container") -> None:
        _print_secrets(await _used_secrets(container), as_json=as_json)

    on_ledger(database, config, work)


@secret.command()
@click.option("--to", "to", metavar="KEY_ID", help="Let this secret seal, which every server knows by now.")
@click.option("--yes", is_flag=True, help="Do not ask whether every server was restarted.")
@json_option
@database_options
def rotate(*, to: str | None, yes: bool, as_json: bool, database: str | None, config: Path | None) -> None:
    """Begin to use a new master secret, in two steps between which every server is restarted.

    Without --to a new secret is made and added as the last one: it opens, and seals nothing yet. With --to it
    becomes the first one, and the private records are sealed anew under it, a batch at a time while servers
    go on; when that is cut short, the same command finishes it. Tokens that were sealed under the old secret
    stay good as long as it is kept: `secret list` shows until when they live.
    """

    async def work(container: "Container") -> None:
        if to is None:
            await _add(container, as_json=as_json)
        else:
            await _activate(container, to, yes=yes, as_json=as_json)

    on_ledger(database, config, work)


@secret.command()
@click.argument("key_id")
@click.option(
    "--force",
    is_flag=True,
    help="Also while tokens of it live: their clients send users to the browser again. For one that leaked.",
)
@json_option
@database_options
def retire(key_id: str, *, force: bool, as_json: bool, database: str | None, config: Path | None) -> None:
    """Drop an old master secret once nothing that is alive was sealed under it.

    Where secrets are changed by hand, remove it first; this command then only remembers that it is gone.
    """

    async def work(container: "Container") -> None:
        newest = (await container.secret_keeper().key_ids())[0]
        with progress("Reading the ledger") as report, _refusing(f"remove {key_id}", newest=newest):
            await container.use_cases().retire_master_secret(key_id, this_command(), report, force=force)
        if as_json:
            print_record({"key_id": key_id, "step": "retired"})
        else:
            click.echo(f"{key_id} is retired: restart every server, so that they forget it too.")

    on_ledger(database, config, work)


async def _add(container: "Container", *, as_json: bool) -> None:
    by_hand = (
        "add a new one there as the last (`openssl rand -base64 32` makes one), restart every server, and "
        "see its key id with `grantledger secret list`"
    )
    with progress("Reading the ledger") as report, _refusing(by_hand):
        key_id = await container.use_cases().add_master_secret(this_command(), report)
    if as_json:
        print_record({"key_id": key_id, "step": "added"})
        return
    click.echo(f"{key_id} is added and seals nothing yet.")
    click.echo("1. Restart every server, so that each can open what will be sealed under it.")
    click.echo(f"2. Run: grantledger secret rotate --to {key_id}")


async def _activate(container: "Container", to: str, *, yes: bool, as_json: bool) -> None:
    configured = await container.secret_keeper().key_ids()
    if to in configured[1:] and not yes:
        click.confirm(
            f"Servers that do not know {to} will refuse its tokens. Was every server restarted since it was "
            "added?",
            abort=True,
            err=True,
        )
    with (
        progress("Sealing private records anew") as report,
        _refusing(f"move {to} to the front"),
    ):
        done = await container.use_cases().activate_master_secret(to, this_command(), report)
    if as_json:
        print_record({"key_id": to, "step": "activated", "resealed": done})
    else:
        click.echo(f"{done} private records are sealed anew under {to}.")
        click.echo("Restart every server, so that new tokens are sealed under it too.")
    _warn_of_live_grants(await _used_secrets(container), to)


@contextmanager
def _refusing(by_hand: str, *, newest: str = "") -> Iterator[None]:
    """Turn a refusal of the use cases into a sentence that also says what to do.

    `by_hand` is what to do where commands cannot change the secrets.
    """
    try:
        yield
    except SecretsUnchangeable as error:
        raise SecretsByHand(f"{error}: {by_hand}") from None
    except MasterSecretUnknown as refused:
        raise SecretRefused(f"{refused}: see `grantledger secret list`") from None
    except MasterSecretSeals as refused:
        raise SecretRefused(str(refused)) from None
    except MasterSecretWaits as refused:
        raise SecretRefused(
            f"{refused}: go on with `grantledger secret rotate --to {refused.key_id}`, or drop it with "
            f"`grantledger secret retire {refused.key_id}`"
        ) from None
    except MasterSecretHoldsRecords as refused:
        raise SecretRefused(f"{refused}: run `grantledger secret rotate --to {newest}` first") from None
    except MasterSecretNeeded as refused:
        raise SecretRefused(
            f"{refused}, until {to_minute(refused.until)} UTC: keep it until then, or give --force"
        ) from None


async def _used_secrets(container: "Container") -> Sequence[UsedSecret]:
    """Return each secret that is configured or in use, the newest first."""
    with progress("Reading the ledger") as report:
        return await container.use_cases().describe_master_secrets(report)


def _print_secrets(found: Sequence[UsedSecret], *, as_json: bool) -> None:
    if as_json:
        for one in found:
            print_record(one)
        return
    print_table(
        ("master secret", "role", "private records", "live grants", "until (UTC)"),
        [
            (one.key_id, one.role, str(one.private_records), str(one.live_grants), to_minute(one.live_until))
            for one in found
        ],
    )


def _warn_of_live_grants(found: Sequence[UsedSecret], newest: str) -> None:
    """Say on standard error which older secrets have to be kept, and until when."""
    for one in found:
        if one.key_id != newest and one.live_grants:
            click.secho(
                f"Keep {one.key_id}: {one.live_grants} live grants have tokens of it, the last until "
                f"{to_minute(one.live_until)} UTC. Then run: grantledger secret retire {one.key_id}",
                fg="yellow",
                err=True,
            )
