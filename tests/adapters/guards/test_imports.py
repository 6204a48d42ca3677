"""Importing a guard imports no server: `pip install grantledger` is enough."""

import subprocess
import sys

import pytest

GUARDS = ("asgi", "bearer", "challenge", "check", "cors", "discovery", "refusals", "session", "source")
SERVER = {"alembic", "eventsourcing", "jinja2", "litestar", "sqlalchemy", "structlog", "uvicorn"}

OF_THE_SERVER = ("grantledger.entrypoints", "grantledger.adapters.ledger", "grantledger.adapters.http.oauth")


def imported_by(statement: str) -> set[str]:
    script = f"""
import sys
before = set(sys.modules)
{statement}
print(*set(sys.modules) - before)
"""
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return set(ran.stdout.split())


def roots(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


@pytest.mark.parametrize("module", GUARDS)
def test_a_guard_imports_msgspec_and_the_standard_library_only(module):
    imported = roots(imported_by(f"import grantledger.adapters.guards.{module}"))
    others = imported - set(sys.stdlib_module_names) - {"grantledger"}
    assert others <= {"msgspec", "typing_extensions"}  # which msgspec uses if it is there


@pytest.mark.parametrize("way", ["session", "introspection", "jwt"])
def test_the_client_imports_no_server(way):
    credentials = ", client_id='a', client_secret='b'" if way == "introspection" else ""
    made = f"McpAuthClient(issuer='https://a.example', resource='https://b.example', verify={way!r}"
    imported = imported_by(f"from grantledger import McpAuthClient\n{made}{credentials})")
    assert "grantledger.adapters.guards.client" in imported
    assert not roots(imported) & SERVER
    assert not {
        name
        for name in imported
        if name.startswith(("grantledger.entrypoints", "grantledger.adapters.ledger"))
    }
    assert ("joserfc" in imported) == (way == "jwt")
