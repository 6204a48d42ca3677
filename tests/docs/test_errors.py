"""The catalogue of errors is complete: a new refusal needs an entry that says how to fix it."""

import importlib
import importlib.util
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import grantledger
from grantledger.adapters.http.errors import (
    CONNECTION_ERRORS,
    STATUS_ERRORS,
    WIRE_ERRORS,
    BearerRefusal,
    GuardRefusal,
)
from grantledger.adapters.http.pages.errors import PAGE_REFUSALS

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("error_catalogue", ROOT / "docs" / "error_catalogue.py")
assert _spec
assert _spec.loader
catalogue = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(catalogue)

REFUSALS = catalogue.refusals()
FIXES = catalogue.fixes()
BEARER = "Access tokens at `/session` and `/userinfo`"
OTHERS = ("HTTP statuses", BEARER, "Guards", "Commands")
PAGE = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
ENTRIES = [name for section, entries in FIXES.items() if section not in OTHERS for name in entries]


def test_the_catalogue_has_exactly_the_refusals() -> None:
    assert sorted(ENTRIES) == sorted(REFUSALS)


def test_every_wire_error_and_page_has_a_catalogue_entry() -> None:
    assert {refusal.__name__ for refusal in {*WIRE_ERRORS, *PAGE_REFUSALS}} <= set(ENTRIES)


def test_every_status_of_http_itself_has_an_entry() -> None:
    statuses = {int(status) for status in FIXES["HTTP statuses"]}
    assert statuses == {*STATUS_ERRORS, *CONNECTION_ERRORS}


@pytest.mark.parametrize("status", sorted({*STATUS_ERRORS, *CONNECTION_ERRORS}))
def test_the_catalogue_has_the_answer_for_each_status(status: int) -> None:
    section = PAGE.partition("## HTTP statuses")[2].partition("\n## ")[0]
    (row,) = [line for line in section.splitlines() if line.startswith(f"| {status} |")]
    errors = [errors[status] for errors in (CONNECTION_ERRORS, STATUS_ERRORS) if status in errors]
    assert errors
    assert [error.description for error in errors if error.description not in row] == []


def test_every_answer_to_a_bad_access_token_has_an_entry() -> None:
    assert list(FIXES[BEARER]) == list(BearerRefusal.__members__)


def test_every_answer_of_a_guard_has_an_entry() -> None:
    assert list(FIXES["Guards"]) == list(GuardRefusal.__members__)


def test_the_catalogue_has_exactly_the_failures_of_commands() -> None:
    assert sorted(FIXES["Commands"]) == sorted(catalogue.failures())


LAYERS = ("domain", "application", "adapters", "entrypoints")

NEVER_MET = {
    "AccessRefused": "a tool or a guard answers it",
    "AuthorizationMalformed": "a guard answers it",
    "CommitOutcomeUnknown": "the writer looks for the outcome",
    "Conflict": "the use case tries again, then raises Unavailable",
    "MessageRefused": "a guard answers it",
    "MasterSecretInvalid": "raised as SettingsInvalid, with its source",
    "RequestLimitReached": "the doctor says why it ended early",
    "SecretsUnchangeable": "raised as SecretsByHand, with what to do",
    "SignInTimedOut": "the doctor says why it ended early",
    "TransactionAborted": "the writer tries again, and makes an Unavailable of it",
    "Unchecked": "a guard answers it, or does not start",
    "UniqueTaken": "the writer makes a Conflict of it",
    "Unreachable": "the doctor prints it, without the rest of the commands",
    "UriMalformed": "each caller refuses in its own words",
    "VouchNeeded": "developers of a host application read it in a traceback",
    "_HeadTooLarge": "the server answers 431",
    "_Mismatch": "reported as SettingsInvalid, with the setting",
    "_Overtaken": "a RebuildRunning, whose entry it shares",
}
"""What else can be raised, and why no operator reads it."""


def test_every_exception_is_in_the_catalogue_or_never_shown() -> None:
    ours = set()
    for module in pkgutil.walk_packages(grantledger.__path__, "grantledger."):
        layer, *rest = module.name.split(".")[1:]
        is_installed = module.name not in catalogue.NOT_INSTALLED
        if layer in LAYERS and is_installed and not {"demo", "env"} & set(rest):
            found = vars(importlib.import_module(module.name)).values()
            ours |= {one for one in found if inspect.isclass(one) and issubclass(one, Exception)}
    names = {one.__name__ for one in ours if one.__module__.startswith("grantledger.")}
    shown = {*REFUSALS, *catalogue.failures(), *(root.__name__ for root in catalogue.ROOTS), "Refusal"}
    assert names - shown == set(NEVER_MET)


def test_commands_raise_only_failures_from_the_catalogue() -> None:
    for path in (ROOT / "entrypoints" / "cli").glob("*.py"):
        assert not re.search(r"raise (Failed|click\.ClickException)\b", path.read_text()), path


@pytest.fixture(scope="module")
def sources() -> str:
    folders = [ROOT / name for name in LAYERS]
    return "\n".join(path.read_text() for folder in folders for path in folder.rglob("*.py"))


@pytest.fixture(scope="module")
def tests() -> str:
    return "\n".join(p.read_text() for p in (ROOT / "tests").rglob("test_*.py") if p != Path(__file__))


ROOTS = ("RequestLimitReached", "PasswordUnfit")
"""Never raised itself."""


@pytest.mark.parametrize("name", [name for name in ENTRIES if name not in ROOTS])
def test_every_entry_of_the_catalogue_is_named_in_the_sources(sources: str, name: str) -> None:
    assert re.search(rf"(raise|return|else|refusal =|=) {name}\b|\b{name}\(", sources)


@pytest.mark.parametrize("name", [name for name in ENTRIES if name not in ROOTS])
def test_every_entry_of_the_catalogue_is_named_in_a_test(tests: str, name: str) -> None:
    assert re.search(rf"\b{name}\b", tests)
