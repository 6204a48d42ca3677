"""Debian's nginx with a self-signed certificate, as the proxy that ends TLS."""

import datetime as dt
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.timeouts import TIMEOUT

HOST = "mcp.example.com"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
SHIPPED = Path(__file__).parents[2] / "examples" / "deploy" / "nginx.conf"

needs_nginx = pytest.mark.skipif(
    NGINX is None and not os.environ.get("CI"), reason="nginx is not installed: apt-get install nginx-light"
)

# With `proxy_set_header`, as most manuals show it, and without: then nginx sends $proxy_host as Host.
PLAIN = """
server {
    listen 443 ssl;
    server_name mcp.example.com;
    ssl_certificate /etc/nginx/tls/fullchain.pem;
    ssl_certificate_key /etc/nginx/tls/privkey.pem;
    location / {
        proxy_pass http://127.0.0.1:8000;
        %s
    }
}
"""
CONFIGURATIONS = {
    "as shipped": SHIPPED.read_text(),
    "Host passed on": PLAIN % "proxy_set_header Host $host;",
    "nothing but proxy_pass": PLAIN % "",
}


def write_certificate(directory: Path) -> Path:
    """Write `fullchain.pem` and `privkey.pem` for HOST; return the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "privkey.pem").write_bytes(private)
    (directory / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return directory / "fullchain.pem"


def written(configuration: str, directory: Path, *, port: int, server_port: int) -> Path:
    """Write a configuration of HOST with these ports, with its certificate; return the main file."""
    write_certificate(directory)
    text = configuration.replace("/etc/nginx/tls", str(directory))
    text = text.replace("http://127.0.0.1:8000", f"http://127.0.0.1:{server_port}")
    text = re.sub(r"listen 443\b", f"listen 127.0.0.1:{port}", text)
    text = re.sub(r"listen 80\b", f"listen unix:{directory}/http.socket", text)
    (directory / "site.conf").write_text(text)
    main = directory / "nginx.conf"
    temporary = "".join(
        f"{name}_temp_path {directory}/{name}; "
        for name in ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")
    )
    main.write_text(
        f"daemon off; pid {directory}/nginx.pid; error_log {directory}/error.log;\n"
        "events {}\n"
        f"http {{ {temporary} access_log {directory}/access.log; include {directory}/site.conf; }}\n"
    )
    return main


@contextmanager
def nginx(configuration: str, directory: Path, *, port: int, server_port: int) -> Iterator[None]:
    """Run nginx on loopback, until the block ends."""
    assert NGINX is not None, "nginx is not installed"
    main = written(configuration, directory, port=port, server_port=server_port)
    process = subprocess.Popen(
        [NGINX, "-p", directory, "-e", directory / "error.log", "-c", main], stderr=subprocess.PIPE
    )
    try:
        _wait_until_it_listens(process, port)
        yield
    finally:
        process.terminate()
        process.communicate(timeout=TIMEOUT)


def _wait_until_it_listens(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1]
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("nginx does not listen")
