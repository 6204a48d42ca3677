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
from grantledger.entrypoints.cli.ledger_access import (
    database_options,
    json_option,
    on_ledger,
    operator_options,
    this_command,
)
from grantledger.entrypoints.cli.output import print_record, print_table, progress, to_minute

if TYPE_CHECKING:
    from grantledger.entrypoints.composition import Container


@click.group()
def secret() -> None:
    """List, rotate and retire master secrets, which seal tokens, cookies and private records.

    The first secret in the settings seals; all of them unseal. A rotation has four steps: `secret rotate`
    adds a new secret; restart every server; `secret rotate --to KEY_ID` makes it the secret that seals;
    restart again. `secret retire KEY_ID` then removes the old one. Users stay signed in. The ledger records
    each step with the key id, never the secret.
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
@click.option(
    "--to",
    "to",
    metavar="KEY_ID",
    help="Seal with this secret from now on. Every server must know it already.",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation that every server was restarted.")
@json_option
@operator_options
def rotate(*, to: str | None, yes: bool, as_json: bool, database: str | None, config: Path | None) -> None:
    """Rotate the master secret, in two steps with a restart of every server after each.

    Without --to: create a secret and add it last. It unseals, and seals nothing yet. With --to: put it first
    and reseal all private records under it, while servers run. If that is interrupted, run it again. Tokens
    sealed under the old secret stay valid while that secret is configured; `secret list` shows for how long
    it is needed.
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
    help="Retire a leaked secret even if live tokens are sealed under it: they become invalid, and their "
    "clients have to send users to the browser again.",
)
@json_option
@operator_options
def retire(key_id: str, *, force: bool, as_json: bool, database: str | None, config: Path | None) -> None:
    """Remove an old master secret when no private record or live token is sealed under it.

    If the secrets are in a setting, remove it from the setting first. The command then records the removal.
    """

    async def work(container: "Container") -> None:
        newest = (await container.secret_keeper().key_ids())[0]
        with progress("Reading the ledger") as report, _refusing(f"remove {key_id}", newest=newest):
            await container.use_cases().retire_master_secret(key_id, this_command(), report, force=force)
        if as_json:
            print_record({"key_id": key_id, "step": "retired"})
        else:
            click.echo(f"{key_id} is retired. Restart every server, so that none of them uses it any more.")

    on_ledger(database, config, work)


async def _add(container: "Container", *, as_json: bool) -> None:
    by_hand = (
        "add a new one there as the last (`openssl rand -base64 32` creates one), restart every server, and "
        "find its key id with `grantledger secret list`"
    )
    with progress("Reading the ledger") as report, _refusing(by_hand):
        key_id = await container.use_cases().add_master_secret(this_command(), report)
    if as_json:
        print_record({"key_id": key_id, "step": "added"})
        return
    click.echo(f"{key_id} is added and seals nothing yet.")
    click.echo("1. Restart every server, so that each can unseal with it.")
    click.echo(f"2. Run: grantledger secret rotate --to {key_id}")


async def _activate(container: "Container", to: str, *, yes: bool, as_json: bool) -> None:
    configured = await container.secret_keeper().key_ids()
    if to in configured[1:] and not yes:
        click.confirm(
            f"Servers that do not know {to} will refuse tokens sealed under it. Was every server restarted "
            "since it was added?",
            abort=True,
            err=True,
        )
    with (
        progress("Resealing private records") as report,
        _refusing(f"move {to} to the front"),
    ):
        done = await container.use_cases().activate_master_secret(to, this_command(), report)
    if as_json:
        print_record({"key_id": to, "step": "activated", "resealed": done})
    else:
        click.echo(f"{done} private records are resealed under {to}.")
        click.echo("Restart every server, so that new tokens are sealed under it too.")
    _warn_of_live_grants(await _used_secrets(container), to)


@contextmanager
def _refusing(by_hand: str, *, newest: str = "") -> Iterator[None]:
    """Replace refusals of the use cases by failures whose message also says what to do.

    `by_hand` is the instruction for secrets that commands cannot change.
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
            f"{refused}: continue with `grantledger secret rotate --to {refused.key_id}`, or remove it with "
            f"`grantledger secret retire {refused.key_id}`"
        ) from None
    except MasterSecretHoldsRecords as refused:
        raise SecretRefused(f"{refused}: run `grantledger secret rotate --to {newest}` first") from None
    except MasterSecretNeeded as refused:
        raise SecretRefused(
            f"{refused}, until {to_minute(refused.until)} UTC: keep it until then, or give --force"
        ) from None


async def _used_secrets(container: "Container") -> Sequence[UsedSecret]:
    """Return each secret that is configured or in use, newest first."""
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
    """Print to standard error which older secrets must be kept, and until when."""
    for one in found:
        if one.key_id != newest and one.live_grants:
            click.secho(
                f"Keep {one.key_id}: it seals tokens of live grants (their number: {one.live_grants}), until "
                f"{to_minute(one.live_until)} UTC. Then run: grantledger secret retire {one.key_id}",
                fg="yellow",
                err=True,
            )
