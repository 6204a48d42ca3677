"""`verify="jwt"`: what RFC 9068 section 4 demands of a token, and how keys are fetched."""

import asyncio
import base64
import hmac
import json
import warnings
from typing import Any

import httpx2
import pytest
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, JWKRegistry, Key, RSAKey

from grantledger.adapters.guards.client import McpAuthClient
from grantledger.adapters.guards.issuer import IssuerDocuments, IssuerHttp
from grantledger.adapters.guards.jwt import ByKeys
from grantledger.adapters.guards.token_cache import TokenRefused
from grantledger.application.ports import Unavailable
from support.issuer import ISSUER, KEYS, METADATA, RESOURCE, FakeIssuer, claims, published, signed

# joserfc warns when these tests sign with EdDSA.
pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")


RSA = KEYS["RS256"]


class Time:
    monotonic = 1_000.0


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def issuer() -> FakeIssuer:
    issuer = FakeIssuer()
    issuer.answers["/jwks"] = published(*KEYS.values())
    return issuer


@pytest.fixture
def client(issuer) -> McpAuthClient:
    return McpAuthClient(issuer=ISSUER, resource=RESOURCE, verify="jwt", http=issuer.http())


@pytest.fixture
def by_keys(issuer, clock) -> ByKeys:
    http = IssuerHttp(issuer.http())
    documents = IssuerDocuments(ISSUER, http)
    return ByKeys(ISSUER, RESOURCE, http, documents, monotonic=lambda: clock.monotonic)


@pytest.mark.parametrize("algorithm", KEYS)
async def test_accepts_a_token_of_each_algorithm(client, algorithm):
    session = await client.verify_token(signed(key=KEYS[algorithm]))
    assert (session.user_id, session.client_id) == ("glu_ann", "glc_editor")
    assert session.scopes == ("openid", "email", "notes:read")
    assert session.claims["jti"] == "1"


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
async def test_accepts_the_type_of_access_tokens_in_each_spelling(client, typ):
    assert await client.verify_token(signed(typ=typ)) is not None


async def test_an_opaque_token_is_logged_once_and_without_it(client, caplog):
    """Otherwise every user is sent to sign in again and again, and no log says why."""
    await client.verify_token(signed())
    assert caplog.text == ""
    for token in ("glat_opaque1", "glat_opaque2"):
        assert await client.verify_token(token) is None
    assert caplog.text.count(f"an access token for {RESOURCE} is no JWT") == 1
    assert "glat_" not in caplog.text


async def test_a_token_of_a_client_for_itself_belongs_to_a_machine(client):
    session = await client.verify_token(signed(claims(sub="glc_editor")))
    assert (session.user_id, session.subject_type) == (None, "machine")


async def test_clocks_may_differ_by_thirty_seconds(issuer):
    now = 2_000_000_000
    http = IssuerHttp(issuer.http())
    by_keys = ByKeys(ISSUER, RESOURCE, http, IssuerDocuments(ISSUER, http), now=lambda: now)
    for near in (claims(exp=now - 29), claims(exp=now + 600, nbf=now + 30)):
        assert (await by_keys(signed(near))).user_id == "glu_ann"
    for far in (claims(exp=now - 30), claims(exp=now + 600, nbf=now + 31)):
        with pytest.raises(TokenRefused):
            await by_keys(signed(far))


WRONG_CLAIMS: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://evil.example"},
    "no issuer": {"iss": None},
    "another audience": {"aud": "https://other.example/mcp"},
    "no audience": {"aud": None},
    "an audience of other types": {"aud": [None, 1, {}]},
    "no expiry": {"exp": None},
    "an expiry as text": {"exp": "4000000000"},
    "an infinite expiry": {"exp": float("inf")},
    "no subject": {"sub": None},
    "an empty subject": {"sub": ""},
    "no client": {"client_id": None},
    "a client of another type": {"client_id": ["glc_editor"]},
    "an expiry beyond all bounds": {"exp": 10**400},
    "a key that its sender must prove": {"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}},
}


@pytest.mark.parametrize("wrong", WRONG_CLAIMS.values(), ids=WRONG_CLAIMS)
async def test_refuses_a_token_with_wrong_claims(client, wrong):
    assert await client.verify_token(signed(claims(**wrong))) is None


WRONG_HEADERS: dict[str, dict[str, Any]] = {
    "an ID token": {"typ": "JWT"},
    "no type": {"typ": None},
    "an unknown key": {"kid": "other"},
    "the key of another algorithm": {"kid": "rs"},
}


@pytest.mark.parametrize("wrong", WRONG_HEADERS.values(), ids=WRONG_HEADERS)
async def test_refuses_a_token_with_a_wrong_header(client, wrong):
    assert await client.verify_token(signed(**wrong)) is None


async def test_refuses_a_signature_of_another_key_with_the_same_id(client):
    foreign = ECKey.generate_key("P-256", {"kid": "es"})
    assert await client.verify_token(signed(key=foreign)) is None


async def test_refuses_a_token_that_was_changed(client):
    header, _, signature = signed().split(".")
    _, payload, _ = signed(claims(sub="glu_admin")).split(".")
    assert await client.verify_token(f"{header}.{payload}.{signature}") is None


def encoded(header: dict[str, Any]) -> str:
    """Return header and claims of a good token, without a signature."""
    parts = (json.dumps(part).encode() for part in (header, claims()))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


async def test_refuses_a_token_signed_with_the_public_key_as_a_secret(client):
    """An attack by algorithm confusion: everyone knows the public key, which here becomes an HMAC secret."""
    content = encoded({"alg": "HS256", "typ": "at+jwt", "kid": "rs"})
    assert isinstance(RSA, RSAKey)
    mac = hmac.digest(RSA.as_pem(private=False), content.encode(), "sha256")
    signature = base64.urlsafe_b64encode(mac).decode().rstrip("=")
    assert await client.verify_token(f"{content}.{signature}") is None


@pytest.mark.parametrize("algorithm", ["none", "None", "ES256", None])
async def test_refuses_a_token_without_a_signature(client, algorithm):
    assert await client.verify_token(encoded({"alg": algorithm, "typ": "at+jwt", "kid": "es"}) + ".") is None


DEEP = base64.urlsafe_b64encode(b'{"alg":' + b"[" * 4_000).decode().rstrip("=")


@pytest.mark.parametrize(
    "token", [f"{DEEP}.e30.c2ln", "glat_opaque", "a.b.c", "..", "e30.e30.e30", "a.b.c.d.e"]
)
async def test_refuses_a_malformed_jwt_without_fetching_keys(client, issuer, token):
    assert await client.verify_token(token) is None
    assert issuer.asked == []


async def test_without_a_key_id_the_only_key_of_the_algorithm_counts(client, issuer):
    assert await client.verify_token(signed(kid=None)) is not None
    other = ECKey.generate_key("P-256", {"kid": "second"})
    issuer.answers["/jwks"] = published(KEYS["ES256"], other)
    second = McpAuthClient(issuer=ISSUER, resource=RESOURCE, verify="jwt", http=issuer.http())
    assert await second.verify_token(signed(kid=None)) is None


with warnings.catch_warnings(action="ignore", category=SecurityWarning):
    SHORT = RSAKey.generate_key(1024, {"kid": "es"})

WEAK: dict[str, dict[str, Any]] = {
    "a key for encryption": KEYS["ES256"].as_dict(private=False) | {"use": "enc"},
    "a key of another algorithm": KEYS["ES256"].as_dict(private=False) | {"alg": "ES384"},
    "a short RSA key": SHORT.as_dict(private=False),
    "a secret": {"kty": "oct", "k": "c2VjcmV0", "kid": "es"},
    "a key of another curve": ECKey.generate_key("P-384", {"kid": "es"}).as_dict(private=False),
    "no key": {"kty": "EC", "kid": "es"},
    "a new kind": {"kty": "AKP", "kid": "es"},
    "a list for a coordinate": KEYS["ES256"].as_dict(private=False) | {"x": [1]},
    "a list for its id": KEYS["ES256"].as_dict(private=False) | {"kid": ["es"]},
    "operations of another type": KEYS["ES256"].as_dict(private=False) | {"key_ops": 7},
}


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("jwk", WEAK.values(), ids=WEAK)
async def test_leaves_out_keys_that_cannot_be_used_and_uses_the_others(client, issuer, jwk):
    issuer.answers["/jwks"] = {"keys": [jwk, "text", KEYS["RS256"].as_dict(private=False)]}
    assert await client.verify_token(signed()) is None
    assert await client.verify_token(signed(key=KEYS["RS256"])) is not None


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
async def test_refuses_a_token_signed_with_a_short_rsa_key(client, issuer):
    issuer.answers["/jwks"] = published(SHORT, KEYS["ES256"])
    assert await client.verify_token(signed(key=SHORT)) is None


# Fetching keys


def fetches(issuer: FakeIssuer) -> int:
    return issuer.paths().count("/jwks")


async def test_keys_are_fetched_once_for_parallel_tokens(by_keys, issuer):
    issuer.delay = lambda: asyncio.sleep(0.01)
    await asyncio.gather(*(by_keys(signed()) for _ in range(10)))
    assert fetches(issuer) == 1


async def test_an_unknown_key_is_looked_for_at_a_limited_rate(by_keys, issuer, clock):
    await by_keys(signed())
    clock.monotonic += 10
    unknown = ECKey.generate_key("P-256", {"kid": "new"})
    for _ in range(5):
        with pytest.raises(Exception, match="not known"):
            await by_keys(signed(key=unknown))
    assert fetches(issuer) == 2
    issuer.answers["/jwks"] = published(unknown)
    clock.monotonic += 10
    assert await by_keys(signed(key=unknown))


async def test_every_parallel_token_with_a_new_key_waits_for_it(by_keys, issuer, clock):
    await by_keys(signed())
    clock.monotonic += 10
    new = ECKey.generate_key("P-256", {"kid": "new"})
    issuer.answers["/jwks"] = published(new)
    issuer.delay = lambda: asyncio.sleep(0.01)
    assert all(await asyncio.gather(*(by_keys(signed(key=new)) for _ in range(5))))
    assert fetches(issuer) == 2


async def test_while_the_issuer_is_down_an_unknown_key_is_no_refusal(by_keys, issuer, clock):
    await by_keys(signed())
    issuer.answers["/jwks"] = httpx2.ConnectError("refused")
    clock.monotonic += 10
    for _ in range(3):
        with pytest.raises(Unavailable):
            await by_keys(signed(key=ECKey.generate_key("P-256", {"kid": "new"})))
    assert fetches(issuer) == 2


async def test_keys_are_fetched_again_after_five_minutes(by_keys, issuer, clock):
    await by_keys(signed())
    issuer.answers["/jwks"] = published(KEYS["RS256"])  # the other was withdrawn
    clock.monotonic += 300
    with pytest.raises(Exception, match="not known"):
        await by_keys(signed())


async def test_known_keys_are_used_for_an_hour_while_the_issuer_is_down(by_keys, issuer, clock):
    await by_keys(signed())
    issuer.answers["/jwks"] = httpx2.ConnectError("refused")
    clock.monotonic += 3_599
    assert await by_keys(signed())
    clock.monotonic += 1
    with pytest.raises(Unavailable):
        await by_keys(signed())


@pytest.mark.parametrize("path", ["/jwks", METADATA])
@pytest.mark.parametrize(
    "outage",
    [httpx2.ConnectError("refused"), httpx2.Response(500), httpx2.Response(200, json={"keys": "none"})],
)
async def test_an_outage_without_keys_is_no_refusal(client, issuer, path, outage):
    issuer.answers[path] = outage
    with pytest.raises(Unavailable):
        await client.verify_token(signed())


async def test_while_no_keys_are_known_they_are_asked_for_at_a_limited_rate(by_keys, issuer, clock):
    """Fails if every token causes a request to an issuer that is down."""
    issuer.answers["/jwks"] = httpx2.ConnectError("refused")
    for _ in range(5):
        with pytest.raises(Unavailable):
            await by_keys(signed())
    assert fetches(issuer) == 1
    issuer.answers["/jwks"] = published(KEYS["ES256"])
    clock.monotonic += 5
    assert await by_keys(signed())


async def test_parallel_tokens_all_wait_for_the_first_keys(by_keys, issuer):
    issuer.delay = lambda: asyncio.sleep(0)
    assert all(await asyncio.gather(*(by_keys(signed()) for _ in range(5))))


@pytest.mark.parametrize("keys", [[], ["text"], [{"kty": "oct", "k": "c2VjcmV0"}]])
async def test_a_list_without_a_key_that_can_be_used_is_an_outage(by_keys, issuer, clock, keys):
    """No token can be checked with such a list. If all were refused, clients would discard them."""
    await by_keys(signed())
    issuer.answers["/jwks"] = {"keys": keys}
    clock.monotonic += 300
    assert await by_keys(signed()), "the last good keys are kept"
    clock.monotonic += 3_600
    with pytest.raises(Unavailable):
        await by_keys(signed())


@pytest.mark.parametrize("body", [b'{"keys":' + b"[" * 100_000, b"\xff", b"null", b""])
async def test_keys_that_cannot_be_parsed_are_an_outage(client, issuer, body):
    issuer.answers["/jwks"] = httpx2.Response(200, content=body)
    with pytest.raises(Unavailable):
        await client.verify_token(signed())


async def test_a_key_that_the_library_cannot_read_is_left_out(by_keys, issuer, monkeypatch):
    """A key of a new kind must not stop the use of the other keys, whatever the library raises for it."""
    read = JWKRegistry.import_key

    def failing(jwk: dict[str, Any]) -> Key:
        if jwk.get("kid") == "rs":
            raise RuntimeError("unsupported")
        return read(jwk)

    monkeypatch.setattr(JWKRegistry, "import_key", failing)
    assert await by_keys(signed())
    with pytest.raises(TokenRefused):
        await by_keys(signed(key=KEYS["RS256"]))
