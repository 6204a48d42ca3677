"""A host application with users of its own and a ledger in a file, which an operator's commands can use too.

Its sign-in page asks for no password: it vouches for the user that the cookie `host_session` names. The host
has a fault: it fails when it is asked whether the user `unreadable` may allow an access.
"""

from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs

import uvicorn

from grantledger import AuthorizationServer, HostUser


class Host:
    async def __call__(self, scope: Any) -> HostUser | None:
        raise AssertionError(f"asked on a loopback issuer: {scope['path']}")

    async def confirm(self, scope: Any, user_id: str) -> bool:
        if user_id == "unreadable":
            raise RuntimeError("the host cannot read its user")
        return user_id != "hesitant"


server = AuthorizationServer.from_environment(host_identity=Host(), login_page="/login")


async def login(scope: Any, receive: Any, send: Any) -> None:
    cookies = SimpleCookie(dict(scope["headers"]).get(b"cookie", b"").decode())
    transaction = parse_qs(scope["query_string"].decode())["transaction"][0]
    name = cookies["host_session"].value
    path = await server.vouch(transaction, HostUser(user_id=name, signed_in_at=1_000, name=name))
    headers = [(b"location", path.encode())]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


if __name__ == "__main__":
    where = server.settings
    uvicorn.run(server.in_front_of(login), host=where.host, port=where.port, access_log=False)
