"""`TEST_STORE` says where the servers of these tests keep their ledgers."""

from support.server import Server
from support.stores import IN_POSTGRESQL


def test_a_server_keeps_its_ledger_in_the_store_of_the_run(server: Server):
    assert server.events("user.opened.v1")
    assert server.database.exists() is not IN_POSTGRESQL
