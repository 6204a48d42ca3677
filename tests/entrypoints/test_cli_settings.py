"""`settings check` and `settings show`, and the completion of commands, as processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.server import cli, free_port

SECRET = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldCE"


def run(directory: Path, *arguments: str, **settings: str) -> tuple[int, str, str]:
    done = cli(*arguments, cwd=directory, **settings)
    return done.returncode, done.stdout, done.stderr


def test_good_settings_are_reported_and_nothing_is_created(tmp_path: Path):
    assert run(tmp_path, "settings", "check") == (0, "The settings are good.\n", "")
    assert list(tmp_path.iterdir()) == []


def test_every_fault_is_named_with_its_source(tmp_path: Path):
    config = tmp_path / "grantledger.toml"
    config.write_text('port = 70000\nisuer = "https://auth.example"\n')
    code, said, complaint = run(tmp_path, "settings", "check", realm="Main!")
    assert (code, said) == (1, "")
    realm, ours = "up to 63 of a-z, 0-9, _ and -, the first a letter or digit", "(from grantledger.toml)"
    assert complaint.splitlines() == [
        f"grantledger: port must be from 1 to 65535, not 70000 {ours}",
        f"grantledger: isuer is not a setting, did you mean issuer? {ours}",
        f"grantledger: realm must be {realm}, not 'Main!' (from GRANTLEDGER_REALM)",
    ]


def test_settings_that_contradict_each_other_are_a_fault(tmp_path: Path):
    code, _, complaint = run(tmp_path, "settings", "check", host="0.0.0.0")
    assert code == 1
    assert complaint.startswith("grantledger: issuer is missing")


def test_an_https_issuer_without_a_trusted_proxy_causes_a_warning(tmp_path: Path):
    public = {"issuer": "https://auth.example", "master_secret": SECRET, "resource": "https://mcp.example/"}
    code, said, complaint = run(tmp_path, "settings", "check", **public)
    assert (code, said) == (0, "The settings are good.\n")
    assert complaint.startswith("grantledger: trusted_proxies is empty, but issuer is https")
    assert run(tmp_path, "settings", "check", **public, trusted_proxies="127.0.0.1")[2] == ""


@pytest.mark.parametrize(
    ("resource", "shared"),
    [
        ("https://auth.example/mcp", "origin"),
        ("https://auth.example:443/mcp", "origin"),
        ("https://auth.example:8443/mcp", "host"),
    ],
)
def test_an_mcp_server_on_the_host_of_the_issuer_causes_a_warning(tmp_path: Path, resource: str, shared: str):
    """The two share cookies. `grantledger serve` mounts no MCP server, so it is another program."""
    public = {"issuer": "https://auth.example", "master_secret": SECRET, "trusted_proxies": "127.0.0.1"}
    code, _, complaint = run(tmp_path, "settings", "check", **public, resource=resource)
    assert code == 0
    assert complaint.startswith(f"grantledger: {resource} is on the {shared} of the issuer")
    elsewhere = run(tmp_path, "settings", "check", **public, resource="https://mcp.example/mcp")
    assert elsewhere[2] == ""


@pytest.mark.parametrize(
    "issuer", ["http://localhost:8000", "https://localhost:8443", "https://auth.localhost"]
)
def test_an_issuer_on_localhost_causes_a_warning_about_two_addresses(tmp_path: Path, issuer: str):
    code, said, complaint = run(
        tmp_path, "settings", "check", issuer=issuer, master_secret=SECRET, trusted_proxies="127.0.0.1"
    )
    assert (code, said) == (0, "The settings are good.\n")
    assert complaint.startswith(f"grantledger: issuer {issuer} is on localhost")
    assert run(tmp_path, "settings", "check", issuer="http://127.0.0.1:8000")[2] == ""


def test_a_scope_of_a_role_that_the_settings_do_not_have_causes_a_warning(tmp_path: Path):
    """If a role lists a misspelt scope, every user may grant the one that was meant."""
    roles = '{"editor": {"scopes": ["email", "fiels:write"]}}'
    code, _, complaint = run(tmp_path, "settings", "check", roles=roles)
    assert code == 0
    assert complaint.startswith("grantledger: roles.editor lists the scope 'fiels:write', which the settings")
    assert complaint.count("\n") == 1


def test_an_issuer_at_which_nothing_answers_is_a_fault_online(tmp_path: Path):
    code, _, complaint = run(tmp_path, "settings", "check", "--online", port=str(free_port()))
    assert code == 1
    assert complaint.startswith("grantledger: issuer cannot be reached: http://127.0.0.1:")


def test_a_login_page_is_a_fault_without_a_host_application(tmp_path: Path):
    code, said, complaint = run(tmp_path, "settings", "check", login_page="/login")
    assert (code, said) == (1, "")
    assert complaint.startswith("grantledger: login_page needs a host application")
    assert "embed the server with AuthorizationServer(host_identity=...)" in complaint
    assert complaint.endswith(" (from GRANTLEDGER_LOGIN_PAGE)\n")


def test_a_secret_file_that_others_may_read_is_a_fault(tmp_path: Path):
    secrets = tmp_path / "secrets"
    secrets.write_text(f"{SECRET}\n")
    secrets.chmod(0o644)
    code, _, complaint = run(tmp_path, "settings", "check", master_secret_file=str(secrets))
    assert code == 1
    assert f"run `chmod o= {secrets}`" in complaint


def test_each_setting_is_shown_with_its_source(tmp_path: Path):
    (tmp_path / "grantledger.toml").write_text('resource = "https://mcp.example/mcp"\n')
    code, said, _ = run(tmp_path, "settings", "show", "--json", "--database", "x.db", port="8123")
    assert code == 0
    shown = {one["setting"]: (one["value"], one["source"]) for one in map(json.loads, said.splitlines())}
    assert shown["port"] == (8123, "GRANTLEDGER_PORT")
    assert shown["database"] == ("x.db", "--database")
    assert shown["resource"] == ("https://mcp.example/mcp", "grantledger.toml")
    assert shown["issuer"] == ("http://127.0.0.1:8123", "default")
    assert shown["resources"][0][0]["identifier"] == "https://mcp.example/mcp"


def test_settings_are_shown_as_the_file_has_them(tmp_path: Path):
    """Fails if truth values are written as in Python, which TOML does not know."""
    _, said, _ = run(tmp_path, "settings", "show", sign_up="true")
    shown = {line.split()[0]: line.split()[1] for line in said.splitlines()}
    assert (shown["sign_up"], shown["pooler"]) == ("true", "false")


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_secrets_are_hidden(tmp_path: Path, form: tuple[str, ...]):
    """Fails if secrets are shown."""
    code, said, complaint = run(tmp_path, "settings", "show", *form, master_secret=SECRET)
    assert code == 0
    assert SECRET not in said + complaint
    assert "1 hidden" in said


def test_bash_completes_commands(tmp_path: Path):
    """Run what the shell runs for the tab key, without a terminal."""
    script = """
        eval "$(grantledger completion bash)"
        COMP_WORDS=(grantledger client di) COMP_CWORD=2
        _grantledger_completion grantledger di client
        echo "${COMPREPLY[@]}"
    """
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env={"PATH": path, "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["disable"]


@pytest.mark.parametrize(
    ("shell", "word"), [("zsh", "#compdef grantledger"), ("fish", "complete --no-files")]
)
def test_there_is_a_script_for_other_shells(tmp_path: Path, shell: str, word: str):
    code, said, _ = run(tmp_path, "completion", shell)
    assert code == 0
    assert word in said
