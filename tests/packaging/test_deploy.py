"""The files of `examples/deploy/`: what they run, run here without a container."""

import ipaddress
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml  # type: ignore[import-untyped]
from msgspec import Struct

from grantledger.entrypoints.settings import proxy_doubts
from grantledger.entrypoints.settings_sources import load_settings
from support import postgres
from support.nginx import NGINX, SHIPPED, needs_nginx, written
from support.server import free_port
from support.timeouts import TIMEOUT

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "examples" / "deploy"
PATH = "/opt/grantledger"
LEDGER = "/var/lib/grantledger"
SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldCE="


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile, continued lines joined."""
    text = (DEPLOY / "Dockerfile").read_text()
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(line.split()[0], line.partition(" ")[2]) for line in lines if line and not line.startswith("#")]


def arguments(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


class Image(Struct, frozen=True):
    """What the Dockerfile builds, in folders of this machine."""

    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        given = dict(line.split("=", 1) for line in arguments("ENV"))
        return {name: self.here(value) for name, value in given.items()}

    @property
    def command(self) -> list[str]:
        (entrypoint,), (command,) = arguments("ENTRYPOINT"), arguments("CMD")
        return [*json.loads(entrypoint), *json.loads(command)]

    def here(self, text: str) -> str:
        text = text.replace(PATH, str(self.directory / "opt")).replace(LEDGER, str(self.directory / "ledger"))
        return text.replace("python3 -m venv", f"{sys.executable} -m venv")


def bare() -> dict[str, str]:
    """Return the environment without what is meant for the test run."""
    ours = ("GRANTLEDGER_", "PYTHON", "VIRTUAL_ENV", "COV_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Image:
    """Do what the first stage of the Dockerfile says."""
    made = Image(tmp_path_factory.mktemp("image"))
    source = made.directory / "src"
    for folder in (source, made.directory / "ledger"):
        folder.mkdir()
    build_stage = instructions()[: [one[0] for one in instructions()].index("FROM", 1)]
    for instruction, rest in build_stage:
        if instruction == "COPY":
            copy(rest.split(), source)
        elif instruction == "RUN":
            done = subprocess.run(
                ["sh", "-c", made.here(rest)],
                cwd=source,
                env=bare(),
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
    return made


def copy(names: list[str], source: Path) -> None:
    *files, target = names
    for name in files:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (source / target).mkdir(exist_ok=True)
            shutil.copy2(ROOT / name, source / target)


@contextmanager
def started(image: Image, **settings: str) -> Iterator[subprocess.Popen[str]]:
    environ = {**bare(), **image.environment, **settings}
    process = subprocess.Popen(
        [image.directory / "opt" / "bin" / image.command[0], *image.command[1:]],
        cwd=image.directory / "ledger",
        env=environ,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TIMEOUT)


def test_the_container_serves_and_its_health_check_sees_it(image):
    port = free_port()
    issuer = image.environment["GRANTLEDGER_ISSUER"].replace("8000", str(port))
    (check,) = arguments("HEALTHCHECK")
    health = [part.replace("8000", str(port)) for part in json.loads(check.partition(" CMD ")[2])]
    assert subprocess.run(health, env=bare(), capture_output=True, check=False).returncode != 0
    with started(image, GRANTLEDGER_PORT=str(port), GRANTLEDGER_ISSUER=issuer) as process:
        deadline = time.monotonic() + TIMEOUT
        while subprocess.run(health, env=bare(), capture_output=True, check=False).returncode != 0:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        url = f"http://127.0.0.1:{port}/.well-known/oauth-authorization-server"
        assert httpx2.get(url, trust_env=False, timeout=TIMEOUT).json()["issuer"] == issuer
    assert process.returncode in (0, -signal.SIGTERM)  # uvicorn raises the signal again when it has finished
    assert (image.directory / "ledger" / "grantledger.sqlite3").exists()


def test_the_container_runs_as_a_user_of_its_own_who_owns_the_ledger():
    made = " ".join(arguments("RUN"))
    (user,), (volume,) = arguments("USER"), arguments("VOLUME")
    assert f"useradd --system --uid 10001 --home-dir {LEDGER} {user}" in made
    assert f"install -d -o {user} -m 0700 {volume}" in made


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text()))


def test_the_settings_of_the_compose_file_are_good(compose, tmp_path):
    (tmp_path / "master-secret").write_text(SECRET)
    given = dict(line.split("=", 1) for line in arguments("ENV"))
    given |= compose["services"]["grantledger"]["environment"]
    settings = load_settings(None, given, {})
    assert not settings.is_loopback
    assert proxy_doubts(settings) == []
    assert settings.master_secret_file == "/run/secrets/master-secret"


def test_the_server_of_the_compose_file_trusts_its_nginx(compose):
    services = compose["services"]
    nginx = services["nginx"]["networks"]["inside"]["ipv4_address"]
    assert services["grantledger"]["environment"]["GRANTLEDGER_TRUSTED_PROXIES"] == nginx
    (network,) = compose["networks"]["inside"]["ipam"]["config"]
    for service in services.values():
        address = ipaddress.ip_address(service["networks"]["inside"]["ipv4_address"])
        assert address in ipaddress.ip_network(network["subnet"])


def test_each_file_of_the_compose_file_exists_or_is_documented(compose):
    grantledger, nginx = compose["services"]["grantledger"], compose["services"]["nginx"]
    context = (DEPLOY / grantledger["build"]["context"]).resolve()
    assert context == ROOT
    assert (context / grantledger["build"]["dockerfile"]).exists()
    head = (DEPLOY / "compose.yaml").read_text().partition("\nservices:")[0]
    for mount in nginx["volumes"]:
        name = mount.partition(":")[0].removeprefix("./")
        assert (DEPLOY / name).exists() or f"`{name}`" in head, name


@needs_nginx
def test_the_nginx_of_the_compose_file_passes_requests_to_the_server(compose, tmp_path):
    services = compose["services"]
    replace = services["nginx"]["command"][2].partition(" /etc/nginx/site.conf")[0]
    (site,) = [mount for mount in services["nginx"]["volumes"] if mount.startswith("./nginx.conf:")]
    assert site == "./nginx.conf:/etc/nginx/site.conf:ro"
    made = subprocess.check_output([*shlex.split(replace), SHIPPED], text=True)
    address = services["grantledger"]["networks"]["inside"]["ipv4_address"]
    assert f"proxy_pass http://{address}:8000;" in made
    assert NGINX is not None
    main = written(made, tmp_path, port=free_port(), server_port=8000)
    done = subprocess.run(
        [NGINX, "-t", "-e", tmp_path / "error.log", "-c", main], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


# compose.postgresql.yaml


@pytest.fixture(scope="module")
def on_postgresql() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "compose.postgresql.yaml").read_text()))


def test_the_server_of_compose_finds_its_postgresql(compose, on_postgresql, tmp_path):
    """With the settings of both files, and the PostgreSQL of the tests at the address of the container."""
    server, database = (on_postgresql["services"][name] for name in ("grantledger", "postgresql"))
    (tmp_path / "master-secret").write_text(SECRET)
    (tmp_path / "master-secret").chmod(0o600)
    environ = compose["services"]["grantledger"]["environment"] | server["environment"]
    address = database["networks"]["inside"]["ipv4_address"]
    user, name = (database["environment"][f"POSTGRES_{what}"] for what in ("USER", "DB"))
    assert environ["GRANTLEDGER_DATABASE"] == f"postgresql://{user}@{address}/{name}"
    (network,) = compose["networks"]["inside"]["ipam"]["config"]
    assert ipaddress.ip_address(address) in ipaddress.ip_network(network["subnet"])
    environ["GRANTLEDGER_DATABASE"] = url = postgres.new_database()
    environ["GRANTLEDGER_MASTER_SECRET_FILE"] = str(tmp_path / "master-secret")
    del environ["PGPASSFILE"]
    assert load_settings(None, environ, {}).workers == 2
    done = subprocess.run(
        [sys.executable, "-m", "grantledger", "migrate"],
        env=bare() | environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ready, *options = database["healthcheck"]["test"][1:]
    assert options == ["-U", user, "-d", name]
    postgres.run_tool(ready, "-d", url)
    postgres.run_tool("pg_dump", "-Fc", url, "-f", str(tmp_path / "backup.dump"))


def test_each_secret_of_compose_with_postgresql_is_ignored_by_git_and_documented(on_postgresql):
    head = (DEPLOY / "compose.postgresql.yaml").read_text().partition("\nservices:")[0]
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    for secret in on_postgresql["secrets"].values():
        name = secret["file"].removeprefix("./")
        assert f"`{name}`" in head
        assert f"examples/deploy/{name}" in ignored


def pins(name: str) -> set[str]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return set(re.findall(r"^[a-z][^ ]*==[^ ]+", text, re.MULTILINE))


def test_the_image_with_postgresql_has_the_drivers_and_all_that_the_other_has(on_postgresql):
    extra = on_postgresql["services"]["grantledger"]["build"]["args"]["EXTRA"]
    assert "ARG EXTRA=server" in (DEPLOY / "Dockerfile").read_text()
    plain, full = pins("server"), pins(extra)
    assert plain < full
    assert {line.partition("=")[0].partition("[")[0] for line in full - plain} >= {"asyncpg", "psycopg"}


# systemd


def unit() -> dict[str, str]:
    lines = (DEPLOY / "grantledger.service").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"[A-Za-z]+=", line))


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None and not os.environ.get("CI"),
    reason="systemd-analyze is not installed: apt-get install systemd",
)
def test_systemd_understands_the_unit(tmp_path):
    text = (DEPLOY / "grantledger.service").read_text()
    here = text.replace(f"{PATH}/bin/grantledger", shutil.which("true") or "").replace(
        "User=grantledger", "User=root"
    )
    (tmp_path / "grantledger.service").write_text(here)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / "grantledger.service"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_commands_of_the_unit_work_with_the_shipped_settings(tmp_path):
    (tmp_path / "master-secret").write_text(SECRET)
    (tmp_path / "master-secret").chmod(0o600)
    name, _, config = unit()["Environment"].partition("=")
    assert (name, config) == ("GRANTLEDGER_CONFIG", "/etc/grantledger/grantledger.toml")
    shipped = (DEPLOY / "grantledger.toml").read_text()
    (tmp_path / "grantledger.toml").write_text(shipped.replace("/etc/grantledger", str(tmp_path)))
    check = unit()["ExecStartPre"].split()
    assert check[0] == f"{PATH}/bin/grantledger"
    done = subprocess.run(
        [sys.executable, "-m", "grantledger", *check[1:]],
        env={**bare(), name: str(tmp_path / "grantledger.toml")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("The settings are good.\n", "")
    assert unit()["ExecStart"] == f"{PATH}/bin/grantledger serve"


def test_the_settings_for_postgresql_are_good_where_they_are_uncommented(tmp_path):
    shipped = (DEPLOY / "grantledger.toml").read_text()
    changed = re.sub(r"^database = .*\n", "", shipped, flags=re.MULTILINE)
    changed = re.sub(r"^# (database|workers) = ", r"\1 = ", changed, flags=re.MULTILINE)
    (tmp_path / "grantledger.toml").write_text(changed)
    settings = load_settings(tmp_path / "grantledger.toml", {}, {})
    assert settings.database_name == "postgresql://db.example.com/grantledger"
    assert settings.workers == 2


def test_the_unit_lets_the_server_write_where_its_settings_say():
    database = Path(load_settings(DEPLOY / "grantledger.toml", {}, {}).database)
    assert database.parent == Path("/var/lib") / unit()["StateDirectory"]
