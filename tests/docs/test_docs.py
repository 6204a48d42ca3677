"""The documents are right about links, tests, targets, settings and examples."""

import ast
import os
import re
import signal
import subprocess
import sys
import time
import unicodedata
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click import Context, Group

import grantledger
from grantledger.adapters.http.middleware import SUSPICIOUS
from grantledger.application.ports import Unavailable
from grantledger.entrypoints.cli.commands import cli
from grantledger.entrypoints.settings import Settings
from grantledger.entrypoints.settings_sources import load_settings
from support.server import free_port
from support.timeouts import TIMEOUT

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "examples" / "README.md"]
    if not path.name.startswith(".")
)
ADRS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`[^`\n]+`")


def prose(path: Path) -> str:
    """Return the text without its fenced blocks."""
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


def blocks(path: Path, language: str) -> list[str]:
    return [body for tag, body in _FENCE.findall(path.read_text(encoding="utf-8")) if tag == language]


def anchors(path: Path) -> set[str]:
    """Return the anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {_anchor(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)) for heading in headings}


def _anchor(heading: str) -> str:
    kept = (c for c in heading.lower() if c in " -_" or unicodedata.category(c)[0] in "LN")
    return "".join(kept).replace(" ", "-")


def names_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=names_of)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in _LINK.findall(_CODE.sub("", prose(document))):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        there = (document.parent / path).resolve() if path else document
        assert there.exists(), target
        assert there.is_relative_to(ROOT), target
        assert not anchor or anchor in anchors(there), target


def test_no_two_decisions_have_the_same_number() -> None:
    assert len({adr.name[:4] for adr in ADRS}) == len(ADRS)


@pytest.mark.parametrize("adr", ADRS, ids=names_of)
def test_a_decision_is_titled_by_its_number_and_listed_in_the_index(adr: Path) -> None:
    title = adr.read_text(encoding="utf-8").partition("\n")[0]
    number, words = adr.name[:4], title.removeprefix(f"# {adr.name[:4]}. ")
    assert title == f"# {number}. {words}"
    assert f"| [{number}]({adr.name}) | {words}" in (ROOT / "docs/adr/README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("adr", ADRS, ids=names_of)
def test_the_tests_that_confirm_a_decision_exist(adr: Path) -> None:
    confirmation = adr.read_text(encoding="utf-8").partition("## Confirmation\n")[2]
    files = confirmation.split("\n- ")[1:]
    assert files
    for line in files:
        file, *tests = re.findall(r"`([^`]+)`", line)
        assert tests, line
        assert set(tests) <= defined_in(ROOT / file), line


@pytest.mark.parametrize("adr", ADRS, ids=names_of)
def test_a_decision_that_was_changed_names_a_later_one(adr: Path) -> None:
    for change in re.findall(r"^(?:Superseded|Amended) by .*", adr.read_text(encoding="utf-8"), re.MULTILINE):
        link = re.match(r"(?:Superseded|Amended) by \[(\d{4})\]\((\d{4})-[\w-]+\.md\)", change)
        assert link, change
        assert link[1] == link[2] > adr.name[:4], change


def defined_in(file: Path) -> set[str]:
    """Return the names of the tests and of the classes of tests that the file defines."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=names_of)
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = document.read_text(encoding="utf-8")
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)) <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=names_of)
def test_every_file_that_is_named_exists(document: Path) -> None:
    for name in re.findall(r"`([a-z_.]+/[\w./-]+\.(?:py|md|txt|toml)|\.ci/run)`", prose(document)):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=names_of)
def test_every_setting_that_is_named_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = set(
        re.findall(
            r"`((?!test_)\w+_(?:expires_in|window|page|scope|secret|secret_file|proxies|uris|attempts|connections|per_address))`",
            text,
        )
    )
    variables = {name.lower() for name in re.findall(r"`GRANTLEDGER_([A-Z_]+)`", text)} - {"config"}
    others = {"client_secret", "insufficient_scope", "invalid_scope", *grantledger.__all__}  # OAuth's, ours
    assert named - others | variables <= set(Settings.__struct_fields__)


def test_every_example_that_can_be_started_is_listed() -> None:
    examples = [path for path in (ROOT / "examples").glob("*.py") if "__main__" in path.read_text("utf-8")]
    text = (ROOT / "examples" / "README.md").read_text("utf-8")
    assert [path.name for path in examples if path.name not in text] == []


def test_the_manual_says_what_each_warning_may_be() -> None:
    table = (ROOT / "docs" / "operating.md").read_text().partition("## What to monitor")[2]
    refusals = [one for each in SUSPICIOUS for one in (each.__subclasses__() or [each])]
    named = [one.__name__ for one in refusals if not issubclass(one, Unavailable)]  # that is a 503
    assert [name for name in named if f"`{name}`" not in table] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=names_of)
def test_every_command_that_is_shown_exists(document: Path) -> None:
    for line in re.findall(
        r"^(?:\.venv/bin/)?grantledger ([^#\n]+)", document.read_text(encoding="utf-8"), re.MULTILINE
    ):
        command: Any = cli
        words = line.split()
        while words and isinstance(command, Group):
            command = command.get_command(Context(command), words.pop(0))
            assert command is not None, line
        options = {option for parameter in command.params for option in parameter.opts}
        assert command is not cli, line
        assert {word for word in words if word.startswith("--")} <= options, line


def test_the_readme_shows_the_commands_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = {
        "venv": "-m venv",
        "pip": "-m pip install",
        "sync": "uv pip sync",
        "editable": "--no-deps --no-build-isolation --editable .",
        "tests": '"not full and not long"',
        "uv pins": "requirements/uv.txt",
        "pins": "--require-hashes requirements/dev.txt",
    }
    shown = "\n".join(blocks(ROOT / "README.md", "sh"))
    expanded = makefile.replace("$(UV)", "uv")
    assert {name for name, words in commands.items() if words not in shown or words not in expanded} == set()


def test_the_settings_that_are_shown_start_a_server_on_the_network(tmp_path: Path) -> None:
    example, roles = blocks(ROOT / "docs" / "operating.md", "toml")
    config = tmp_path / "grantledger.toml"
    config.write_text(f"{example}\n{roles}", encoding="utf-8")
    settings = load_settings(config, {}, {})
    assert not settings.is_loopback
    assert settings.policy.roles.held(("editor",)).permissions == ("pages:write",)
    assert settings.policy.resources[0].scopes == ("todo:write",)


def test_the_readme_states_the_real_defaults() -> None:
    text = " ".join(prose(ROOT / "README.md").split())
    settings = Settings()
    assert f"`access_token_expires_in` ({settings.access_token_expires_in} s)" in text
    assert f"`refresh_token_expires_in` ({settings.refresh_token_expires_in // 86_400} days" in text
    assert f"`refresh_reuse_window` ({settings.refresh_reuse_window} s)" in text
    assert f"http://{settings.host}:{settings.port}" in text
    assert f"`grant_expires_in` ({settings.grant_expires_in // 86_400} days)" in text


def test_the_guarded_server_of_the_readme_challenges_its_callers(tmp_path: Path) -> None:
    """Serve the example unchanged, but at a free port."""
    program = tmp_path / "todo.py"
    (example,) = [block for block in blocks(ROOT / "README.md", "python") if "MCPServer(" in block]
    program.write_text(example, encoding="utf-8")
    port = free_port()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GRANTLEDGER_")}
    server = subprocess.Popen(
        [sys.executable, program], cwd=tmp_path, env=environ | {"GRANTLEDGER_PORT": str(port)}
    )
    try:
        answer = _answer(f"http://127.0.0.1:{port}/mcp", server)
        metadata = f"http://127.0.0.1:{port}/.well-known/oauth-protected-resource/mcp"
        assert answer.status_code == 401
        assert f'resource_metadata="{metadata}"' in answer.headers["www-authenticate"]
        described = httpx2.get(metadata, trust_env=False, timeout=TIMEOUT).json()
        assert described["resource"] == f"http://127.0.0.1:{port}/mcp"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(TIMEOUT)


def _answer(url: str, server: "subprocess.Popen[bytes]") -> httpx2.Response:
    give_up = time.monotonic() + TIMEOUT
    while time.monotonic() < give_up and server.poll() is None:
        try:
            return httpx2.post(url, json={}, trust_env=False, timeout=TIMEOUT)
        except httpx2.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"the example does not answer; its exit code: {server.poll()}")
