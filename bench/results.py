"""What a run found: all that the page and the plots are made from."""

from pathlib import Path

import msgspec
from msgspec import Struct

from bench.rounds import Round
from bench.storage import Folding, Storage


class Results(Struct, frozen=True, kw_only=True):
    """`titles` are those of the servers by name, ours first; `missing` says why a peer was left out.

    `live` has the counts of live grants that were compared, and is empty where none were.
    """

    date: str
    quick: bool
    machine: str
    titles: dict[str, str]
    missing: dict[str, str]
    connections: list[int]
    rounds: list[Round]
    memory: dict[str, float]
    storage: list[Storage]
    folding: list[Folding]
    long_grant: list[Round]
    live: list[int]
    live_rounds: list[Round]


def save(results: Results, path: Path) -> None:
    """Write one round a line, so that two runs can be compared."""
    members = [f"{_text(name)}: {_lines(getattr(results, name))}" for name in results.__struct_fields__]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n" + ",\n".join(members) + "\n}\n", encoding="utf-8")


def _lines(value: object) -> str:
    if not isinstance(value, list):
        return _text(value)
    return "[\n" + ",\n".join(_text(each) for each in value) + "\n]" if value else "[]"


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def load(path: Path) -> Results:
    """Raises `msgspec.ValidationError` for a file of another version of the bench."""
    return msgspec.json.decode(path.read_bytes(), type=Results)
