"""A host application with its own users, and a ledger in a file that an operator can use too.

A browser with the cookie `host_session` is signed in as the user in its value. The host has a bug: it raises
an exception for the user `unreadable`.
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
