"""`grantledger registration-token`."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import rich_click as click

from grantledger.domain.registration_tokens import (
    REGISTRATION,
    REGISTRATION_TOKENS,
    RegistrationTokens,
    RegistrationTokenUnknown,
    TooManyRegistrationTokens,
)
from grantledger.entrypoints.cli.failures import RegistrationTokenNotChanged
from grantledger.entrypoints.cli.ledger_access import (
    database_options,
    json_option,
    on_ledger,
    operator_options,
    this_command,
)
from grantledger.entrypoints.cli.output import print_record, print_table, to_minute

if TYPE_CHECKING:
    from grantledger.entrypoints.composition import Container

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


@click.group("registration-token")
def registration_token() -> None:
    """Add, list and revoke the tokens that clients need to register.

    Clients need one if the setting `registration` is `token` (RFC 7591, initial access token).
    """


def _name(_: click.Context, __: click.Parameter, name: str) -> str:
    # The log keeps the name forever, so only a short word is allowed, and no e-mail address.
    if not _NAME.fullmatch(name):
        raise click.BadParameter("a name has 1 to 64 letters, digits, dots, dashes or underscores")
    return name


@registration_token.command()
@click.argument("name", callback=_name)
@json_option
@operator_options
def add(name: str, *, as_json: bool, database: str | None, config: Path | None) -> None:
    """Create a registration token and print it. It is not shown again.

    NAME says what the token is for, such as `ci` or `team-a`. A client sends the token as `Authorization:
    Bearer` when it registers. Any number of clients may use one token.
    """

    async def work(container: "Container") -> None:
        try:
            new = await container.use_cases().add_registration_token(name, this_command())
        except TooManyRegistrationTokens as refusal:
            raise RegistrationTokenNotChanged(f"{refusal}: revoke one first") from None
        if as_json:
            print_record(new)
        else:
            click.echo(new.token)

    on_ledger(database, config, work)


@registration_token.command("list")
@json_option
@database_options
def list_tokens(*, as_json: bool, database: str | None, config: Path | None) -> None:
    """List the valid registration tokens, oldest first. Their values are not stored. Times are UTC."""

    async def work(container: "Container") -> None:
        loaded = await container.ledger().load(REGISTRATION_TOKENS, REGISTRATION)
        tokens = (loaded.state or RegistrationTokens()).tokens
        if as_json:
            for token in tokens:
                record = msgspec.to_builtins(token)
                del record["secret_digest"]
                print_record(record)
        elif tokens:
            rows = [(token.token_id, token.name, to_minute(token.added_at)) for token in tokens]
            print_table(("token id", "name", "added (UTC)"), rows)
        else:
            click.echo("There is no registration token.")

    on_ledger(database, config, work)


@registration_token.command()
@click.argument("token_id")
@json_option
@operator_options
def revoke(token_id: str, *, as_json: bool, database: str | None, config: Path | None) -> None:
    """Refuse a registration token from the next registration on. Clients that used it stay registered."""

    async def work(container: "Container") -> None:
        try:
            await container.use_cases().revoke_registration_token(token_id, this_command())
        except RegistrationTokenUnknown as refusal:
            raise RegistrationTokenNotChanged(str(refusal)) from None
        if as_json:
            print_record({"token_id": token_id, "status": "revoked"})
        else:
            click.echo(f"{token_id} is revoked.")

    on_ledger(database, config, work)
