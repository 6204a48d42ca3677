"""How a server is put together: settings, adapters, ports, use cases. `server.py` adds HTTP.

dependency-injector keeps each part for the lifetime of its server, and lets tests replace it.
"""

import atexit
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dependency_injector.providers import Singleton

from grantledger.adapters.crypto.keyed_digest import KeyedDigests, KeyedNetworkDigests
from grantledger.adapters.crypto.sealing import SealedBox, Vault
from grantledger.adapters.crypto.tokens import DerivedCodes, DerivedTokens
from grantledger.adapters.identity.common_passwords import ListedPasswords
from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.database import CannotOpen, Database
from grantledger.adapters.ledger.history import Past
from grantledger.adapters.ledger.ledger import EventLedger
from grantledger.adapters.ledger.secret_use import Resealing, SecretUse
from grantledger.adapters.ledger.sqlite import SqliteDatabase
from grantledger.adapters.ledger.throttle_counts import LedgerThrottleCounts
from grantledger.adapters.system import SystemClock, SystemRandomness
from grantledger.adapters.throttles import Throttles, tenfold
from grantledger.application.use_cases import Ports, UseCases
from grantledger.domain.limits import MAX_WAITING_CHECKS
from grantledger.domain.rate import parsed_rate
from grantledger.domain.resource import ALL_RESOURCES, RESOURCES, Resources
from grantledger.domain.resource_indicator import Resource
from grantledger.entrypoints.databases import database_of
from grantledger.entrypoints.master_secret import obtain_master_secrets, secret_keeper
from grantledger.entrypoints.settings import IN_MEMORY, Settings

if TYPE_CHECKING:
    from grantledger.adapters.identity.argon2_hasher import Argon2Hasher


class Container:
    """The adapters and use cases of one server. Each is created once, on first use."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = Singleton(SystemClock)
        self.randomness = Singleton(SystemRandomness)
        self.hasher = Singleton(self._hasher)
        self.master_secrets = Singleton(lambda: obtain_master_secrets(settings))
        self.secret_keeper = Singleton(lambda: secret_keeper(settings, self.master_secrets()))
        self.digests = Singleton(lambda: KeyedDigests(self.master_secrets(), settings.realm))
        self.sealed_box = Singleton(lambda: SealedBox(self.master_secrets(), settings.realm))
        self.vault = Singleton(lambda: Vault(self.master_secrets(), settings.realm))
        self.database = Singleton(self._database)
        self.ledger = Singleton(self._ledger)
        # All processes must make the same digests.
        self.throttles = Singleton(lambda: Throttles(self.digests().raw_digests("throttle")[0]))
        self.throttle_counts = Singleton(
            lambda: LedgerThrottleCounts(self.ledger(), self.database(), settings.realm)
        )
        self.ports = Singleton(self._ports)
        self.use_cases = Singleton(lambda: UseCases(self.ports(), settings.policy))

    def _hasher(self) -> "Argon2Hasher":
        from grantledger.adapters.identity.argon2_hasher import Argon2Hasher  # noqa: PLC0415 - for a fast start

        return Argon2Hasher()

    def _database(self) -> Database:
        if self.settings.database != IN_MEMORY:
            return database_of(self.settings)
        # The writer and the readers have separate connections, which cannot share a database in memory.
        directory = tempfile.mkdtemp(prefix="grantledger-")
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        return SqliteDatabase(Path(directory) / "grantledger.sqlite3")

    def _ledger(self, **options: Any) -> EventLedger:
        """`options` are for tests: a clock and a timeout."""
        digests = self.digests()
        return EventLedger(
            self.database(),
            sealer=self.vault(),
            # Each append has a digest of the caller's address, and the same addresses come again.
            address_digest=lru_cache(4_096)(lambda address: digests.short("caller address", address)),
            realm=self.settings.realm,
            **options,
        )

    def _ports(self) -> Ports:
        from grantledger.adapters.crypto.jws import JwkMaker, LedgerKeys  # noqa: PLC0415 - for a fast start
        from grantledger.adapters.crypto.jwts import IdTokens, JwtAccessTokens  # noqa: PLC0415 - the same

        settings, ledger, database = self.settings, self.ledger(), self.database()
        throttles = self.throttles()
        keys = LedgerKeys(ledger, ledger, self.clock())
        sign_in_attempts = parsed_rate(settings.sign_in_attempts)
        return Ports(
            ledger=ledger,
            past=Past(database, settings.realm),
            clock=self.clock(),
            randomness=self.randomness(),
            hasher=self.hasher(),
            common_passwords=ListedPasswords(),
            tokens=DerivedTokens(self.master_secrets(), settings.realm),
            codes=DerivedCodes(self.digests()),
            network_digests=KeyedNetworkDigests(self.digests()),
            id_tokens=IdTokens(keys),
            access_tokens=JwtAccessTokens(keys),
            key_maker=JwkMaker(),
            secret_keeper=self.secret_keeper(),
            sealed_records=Resealing(database, self.vault(), settings.realm),
            issued_tokens=SecretUse(database, settings.realm),
            password_guesses=throttles.guess_limit(
                "passwords", sign_in_attempts, most_waiting=MAX_WAITING_CHECKS
            ),
            # All clients of a platform call from the platform's addresses: wrong secrets for one must not
            # stop the others.
            client_secret_guesses=throttles.guess_limit(
                "client secrets", parsed_rate(settings.client_secret_attempts), per_network=False
            ),
            registrations=throttles.registration_limit(
                "registrations",
                total=parsed_rate(settings.registrations),
                per_network=parsed_rate(settings.registrations_per_address),
            ),
            sign_ups=throttles.registration_limit(
                "sign-ups", total=tenfold(sign_in_attempts), per_network=sign_in_attempts
            ),
            refreshes=throttles.action_limit(
                "refreshes of one grant", parsed_rate(settings.refreshes_per_grant)
            ),
            issued_codes=throttles.action_limit("authorizations", parsed_rate(settings.codes_per_session)),
            sign_ins=throttles.action_limit("sign-ins of one user", parsed_rate(settings.sign_ins_per_user)),
        )


async def resources_in_ledger(settings: Settings) -> tuple[Resource, ...]:
    """Return the resources that commands have added; none if the database does not exist yet.

    Opens a connection of its own and closes it again. Raises `Unavailable`.
    """
    container = Container(settings)
    if settings.database == IN_MEMORY or not _has_schema(container.database()):
        return ()
    ledger = container.ledger()
    await ledger.open()
    try:
        held = (await ledger.load(RESOURCES, ALL_RESOURCES)).state or Resources()
    finally:
        await ledger.close()
    return held.added


def _has_schema(database: Database) -> bool:
    try:
        return migrations.current(database) == migrations.HEAD
    except CannotOpen:  # as before the first start
        return False


@asynccontextmanager
async def ledger_open(container: Container) -> AsyncIterator[None]:
    """Migrate and open the ledger. At the end, write the queued changes and close the ledger."""
    migrations.migrate(container.database())
    await container.ledger().open()
    container.hasher().open()
    try:
        yield
    finally:
        await container.ledger().close()
        container.hasher().close()
