"""`grantledger keys`."""

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import rich_click as click

from grantledger.domain.signing_keys import (
    ALGORITHMS,
    ES256,
    KEYS,
    SIGNING,
    NextKeyTooNew,
    SigningKey,
    SigningKeys,
)
from grantledger.entrypoints.cli.failures import RotationTooEarly
from grantledger.entrypoints.cli.ledger_access import (
    database_options,
    json_option,
    on_ledger,
    operator_options,
    this_command,
)
from grantledger.entrypoints.cli.output import print_record, print_table, to_second

if TYPE_CHECKING:
    from grantledger.entrypoints.composition import Container


@click.group()
def keys() -> None:
    """List and rotate the keys that sign ID tokens and JWT access tokens.

    The first start of the server creates two keys: the active one signs, the next one does not yet. Both are
    published at /jwks, so that clients know the next key before it signs. Each other algorithm with which JWT
    access tokens are signed has two keys of its own.
    """


@keys.command("list")
@json_option
@database_options
def list_keys(*, as_json: bool, database: str | None, config: Path | None) -> None:
    """List the keys: which one signs, which is next, and until when retired ones are published.

    Times are UTC. Private keys are never shown.
    """

    async def work(container: "Container") -> None:
        known = (await container.ledger().load(KEYS, SIGNING)).state or SigningKeys()
        _print_keys(known, lead=container.settings.policy.signing_key_lead, as_json=as_json)

    on_ledger(database, config, work)


@keys.command()
@click.option(
    "--compromised",
    is_flag=True,
    help="If a private key may have leaked: withdraw every key at once, and sign with new ones.",
)
@click.option(
    "--alg",
    type=click.Choice(ALGORITHMS),
    default=ES256,
    show_default=True,
    help="The algorithm whose keys are rotated.",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation of --compromised.")
@json_option
@operator_options
def rotate(
    *, compromised: bool, alg: str, yes: bool, as_json: bool, database: str | None, config: Path | None
) -> None:
    """Make the next key the active one, and publish a new next key.

    The new next key must be published for an hour before the next rotation makes it active. The old key stays
    at /jwks until the last token that it signed has expired. Running servers sign with the new active key
    from their next token on, without a restart.
    """
    if compromised and not yes:
        click.confirm(
            "After this, no ID token and no JWT access token signed so far can be verified. Opaque access "
            "tokens stay valid. Continue?",
            abort=True,
            err=True,
        )

    async def work(container: "Container") -> None:
        try:
            now = await container.use_cases().rotate_signing_key(
                this_command(), alg=alg, compromised=compromised
            )
        except NextKeyTooNew as early:
            raise RotationTooEarly(
                f"the next key may sign from {to_second(early.ready_at)} UTC on, one hour after it was "
                "published: rotate then. If a key has leaked, --compromised withdraws all keys at once."
            ) from None
        _print_keys(now, lead=container.settings.policy.signing_key_lead, as_json=as_json)

    on_ledger(database, config, work)


def _print_keys(known: SigningKeys, *, lead: int, as_json: bool) -> None:
    """Print the public keys, newest first."""
    keys = known.keys[::-1]
    if as_json:
        for key in keys:
            print_record({"status": key.status, **msgspec.to_builtins(key)})
    elif keys:
        rows = [(key.kid, key.status, key.alg, _times(key, lead)) for key in keys]
        print_table(("key id", "status", "alg", "time (UTC)"), rows)
    else:
        click.echo("There are no keys yet: the first start of the server creates them.")


def _times(key: SigningKey, lead: int) -> str:
    if key.retired_at is not None and key.published_until is not None:
        until = key.published_until
        verifies = "withdrawn at once" if until == key.retired_at else f"verifies until {to_second(until)}"
        return f"retired {to_second(key.retired_at)}, {verifies}"
    if key.activated_at is not None:
        return f"signs since {to_second(key.activated_at)}"
    return f"published {to_second(key.created_at)}, may sign from {to_second(key.created_at + lead)}"
