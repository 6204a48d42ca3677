"""Grantledger, from this checkout or from another one, as `grantledger serve` runs it."""

import base64
import re
import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bench.browser import Page
from bench.connection import Connection
from bench.target import PASSWORD, Client, DatabaseServer, Target, User

ROOT = Path(__file__).parents[1]
LIMITS = (
    "sign_in_attempts",
    "registrations",
    "registrations_per_address",
    "refreshes_per_grant",
    "codes_per_session",
    "sign_ins_per_user",
)


class Ours(Target):
    """Served with an https issuer, as behind a proxy that ends TLS, so that consent may be remembered.

    Requests have the issuer's host as `Host`; nothing else of a proxy is imitated. Users sign up themselves,
    which is much faster than one `grantledger user add` for each.
    """

    resource = "https://mcp.bench.example/mcp"

    def __init__(
        self,
        tree: Path,
        name: str = "ours",
        settings: Mapping[str, str] | None = None,
        *,
        store: DatabaseServer | None = None,
        processes: int = 1,
    ) -> None:
        self.tree = tree
        self.name = name
        super().__init__(store, processes)
        self.origin = "https://auth.bench.example"
        self.revision = revision(tree)
        self.title = f"Grantledger {self.revision}, {'SQLite' if store is None else 'PostgreSQL'}"
        self._settings = {
            "host": "127.0.0.1",
            "port": str(self.port),
            "issuer": self.origin,
            "resource": self.resource,
            "database": self.database_url,
            "master_secret": base64.b64encode(secrets.token_bytes(32)).decode(),
            "sign_up": "true",
            **dict.fromkeys(LIMITS, "100000000/hour"),  # not off: counting is part of the work
            "log_level": "warning",  # the peers write no line for each request either
            **({"workers": str(processes)} if processes > 1 else {}),
            **(settings or {}),
        }

    @property
    def python(self) -> Path:
        return self.tree / ".venv" / "bin" / "python"

    @property
    def environment(self) -> dict[str, str]:
        return {f"GRANTLEDGER_{name.upper()}": value for name, value in self._settings.items()}

    @property
    def database(self) -> Path:
        return self.directory / "ledger.db"

    def command(self) -> tuple[list[str | Path], dict[str, str], Path]:
        return [self.python, "-m", "grantledger", "serve"], self.environment, self.directory

    async def sign_in(self, connection: Connection, user: User, client: Client) -> None:
        await self._walk(connection, user, client)

    async def authorize(self, connection: Connection, user: User, client: Client) -> str:
        if client.client_id in user.allowed:
            return await super().authorize(connection, user, client)
        return await self._walk(connection, user, client)

    async def _walk(self, connection: Connection, user: User, client: Client) -> str:
        """Go through the pages: sign up once, sign in, allow the client."""

        def fill(page: Page) -> tuple[str, dict[str, str]] | str:
            for form in page.forms:
                if form.has("password"):
                    signs_up = sum(kind == "password" for _, kind, _ in form.inputs) == 2
                    if not signs_up and not user.signed_up:
                        return next(link for link in page.links if link.endswith("/sign-up"))
                    user.signed_up = True
                    typed = {"email": user.email, "password": PASSWORD}
                    return form.action, {
                        n: typed.get(n, typed.get(kind, value)) for n, kind, value in form.inputs
                    }
                for name, value, label in form.buttons:
                    if re.search("Allow|Continue", label):
                        return form.action, {n: v for n, _, v in form.inputs} | {name: value}
            raise ValueError(f"a page that the walk does not know: {page}")

        code = await user.browser.walk(connection, self.authorization_url(client), fill)
        user.allowed.add(client.client_id)
        return code

    async def session(self, connection: Connection, access_token: str) -> None:
        await self.look_up(connection, "/session", access_token, b'"scope"')


def revision(tree: Path) -> str:
    """Return the commit of a checkout, with `+` where files of it were changed."""
    return _git(tree, "rev-parse", "--short", "HEAD") + ("+" if _git(tree, "status", "--porcelain") else "")


def _git(tree: Path, *arguments: str) -> str:
    ran = subprocess.run(["git", "-C", tree, *arguments], capture_output=True, text=True, check=False)
    return ran.stdout.strip()
