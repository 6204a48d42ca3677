"""Access tokens that are JWTs (RFC 9068), and their grants."""

import asyncio

import msgspec
import pytest
from msgspec.structs import replace

from fakes.access_token_signer import ReadableAccessTokenSigner
from grantledger.application.clients.authenticate_client import ClientCredentials
from grantledger.application.ports import AccessTokenClaims, Unavailable
from grantledger.application.tokens.introspect_token import Introspection
from grantledger.application.tokens.look_up_session import AccessTokenForAnotherResource, AccessTokenUnknown
from grantledger.domain.resource_indicator import Resource
from grantledger.domain.token_grant import AccessTokenHasEnded, AccessTokenSigned, GrantIsRevoked
from support.policies import POLICY, a_policy
from support.requests import MCP, NOTES
from support.storage import InterleavingLedger, nothing_recorded
from support.story import CALLER, Story

POLICY_OF_JWTS = a_policy(
    resources=(replace(POLICY.resources[0], jwt="ES256"), POLICY.resources[1]),
)


@pytest.fixture
def story(ledger) -> Story:
    return Story(ledger, POLICY_OF_JWTS)


@pytest.fixture
def signer(story: Story) -> ReadableAccessTokenSigner:
    found = story.outside.access_token_signer
    assert isinstance(found, ReadableAccessTokenSigner)
    return found


def claims_in(token: str) -> AccessTokenClaims:
    return msgspec.json.decode(token.split("|", 2)[2], type=AccessTokenClaims)


def forged(token: str, **claims) -> str:
    start, kid, _ = token.split("|", 2)
    return "|".join((start, kid, msgspec.json.encode(replace(claims_in(token), **claims)).decode()))


async def test_the_token_says_what_rfc_9068_requires_and_which_grant_it_is_of(story, client, ada):
    tokens = await story.tokens(client, ada, scope="openid notes:read")
    now = story.clock.now()
    claims = claims_in(tokens.access_token)
    assert claims == AccessTokenClaims(
        iss="https://auth.example",
        sub=ada.user_id,
        aud=MCP,
        client_id=client.client_id,
        iat=now,
        exp=now + 3_600,
        jti=f"{claims.grant_id}.0",
        scope="openid notes:read",
        grant_id=(await story.looks_up(tokens)).grant_id,
        generation=0,
    )


async def test_only_resources_configured_for_jwts_get_them(story, client, ada):
    tokens = await story.tokens(client, ada, resources=(NOTES,))
    assert tokens.access_token.startswith("glat")


async def test_a_refresh_token_is_never_a_jwt(tokens):
    assert tokens.refresh_token.startswith("glrt")


async def test_each_generation_has_another_jwt(story, client, tokens):
    refreshed = await story.refreshes(client, tokens)
    assert claims_in(refreshed.access_token).generation == 1
    assert claims_in(refreshed.access_token).jti != claims_in(tokens.access_token).jti


async def test_a_retry_gets_the_same_pair_though_the_signing_key_was_rotated(story, signer, client, tokens):
    first = await story.refreshes(client, tokens)
    signer.active = "kid-2"
    retried = await story.refreshes(client, tokens)
    assert (retried.access_token, retried.refresh_token) == (first.access_token, first.refresh_token)


async def test_a_retry_gets_the_same_pair_after_a_change_to_opaque_tokens(ledger, story, client, tokens):
    first = await story.refreshes(client, tokens)
    opaque = Story(ledger, POLICY, story.outside)
    assert (await opaque.refreshes(client, tokens)).access_token == first.access_token


async def test_twenty_parallel_refreshes_get_the_same_pair(ledger, story, client, tokens):
    parallel = Story(InterleavingLedger(ledger), POLICY_OF_JWTS, story.outside)
    found = await asyncio.gather(*(parallel.refreshes(client, tokens) for _ in range(20)))
    assert len({(each.access_token, each.refresh_token) for each in found}) == 1


async def test_the_next_token_is_signed_by_the_key_that_is_active_then(ledger, story, signer, client, tokens):
    signer.active = "kid-2"
    await story.refreshes(client, tokens)
    assert AccessTokenSigned(kid="ES256 kid-2") in ledger.events


async def test_a_refresh_gives_an_opaque_token_after_a_change_to_them(ledger, story, client, tokens):
    opaque = Story(ledger, POLICY, story.outside)
    assert (await opaque.refreshes(client, tokens)).access_token.startswith("glat")
    assert (await opaque.looks_up(tokens)).resource == MCP  # the JWT is still accepted


async def test_an_expired_jwt_is_refused(story, tokens):
    story.clock.advance(3_600)
    with pytest.raises(AccessTokenHasEnded):
        await story.looks_up(tokens)


async def test_revoking_a_jwt_refuses_it_at_once(story, client, tokens):
    await story.revokes(client, tokens.access_token)
    with pytest.raises(AccessTokenHasEnded):
        await story.looks_up(tokens)


async def test_revoking_the_refresh_token_refuses_the_jwt_at_once(story, client, tokens):
    await story.revokes(client, tokens.refresh_token)
    with pytest.raises(GrantIsRevoked):
        await story.looks_up(tokens)


async def test_a_jwt_for_another_resource_is_refused(story, tokens):
    with pytest.raises(AccessTokenForAnotherResource):
        await story.looks_up(tokens, resource=NOTES)


@pytest.mark.parametrize(
    "claims",
    [
        {"scope": "openid notes:write"},
        {"aud": NOTES},
        {"sub": "glu_bob"},
        {"client_id": "glc_other"},
        {"grant_id": "AAAAAAAAAAAAAAAAAAAAAA"},
    ],
)
async def test_a_signed_jwt_that_contradicts_its_grant_is_refused(story, tokens, claims):
    with pytest.raises(AccessTokenUnknown):
        await story.look_up_session(forged(tokens.access_token, **claims))


async def test_a_signed_jwt_of_a_later_generation_is_refused(story, tokens):
    with pytest.raises(AccessTokenHasEnded):
        await story.look_up_session(forged(tokens.access_token, generation=1))


async def test_a_text_that_only_looks_like_a_jwt_is_refused(story):
    with pytest.raises(AccessTokenUnknown):
        await story.look_up_session("eyJhbGciOiJub25lIn0.e30.")


async def test_introspection_and_userinfo_take_a_jwt(story, client, ada):
    tokens = await story.tokens(client, ada, scope="openid email")
    new = await story.add_resource(Resource(MCP), CALLER)
    credentials = ClientCredentials(client_id=new.resource.resource_id, secret=new.secret)
    asked = Introspection(credentials=credentials, token=tokens.access_token, caller=CALLER)
    assert (await story.introspect_token(asked)).user_id == ada.user_id
    assert (await story.describe_user(tokens.access_token)).email == "ada@example.com"


async def test_while_nothing_can_be_signed_a_code_is_not_consumed(ledger, story, signer, client, code):
    signer.outage = True
    with nothing_recorded(ledger), pytest.raises(Unavailable):
        await story.redeems(client, code)
    signer.outage = False
    assert await story.redeems(client, code)


async def test_while_nothing_can_be_signed_no_refresh_is_recorded(ledger, story, signer, client, tokens):
    signer.outage = True
    with nothing_recorded(ledger), pytest.raises(Unavailable):
        await story.refreshes(client, tokens)


async def test_adding_a_resource_with_jwts_makes_the_keys_of_its_algorithm(story):
    await story.add_resource(Resource("https://files.example/mcp", jwt="RS256"), CALLER)
    assert {key.alg for key in (await story.describe_keys()).keys} == {"RS256"}
