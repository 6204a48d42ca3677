"""Bytes of users, grants and refreshes in PostgreSQL, for docs/scale.md: `python -m bench.scale --help`.

The ledger records them as the server does, without HTTP. The sizes are those of the tables
with their indexes, after a vacuum.
"""

import argparse
import asyncio
import base64
import secrets
import shutil
import time
from collections.abc import Awaitable, Callable

from bench.postgresql import Postgres, postgresql
from bench.target import REDIRECT_URI, WORK
from grantledger.application.provenance import Caller, by_user
from grantledger.domain.aggregate import Versioned
from grantledger.domain.authorization_code import CODE, CodeIssued, CodeRedeemed
from grantledger.domain.consent import CONSENT, ConsentGiven, consent_key
from grantledger.domain.token_grant import GRANT, GrantOpened, GrantRefreshed, TokenGrant
from grantledger.entrypoints.composition import Container, ledger_open
from grantledger.entrypoints.settings import Settings

DATABASE = "scale"
AT_ONCE = 100
RESOURCE = "https://mcp.bench.example/mcp"
SCOPES = ("openid", "profile", "offline_access")
CLIENTS = 100
INDEXES = "all indexes"
_DAY = 86_400


class QuickHasher:
    """A hash as long as argon2id's, without its 0.1 s."""

    async def hash(self, _: str) -> str:
        return f"$argon2id$v=19$m=65536,t=3,p=4${secrets.token_hex(11)}${secrets.token_hex(21)}"

    def open(self) -> None:
        """Have nothing to open."""

    def close(self) -> None:
        """Have nothing to close."""


class Filling:
    """Fills a ledger with users, and with grants of theirs for some clients."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._ports = container.ports()
        self._now = int(time.time())
        self._clients = [self._ports.randomness.token("glc_", size=20) for _ in range(CLIENTS)]
        self._users: list[str] = []
        self._grants: list[Versioned[TokenGrant]] = []

    async def user(self, number: int) -> None:
        open_account = self._container.use_cases().open_account
        address = f"user.number.{number}@example.com"
        self._users.append(await open_account(address, secrets.token_hex(12), _CALLER, name="A User"))

    async def grant(self, number: int) -> None:
        """Give consent, and issue and redeem a code. Each user has a grant of each of a few clients."""
        token = self._ports.randomness.token
        user = self._users[number % len(self._users)]
        client = self._clients[(number // len(self._users)) % CLIENTS]
        now, by = self._now, by_user(user, _CALLER)
        consent = Versioned(kind=CONSENT, key=consent_key(user, client))
        given = ConsentGiven(
            user_id=user,
            client_id=client,
            client_registration=1,
            redirect_host="client.example.com",
            resource=RESOURCE,
            scopes=SCOPES,
            given_at=now,
        )
        issued = CodeIssued(
            transaction_id=token(size=16),
            client_id=client,
            client_registration=1,
            user_id=user,
            session_id=token(size=16),
            redirect_uri=REDIRECT_URI,
            scopes=SCOPES,
            resource=RESOURCE,
            code_challenge=token(),
            issued_at=now,
            expires_at=now + 600,
            auth_time=now,
        )
        code = Versioned(kind=CODE, key=token(size=12)).then([issued])
        await self._ports.ledger.record([consent.then([given]), code], by)
        opened = GrantOpened(
            client_id=client,
            client_registration=1,
            user_id=user,
            code_key=code.key,
            resource=RESOURCE,
            scopes=SCOPES,
            nonce=token(),
            key_id=self._ports.tokens.key_id,
            opened_at=now,
            access_expires_at=now + 3_600,
            refresh_expires_at=now + 7 * _DAY,
        )
        key = token(size=16)
        issued_code = Versioned(kind=CODE, key=code.key).evolved([issued])
        redeemed = issued_code.then([CodeRedeemed(grant_id=key, redeemed_at=now)])
        grant = Versioned(kind=GRANT, key=key)
        await self._ports.ledger.record([redeemed, grant.then([opened])], by)
        self._grants.append(grant.evolved([opened]))

    async def refresh(self, number: int) -> None:
        number %= len(self._grants)
        grant = self._grants[number]
        event = GrantRefreshed(
            generation=grant.version,
            resource=RESOURCE,
            scopes=SCOPES,
            key_id=self._ports.tokens.key_id,
            refreshed_at=self._now + grant.version,
            access_expires_at=self._now + 3_600,
            refresh_expires_at=self._now + 7 * _DAY,
        )
        await self._ports.ledger.record([grant.then([event])], by_user("glu_bench", _CALLER))
        self._grants[number] = grant.evolved([event])


_CALLER = Caller(correlation_id=secrets.token_hex(16), address="192.0.2.1")


async def _all(count: int, step: Callable[[int], Awaitable[None]]) -> None:
    for first in range(0, count, AT_ONCE):
        await asyncio.gather(*map(step, range(first, min(count, first + AT_ONCE))))


async def main(users: int, grants: int, refreshes: int) -> None:
    with postgresql(0) as store:
        store.create(DATABASE)
        settings = Settings(
            database=store.url(DATABASE), master_secret=(base64.b64encode(secrets.token_bytes(32)).decode(),)
        )
        container = Container(settings)
        container.hasher.override(QuickHasher())
        async with ledger_open(container):
            filling = Filling(container)
            before = store.sizes(DATABASE) | {INDEXES: store.index_bytes(DATABASE)}
            for what, count, step in (
                ("user", users, filling.user),
                ("grant", grants, filling.grant),
                ("refresh", refreshes, filling.refresh),
            ):
                begun = time.perf_counter()
                await _all(count, step)
                before = _report(store, what, count, before, time.perf_counter() - begun)


def _report(store: Postgres, what: str, count: int, before: dict[str, int], seconds: float) -> dict[str, int]:
    """Print, by table, how many bytes one of them takes."""
    after = store.sizes(DATABASE) | {INDEXES: store.index_bytes(DATABASE)}
    grown = {name: (size - before[name]) / count for name, size in after.items()}
    shown = ", ".join(f"{name} {size:.0f}" for name, size in grown.items() if round(size))
    total = sum(size for name, size in grown.items() if name != INDEXES)
    print(f"{count:,} x {what} in {seconds:.0f} s: {total:.0f} bytes each ({shown})", flush=True)
    return after


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--grants", type=int, default=100_000)
    parser.add_argument("--refreshes", type=int, default=100_000)
    given = parser.parse_args()
    asyncio.run(main(given.users, given.grants, given.refreshes))
    shutil.rmtree(WORK)
