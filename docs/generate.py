"""The pages that are generated from the code: `make docs` writes them, and a test compares them."""

import ast
import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo, fields

sys.path.insert(0, str(Path(__file__).parent))  # a folder of pages, not a package
import error_catalogue

from grantledger.adapters.doctor.catalogue import AREAS
from grantledger.adapters.doctor.clients import CLIENTS
from grantledger.domain.kinds import KINDS, tag_of
from grantledger.entrypoints.settings import (
    Between,
    ConfiguredRole,
    OneOf,
    ProtectedResource,
    Settings,
    rules,
)
from grantledger.entrypoints.settings_sources import PREFIX

ROOT = Path(__file__).parents[1]

_ABOUT_EVENTS = """
Generated from [domain/](../domain/) by `make docs`. Every event that the ledger can hold, by the kind of its
stream. Times are whole seconds since 1970, UTC. An event never changes: a new meaning gets a new tag. The
ledger stores an envelope with each event: position, stream, version, time of recording, actor, client, user
and request.
""".strip()

_ABOUT_SETTINGS = """
Settings come from a TOML file, from `GRANTLEDGER_*` variables, and from options of the command line.
Variables override the file, and options override both. The file is `grantledger.toml` in the working
directory, or the one that `--config` or `GRANTLEDGER_CONFIG` names. In a variable, a list is one text with
spaces or commas between its items, or a JSON array; `resources` is a JSON array of objects, and `roles` a
JSON object of objects.

Lifetimes are in seconds. Paths are relative to the working directory. URLs are used byte for byte.
""".strip()

_ABOUT_DOCTOR = """
# Doctor

Generated from [adapters/doctor/](../adapters/doctor/) by `make docs`.

`grantledger doctor URL` examines an MCP server and its authorization server from the outside, with the
requests that known clients send. The servers may be of any vendor. `pip install grantledger` is enough.

```sh
grantledger doctor https://mcp.example.com/mcp             # read only
grantledger doctor --active https://mcp.example.com/mcp    # also registers and signs in
```

`URL` is what users type into their client. It may also be an issuer: then only the authorization server is
examined.

| option | meaning |
|---|---|
| `--active` | also register clients, sign in, and try codes and tokens |
| `--no-browser` | with `--active`, print the URLs of the sign-in and open no browser |
| `--all` | also show the checks that have passed |
| `--json` | print one JSON object for each check, on a line of its own |

| exit code | meaning |
|---|---|
| 0 | no fault; there may be warnings and notes |
| 1 | at least one fault |
| 2 | nothing answers at the URL, an option is wrong, or the examination ended early without a fault |

A **fault** makes a client fail, or breaks a security rule. With a **warning** some clients lose a feature. A
**note** is advice. Each finding says what was seen, which clients need the rule, what to do, and which
specification has the rule.

Without `--active` no request creates or changes anything. The doctor reads metadata. Its other requests have
no valid token, name an unknown client, or are empty, so that the servers must refuse them.

With `--active` the doctor registers up to seven clients with the name "grantledger doctor" and opens the
browser for each authorization: two times for a healthy server, up to six times for others. At the end it
revokes all tokens and deletes the clients, if the server can do that (RFC 7009, RFC 7592). It prints what is
left behind, and never a token, code or secret. Sign in with a test account.

The doctor starts no sign-in if the resource in the metadata does not cover the URL, or if the metadata is of
another issuer. Otherwise the examined server could get a token or a code that is meant for another server.
The doctor redeems no code if `iss` is wrong, or is missing although the server advertises it.

An examination sends at most 200 requests, and 100 more to remove what it has created. A request is cancelled
after 10 s, and at most 256 KiB of its response are read. Redirects are not followed. A user has 5 minutes for
a sign-in.

The metadata names further URLs, and the doctor sends requests to them too. None of them may be in a more
private network than the examined URL. So a server on the internet cannot make the doctor send requests to a
private network or to this machine. Host names are resolved first, and every address counts. This does not
help against a name server that gives another address a moment later.

The doctor cannot see whether the user was asked for consent, how tokens are stored, or what happens to a
refresh token after the seconds in which it may be used again.

## Where clients look

The doctor looks for metadata in the order of each of these clients. "Alone" means that the client tries no
other URL if the challenge has one.

| client | metadata of the resource | metadata of the server |
|---|---|---|
""".strip()

_SERVER_PROBES = {
    "oauth_path_url": "OAuth, path inserted",
    "oauth_root_url": "OAuth, root",
    "openid_path_url": "OpenID Connect, path inserted",
    "openid_after_url": "OpenID Connect, appended",
}

_TYPES = {str: "text", int: "whole number", bool: "true or false", bytes: "bytes", float: "number"}


def settings_page() -> str:
    """Every setting: its meaning, type, range, default and variable."""
    meaning = _docs_of(Settings)
    lines = [
        "# Settings",
        "",
        "Generated from [entrypoints/settings.py](../entrypoints/settings.py) by `make docs`.",
        "",
        _ABOUT_SETTINGS,
        "",
    ]
    for field in fields(Settings):
        rule = rules()[field.name]
        within = f", {rule}" if isinstance(rule, Between | OneOf) else ""
        lines += [
            f"## `{field.name}`",
            "",
            meaning.get(field.name, ""),
            "",
            f"- {_type(field.type)}{within}; default {_default(field)}",
            f"- variable `{PREFIX}{field.name.upper()}`",
            "",
        ]
    lines += [
        "## A table of `resources`",
        "",
        "| key | type | default |",
        "|---|---|---|",
        *(f"| `{f.name}` | {_type(f.type)} | {_default(f)} |" for f in fields(ProtectedResource)),
        "",
        "## A table of `roles`",
        "",
        "| key | type | default |",
        "|---|---|---|",
        *(f"| `{f.name}` | {_type(f.type)} | {_default(f)} |" for f in fields(ConfiguredRole)),
    ]
    return "\n".join(lines) + "\n"


def events_page() -> str:
    """Every event: its meaning, its fields, an example."""
    lines = [
        "# Events",
        "",
        _ABOUT_EVENTS,
        "",
    ]
    for kind in KINDS.values():
        about = (inspect.getdoc(inspect.getmodule(kind.state)) or "").strip()
        lines += [f"## `{kind.category}`", "", about, ""]
        for event in kind.events:
            lines += _event(event)
    return "\n".join(lines)


def doctor_page() -> str:
    """Every check of the doctor, by area."""
    lines = [_ABOUT_DOCTOR]
    for client in CLIENTS:
        resource = " → ".join(client.resource) or "none"
        only = " (alone)" if client.only_challenge else ""
        server = " → ".join(_SERVER_PROBES[probe.__name__] for probe in client.server)
        lines.append(f"| {client.name} | {resource.replace('challenge', f'challenge{only}')} | {server} |")
    for area in AREAS:
        active = " (with `--active`)" if area.active else ""
        lines += ["", f"## {area.title}{active}", ""]
        lines += ["| check | severity | rule | clients | what to do |", "|---|---|---|---|---|"]
        for check in area.checks:
            rule = f"{check.rule} {check.section}"
            lines.append(
                f"| `{check.id}` | {check.severity.value} | {rule} | {check.clients} | {check.fix} |"
            )
    return "\n".join(lines) + "\n"


def _event(event: type[Struct]) -> Iterator[str]:
    tag = tag_of(event)
    yield from (f"### `{tag}`", "")
    if event.__doc__:
        yield from (inspect.cleandoc(event.__doc__), "")
    yield from ("| field | type | example |", "|---|---|---|")
    example = ROOT / "tests" / "golden" / "events" / f"{tag}.json"
    for field, value in zip(fields(event), json.loads(example.read_text(encoding="utf-8")), strict=True):
        optional = "" if field.required else f"; {_default(field)} if it is absent"
        shown = json.dumps(value, ensure_ascii=False)
        yield f"| `{field.encode_name}` | {_type(field.type)}{optional} | `{shown}` |"
    yield ""


def _type(hint: Any) -> str:
    if get_origin(hint) is UnionType or isinstance(hint, UnionType):
        return " or ".join(_type(one) for one in get_args(hint))
    if hint is NoneType:
        return "none"
    if get_origin(hint) is tuple:
        inside = get_args(hint)
        if inside[-1] is Ellipsis:
            return f"list of {_type(inside[0])}"
        return f"({', '.join(_type(one) for one in inside)})"
    if get_origin(hint) is dict:
        return f"tables of {_type(get_args(hint)[1])} by name"
    if get_origin(hint) is not None and hasattr(hint, "__metadata__"):
        return _type(get_args(hint)[0])
    if isinstance(hint, type) and issubclass(hint, Struct):
        return f"`{hint.__name__}`"
    return _TYPES.get(hint, str(hint))


def _default(field: FieldInfo) -> str:
    match field.default:
        case msgspec.NODEFAULT if field.default_factory is msgspec.NODEFAULT:
            return "required"
        case None | "":
            return "none"
        case () | msgspec.NODEFAULT:
            return "empty"
        case tuple() as several:
            return f"`{' '.join(map(str, several))}`"
        case one:
            return f"`{one}`"


def _docs_of(of: type) -> dict[str, str]:
    """Return the docstring below each attribute."""
    (body,) = ast.parse(inspect.getsource(of)).body
    assert isinstance(body, ast.ClassDef)
    docs: dict[str, str] = {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        match before, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                docs[name] = inspect.cleandoc(text)
    return docs


PAGES = {
    "docs/settings.md": settings_page,
    "docs/events.md": events_page,
    "docs/doctor.md": doctor_page,
    "docs/errors.md": error_catalogue.errors_page,
}


def main() -> None:
    for name, make in PAGES.items():
        (ROOT / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
