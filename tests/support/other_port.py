"""A program on another port of the machine, which records what a browser sends, and sets cookies."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from msgspec import Struct, field

COOKIE = "grantledger"


class Reply(Struct):
    body: str = "<h1>Another program</h1>"
    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)


class OtherPort(Struct):
    """`seen` are the path, the cookies and the referrer of each request. `replies` are by path."""

    port: int
    scheme: str
    seen: list[tuple[str, dict[str, str], str]] = field(default_factory=list)
    replies: dict[str, Reply] = field(default_factory=dict)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    def plants(self, path: str, *cookies: str) -> None:
        """Set the cookies in the answer to that path."""
        self.replies[path] = Reply(headers=[("set-cookie", cookie) for cookie in cookies])

    def redirects(self, path: str, to: str, status: int = 302) -> None:
        self.replies[path] = Reply(status=status, headers=[("location", to)])

    def cookies_seen(self) -> set[tuple[str, str]]:
        """Return path and name of every cookie that arrived."""
        return {(path, name) for path, cookies, _ in self.seen for name in cookies}


@contextmanager
def other_port(tls: ssl.SSLContext | None = None) -> Iterator[OtherPort]:
    """Listen on all loopback addresses that browsers try for `localhost` and 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("content-length", 0))
            self.rfile.read(length)
            path = self.path.partition("?")[0]
            pairs = [pair.strip().partition("=") for pair in self.headers.get("cookie", "").split(";")]
            cookies = {name: value for name, _, value in pairs if name}
            other.seen.append((path, cookies, self.headers.get("referer", "")))
            reply = other.replies.get(path, Reply())
            body = reply.body.encode()
            self.send_response(reply.status)
            for name, value in [*reply.headers, ("content-type", "text/html")]:
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        other = OtherPort(server.server_port, "http" if tls is None else "https")
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield other
        server.shutdown()
