"""Lines of the ledger, for people."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import msgspec
from msgspec import Struct
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from grantledger.adapters.ledger.audit import Line

# Digests, challenges and the like tell a person nothing; `--json` shows them.
_UNTOLD = frozenset(
    {
        "client_registration",
        "code_challenge",
        "code_key",
        "nonce",
        "public_key",
        "secret_digest",
        "session_id",
        "transaction_id",
    }
)


def print_lines(lines: Iterator[Line], console: Console) -> int:
    """Print the lines for a person and return how many there were. Ids are whole, to be used as filters."""
    first = next(lines, None)
    if first is None:
        console.print("Nothing is recorded that matches.")
        return 0
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("time (UTC)", no_wrap=True)
    table.add_column("what happened", overflow="fold")
    table.add_column("by", no_wrap=True)
    for line in chain((first,), lines):
        time = line.recorded_at.strftime("%Y-%m-%d %H:%M:%S") if line.recorded_at else ""
        table.add_row(str(line.position), time, _happened(line), line.actor_kind or "")
    console.print(table)
    return table.row_count


def _happened(line: Line) -> Group:
    aggregate, event, _ = line.tag.replace("_", " ").split(".")
    facts = (Text(f"{name}: {value}", style="dim") for name, value in _facts(line))
    return Group(Text(f"{aggregate} {event}", style="bold"), *facts)


def _facts(line: Line) -> Iterator[tuple[str, str]]:
    """Yield what tells this event from others of its kind; the time has a column of its own."""
    yield from line.about.items()
    for name, value in msgspec.structs.asdict(line.event).items():
        told = name.removesuffix("_id").replace("_", " ")
        if value is None or name in _UNTOLD or name.endswith("_at") or told in line.about:
            continue
        yield told, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, Struct):
        told = msgspec.to_builtins(value)
        return str(told.get("client_name") or told)
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
