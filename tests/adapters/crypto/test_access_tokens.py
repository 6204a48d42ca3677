"""JWT access tokens, signed and verified with real keys."""

import base64
import json

import pytest
from joserfc import jws
from joserfc.jwk import JWKRegistry
from msgspec.structs import replace

from fakes.clock import FrozenClock
from fakes.memory_ledger import MemoryLedger
from grantledger.adapters.crypto.jws import JwkMaker, LedgerKeys
from grantledger.adapters.crypto.jwts import IdTokens, JwtAccessTokens
from grantledger.application.keys.signing_keys import DescribeKeys, MakeSigningKeys, RotateSigningKey
from grantledger.application.ports import AccessTokenClaims, IdTokenClaims, Unavailable
from grantledger.application.provenance import Caller
from grantledger.domain.signing_keys import ALGORITHMS
from support.policies import POLICY

CALLER = Caller(correlation_id="test")
CLAIMS = AccessTokenClaims(
    iss="https://auth.example",
    sub="glu_ada",
    aud="https://mcp.example/mcp",
    client_id="glc_editor",
    iat=1_800_000_000,
    exp=1_800_003_600,
    jti="grant.0",
    scope="openid",
    grant_id="grant",
    generation=0,
)
every_algorithm = pytest.mark.parametrize("alg", ALGORITHMS)


class World:
    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.clock = FrozenClock()
        self.signer = self.process()
        self.rotate = RotateSigningKey(self.ledger, JwkMaker(), self.clock, POLICY)

    def process(self) -> JwtAccessTokens:
        """Return the signer of another process over the same ledger."""
        return JwtAccessTokens(LedgerKeys(self.ledger, self.ledger, self.clock))

    async def token(self, alg: str = "ES256") -> str:
        return await self.signer.sign(CLAIMS, await self.signer.active_key(alg))


@pytest.fixture
async def world() -> World:
    world = World()
    await MakeSigningKeys(world.ledger, JwkMaker(), world.clock)(CALLER, ALGORITHMS)
    return world


def altered(token: str, part: int, old: str, new: str) -> str:
    parts = token.split(".")
    text = base64.urlsafe_b64decode(parts[part] + "==").decode()
    assert old in text
    changed = base64.urlsafe_b64encode(text.replace(old, new).encode()).rstrip(b"=").decode()
    return ".".join((*parts[:part], changed, *parts[part + 1 :]))


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # the name that MCP servers know
@every_algorithm
async def test_a_token_is_verified_with_the_published_keys_by_another_library(world, alg):
    token = await world.token(alg)
    published = {key.kid: key for key in (await DescribeKeys(world.ledger, world.clock)()).keys}
    header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    assert (header["typ"], header["alg"]) == ("at+jwt", alg)
    key = published[header["kid"]]
    public = {name: getattr(key, name) for name in ("kty", "crv", "x", "y", "n", "e") if getattr(key, name)}
    verified = jws.deserialize_compact(token, JWKRegistry.import_key(public), algorithms=[alg])
    assert json.loads(verified.payload)["jti"] == "grant.0"


@every_algorithm
async def test_a_token_reads_back_what_it_claims_in_every_process(world, alg):
    assert await world.process().read(await world.token(alg)) == CLAIMS


@every_algorithm
async def test_the_same_claims_and_key_give_the_same_token_in_every_process(world, alg):
    """A retried refresh gets the same pair, although nothing of it is stored."""
    kid = await world.signer.active_key(alg)
    assert await world.signer.sign(CLAIMS, kid) == await world.process().sign(CLAIMS, kid)


@every_algorithm
async def test_a_token_whose_claims_were_changed_is_refused(world, alg):
    assert await world.signer.read(altered(await world.token(alg), 1, "glu_ada", "glu_bob")) is None


@every_algorithm
async def test_a_token_whose_signature_was_changed_is_refused(world, alg):
    message, _, signature = (await world.token(alg)).rpartition(".")
    other = ("B" if signature[0] == "A" else "A") + signature[1:]
    assert await world.signer.read(f"{message}.{other}") is None
    assert await world.signer.read(f"{message}.{signature[:40]}") is None


@pytest.mark.parametrize(("old", "new"), [("at+jwt", "JWT"), ("ES256", "none"), ("ES256", "RS256")])
async def test_a_token_with_another_header_is_refused(world, old, new):
    assert await world.signer.read(altered(await world.token(), 0, old, new)) is None


async def test_an_id_token_of_the_same_key_is_no_access_token(world):
    claims = IdTokenClaims(iss="x", sub="x", aud="x", iat=1, exp=2, at_hash="x")
    id_token = await IdTokens(LedgerKeys(world.ledger, world.ledger, world.clock)).sign(claims)
    assert await world.signer.read(id_token) is None


@pytest.mark.parametrize(
    "token", ["eyJ", "eyJ.eyJ.x", "eyJ.eyJ.eyJ.eyJ.eyJ", "eyJhbGciOiJub25lIn0.e30.", "eyJ.!.x"]
)
async def test_a_text_that_is_no_jwt_of_ours_is_refused(world, token):
    assert await world.signer.read(token) is None


async def test_a_jwt_with_thousands_of_brackets_is_refused(world):
    header = base64.urlsafe_b64encode(b'{"x":' + b"[" * 5_000).decode().rstrip("=")
    assert await world.signer.read(f"{header}.e30.AA") is None


async def test_a_token_of_a_retired_key_is_accepted_while_the_key_is_published(world):
    token = await world.token()
    world.clock.advance(3_600)
    await world.rotate(CALLER)
    assert await world.signer.read(token) == CLAIMS
    world.clock.advance(POLICY.signing_key_verified_for)
    assert await world.signer.read(token) is None


async def test_a_withdrawn_key_is_refused_within_a_second(world):
    token = await world.token()
    assert await world.signer.read(token) == CLAIMS
    await world.rotate(CALLER, compromised=True)
    world.clock.advance(1)
    assert await world.signer.read(token) is None


async def test_a_token_of_a_key_that_another_process_just_made_is_accepted(world):
    process = world.process()
    await process.read(await world.token())
    await world.rotate(CALLER, compromised=True)
    fresh = world.process()
    token = await fresh.sign(CLAIMS, await fresh.active_key("ES256"))
    assert await process.read(token) == CLAIMS


async def test_what_a_withdrawn_key_had_signed_is_signed_again_by_the_active_one(world):
    kid = await world.signer.active_key("ES256")
    await world.rotate(CALLER, compromised=True)
    world.clock.advance(1)
    token = await world.signer.sign(CLAIMS, kid)
    assert await world.signer.read(token) == CLAIMS


async def test_without_a_key_of_the_algorithm_the_signer_is_unavailable():
    with pytest.raises(Unavailable):
        await World().signer.active_key("RS256")


async def test_another_generation_gets_another_token(world):
    kid = await world.signer.active_key("ES256")
    one, other = [await world.signer.sign(replace(CLAIMS, generation=n), kid) for n in (0, 1)]
    assert one != other
