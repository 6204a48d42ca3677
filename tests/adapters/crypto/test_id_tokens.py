"""ID tokens, signed with the keys in a ledger, which joserfc verifies."""

import asyncio

import msgspec
import pytest
from joserfc import jws
from joserfc.errors import InvalidKeyIdError
from joserfc.jwk import ECKey, KeySet

from fakes.clock import FrozenClock
from fakes.memory_ledger import MemoryLedger
from grantledger.adapters.crypto.jws import JwkMaker, LedgerKeys
from grantledger.adapters.crypto.jwts import IdTokens
from grantledger.application.keys.signing_keys import DescribeKeys, MakeSigningKeys, RotateSigningKey
from grantledger.application.ports import IdTokenClaims, Unavailable
from support.policies import POLICY
from support.storage import InterleavingLedger
from support.story import CALLER

CLAIMS = IdTokenClaims(
    iss="https://auth.example", sub="glu_ada", aud="glc_editor", iat=1_000, exp=4_600, at_hash="half"
)


class Signing:
    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.clock = FrozenClock()
        maker = JwkMaker()
        self.make = MakeSigningKeys(self.ledger, maker, self.clock)
        self.rotate = RotateSigningKey(self.ledger, maker, self.clock, POLICY)
        self.describe = DescribeKeys(self.ledger, self.clock)
        self.signer = IdTokens(LedgerKeys(self.ledger, self.ledger, self.clock))

    async def published(self) -> KeySet:
        return KeySet.import_key_set(msgspec.to_builtins(await self.describe()))


@pytest.fixture
async def signing() -> Signing:
    fresh = Signing()
    await fresh.make(CALLER)
    return fresh


def test_a_key_is_named_by_its_thumbprint():
    made = JwkMaker().make().key
    public = ECKey.import_key(msgspec.to_builtins(made.public_key))
    assert made.kid == public.thumbprint()


def test_coordinates_keep_their_leading_zeros():
    keys = [JwkMaker().make().key.public_key for _ in range(600)]
    assert {(len(key.x), len(key.y)) for key in keys} == {(43, 43)}


def test_no_two_keys_are_the_same():
    maker = JwkMaker()
    assert len({maker.make().private for _ in range(8)}) == 8


async def test_a_token_verifies_with_the_published_keys(signing: Signing):
    token = await signing.signer.sign(CLAIMS)
    verified = jws.deserialize_compact(token, await signing.published(), algorithms=["ES256"])
    assert msgspec.json.decode(verified.payload) == {
        "iss": "https://auth.example",
        "sub": "glu_ada",
        "aud": "glc_editor",
        "iat": 1_000,
        "exp": 4_600,
        "at_hash": "half",
    }


async def test_the_header_names_algorithm_and_key(signing: Signing):
    token = await signing.signer.sign(CLAIMS)
    (active, _) = (await signing.describe()).keys
    assert jws.extract_compact(token.encode()).headers() == {"alg": "ES256", "kid": active.kid, "typ": "JWT"}


async def test_a_rotation_holds_from_the_next_token_on(signing: Signing):
    await signing.signer.sign(CLAIMS)
    _, following = (await signing.describe()).keys
    signing.clock.advance(POLICY.signing_key_lead)
    await signing.rotate(CALLER)
    token = await signing.signer.sign(CLAIMS)
    verified = jws.deserialize_compact(token, await signing.published(), algorithms=["ES256"])
    assert verified.headers()["kid"] == following.kid


async def test_a_token_from_before_a_rotation_still_verifies(signing: Signing):
    token = await signing.signer.sign(CLAIMS)
    signing.clock.advance(POLICY.signing_key_lead)
    await signing.rotate(CALLER)
    verified = jws.deserialize_compact(token, await signing.published(), algorithms=["ES256"])
    assert b"glu_ada" in verified.payload


async def test_a_token_from_before_a_compromise_no_longer_verifies(signing: Signing):
    token = await signing.signer.sign(CLAIMS)
    await signing.rotate(CALLER, compromised=True)
    with pytest.raises(InvalidKeyIdError):
        jws.deserialize_compact(token, await signing.published(), algorithms=["ES256"])


async def test_parallel_tokens_after_a_rotation_are_signed_by_the_same_key(signing: Signing):
    await signing.rotate(CALLER, compromised=True)
    tokens = await asyncio.gather(*(signing.signer.sign(CLAIMS) for _ in range(8)))
    assert len({jws.extract_compact(token.encode()).headers()["kid"] for token in tokens}) == 1


async def test_signing_without_keys_is_an_outage():
    with pytest.raises(Unavailable, match="no signing key"):
        await Signing().signer.sign(CLAIMS)


async def test_an_outage_of_the_ledger_is_an_outage_of_signing_within_a_second(signing: Signing):
    await signing.signer.sign(CLAIMS)
    signing.ledger.outage = True
    signing.clock.advance(1)
    with pytest.raises(Unavailable):
        await signing.signer.sign(CLAIMS)


async def test_a_public_key_without_its_private_key_is_an_outage(signing: Signing):
    erased = InterleavingLedger(MemoryLedger())
    signing.signer = IdTokens(LedgerKeys(signing.ledger, erased, signing.clock))
    with pytest.raises(Unavailable, match="private key"):
        await signing.signer.sign(CLAIMS)
