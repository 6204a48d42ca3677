"""Over TLS both drivers check the certificate of the server, if the URL says so."""

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from msgspec import Struct

from adapters.ledger.storage import WatchedPostgres
from grantledger.adapters.ledger import migrations
from grantledger.adapters.ledger.database import CannotOpen
from grantledger.adapters.ledger.postgresql import PostgresDatabase
from grantledger.adapters.ledger.sql import Statement
from grantledger.application.ports import Unavailable
from support.postgres import ON_ITS_SOCKET
from support.postgres_tls import over_tls
from support.tls import self_signed

STORES = ("postgresql",)

pytestmark = [pytest.mark.full, ON_ITS_SOCKET]

ONE = Statement("SELECT 1", (), {})


class Encrypted(Struct, frozen=True):
    """A server that takes TLS alone, with a certificate for `localhost`."""

    name: str
    port: int
    certificate: Path

    def at(self, host: str, parameters: str) -> PostgresDatabase:
        return PostgresDatabase(f"postgresql://postgres@{host}:{self.port}{self.name}?{parameters}")


@pytest.fixture
def encrypted(database: WatchedPostgres, tmp_path: Path) -> Iterator[Encrypted]:
    with over_tls(database.address, tmp_path) as (port, certificate):
        yield Encrypted(urlsplit(database.address).path, port, certificate)


async def test_a_certificate_of_the_named_authority_and_host_is_accepted(encrypted: Encrypted):
    found = encrypted.at("localhost", f"sslmode=verify-full&sslrootcert={encrypted.certificate}")
    migrations.check(found)
    assert [tuple(row) for row in await found.fetch(ONE, {})] == [(1,)]
    await found.close(1)


async def test_a_certificate_for_another_host_is_refused(encrypted: Encrypted):
    await refused(encrypted.at("127.0.0.1", f"sslmode=verify-full&sslrootcert={encrypted.certificate}"))


async def test_a_certificate_of_another_authority_is_refused(encrypted: Encrypted, tmp_path: Path):
    other = tmp_path / "other"
    other.mkdir()
    self_signed(other)
    await refused(encrypted.at("localhost", f"sslmode=verify-full&sslrootcert={other / 'localhost.pem'}"))


async def test_a_server_that_wants_tls_is_not_reached_without(encrypted: Encrypted):
    await refused(encrypted.at("localhost", "sslmode=disable"))


async def refused(database: PostgresDatabase) -> None:
    """Check that neither driver connects."""
    with pytest.raises(CannotOpen):
        migrations.check(database)
    with pytest.raises(Unavailable):
        await database.fetch(ONE, {})
    await database.close(1)


async def test_a_machine_that_has_gone_is_noticed_by_the_kernel(encrypted: Encrypted):
    """Fails if the connections of requests are not kept alive: libpq does that, asyncpg does not."""
    found = encrypted.at("localhost", "sslmode=require&keepalives_idle=7")
    await found.fetch(ONE, {})
    (connection,) = found._idle  # noqa: SLF001 - as below
    made = connection._transport.get_extra_info("socket")  # noqa: SLF001 - asyncpg has no public name for it
    assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 7
    assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 15_000
    await found.close(1)
