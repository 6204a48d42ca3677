"""The URL of a PostgreSQL database means the same to both drivers, or is refused."""

import socket

import pytest

from grantledger.adapters.ledger.database import CannotOpen
from grantledger.adapters.ledger.postgresql_url import parsed


@pytest.mark.parametrize(
    "parameter",
    [
        *("channel_binding=require", "gssencmode=disable", "load_balance_hosts=random", "require_auth=md5"),
        *("client_encoding=latin1", "hostaddr=192.0.2.1", "statement_timeout=5", "sslnegotiation=direct"),
    ],
)
def test_a_parameter_that_one_driver_does_not_know_is_refused(parameter: str):
    """asyncpg would send it to the server, which fails each connection, or would leave it out."""
    name = parameter.partition("=")[0]
    with pytest.raises(CannotOpen, match=f"parameter '{name}', which asyncpg or libpq does not know"):
        parsed(f"postgresql://db/ledger?{parameter}", "the ledger")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:se cret%zz@db/ledger",
        "postgresql://ada:secret@db:port/ledger",
        "postgresql://ada:secret@db/ledger?sslmode",
        "postgresql://ada:secret@one,two,three/ledger?port=1,2",
        "postgresql://ada:secret@db/ledger?connect_timeout=soon",
        "postgresql://ada:secret@db/ledger?connect_timeout=0",
        "postgresql://ada:secret@db/ledger?sslmode=verify-full&sslrootcert=system",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_and_not_shown(url: str):
    with pytest.raises(CannotOpen, match="the ledger cannot be opened") as refused:
        parsed(url, "the ledger")
    assert "secret" not in str(refused.value)


def test_what_both_know_is_passed_to_both():
    url = "postgresql://ada@db/ledger?sslmode=verify-full&application_name=replica&target_session_attrs=any"
    found = parsed(url, "the ledger")
    assert found.libpq["conninfo"] == found.asyncpg["dsn"] == url
    assert not {"application_name", "target_session_attrs"} & found.libpq.keys()
    assert found.asyncpg["target_session_attrs"] is None
    assert found.server_settings == {}


def test_what_asyncpg_would_send_to_the_server_is_kept_from_it():
    found = parsed(
        "postgresql://db/ledger?connect_timeout=9&keepalives_idle=60&options=-cx%3D1", "the ledger"
    )
    assert found.asyncpg["dsn"] == "postgresql://db/ledger?options=-cx%3D1"
    assert found.connect_timeout == found.libpq["connect_timeout"] == 9
    assert (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60) in found.socket_options
    assert found.libpq["keepalives_idle"] == 60


def test_connections_are_kept_alive_unless_the_url_says_no():
    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in parsed("postgresql://db/x", "").socket_options
    refused = parsed("postgresql://db/x?keepalives=0&tcp_user_timeout=0", "")
    assert refused.socket_options == ()


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://one,two/x", [("one", None), ("two", None)]),
        ("postgresql://one:1,two:2/x", [("one", 1), ("two", 2)]),
        ("postgresql://ada@/x?host=/run/one,%2Frun%2Ftwo&port=7", [("/run/one", 7), ("/run/two", 7)]),
        ("postgresql:///x", [(None, None)]),
    ],
)
def test_each_host_has_its_port(url: str, hosts: list[tuple[str | None, int | None]]):
    assert parsed(url, "").hosts == hosts
