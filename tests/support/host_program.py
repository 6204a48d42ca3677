"""A host application with users of its own and a ledger in a file, at which an operator can work beside it.

Whoever brings the cookie `host_session` is signed in under its value. The host has a fault: it fails over the
user `unreadable`.
"""

from http.cookies import SimpleCookie
from typing import Any

from grantledger import AuthorizationServer, HostUser


async def who_is_signed_in(scope: Any) -> HostUser | None:
    cookies = SimpleCookie(dict(scope["headers"]).get(b"cookie", b"").decode())
    if "host_session" not in cookies:
        return None
    name = cookies["host_session"].value
    if name == "unreadable":
        raise RuntimeError("the host cannot read its user")
    return HostUser(user_id=name, signed_in_at=1_000, name=name)


if __name__ == "__main__":
    AuthorizationServer.from_environment(host_identity=who_is_signed_in, login_page="/login").run()
