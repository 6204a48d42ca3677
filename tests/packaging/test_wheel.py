"""What a user installs is what git tracks, and it starts."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from support.server import free_port
from support.timeouts import TIMEOUT

ROOT = Path(__file__).parents[2]
SHIPPED = re.compile(
    r"(domain|application|adapters|entrypoints)/.+|__init__\.py|__main__\.py|testing\.py|py\.typed"
)
UV = (sys.executable, "-m", "uv", "--quiet")

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]


def run(*command: str | Path, cwd: Path) -> str:
    # Settings and import path of the test run must not reach the installed package.
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GRANTLEDGER_", "PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    names = run("git", "ls-files", "-z", cwd=ROOT).split("\0")
    return [name for name in names if name and os.path.lexists(ROOT / name)]


@pytest.fixture(scope="module")
def wheel(tracked: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, by an isolated setuptools of the pinned version: the tree stays as it is."""
    source, dist = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in tracked:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name, follow_symlinks=False)
    pins = ("--build-constraints", source / "requirements/dev.txt", "--require-hashes")
    run(*UV, "build", "--wheel", "--python", sys.executable, *pins, "--out-dir", dist, cwd=source)
    (built,) = dist.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and the extra `server`, nothing else."""
    return environment(wheel, "server", tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module")
def guard_only(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and no extra."""
    return environment(wheel, "guard", tmp_path_factory.mktemp("guard"))


def environment(wheel: Path, pins: str, folder: Path) -> Path:
    venv = folder / "venv"
    run(*UV, "venv", "--python", sys.executable, venv, cwd=folder)
    install = (*UV, "pip", "install", "--python", venv / "bin/python")
    run(*install, "--require-hashes", "--requirements", ROOT / f"requirements/{pins}.txt", cwd=folder)
    run(*install, "--no-deps", wheel, cwd=folder)
    run(*UV, "pip", "check", "--python", venv / "bin/python", cwd=folder)
    return venv


def test_the_wheel_holds_what_git_tracks_and_nothing_else(wheel: Path, tracked: list[str]) -> None:
    in_wheel = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    # Missing from the wheel: is the package listed in pyproject.toml, and the suffix in its package-data?
    assert in_wheel == {f"grantledger/{name}" for name in tracked if SHIPPED.fullmatch(name)}


def test_grantledger_is_the_only_name_it_installs(installed: Path, tmp_path: Path) -> None:
    code = "import importlib.metadata as m; print(*m.files('grantledger'), sep='\\n')"
    files = [Path(line) for line in run(installed / "bin/python", "-c", code, cwd=tmp_path).splitlines()]
    tops = {file.parts[0] for file in files if file.parts[0] != ".."}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"grantledger"}
    assert [file.name for file in files if file.parts[0] == ".."] == ["grantledger"]


def test_no_bare_folder_name_can_be_imported(installed: Path, tmp_path: Path) -> None:
    code = (
        "import grantledger.domain; from importlib.util import find_spec; "
        "print([n for n in ('domain', 'application', 'adapters', 'entrypoints') if find_spec(n)])"
    )
    assert run(installed / "bin/python", "-c", code, cwd=tmp_path) == "[]\n"


def test_the_installed_server_starts_and_describes_itself(installed: Path, tmp_path: Path) -> None:
    with serving(installed, tmp_path) as url:
        answer = httpx2.get(f"{url}/.well-known/oauth-authorization-server", trust_env=False, timeout=TIMEOUT)
    assert answer.status_code == httpx2.codes.OK
    assert answer.json()["issuer"].rstrip("/") == url


def test_without_an_extra_the_guards_can_be_imported(guard_only: Path, tmp_path: Path):
    code = "from grantledger import current_session, McpSession; import grantledger.adapters.guards.asgi"
    run(guard_only / "bin/python", "-c", code, cwd=tmp_path)


@pytest.mark.parametrize(
    "code", ["from grantledger import AuthorizationServer", "import grantledger.testing"]
)
def test_without_the_extra_server_an_import_says_what_to_install(guard_only: Path, code: str):
    done = subprocess.run(
        [guard_only / "bin/python", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stderr.endswith("needs the authorization server: pip install 'grantledger[server]'\n")


A_TEST = """
async def test_a_token_that_is_revoked_is_refused(grantledger_issuer):
    token = await grantledger_issuer.token()
    headers = {"authorization": f"Bearer {token}"}
    assert await grantledger_issuer.server.get_mcp_session(headers) is not None
    await grantledger_issuer.revoke(token)
    assert await grantledger_issuer.server.get_mcp_session(headers) is None
"""


def test_a_project_with_pytest_takes_the_fixture_from_the_wheel(installed: Path, tmp_path: Path):
    pins = ("--constraints", ROOT / "requirements/dev.txt")
    run(*UV, "pip", "install", "--python", installed / "bin/python", *pins, "pytest", cwd=tmp_path)
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["grantledger.testing"]\n')
    (tmp_path / "test_tokens.py").write_text(A_TEST)
    run(installed / "bin/python", "-m", "pytest", "-W", "error", "-o", "anyio_mode=auto", cwd=tmp_path)


@pytest.mark.parametrize(("command", "extra"), [("--help", "server"), ("serve", "server"), ("demo", "demo")])
def test_without_an_extra_a_command_says_what_to_install(guard_only: Path, command: str, extra: str):
    done = subprocess.run(
        [guard_only / "bin/grantledger", command], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(f"pip install 'grantledger[{extra}]'\n")
    assert done.stderr.count("\n") == 1


def test_without_an_extra_the_doctor_examines_a_server(guard_only: Path, installed: Path, tmp_path: Path):
    with serving(installed, tmp_path) as url:
        said = run(guard_only / "bin/grantledger", "doctor", url, cwd=tmp_path)
    assert "0 faults, 0 warnings" in said


def test_without_the_extra_demo_the_demo_says_what_to_install(installed: Path, tmp_path: Path):
    demo = (installed / "bin/grantledger", "demo", "--once")
    done = subprocess.run(demo, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("pip install 'grantledger[demo]'\n")


@contextmanager
def serving(venv: Path, folder: Path) -> Iterator[str]:
    port = free_port()
    address = ("--host", "127.0.0.1", "--port", str(port))
    command = (venv / "bin/grantledger", "serve", *address, "--database", folder / "ledger.db")
    env = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    with (folder / "output.txt").open("w+") as output:
        server = subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=subprocess.STDOUT)
        try:
            give_up = time.monotonic() + TIMEOUT
            while not accepts(port):
                running = server.poll() is None and time.monotonic() < give_up
                assert running, f"did not start:\n{(folder / 'output.txt').read_text()}"
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            try:
                server.wait(timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
