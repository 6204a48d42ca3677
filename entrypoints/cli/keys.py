from pathlib import Path

import rich_click as click

from grantledger.domain.signing_keys import KEYS, SIGNING, NextKeyTooNew, SigningKeys
from grantledger.entrypoints.cli.failures import RotationTooEarly
from grantledger.entrypoints.cli.key_lines import print_keys
from grantledger.entrypoints.cli.options import database_options, json_option
from grantledger.entrypoints.cli.output import second
from grantledger.entrypoints.cli.running import on_ledger, this_command
from grantledger.entrypoints.container import Container


@click.group()
def keys() -> None:
    """The keys that sign ID tokens.

    The first start of the server makes two: one is active and signs, the other is next. Both stand at
    /jwks, where clients learn of the next one before it signs.
    """


@keys.command("list")
@json_option
@database_options
def list_keys(*, as_json: bool, database: str | None, config: Path | None) -> None:
    """Show the keys: which one signs, which is next, and how long a retired one still verifies.

    Times are UTC. Private halves are never shown.
    """

    async def work(container: Container) -> None:
        known = (await container.ledger().load(KEYS, SIGNING)).state or SigningKeys()
        print_keys(known, lead=container.policy().signing_key_lead, as_json=as_json)

    on_ledger(database, config, work)


@keys.command()
@click.option(
    "--compromised",
    is_flag=True,
    help="Withdraw every key at once and sign with new ones: for when a private key may have leaked.",
)
@click.option("--yes", is_flag=True, help="Do not ask whether --compromised is meant.")
@json_option
@database_options
def rotate(*, compromised: bool, yes: bool, as_json: bool, database: str | None, config: Path | None) -> None:
    """Let the next key sign, and announce a new one as next.

    The key that signed until now stays at /jwks as long as an ID token of it may be verified, so nobody
    notices. A key must have been announced for an hour before it signs. Servers need no restart: they use the
    new key from the next token on.
    """
    if compromised and not yes:
        click.confirm(
            "Every ID token that was signed so far stops verifying. Access tokens stay good. Go on?",
            abort=True,
            err=True,
        )

    async def work(container: Container) -> None:
        try:
            now = await container.rotate_signing_key()(this_command(), compromised=compromised)
        except NextKeyTooNew as early:
            raise RotationTooEarly(
                f"the next key may sign from {second(early.ready_at)} UTC on, when clients have had an hour "
                "to learn of it: rotate then. If a key has leaked, --compromised withdraws all at once."
            ) from None
        print_keys(now, lead=container.policy().signing_key_lead, as_json=as_json)

    on_ledger(database, config, work)
