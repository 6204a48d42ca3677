"""TLS in front of the PostgreSQL, whose build has none. Clients see a server that requires TLS."""

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from support.tls import self_signed

_SSL_REQUEST, _GSS_REQUEST = 80_877_103, 80_877_104


@contextmanager
def over_tls(url: str, directory: Path) -> Iterator[tuple[int, Path]]:
    """Yield a port at which the server of `url` takes TLS alone, and its certificate, for `localhost`."""
    context = self_signed(directory)
    (host,) = parse_qs(urlsplit(url).query)["host"]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        arguments = (listener, context, f"{host}/.s.PGSQL.5432")
        threading.Thread(target=_accept, args=arguments, daemon=True).start()
        yield listener.getsockname()[1], directory / "localhost.pem"


def _accept(listener: socket.socket, context: ssl.SSLContext, target: str) -> None:
    with suppress(OSError):  # until the listener is closed
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_pass, args=(connection, context, target), daemon=True).start()


def _pass(connection: socket.socket, context: ssl.SSLContext, target: str) -> None:
    with connection, suppress(OSError), socket.socket(socket.AF_UNIX) as server:
        while (asked := struct.unpack("!II", connection.recv(8, socket.MSG_WAITALL))[1]) == _GSS_REQUEST:
            connection.sendall(b"N")
        if asked != _SSL_REQUEST:
            return
        connection.sendall(b"S")
        with context.wrap_socket(connection, server_side=True) as encrypted:
            server.connect(target)
            back = threading.Thread(target=_copy, args=(server, encrypted), daemon=True)
            back.start()
            _copy(encrypted, server)
            back.join()


def _copy(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65_536):
            other.sendall(data)
    with suppress(OSError):
        other.shutdown(socket.SHUT_RDWR)
