"""Our tokens, checked by verifiers in other processes: those of FastMCP and of our remote guard."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fastmcp.server.auth.providers.introspection import IntrospectionTokenVerifier
from fastmcp.server.auth.providers.jwt import JWTVerifier

from grantledger import McpAuthClient
from grantledger.application.provenance import Caller
from grantledger.domain.resource_indicator import Resource
from support.leaks import issued
from support.oauth import Person
from support.server import Server, serving
from support.stores import once

pytestmark = once("is about guards, which know no store")

OF_ALGORITHM = {alg: f"https://{alg.lower()}.example/mcp" for alg in ("ES256", "RS256", "EdDSA")}
OPAQUE = "https://opaque.example/mcp"
RESOURCES = json.dumps(
    [
        {"identifier": OPAQUE, "scopes": ["notes:read"]},
        *({"identifier": url, "jwt": alg, "scopes": ["notes:read"]} for alg, url in OF_ALGORITHM.items()),
    ]
)
Credentials = dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("verifiers"), resources=RESOURCES) as running:
        yield running


@pytest.fixture
async def ada(server: Server) -> AsyncIterator[Person]:
    person = Person.at(server.origin)
    person.signs_in = True
    yield person
    await person.http.aclose()


@pytest.fixture(scope="module")
async def credentials(server: Server) -> dict[str, Credentials]:
    """The id and secret of each resource's server."""
    made = {}
    async with server.use_cases() as container:
        for identifier in (OPAQUE, *OF_ALGORITHM.values()):
            added = await container.use_cases().add_resource(
                Resource(identifier), Caller(correlation_id="test")
            )
            issued("resource secret", added.secret)
            made[identifier] = {"client_id": added.resource.resource_id, "client_secret": added.secret}
    return made


async def token_for(person: Person, resource: str) -> tuple[str, dict[str, Any]]:
    """Return a client and the tokens that it got for the resource."""
    client = (await person.register())["client_id"]
    return client, await person.tokens(client, resource=resource, scope="openid notes:read")


@pytest.mark.parametrize("resource", [OPAQUE, OF_ALGORITHM["ES256"]], ids=["opaque", "JWT"])
async def test_fastmcp_introspects_a_token_until_it_is_revoked(
    server: Server, ada: Person, credentials: dict[str, Credentials], resource: str
):
    client, tokens = await token_for(ada, resource)
    verifier = IntrospectionTokenVerifier(
        introspection_url=f"{server.origin}/introspect", audience=resource, **credentials[resource]
    )
    found = await verifier.verify_token(tokens["access_token"])
    assert found is not None
    assert (found.client_id, found.scopes) == (client, ["openid", "notes:read"])
    await ada.revoke(client, tokens["refresh_token"])
    assert await verifier.verify_token(tokens["access_token"]) is None


@pytest.mark.parametrize("alg", ["ES256", "RS256"])  # FastMCP offers no EdDSA
async def test_fastmcp_verifies_a_jwt_with_the_published_keys(server: Server, ada: Person, alg: str):
    client, tokens = await token_for(ada, OF_ALGORITHM[alg])
    verifier = JWTVerifier(
        jwks_uri=f"{server.origin}/jwks", issuer=server.issuer, audience=OF_ALGORITHM[alg], algorithm=alg
    )
    found = await verifier.verify_token(tokens["access_token"])
    assert found is not None
    assert (found.client_id, found.scopes) == (client, ["openid", "notes:read"])


@pytest.mark.parametrize("alg", OF_ALGORITHM)
@pytest.mark.parametrize("verify", ["session", "introspection", "jwt"])
async def test_our_remote_guard_verifies_a_jwt_in_each_way(
    server: Server, ada: Person, credentials: dict[str, Credentials], alg: str, verify: Any
):
    resource = OF_ALGORITHM[alg]
    client, tokens = await token_for(ada, resource)
    own = credentials[resource] if verify == "introspection" else {}
    async with McpAuthClient(issuer=server.issuer, resource=resource, verify=verify, **own) as guard:
        session = await guard.verify_token(tokens["access_token"])
    assert session is not None
    assert (session.client_id, session.resource, session.scopes) == (
        client,
        resource,
        ("openid", "notes:read"),
    )
