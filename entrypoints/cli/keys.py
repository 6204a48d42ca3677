import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import rich_click as click

from grantledger.adapters.ledger import migrations
from grantledger.application.provenance import Caller
from grantledger.domain.signing_keys import KEYS, SIGNING, NextKeyTooNew, SigningKeys
from grantledger.entrypoints.cli.key_lines import moment, print_keys
from grantledger.entrypoints.cli.options import database_options, given
from grantledger.entrypoints.container import Container
from grantledger.entrypoints.settings import load_settings

_json = click.option(
    "--json", "json_lines", is_flag=True, help="One JSON object a line, with the public half."
)


@click.group()
def keys() -> None:
    """The keys that sign ID tokens.

    The first start of the server makes two: one is active and signs, the other is next. Both stand at
    /jwks, where clients learn of the next one before it signs.
    """


@keys.command("list")
@_json
@database_options
def list_keys(*, json_lines: bool, database: str | None, config: Path | None) -> None:
    """Show the keys: which one signs, which is next, and how long a retired one still verifies.

    Times are UTC. Private halves are never shown.
    """
    container = Container(settings=load_settings(config, os.environ, given(database=database)))
    print_keys(asyncio.run(_known(container)), lead=container.policy().signing_key_lead, as_json=json_lines)


@keys.command()
@click.option(
    "--compromised",
    is_flag=True,
    help="Withdraw every key at once and sign with new ones: for when a private key may have leaked.",
)
@click.option("--yes", is_flag=True, help="Do not ask whether --compromised is meant.")
@_json
@database_options
def rotate(
    *, compromised: bool, yes: bool, json_lines: bool, database: str | None, config: Path | None
) -> None:
    """Let the next key sign, and announce a new one as next.

    The key that signed until now stays at /jwks as long as an ID token of it may be verified, so nobody
    notices. A key must have been announced for an hour before it signs. Servers need no restart: they use the
    new key from the next token on.
    """
    container = Container(settings=load_settings(config, os.environ, given(database=database)))
    if compromised and not yes:
        click.confirm(
            "Every ID token that was signed so far stops verifying. Access tokens stay good. Go on?",
            abort=True,
            err=True,
        )
    try:
        now = asyncio.run(_rotated(container, compromised=compromised))
    except NextKeyTooNew as early:
        raise click.ClickException(
            f"the next key may sign from {moment(early.ready_at)} UTC on, when clients have had an hour to "
            "learn of it: rotate then. If a key has leaked, --compromised withdraws all of them at once."
        ) from None
    print_keys(now, lead=container.policy().signing_key_lead, as_json=json_lines)


async def _known(container: Container) -> SigningKeys:
    async with _open(container):
        return (await container.ledger().load(KEYS, SIGNING)).state or SigningKeys()


async def _rotated(container: Container, *, compromised: bool) -> SigningKeys:
    async with _open(container):
        return await container.rotate_signing_key()(Caller(correlation_id="cli"), compromised=compromised)


@asynccontextmanager
async def _open(container: Container) -> AsyncIterator[None]:
    """Open a ledger that is there: neither it nor a master secret for it is made by looking."""
    migrations.check(container.database())
    await container.ledger().open()
    try:
        yield
    finally:
        await container.ledger().close()
