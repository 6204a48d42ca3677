"""A server under load: how it is started, and how a client, a browser and a resource server talk to it."""

import base64
import hashlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlencode, urlsplit

from bench.browser import Browser, code_in
from bench.connection import Connection, Response, Unexpected, get, post_form, post_json
from bench.processes import cpu_seconds

WORK = Path(__file__).parent / ".work" / str(os.getpid())
"""Databases and logs of the servers of this run, on the disk of the checkout. Git ignores the folder."""

SCOPE = "openid profile offline_access"
REDIRECT_URI = "https://client.example.com/callback"
PASSWORD = "correct horse battery staple"
VERIFIER = "bench-verifier-bench-verifier-bench-verifier-0123"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
START_TIMEOUT = 30.0
STOP_TIMEOUT = 20.0

_serial = itertools.count()


@dataclass(frozen=True)
class Client:
    client_id: str
    secret: str | None = None


@dataclass
class User:
    number: int
    browser: Browser
    signed_up: bool = False
    allowed: set[str] = field(default_factory=set)
    """The clients that this user has allowed."""

    @property
    def email(self) -> str:
        return f"user{self.number}@example.com"


class NotInstalled(Exception):  # noqa: N818 - what is so
    """A server cannot be run here; the message says what is missing."""


class DatabaseServer(Protocol):
    """A server on which targets have their databases; its CPU time is added to theirs."""

    @property
    def cpu_seconds(self) -> float: ...

    def url(self, database: str) -> str: ...

    def create(self, database: str) -> None: ...


class Target(ABC):
    """One authorization server. What OAuth defines is here, and a subclass adds the rest."""

    name = ""
    title = ""
    discovery = "/.well-known/oauth-authorization-server"
    resource: str | None = None
    redirect_uri = REDIRECT_URI
    registration: dict[str, object] = {"token_endpoint_auth_method": "none"}  # noqa: RUF012 - never changed
    resource_server: Client | None = None

    def __init__(self, store: DatabaseServer | None = None, processes: int = 1) -> None:
        """Without a `store` the state of the server is in a file, or in memory."""
        self.store = store
        self.processes = processes
        self.port = _free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.directory = WORK / self.name
        self._process: subprocess.Popen[bytes] | None = None

    # How it runs.

    @abstractmethod
    def command(self) -> tuple[list[str | Path], dict[str, str], Path]:
        """Return the command that serves, what it needs in its environment, and where it runs."""

    def install(self) -> None:  # noqa: B027 - what comes with the environment installs nothing
        """Make sure that it can be run. Raises `NotInstalled`."""

    @property
    def database(self) -> Path | None:
        """The SQLite file, where the server keeps its state in one."""
        return None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def keeps_state(self) -> bool:
        """Whether its state survives a restart."""
        return self.store is not None or self.database is not None

    @property
    def database_url(self) -> str:
        """Its database in the store, else the path of its file."""
        return str(self.database) if self.store is None else self.store.url(self.name)

    def cpu_seconds(self) -> float:
        """Return the CPU time of all its processes, and of the store."""
        return cpu_seconds(self.pid) + (0.0 if self.store is None else self.store.cpu_seconds)

    def clear(self) -> None:
        """Throw away what an earlier run left."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        if self.store is not None:
            self.store.create(self.name)

    def start(self) -> None:
        """Start it with the state in its directory. Raises `RuntimeError` if it does not listen in time."""
        arguments, environment, cwd = self.command()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                arguments, cwd=cwd, env=clean_environment() | environment, stdout=log, stderr=log
            )
        _wait_for(self.port, self._process, self.log)

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    # Requests to it.

    @property
    def host(self) -> str:
        return urlsplit(self.origin).netloc

    async def discover(self, connection: Connection) -> None:
        """Take the endpoints from the metadata document."""
        response = await connection.request(get(self.host, self.discovery, {}))
        if response.status != 200:
            raise Unexpected("discovery", response)
        metadata = response.json()
        self.endpoints = {
            name.removesuffix("_endpoint"): urlsplit(url).path
            for name, url in metadata.items()
            if name.endswith("_endpoint")
        }

    async def register(self, connection: Connection, **more: object) -> Client:
        body = {
            "client_name": f"Bench MCP client {next(_serial)}",  # every registration differs
            "redirect_uris": [self.redirect_uri],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            **self.registration,
            **more,
        }
        path = self.endpoints["registration"]
        response = await connection.request(post_json(self.host, path, body, {}))
        if response.status not in {200, 201}:
            raise Unexpected("register", response)
        answer = response.json()
        return Client(answer["client_id"], answer.get("client_secret"))

    def authorization_url(self, client: Client) -> str:
        parameters = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": SCOPE,
            "state": "bench-state",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **self._resource(),
        }
        return f"{self.endpoints['authorization']}?{urlencode(parameters)}"

    @abstractmethod
    async def sign_in(self, connection: Connection, user: User, client: Client) -> None:
        """Sign the user's browser in, and allow the client."""

    async def authorize(self, connection: Connection, user: User, client: Client) -> str:
        """Return a code for a user who is signed in. Gives consent where that is asked for."""
        response = await user.browser.get(connection, self.authorization_url(client))
        code = code_in(response.header(b"location") or "")
        return code or await self.consent(connection, user, client, response)

    async def consent(self, connection: Connection, user: User, client: Client, asked: Response) -> str:
        """Give the consent that `asked` asks for, and return the code."""
        raise Unexpected("authorize", asked)

    async def exchange(self, connection: Connection, client: Client, code: str) -> dict[str, str]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": VERIFIER,
        }
        return await self._token(connection, client, form)

    async def refresh(self, connection: Connection, client: Client, refresh_token: str) -> dict[str, str]:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return await self._token(connection, client, form)

    async def _token(self, connection: Connection, client: Client, form: dict[str, str]) -> dict[str, str]:
        form |= {"client_id": client.client_id, **self._resource()}
        response = await connection.request(post_form(self.host, self.endpoints["token"], form, {}))
        if response.status != 200:
            raise Unexpected("token", response)
        return response.json()

    @abstractmethod
    async def session(self, connection: Connection, access_token: str) -> None:
        """Look up the user of a token, as a resource server does."""

    async def look_up(self, connection: Connection, path: str, access_token: str, expected: bytes) -> None:
        """Look a session up by sending the access token itself."""
        headers = {"Authorization": f"Bearer {access_token}"}
        response = await connection.request(get(self.host, path, headers))
        if response.status != 200 or expected not in response.body:
            raise Unexpected("session", response)

    async def introspect(self, connection: Connection, access_token: str) -> None:
        """Look a session up by RFC 7662, as a resource server that authenticates."""
        asking = self.resource_server
        assert asking is not None
        credentials = f"{quote(asking.client_id, safe='')}:{quote(asking.secret or '', safe='')}"
        headers = {"Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"}
        form = {"token": access_token, "token_type_hint": "access_token"}
        path = self.endpoints["introspection"]
        response = await connection.request(post_form(self.host, path, form, headers))
        if response.status != 200 or b'"active":true' not in response.body:
            raise Unexpected("introspection", response)

    async def revoke(self, connection: Connection, client: Client, refresh_token: str) -> None:
        """Revoke by RFC 7009. Does nothing if the server has no such endpoint."""
        if "revocation" not in self.endpoints:
            return
        form = {"token": refresh_token, "token_type_hint": "refresh_token", "client_id": client.client_id}
        form |= self.revocation_extra
        response = await connection.request(post_form(self.host, self.endpoints["revocation"], form, {}))
        if response.status != 200:
            raise Unexpected("revoke", response)

    revocation_extra: dict[str, str] = {}  # noqa: RUF012 - never changed

    def _resource(self) -> dict[str, str]:
        return {} if self.resource is None else {"resource": self.resource}


def clean_environment() -> dict[str, str]:
    """Return the environment without settings of ours that the caller's shell may hold."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GRANTLEDGER_")}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    give_up = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < give_up:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    process.kill()
    raise RuntimeError(f"{process.args!r} does not start:\n{log.read_text()[-2000:]}")
