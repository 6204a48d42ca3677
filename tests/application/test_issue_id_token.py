import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantledger.application.ports import Unavailable
from grantledger.application.tokens.issue_id_token import at_hash
from support.policies import POLICY
from support.storage import nothing_recorded
from support.story import CALLER, EMAIL, PASSWORD


@pytest.fixture
def signed(story):
    return story.outside.id_token_signer.signed


async def test_with_openid_the_id_token_names_user_time_and_nonce(story, client, ada, signed):
    story.clock.advance(30)
    tokens = await story.tokens(client, ada, scope="openid", nonce="n-0S6_WzA2Mj")
    (claims,) = signed
    assert (claims.iss, claims.sub, claims.aud) == (POLICY.issuer, ada.user_id, client.client_id)
    assert (claims.auth_time, claims.nonce) == (ada.signed_in_at, "n-0S6_WzA2Mj")
    assert claims.at_hash == at_hash(tokens.access_token)
    assert tokens.id_token is not None


async def test_times_are_whole_seconds(story, client, ada, signed):
    await story.tokens(client, ada, scope="openid")
    (claims,) = signed
    assert (claims.iat, claims.exp) == (story.clock.now(), story.clock.now() + POLICY.id_token_lifetime)


async def test_without_a_nonce_in_the_request_the_id_token_has_none(story, client, ada, signed):
    tokens = await story.tokens(client, ada, scope="openid")
    assert signed[0].nonce is None
    assert "nonce" not in (tokens.id_token or "")


async def test_with_email_the_id_token_says_that_the_address_is_not_verified(story, client, ada, signed):
    await story.tokens(client, ada, scope="openid email")
    assert (signed[0].email, signed[0].email_verified, signed[0].name) == (EMAIL, False, None)


async def test_with_profile_the_id_token_has_the_name(story, client, signed):
    await story.open_account(EMAIL, PASSWORD, CALLER, name="Ada Lovelace")
    await story.tokens(client, await story.signs_in(), scope="openid profile")
    assert (signed[0].name, signed[0].email, signed[0].email_verified) == ("Ada Lovelace", None, None)


async def test_with_openid_alone_the_id_token_has_no_personal_claims(story, client, signed):
    await story.open_account(EMAIL, PASSWORD, CALLER, name="Ada Lovelace")
    await story.tokens(client, await story.signs_in(), scope="openid")
    assert (signed[0].name, signed[0].email, signed[0].email_verified) == (None, None, None)


async def test_without_openid_there_is_no_id_token(story, client, ada, signed):
    tokens = await story.tokens(client, ada, scope="notes:read", nonce="n-0S6_WzA2Mj")
    assert tokens.id_token is None
    assert signed == []


async def test_without_openid_the_nonce_is_not_kept(story, client, ada):
    request = await story.asks(client, ada, scope="notes:read", nonce="n-0S6_WzA2Mj")
    assert request.nonce is None


async def test_a_refresh_gives_no_other_id_token(story, client, ada, signed):
    tokens = await story.tokens(client, ada, scope="openid")
    assert (await story.refreshes(client, tokens)).id_token is None
    assert len(signed) == 1


async def test_a_failure_to_sign_does_not_consume_the_code(story, ledger, client, ada):
    code = await story.code(client, ada, scope="openid")
    story.outside.id_token_signer.outage = True
    with nothing_recorded(ledger), pytest.raises(Unavailable):
        await story.redeems(client, code)
    story.outside.id_token_signer.outage = False
    assert (await story.redeems(client, code)).id_token is not None


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_at_hash_is_the_left_half_of_the_tokens_sha_256(access_token):
    whole = hashlib.sha256(access_token.encode()).digest()
    assert base64.urlsafe_b64decode(at_hash(access_token) + "==") == whole[:16]


def test_at_hash_of_the_example_of_openid_connect_core_a_3():
    assert at_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y") == "77QmUPtjPfzWtF2AnpK9RQ"
