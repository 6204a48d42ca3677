"""The CPU time of a verified request in the process of the MCP server, with our guards and with FastMCP's.

`python -m bench.guards` prints a table. The issuer runs in a process of its own, whose time does not count.
Each application answers an ASGI request in memory, so that only the guard makes a difference.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx2
import uvicorn
from fastmcp.server.auth import AuthProvider
from fastmcp.server.auth.middleware import RequireAuthMiddleware
from fastmcp.server.auth.providers.introspection import IntrospectionTokenVerifier
from fastmcp.server.auth.providers.jwt import JWTVerifier
from starlette.types import ASGIApp

from grantledger import Caller, McpAuthClient, ProtectedResource, with_mcp_auth
from grantledger.domain.resource_indicator import Resource
from grantledger.entrypoints.demo.process import free_port
from grantledger.testing import local_issuer

RESOURCE = "https://mcp.example/mcp"
JWT_RESOURCE = "https://mcp.example/jwt"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The application behind the guards."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"done"})


def fastmcp(verifier: AuthProvider) -> ASGIApp:
    """Return the application behind FastMCP's own middleware, as its `http_app` puts it together."""
    guarded: Any = RequireAuthMiddleware(app, [])
    for middleware in reversed(verifier.get_middleware()):
        guarded = middleware.cls(guarded, *middleware.args, **middleware.kwargs)
    made: ASGIApp = guarded
    return made


async def issuer(port: int) -> None:
    """Print one line with what the other process needs, then serve an issuer."""
    resources = (ProtectedResource(RESOURCE), ProtectedResource(JWT_RESOURCE, jwt="ES256"))
    async with local_issuer(
        resource=RESOURCE, issuer=f"http://127.0.0.1:{port}", resources=resources, port=port
    ) as local:
        credentials = await local.server.use_cases.add_resource(
            Resource(RESOURCE), Caller(correlation_id="bench", operator="bench")
        )
        ready = {
            "opaque": await local.token(scopes=("openid",)),
            "jwt": await local.token(scopes=("openid",), resource=JWT_RESOURCE),
            "credentials": [credentials.resource.resource_id, credentials.secret],
        }
        print(json.dumps(ready), flush=True)
        config = uvicorn.Config(local.server.app(), port=port, log_level="error", access_log=False)
        await uvicorn.Server(config).serve()


@contextmanager
def issuer_in_another_process(port: int) -> Iterator[dict[str, Any]]:
    command = (sys.executable, "-m", "bench.guards", "--issuer", str(port))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        time.sleep(1)  # until it listens
        yield ready
    finally:
        process.terminate()
        process.wait(20)


async def one(guarded: ASGIApp, token: str) -> None:
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/mcp",
        "query_string": b"",
        "headers": [(b"host", b"mcp.example"), (b"authorization", f"Bearer {token}".encode())],
    }
    status = 0

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    await guarded(scope, receive, send)
    assert status == 200, status


async def cpu(call: Callable[[], Awaitable[None]], requests: int) -> float:
    """Return the milliseconds of CPU time for one request."""
    started = time.process_time()
    for _ in range(requests):
        await call()
    return (time.process_time() - started) / requests * 1_000


@asynccontextmanager
async def variants(port: int, ready: dict[str, Any]) -> AsyncIterator[dict[str, tuple[ASGIApp, str]]]:
    origin, (client_id, secret) = f"http://127.0.0.1:{port}", ready["credentials"]
    opaque, jwt = ready["opaque"], ready["jwt"]

    def remote(resource: str, **options: Any) -> ASGIApp:
        return with_mcp_auth(app, McpAuthClient(issuer=origin, resource=resource, **options))

    def introspection(**options: Any) -> ASGIApp:
        return fastmcp(
            IntrospectionTokenVerifier(
                introspection_url=f"{origin}/introspect",
                client_id=client_id,
                client_secret=secret,
                audience=RESOURCE,
                **options,
            )
        )

    verifier = JWTVerifier(jwks_uri=f"{origin}/jwks", issuer=origin, audience=JWT_RESOURCE, algorithm="ES256")
    credentials = {"client_id": client_id, "client_secret": secret}
    async with local_issuer(resource=RESOURCE) as local, httpx2.AsyncClient() as http:
        yield {
            "unguarded application": (app, opaque),
            "in-process guard": (with_mcp_auth(app, local.server), await local.token(scopes=("openid",))),
            "`McpAuthClient`, session, cached": (remote(RESOURCE, cache_seconds=3_600), opaque),
            "`McpAuthClient`, JWT, cached": (remote(JWT_RESOURCE, verify="jwt", cache_seconds=3_600), jwt),
            "`McpAuthClient`, JWT, each time": (remote(JWT_RESOURCE, verify="jwt", cache_seconds=0), jwt),
            "FastMCP `JWTVerifier`": (fastmcp(verifier), jwt),
            "`McpAuthClient`, session, each time": (remote(RESOURCE, cache_seconds=0), opaque),
            "`McpAuthClient`, introspection, each time": (
                remote(RESOURCE, verify="introspection", cache_seconds=0, **credentials),
                opaque,
            ),
            "FastMCP `IntrospectionTokenVerifier`, cached": (introspection(cache_ttl_seconds=3_600), opaque),
            "FastMCP `IntrospectionTokenVerifier`, each time": (introspection(), opaque),
            "FastMCP `IntrospectionTokenVerifier`, each time, one HTTP client": (
                introspection(http_client=http),
                opaque,
            ),
        }


async def measured(port: int, requests: int, rounds: int) -> dict[str, float]:
    with issuer_in_another_process(port) as ready:
        async with variants(port, ready) as all_of_them:
            times: dict[str, list[float]] = {name: [] for name in all_of_them}
            for _ in range(rounds):  # in turn, so that a busy machine is fair to all
                for name, (guarded, token) in all_of_them.items():
                    asks = "each time" in name and "JWT" not in name
                    count = max(requests // 10, 10) if asks else requests

                    async def call(guarded: ASGIApp = guarded, token: str = token) -> None:
                        await one(guarded, token)

                    await call()
                    times[name].append(await cpu(call, count))
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--issuer", type=int, metavar="PORT", help=argparse.SUPPRESS)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.issuer:
        asyncio.run(issuer(options.issuer))
        return
    times = asyncio.run(measured(free_port(0), options.requests, options.rounds))
    base = times["unguarded application"]
    print("| guard | CPU of a request (ms) | more than unguarded (ms) |\n|---|---|---|")
    for name, value in times.items():
        print(f"| {name} | {value:.4f} | {value - base:.4f} |")


if __name__ == "__main__":
    main()
