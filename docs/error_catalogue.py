"""docs/errors.md: every refusal, from the code and from errors.toml."""

import importlib
import inspect
import pkgutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec

import grantledger
from grantledger.adapters.guards.answers import Answer, Answers
from grantledger.adapters.http.page_refusals import PAGE_REFUSALS, PageRefusal, page_refusal, status_refusal
from grantledger.adapters.http.protocol import SAID
from grantledger.adapters.http.request_log import SUSPICIOUS
from grantledger.adapters.http.wire_errors import WIRE_ERRORS
from grantledger.application.too_many_requests import TooManyRequests
from grantledger.domain.client_registration import ClientIsDisabled
from grantledger.domain.refusal import Refusal

_MENDING = Path(__file__).with_name("errors.toml")
_LAYERS = ("domain", "application", "adapters")

_ABOUT = """
Made from the code and [errors.toml](errors.toml) by `make docs`.

Every answer carries an `X-Request-Id`, and pages of errors show it. The log has one line with that
`correlation_id`, which names the refusal and says more than the client is told: `refusal` and `detail`.
Events that the request caused carry it too. No `error_uri` is sent: these pages are not served.

Programs get JSON: `error`, the code, which decides what a client does next, and `error_description`. With
400 `invalid_grant` clients throw tokens away, with 401 `invalid_client` their registration. What cannot be
checked now is 503, and keeps both.
""".strip()


def refusals() -> dict[str, type[Refusal]]:
    """Return every refusal that there is in the package, by name."""
    for module in pkgutil.walk_packages(grantledger.__path__, "grantledger."):
        if (
            module.name.split(".")[1] in ("domain", "application", "adapters")
            and ".migrations" not in module.name
        ):
            importlib.import_module(module.name)
    return {refusal.__name__: refusal for refusal in _below(Refusal)}


def mending() -> dict[str, dict[str, str | dict[str, str]]]:
    return tomllib.loads(_MENDING.read_text(encoding="utf-8"))


def errors_page() -> str:
    known = refusals()
    lines = ["# Errors", "", _ABOUT, ""]
    for section, entries in mending().items():
        lines += [f"## {section}", ""]
        match section:
            case "What HTTP itself refuses":
                rows = (_http_row(status, str(how)) for status, how in entries.items())
                lines += [*_table("status", "told", rows), ""]
            case "Guards":
                rows = (_guard_row(name, str(how)) for name, how in entries.items())
                lines += [*_table("status", "told", rows), ""]
            case _:
                rows = (_row(known[name], how) for name, how in entries.items())
                lines += [*_table("refusal", "what it means", rows, "told", "log"), ""]
    return "\n".join(lines).rstrip() + "\n"


def _table(first: str, second: str, rows: Iterator[tuple[str, ...]], *more: str) -> Iterator[str]:
    columns = (first, second, *more, "how to mend it")
    yield f"| {' | '.join(columns)} |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _row(refusal: type[Refusal], how: str | dict[str, str]) -> tuple[str, ...]:
    told = how["told"] if isinstance(how, dict) else "; ".join(_told(refusal))
    assert told, f"nobody is told of {refusal.__name__}: give its entry in errors.toml a `told`"
    level = "warning" if issubclass(refusal, SUSPICIOUS) else "info"
    meaning = (inspect.getdoc(refusal) or "").partition("\n")[0]
    return f"`{refusal.__name__}`", meaning, told, level, how["mend"] if isinstance(how, dict) else how


def _told(refusal: type[Refusal]) -> Iterator[str]:
    wire = next((WIRE_ERRORS[base] for base in refusal.__mro__ if base in WIRE_ERRORS), None)
    if wire is not None:
        status = (
            429 if issubclass(refusal, TooManyRequests) else 401 if wire.code == "invalid_client" else 400
        )
        yield f"{status} `{wire.code}`: {wire.description}"
    if refusal is ClientIsDisabled:
        yield "registering, 403 `access_denied`"
    if issubclass(refusal, TooManyRequests):
        yield _page(page_refusal(refusal("", retry_after=60)))
    elif refusal in PAGE_REFUSALS:
        yield _page(PAGE_REFUSALS[refusal])


def _page(told: PageRefusal) -> str:
    return f"page {told.status}: {told.title}"


def _http_row(status: str, how: str) -> tuple[str, ...]:
    said = SAID.get(int(status))
    page = _page(status_refusal(int(status)))
    return status, f"`{said[0]}`: {said[1]}" if said else page, how


def _guard_row(name: str, how: str) -> tuple[str, ...]:
    answer = guard_answers()[name]
    return str(answer.status), str(msgspec.json.decode(answer.body)["error"]["message"]), how


def guard_answers() -> dict[str, Answer]:
    return {
        name: value
        for name, value in vars(Answers("the metadata URL", ())).items()
        if isinstance(value, Answer)
    }


def _below(refusal: type[Refusal]) -> Iterator[type[Refusal]]:
    for one in refusal.__subclasses__():
        if one.__module__.startswith("grantledger."):
            yield one
            yield from _below(one)
