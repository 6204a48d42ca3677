"""`grantledger serve` does not start with an invalid setting; it names the setting in one sentence."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from grantledger.entrypoints.cli import main
from support.server import Server, cli, free_port, serving
from support.stores import once
from support.timeouts import TIMEOUT

pytestmark = once("is answered before the store is asked")

SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldCE="


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Any:
    """Run `grantledger serve` in this process, which is quick; return its output and exit code."""

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


def test_a_bad_value_prevents_the_start_and_leaves_nothing_behind(serve: Any, tmp_path: Path):
    code, said = serve(issuer="http://auth.example")
    assert code == 1
    assert sentence("issuer", said), said
    assert not list(tmp_path.iterdir())


def test_an_unknown_setting_in_the_environment_prevents_the_start(serve: Any):
    code, said = serve(login_pag="/login")
    assert code == 1
    assert sentence("login_pag", said), said
    assert "login_page" in said.removeprefix("grantledger: login_pag ")
    assert "GRANTLEDGER_LOGIN_PAG" in said


def test_an_unknown_setting_in_the_file_prevents_the_start(serve: Any, tmp_path: Path):
    (tmp_path / "grantledger.toml").write_text('consent_page = "/consent"\n')
    code, said = serve()
    assert code == 1
    assert sentence("consent_page", said), said
    assert "grantledger.toml" in said


def test_a_missing_settings_file_prevents_the_start(serve: Any):
    code, said = serve("--config", "elsewhere.toml")
    assert code == 1
    assert sentence("config", said), said


def test_a_secret_file_that_others_may_read_prevents_the_start(serve: Any, tmp_path: Path):
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "secret").chmod(0o644)
    code, said = serve(master_secret_file="secret")
    assert code == 1
    assert sentence("master_secret_file", said), said


def test_a_missing_directory_prevents_the_start(serve: Any, tmp_path: Path):
    code, said = serve(database=str(tmp_path / "nowhere" / "grantledger.sqlite3"))
    assert code == 1
    assert "nowhere" in said
    assert said.count("\n") == 1


def test_a_secret_is_not_shown_where_it_cannot_be_used(serve: Any):
    _, said = serve(master_secret="bXktc2VjcmV0")
    assert "bXktc2VjcmV0" not in said


# As a process


def test_the_process_ends_with_exit_code_1_and_one_sentence(tmp_path: Path):
    ended = cli("serve", cwd=tmp_path, host="0.0.0.0")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert sentence("issuer", ended.stderr), ended.stderr


def test_a_container_listens_on_all_addresses_for_an_issuer_on_localhost(tmp_path: Path):
    port = free_port()
    issuer = f"http://localhost:{port}"
    with serving(tmp_path, port=port, host="0.0.0.0", issuer=issuer) as server:
        answer = httpx2.get(
            f"{server.origin}/.well-known/oauth-authorization-server", timeout=TIMEOUT, verify=False
        )
    assert answer.json()["issuer"] == issuer


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_an_issuer_on_localhost_needs_both_of_its_addresses(tmp_path: Path, address: str):
    """Fails if the server starts while another program has one of them: it could receive passwords."""
    with socket.create_server((address, 0), family=_family(address)) as taken:
        port = str(taken.getsockname()[1])
        ended = cli("serve", cwd=tmp_path, issuer=f"http://localhost:{port}", port=port)
    assert ended.returncode == 1
    assert sentence("port", ended.stderr), ended.stderr
    assert f"at {address} " in ended.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_an_issuer_on_localhost_is_answered_at_both_of_its_addresses(localhost: Server, host: str):
    url = f"http://{host}:{localhost.settings['port']}/.well-known/oauth-authorization-server"
    assert httpx2.get(url, timeout=TIMEOUT, verify=False).json()["issuer"] == localhost.issuer


@pytest.fixture(scope="module")
def localhost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port = free_port()
    issuer = f"http://localhost:{port}"
    with serving(tmp_path_factory.mktemp("localhost"), port=port, issuer=issuer) as running:
        yield running


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
