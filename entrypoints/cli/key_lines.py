"""Signing keys, for people and for programs."""

import msgspec
import rich_click as click

from grantledger.domain.signing_keys import SigningKey, SigningKeys
from grantledger.entrypoints.cli.output import print_record, print_table, second


def print_keys(known: SigningKeys, *, lead: int, as_json: bool) -> None:
    """Print the keys, newest first, of each the public half."""
    keys = known.keys[::-1]
    if as_json:
        for key in keys:
            print_record({"status": key.status, **msgspec.to_builtins(key)})
    elif keys:
        rows = [(key.kid, key.status, key.alg, _told(key, lead)) for key in keys]
        print_table(("key id", "status", "alg", "time (UTC)"), rows)
    else:
        click.echo("There are no keys yet: the first start of the server makes them.")


def _told(key: SigningKey, lead: int) -> str:
    if key.retired_at is not None and key.published_until is not None:
        until = key.published_until
        shown = "withdrawn at once" if until == key.retired_at else f"verifies until {second(until)}"
        return f"retired {second(key.retired_at)}, {shown}"
    if key.activated_at is not None:
        return f"signs since {second(key.activated_at)}"
    return f"announced {second(key.created_at)}, may sign from {second(key.created_at + lead)}"
