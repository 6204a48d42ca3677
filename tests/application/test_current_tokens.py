import pytest

from grantledger.application.ports import TokenClaims
from grantledger.application.tokens.current_tokens import current_tokens
from support.grants import CONSENTED, ONLY_READ, an_open_grant, refreshed
from support.readable_sealer import ReadableSealer

GRANT = "the-grant"


def tokens_of(grant, *, now=1_000):
    return current_tokens(ReadableSealer(), GRANT, grant, now=now)


def read(token):
    sealed = ReadableSealer().read(token)
    assert sealed is not None
    return sealed


def test_the_access_token_claims_the_state_of_the_grant():
    grant = refreshed(an_open_grant(), 2_000, asked=ONLY_READ)
    assert read(tokens_of(grant).access_token).claims == TokenClaims(
        key_id="key-1", grant_id=GRANT, generation=1, expires_at=5_600, pair=1
    )


def test_the_refresh_token_claims_the_generation_and_its_own_expiry():
    grant = refreshed(an_open_grant(), 2_000)
    assert read(tokens_of(grant).refresh_token).claims == TokenClaims(
        key_id="key-1", grant_id=GRANT, generation=1, expires_at=606_800
    )


def test_the_tokens_are_sealed_with_the_nonce_of_the_grant():
    assert read(tokens_of(an_open_grant()).access_token).is_genuine("nonce")


def test_a_grant_without_refresh_tokens_has_none():
    assert tokens_of(an_open_grant(refresh_expires_at=None)).refresh_token is None


@pytest.mark.parametrize(("now", "remains"), [(1_000, 3_600), (4_599, 1), (4_600, 0), (9_000, 0)])
def test_returns_the_remaining_lifetime_of_the_access_token(now, remains):
    assert tokens_of(an_open_grant(), now=now).expires_in == remains


def test_the_tokens_do_not_depend_on_when_they_are_computed():
    one, other = tokens_of(an_open_grant()), tokens_of(an_open_grant(), now=2_000)
    assert (one.access_token, one.refresh_token) == (other.access_token, other.refresh_token)


@pytest.mark.parametrize("asked", [CONSENTED, ONLY_READ])
def test_returns_scopes_and_resource_of_the_access_token(asked):
    tokens = tokens_of(refreshed(an_open_grant(), 2_000, asked=asked))
    assert (tokens.resource, tokens.scopes) == (asked.resource, asked.scopes)
