"""`grantledger serve` does not start with a setting that cannot hold; it says which, in one sentence."""

import sys
from pathlib import Path
from typing import Any

import pytest

from grantledger.entrypoints.cli import main
from support.server import cli

SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldCE="
AWAY = {"host": "0.0.0.0", "issuer": "https://auth.example", "master_secret": SECRET}


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Any:
    """Return what `grantledger serve` says, and its exit code; it runs in this process, to be quick."""

    def started(*_: Any) -> None:
        raise AssertionError("the server started")

    def run(*options: str, **settings: str) -> tuple[int | str | None, str]:
        for name, value in settings.items():
            monkeypatch.setenv(f"GRANTLEDGER_{name.upper()}", value)
        monkeypatch.setattr(sys, "argv", ["grantledger", "serve", *options])
        with pytest.raises(SystemExit) as exit_:
            main()
        return exit_.value.code, capfd.readouterr().err

    monkeypatch.setattr("grantledger.entrypoints.server.run", started)
    monkeypatch.chdir(tmp_path)
    return run


def sentence(name: str, said: str) -> bool:
    """Whether this is one sentence that names the setting first."""
    return said.startswith(f"grantledger: {name} ") and said.count("\n") == 1 and "Traceback" not in said


BAD: dict[str, tuple[str, str]] = {
    "port of words": ("port", "eighty"),
    "port beyond all": ("port", "65536"),
    "host with a scheme": ("host", "http://127.0.0.1"),
    "issuer without TLS": ("issuer", "http://auth.example"),
    "issuer with a query": ("issuer", "https://auth.example/?x"),
    "issuer in capitals": ("issuer", "https://AUTH.example"),
    "database as a URL": ("database", "postgresql://user:password@host/db"),
    "realm in capitals": ("realm", "Main"),
    "login page that runs": ("login_page", "javascript:alert(1)"),
    "login page on no origin": ("login_page", "//evil.example/login"),
    "login page of no host": ("login_page", "/login"),
    "logout page of no login page": ("logout_page", "/logout"),
    "resource without TLS": ("resource", "http://mcp.example/"),
    "resource that is relative": ("resource", "/mcp"),
    "resources that are no list": ("resources", '{"identifier": "https://mcp.example"}'),
    "resources with an unknown key": ("resources", '[{"identifier": "https://mcp.example", "x": 1}]'),
    "resources that are one": (
        "resources",
        '[{"identifier": "https://mcp.example"}, {"identifier": "https://mcp.example/"}]',
    ),
    "scope with a quote": ("scopes", 'open"id'),
    "default scope that nobody knows": ("default_scope", "unknown"),
    "no default scope": ("default_scope", ""),
    "code that lives for ever": ("code_expires_in", "601"),
    "code that never lives": ("code_expires_in", "0"),
    "token life in fractions": ("access_token_expires_in", "1.5"),
    "window beyond an access token": ("refresh_reuse_window", "3600"),
    "window without end": ("refresh_reuse_window", "301"),
    "negative window": ("refresh_reuse_window", "-1"),
    "grant without life": ("grant_expires_in", "0"),
    "redirect URI that runs": ("private_use_redirect_uris", "javascript:alert(1)"),
    "redirect URI of the web": ("private_use_redirect_uris", "https://client.example/"),
    "secret that is short": ("master_secret", "c2hvcnQ="),
    "secret that is no base64": ("master_secret", "!" * 44),
    "secret file that is not there": ("master_secret_file", "nowhere"),
    "proxies by name": ("trusted_proxies", "proxy.example"),
}


@pytest.mark.parametrize(("name", "value"), BAD.values(), ids=BAD)
def test_a_bad_value_stops_the_start(serve: Any, name: str, value: str):
    code, said = serve(**{name: value})
    assert code == 1
    assert sentence(name, said), said


@pytest.mark.parametrize(("name", "value"), BAD.values(), ids=BAD)
def test_a_start_that_was_stopped_leaves_nothing_behind(serve: Any, tmp_path: Path, name: str, value: str):
    serve(**{name: value})
    assert not list(tmp_path.iterdir())


def test_an_unknown_setting_in_the_environment_stops_the_start(serve: Any):
    """Seen to catch: an unknown setting is passed over."""
    code, said = serve(login_pag="/login")
    assert code == 1
    assert sentence("login_pag", said), said
    assert "login_page" in said.removeprefix("grantledger: login_pag ")
    assert "GRANTLEDGER_LOGIN_PAG" in said


def test_an_unknown_setting_in_the_file_stops_the_start(serve: Any, tmp_path: Path):
    """Seen to catch: an unknown setting is passed over."""
    (tmp_path / "grantledger.toml").write_text('consent_page = "/consent"\n')
    code, said = serve()
    assert code == 1
    assert sentence("consent_page", said), said
    assert "grantledger.toml" in said


def test_a_file_that_is_not_there_stops_the_start(serve: Any):
    code, said = serve("--config", "elsewhere.toml")
    assert code == 1
    assert sentence("config", said), said


def test_two_ways_to_say_the_resource_stop_the_start(serve: Any):
    code, said = serve(resource="https://a.example", resources='[{"identifier": "https://b.example"}]')
    assert code == 1
    assert sentence("resources", said), said


def test_a_secret_file_that_others_may_read_stops_the_start(serve: Any, tmp_path: Path):
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "secret").chmod(0o644)
    code, said = serve(master_secret_file="secret")
    assert code == 1
    assert sentence("master_secret_file", said), said


def test_a_directory_that_is_not_there_stops_the_start(serve: Any, tmp_path: Path):
    code, said = serve(database=str(tmp_path / "nowhere" / "grantledger.sqlite3"))
    assert code == 1
    assert "nowhere" in said
    assert said.count("\n") == 1


# Away from loopback


MISSING = {
    "issuer": ("issuer", {"issuer": None}),
    "https in the issuer": ("issuer", {"issuer": "http://127.0.0.1:8000"}),
    "secret": ("master_secret", {"master_secret": None}),
    "lasting database": ("database", {"database": ":memory:"}),
    "secret, where only the issuer is away": ("master_secret", {"host": "127.0.0.1", "master_secret": None}),
    "issuer, where the host is a name": ("issuer", {"host": "auth.example", "issuer": None}),
    "issuer, where the host is IPv6": ("issuer", {"host": "::", "issuer": None}),
}


@pytest.mark.parametrize(("name", "change"), MISSING.values(), ids=MISSING)
def test_away_from_loopback_something_is_missing(serve: Any, name: str, change: dict[str, str | None]):
    settings = {key: value for key, value in {**AWAY, **change}.items() if value is not None}
    code, said = serve(**settings)
    assert code == 1
    assert sentence(name, said), said


def test_a_secret_is_not_shown_where_it_cannot_be_used(serve: Any):
    _, said = serve(master_secret="bXktc2VjcmV0")
    assert "bXktc2VjcmV0" not in said


def test_a_password_in_a_database_url_is_not_shown(serve: Any):
    _, said = serve(database="postgresql://user:my-password@host/db")
    assert "my-password" not in said


# As a process


def test_the_process_ends_with_exit_code_1_and_one_sentence(tmp_path: Path):
    ended = cli("serve", cwd=tmp_path, host="0.0.0.0")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert sentence("issuer", ended.stderr), ended.stderr
