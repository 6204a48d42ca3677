"""The URL of a PostgreSQL database, in parts that mean the same to asyncpg and to libpq."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

from grantledger.adapters.ledger.database import CannotOpen

CONNECT_TIMEOUT = 5
"""Seconds for a new connection. The hosts of a URL share them."""

_BOTH_KNOW = frozenset(
    {
        *("host", "port", "dbname", "user", "password", "passfile", "service", "krbsrvname"),
        *("sslmode", "sslcert", "sslkey", "sslpassword", "sslrootcert", "sslcrl"),
        *("ssl_min_protocol_version", "ssl_max_protocol_version"),
        *("application_name", "options", "target_session_attrs"),
    }
)

_KEPT_ALIVE = {
    "keepalives": (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    "keepalives_idle": (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 10),
    "keepalives_interval": (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 5),
    "keepalives_count": (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
    "tcp_user_timeout": (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", 15_000),
}
"""By the parameter of libpq, the socket option and our default. asyncpg sets none of them.

A machine that has lost its power closes no connection: the kernel does so after 25 s without an answer.
"""

_HANDLED = frozenset({"connect_timeout", *_KEPT_ALIVE})

_READ_WRITE = "read-write"
"""A standby may lag behind, so it is never read: a revocation must be seen by the next request (ADR 0074)."""

SocketOption = tuple[int, int, int]


class ConnectionUrl(NamedTuple):
    """What the two drivers get from one URL."""

    libpq: Mapping[str, Any]
    """The keyword arguments for psycopg."""

    asyncpg: Mapping[str, Any]
    """The keyword arguments for asyncpg, without host, port and `server_settings`."""

    server_settings: Mapping[str, str]
    """Settings of a connection of asyncpg, by name."""

    hosts: Sequence[tuple[str | None, int | None]]
    """Host and port of each server in the order of the URL. None leaves it to the driver's own defaults."""

    connect_timeout: int
    socket_options: Sequence[SocketOption]


def parsed(url: str, name: str) -> ConnectionUrl:
    """Return the parts of a libpq URL.

    Raises `CannotOpen`, whose text never shows the URL, for one that is malformed or has a parameter that
    would not mean the same to both drivers.
    """

    def refuse(why: str) -> CannotOpen:
        return CannotOpen(f"{name} cannot be opened: {why}")

    try:
        base, _, query = url.partition("?")
        given = dict(parse_qsl(query, strict_parsing=bool(query)))
        found = conninfo_to_dict(base)
    except (ValueError, psycopg.Error):
        raise refuse(
            "its URL is malformed; percent-encode the special characters of the user name and password"
        ) from None
    for unknown in sorted(given.keys() - _BOTH_KNOW - _HANDLED):
        raise refuse(
            f"its URL has the parameter {unknown!r}, which asyncpg or libpq does not know: remove it"
        )
    if given.get("sslrootcert") == "system":
        raise refuse("asyncpg does not know sslrootcert=system: name the file of the certificates")
    try:
        numbers = {key: int(given[key]) for key in given.keys() & _HANDLED}
        hosts = _hosts(given.get("host") or found.get("host"), given.get("port") or found.get("port"))
    except ValueError as error:
        raise refuse(f"its URL is malformed: {error}") from None
    if numbers.get("connect_timeout", 1) < 1:
        raise refuse("connect_timeout in its URL must be a second or more")
    ours = {"application_name": "grantledger", "target_session_attrs": _READ_WRITE}
    defaults = {key: value for key, value in ours.items() if key not in given}
    alive = {key: numbers.get(key, default) for key, (_, _, default) in _KEPT_ALIVE.items()}
    passed = {key: value for key, value in given.items() if key in _BOTH_KNOW - {"host", "port"}}
    return ConnectionUrl(
        libpq={"conninfo": url, "connect_timeout": CONNECT_TIMEOUT, **defaults, **alive, **numbers},
        asyncpg={
            "dsn": f"{base}?{urlencode(passed)}" if passed else base,
            "target_session_attrs": defaults.get("target_session_attrs"),
        },
        server_settings={key: defaults[key] for key in defaults if key == "application_name"},
        hosts=hosts,
        connect_timeout=numbers.get("connect_timeout", CONNECT_TIMEOUT),
        socket_options=tuple(_socket_options(alive)),
    )


def _hosts(hosts: Any, ports: Any) -> list[tuple[str | None, int | None]]:
    """Pair the hosts with their ports: one port for all, or one for each."""
    named = str(hosts).split(",") if hosts else [None]
    port = [int(each) if each else None for each in str(ports or "").split(",")]
    if len(port) not in (1, len(named)):
        raise ValueError("it must have one port, or one for each host")
    return list(zip(named, port if len(port) > 1 else port * len(named), strict=True))


def _socket_options(alive: Mapping[str, int]) -> Iterator[SocketOption]:
    for key, (level, option, _) in _KEPT_ALIVE.items():
        number = getattr(socket, option, None)  # not every system has all of them
        is_wanted = alive[key] > 0 and (alive["keepalives"] or key == "tcp_user_timeout")
        if number is not None and is_wanted:  # 0 leaves the system's own value, as with libpq
            yield level, number, alive[key]
