"""Which adapter stands behind each port."""

import atexit
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from dependency_injector import containers, providers

from grantledger.adapters.crypto.id_tokens import Es256KeyMaker, LedgerIdTokenSigner
from grantledger.adapters.crypto.keyed_digest import DerivedCodes, KeyedDigests
from grantledger.adapters.crypto.master_secrets import MasterSecrets
from grantledger.adapters.crypto.sealing import SealedBox, Vault
from grantledger.adapters.crypto.tokens import DerivedTokens
from grantledger.adapters.identity.argon2_hasher import Argon2Hasher
from grantledger.adapters.ledger.database import Database
from grantledger.adapters.ledger.mapper import TagMapper
from grantledger.adapters.ledger.past import SqlitePast
from grantledger.adapters.ledger.resealing import Resealing
from grantledger.adapters.ledger.secret_use import SecretUse
from grantledger.adapters.ledger.sqlite_ledger import SqliteLedger
from grantledger.adapters.system import SystemClock, SystemRandomness
from grantledger.adapters.throttles import RecentNetworks, throttle_of
from grantledger.application.policy import ServerPolicy
from grantledger.application.throttling import GuessLimit, RegistrationLimit
from grantledger.domain.rate import Rate, parsed_rate
from grantledger.entrypoints.master_secret import obtain_master_secrets, secret_keeper
from grantledger.entrypoints.settings import IN_MEMORY, Settings


def _address_digest(digests: KeyedDigests) -> Callable[[str], bytes]:
    return lambda address: digests.raw_digests("caller address", address)[0]


def _wide(rate: Rate | None) -> Rate | None:
    return None if rate is None else Rate(rate.count * 10, rate.period)


def _guess_limit(attempts: str, *, per_network: bool) -> GuessLimit:
    rate = parsed_rate(attempts)
    wide = _wide(rate)
    return GuessLimit(
        per_subject_and_network=throttle_of(rate),
        per_network=throttle_of(wide if per_network else None),
        per_subject=throttle_of(wide),
        known_networks=RecentNetworks(),
    )


def _sign_up_limit(settings: Settings) -> RegistrationLimit:
    rate = parsed_rate(settings.sign_in_attempts)
    return RegistrationLimit(total=throttle_of(_wide(rate)), per_network=throttle_of(rate))


def _registration_limit(settings: Settings) -> RegistrationLimit:
    return RegistrationLimit(
        total=throttle_of(parsed_rate(settings.registrations)),
        per_network=throttle_of(parsed_rate(settings.registrations_per_address)),
    )


def _database(settings: Settings) -> Database:
    if settings.database != IN_MEMORY:
        return Database(settings.database)
    # Writer and readers are connections of their own, which an in-memory database cannot be shared by.
    directory = tempfile.mkdtemp(prefix="grantledger-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return Database(Path(directory) / "grantledger.sqlite3")


def _policy(settings: Settings) -> ServerPolicy:
    return settings.policy


class Adapters(containers.DeclarativeContainer):
    """What stands behind the ports, for one `settings`."""

    settings = providers.Dependency(instance_of=Settings)
    policy = providers.Singleton(_policy, settings)

    master_secrets: providers.Singleton[MasterSecrets] = providers.Singleton(obtain_master_secrets, settings)
    clock = providers.Singleton(SystemClock)
    randomness = providers.Singleton(SystemRandomness)
    hasher = providers.Singleton(Argon2Hasher)
    sealer = providers.Singleton(DerivedTokens, master_secrets, settings.provided.realm)
    digests = providers.Singleton(KeyedDigests, master_secrets, settings.provided.realm)
    codes = providers.Singleton(DerivedCodes, digests)
    sealed_box = providers.Singleton(SealedBox, master_secrets, settings.provided.realm)
    vault = providers.Singleton(Vault, master_secrets, settings.provided.realm)
    database = providers.Singleton(_database, settings)
    sealed_records = providers.Singleton(Resealing, database, vault, settings.provided.realm)
    issued_tokens = providers.Singleton(
        SecretUse, database, providers.Singleton(TagMapper), settings.provided.realm
    )
    ledger = providers.Singleton(
        SqliteLedger,
        database,
        sealer=vault,
        address_digest=providers.Singleton(_address_digest, digests),
        realm=settings.provided.realm,
    )

    past = providers.Singleton(SqlitePast, database, providers.Singleton(TagMapper), settings.provided.realm)

    password_guesses = providers.Singleton(_guess_limit, settings.provided.sign_in_attempts, per_network=True)
    # Several clients share the addresses of a platform: a place of one of them is no place of the others.
    client_secret_guesses = providers.Singleton(
        _guess_limit, settings.provided.client_secret_attempts, per_network=False
    )
    sign_up_limit = providers.Singleton(_sign_up_limit, settings)
    registration_limit = providers.Singleton(_registration_limit, settings)

    key_maker = providers.Singleton(Es256KeyMaker)
    id_token_signer = providers.Singleton(LedgerIdTokenSigner, ledger, ledger)

    secret_keeper = providers.Singleton(secret_keeper, settings, master_secrets)
