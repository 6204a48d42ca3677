"""How to test an MCP server with real tokens: without a browser, a network or a wait.

Run `python examples/tokens_in_tests.py`, or take the fixture `grantledger_issuer` of `grantledger.testing`.
"""

import asyncio
from typing import Any

import httpx2

from grantledger import current_session, with_mcp_auth
from grantledger.testing import local_issuer


async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001 - ASGI
    """The application under test, which answers who calls."""
    session = current_session()
    body = b"" if session is None else session.client_id.encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def main() -> None:
    async with local_issuer(scopes=["notes:read", "notes:write"]) as local:
        guarded = with_mcp_auth(app, local.server, required_scopes=["notes:write"])
        transport = httpx2.ASGITransport(guarded)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:

            async def status(token: str) -> int:
                answer = await http.post("/mcp", headers={"authorization": f"Bearer {token}"})
                return answer.status_code

            token = await local.token()
            print("a good token:", await status(token))
            print("without a scope:", await status(await local.token(scopes=["notes:read"])))
            revoked = await local.token()
            await local.revoke(revoked)
            print("a revoked token:", await status(revoked))
            await local.expire(token)
            print("an expired token:", await status(token))


if __name__ == "__main__":
    asyncio.run(main())
