"""Signing keys, for people and for programs."""

import sys
from datetime import UTC, datetime

import msgspec
from rich.console import Console
from rich.table import Table

from grantledger.domain.signing_keys import SigningKey, SigningKeys


def moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def print_keys(known: SigningKeys, *, lead: int, as_json: bool) -> None:
    """Print the keys, newest first."""
    keys = known.keys[::-1]
    if as_json:
        for key in keys:
            line = {"status": key.status, **msgspec.to_builtins(key)}
            sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
        return
    console = Console(highlight=False)
    if not keys:
        console.print("There are no keys yet: the first start of the server makes them.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("key id", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("alg", no_wrap=True)
    table.add_column("time (UTC)")
    for key in keys:
        table.add_row(key.kid, key.status, key.alg, _told(key, lead))
    console.print(table)


def _told(key: SigningKey, lead: int) -> str:
    if key.retired_at is not None and key.published_until is not None:
        until = key.published_until
        shown = "withdrawn at once" if until == key.retired_at else f"verifies until {moment(until)}"
        return f"retired {moment(key.retired_at)}\n{shown}"
    if key.activated_at is not None:
        return f"signs since {moment(key.activated_at)}"
    return f"announced {moment(key.created_at)}\nmay sign from {moment(key.created_at + lead)}"
