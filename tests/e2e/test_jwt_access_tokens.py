"""Resources whose access tokens are JWTs (RFC 9068), on the wire."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
from joserfc import jws
from joserfc.jwk import KeySet

from grantledger.application.provenance import Caller
from grantledger.domain.resource_indicator import Resource
from support.leaks import issued
from support.oauth import Person, basic, error_of
from support.server import PUBLIC, Server, serving

OPAQUE = "https://opaque.example/mcp"
OF_ALGORITHM = {alg: f"https://{alg.lower()}.example/mcp" for alg in ("ES256", "RS256", "EdDSA")}
RESOURCES = json.dumps(
    [{"identifier": OPAQUE}, *({"identifier": url, "jwt": alg} for alg, url in OF_ALGORITHM.items())]
)
ES256 = OF_ALGORITHM["ES256"]
every_algorithm = pytest.mark.parametrize("alg", OF_ALGORITHM)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("jwts"), resources=RESOURCES, **PUBLIC) as running:
        yield running


@pytest.fixture
async def ada(server: Server) -> AsyncIterator[Person]:
    person = Person.at(server.origin)
    await person.sign_in(await person.http.get("/authorize/account"))
    yield person
    await person.http.aclose()


@pytest.fixture
async def client(ada: Person) -> str:
    return str((await ada.register())["client_id"])


def decoded(token: str, part: int) -> dict[str, Any]:
    return dict(json.loads(base64.urlsafe_b64decode(token.split(".")[part] + "==")))


async def keys(person: Person) -> KeySet:
    return KeySet.import_key_set((await person.http.get("/jwks")).json())


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@every_algorithm
async def test_a_resource_server_verifies_a_token_offline(server: Server, ada: Person, client: str, alg: str):
    tokens = await ada.tokens(client, resource=OF_ALGORITHM[alg], scope="openid profile")
    token = tokens["access_token"]
    header = decoded(token, 0)
    assert (header["typ"], header["alg"]) == ("at+jwt", alg)
    verified = jws.deserialize_compact(token, await keys(ada), algorithms=[alg])
    claims = json.loads(verified.payload)
    assert (
        claims.items()
        >= {
            "iss": server.issuer,
            "aud": OF_ALGORITHM[alg],
            "client_id": client,
            "scope": "openid profile",
            "generation": 0,
        }.items()
    )
    assert claims["exp"] - claims["iat"] == tokens["expires_in"]
    assert claims.keys() >= {"sub", "jti", "grant_id"}


@every_algorithm
async def test_every_endpoint_of_ours_accepts_a_jwt(server: Server, ada: Person, client: str, alg: str):
    tokens = await ada.tokens(client, resource=OF_ALGORITHM[alg])
    token = tokens["access_token"]
    async with server.use_cases() as container:
        new = await container.use_cases().add_resource(
            Resource(OF_ALGORITHM[alg]), Caller(correlation_id="test")
        )
    issued("resource secret", new.secret)
    session = await ada.session(token, resource=OF_ALGORITHM[alg])
    assert (session.status_code, session.json()["resource"]) == (200, OF_ALGORITHM[alg])
    headers = basic(new.resource.resource_id, new.secret)
    described = await ada.http.post("/introspect", data={"token": token}, headers=headers)
    assert described.json()["active"]
    userinfo = await ada.http.get("/userinfo", headers={"authorization": f"Bearer {token}"})
    assert userinfo.status_code == 200
    assert (await ada.revoke(client, token)).status_code == 200
    assert error_of(await ada.session(token)) == (401, "invalid_token")
    described = await ada.http.post("/introspect", data={"token": token}, headers=headers)
    assert described.json() == {"active": False}


@every_algorithm
async def test_twenty_parallel_refreshes_get_the_same_jwt(ada: Person, client: str, alg: str):
    tokens = await ada.tokens(client, resource=OF_ALGORITHM[alg])
    answers = await asyncio.gather(*(ada.refresh(client, tokens["refresh_token"]) for _ in range(20)))
    pairs = {(answer.json()["access_token"], answer.json()["refresh_token"]) for answer in answers}
    assert len(pairs) == 1


async def test_a_jwt_with_another_signature_is_refused(ada: Person, client: str):
    token = (await ada.tokens(client, resource=ES256))["access_token"]
    message, _, signature = token.rpartition(".")
    altered = f"{message}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
    assert error_of(await ada.session(altered)) == (401, "invalid_token")


async def test_a_jwt_is_refused_for_another_resource(ada: Person, client: str):
    token = (await ada.tokens(client, resource=ES256))["access_token"]
    assert error_of(await ada.session(token, resource=OPAQUE)) == (401, "invalid_token")


async def test_the_other_resources_have_opaque_tokens(ada: Person, client: str):
    assert (await ada.tokens(client, resource=OPAQUE))["access_token"].startswith("glat_")


async def test_a_jwt_is_refused_after_its_grant_was_revoked(ada: Person, client: str):
    tokens = await ada.tokens(client, resource=ES256)
    await ada.revoke(client, tokens["refresh_token"])
    answer: httpx2.Response = await ada.session(tokens["access_token"])
    assert error_of(answer) == (401, "invalid_token")
