"""docs/errors.md: every refusal, and every failure of a command, from the code and from errors.toml."""

import html
import importlib
import inspect
import pkgutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import grantledger
from grantledger.adapters.http.errors import (
    CLIENT_DISABLED,
    CONNECTION_ERRORS,
    STATUS_ERRORS,
    WIRE_ERRORS,
    BearerRefusal,
    GuardRefusal,
)
from grantledger.adapters.http.middleware import SUSPICIOUS
from grantledger.adapters.http.pages.errors import (
    PAGE_REFUSALS,
    PageRefusal,
    page_refusal,
    status_refusal,
)
from grantledger.adapters.ledger.migrations import SchemaMismatch
from grantledger.application.throttling import TooManyRequests
from grantledger.domain.client_registration import ClientIsDisabled
from grantledger.domain.refusal import Refusal
from grantledger.entrypoints.cli.failures import CommandFailed, reported_failures

_FIXES = Path(__file__).with_name("errors.toml")
_LAYERS = ("domain", "application", "adapters")
NOT_INSTALLED = ("grantledger.adapters.guards.mcp_use",)  # mcp-use needs version 1 of the SDK

E = TypeVar("E", bound=Exception)

ROOTS = (CommandFailed, SchemaMismatch)
"""These classes are never raised themselves; their subclasses are."""

_ABOUT = """
Generated from the code and [errors.toml](errors.toml) by `make docs`.

Every response has an `X-Request-Id`, and error pages show it. The log has one line with the same
`correlation_id`, which names the refusal (`refusal`) and has details that the client does not get (`detail`).
The events of the request have it too. No `error_uri` is sent, because these pages are not served.

Programs get JSON with `error`, the code that decides what a client does next, and `error_description`. On
400 `invalid_grant` clients discard their tokens, on 401 `invalid_client` their registration. What cannot be
checked now is answered 503, so that clients keep both.
""".strip()


_ABOUT_COMMANDS = """
If a command of `grantledger` fails, it prints one sentence after `grantledger: ` on standard error and exits
with 1. It also exits with 1 if a question is answered with no, and with 2 if the arguments are wrong.
Commands write no log. A traceback is a bug: please report it.
""".strip()


def refusals() -> dict[str, type[Refusal]]:
    """Return every refusal of the package by name."""
    _import_all()
    return {refusal.__name__: refusal for refusal in _below(Refusal)}


def failures() -> dict[str, type[Exception]]:
    """Return every failure that a command prints as a sentence, by name."""
    _import_all()
    return {
        one.__name__: one
        for root in reported_failures()
        for one in (root, *_below(root))
        if one not in ROOTS and not one.__name__.startswith("_")
    }


def fixes() -> dict[str, dict[str, str | dict[str, str]]]:
    return tomllib.loads(_FIXES.read_text(encoding="utf-8"))


def errors_page() -> str:
    known = refusals()
    lines = ["# Errors", "", _ABOUT, ""]
    for section, entries in fixes().items():
        lines += [f"## {section}", ""]
        match section:
            case "HTTP statuses":
                rows = (_http_row(status, str(how)) for status, how in entries.items())
                lines += [*_table("status", "answer", rows), ""]
            case "Commands":
                known_failures = failures()
                lines += [_ABOUT_COMMANDS, ""]
                rows = (_failure_row(known_failures[name], how) for name, how in entries.items())
                lines += [*_table("failure", "what it means", rows, "printed", "a server says"), ""]
            case "Access tokens at `/session` and `/userinfo`":
                rows = (_bearer_row(name, str(how)) for name, how in entries.items())
                lines += [*_table("status", "answer", rows), ""]
            case "Guards":
                rows = (_guard_row(name, str(how)) for name, how in entries.items())
                lines += [*_table("status", "answer", rows), ""]
            case _:
                rows = (_row(known[name], how) for name, how in entries.items())
                lines += [*_table("refusal", "what it means", rows, "answer", "log"), ""]
    return "\n".join(lines).rstrip() + "\n"


def _table(first: str, second: str, rows: Iterator[tuple[str, ...]], *more: str) -> Iterator[str]:
    columns = (first, second, *more, "how to fix it")
    yield f"| {' | '.join(columns)} |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _row(refusal: type[Refusal], how: str | dict[str, str]) -> tuple[str, ...]:
    answer = how["answer"] if isinstance(how, dict) else "; ".join(_answers(refusal))
    assert answer, f"{refusal.__name__} has no answer: give its entry in errors.toml an `answer`"
    level = "warning" if issubclass(refusal, SUSPICIOUS) else "info"
    meaning = (inspect.getdoc(refusal) or "").partition("\n")[0]
    return f"`{refusal.__name__}`", meaning, answer, level, how["fix"] if isinstance(how, dict) else how


def _failure_row(failure: type[Exception], how: Any) -> tuple[str, ...]:
    meaning = (inspect.getdoc(failure) or "").partition("\n")[0]
    # As HTML, because the sentence may contain backquotes.
    printed = f"<code>{html.escape(how['printed'], quote=False)}</code>"
    return f"`{failure.__name__}`", meaning, printed, how.get("log", "nothing"), how["fix"]


def _answers(refusal: type[Refusal]) -> Iterator[str]:
    wire = next((WIRE_ERRORS[base] for base in refusal.__mro__ if base in WIRE_ERRORS), None)
    if wire is not None:
        yield f"{wire.status} `{wire.code}`: {wire.description}"
    if refusal is ClientIsDisabled:
        yield f"registering, {CLIENT_DISABLED.status} `{CLIENT_DISABLED.code}`"
    if issubclass(refusal, TooManyRequests):
        yield _page(page_refusal(refusal("", retry_after=60)))
    elif refusal in PAGE_REFUSALS:
        yield _page(PAGE_REFUSALS[refusal])


def _page(refusal: PageRefusal) -> str:
    return f"page {refusal.status}: {refusal.title}"


def _http_row(status: str, how: str) -> tuple[str, ...]:
    return status, "; ".join(_said(int(status))), how


def _said(status: int) -> Iterator[str]:
    """Yield the error before a request is read, then that for programs, then the page."""
    for errors in (CONNECTION_ERRORS, STATUS_ERRORS):
        if status in errors:
            yield f"`{errors[status].code}`: {errors[status].description}"
    if status_refusal(status).status == status:
        yield _page(status_refusal(status))


def _bearer_row(name: str, how: str) -> tuple[str, ...]:
    bearer = BearerRefusal[name].value
    return str(bearer.status), f"`{bearer.error or 'invalid_token'}`: {bearer.description}", how


def _guard_row(name: str, how: str) -> tuple[str, ...]:
    error = GuardRefusal[name].value
    return str(error.status), error.message.format(metadata_url="The metadata URL", scopes="…"), how


def _import_all() -> None:
    for module in pkgutil.walk_packages(grantledger.__path__, "grantledger."):
        is_importable = ".migrations." not in module.name and module.name not in NOT_INSTALLED
        if module.name.split(".")[1] in _LAYERS and is_importable:
            importlib.import_module(module.name)


def _below(root: type[E]) -> Iterator[type[E]]:
    for one in root.__subclasses__():
        if one.__module__.startswith("grantledger."):
            yield one
            yield from _below(one)
