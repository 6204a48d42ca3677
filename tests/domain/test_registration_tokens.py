import pytest

from grantledger.domain.registration_tokens import (
    MAX_TOKENS,
    RegistrationToken,
    RegistrationTokenAdded,
    RegistrationTokenRefused,
    RegistrationTokenRevoked,
    RegistrationTokens,
    RegistrationTokenUnknown,
    TooManyRegistrationTokens,
    evolve,
)


def some_tokens(*digests: str) -> RegistrationTokens:
    tokens = RegistrationTokens()
    for number, digest in enumerate(digests):
        for event in tokens.add(token_id=f"id-{number}", name="ci", secret_digest=digest, now=1_000):
            tokens = evolve(tokens, event)
    return tokens


@pytest.mark.parametrize("digest", ["one", "two"])
def test_each_valid_token_is_accepted(digest):
    some_tokens("one", "two").check(digest)


@pytest.mark.parametrize("digest", [None, "", "three"])
def test_no_token_and_an_unknown_one_are_refused(digest):
    with pytest.raises(RegistrationTokenRefused):
        some_tokens("one", "two").check(digest)


def test_adding_a_token_records_its_digest_and_its_name():
    assert RegistrationTokens().add(token_id="id", name="ci", secret_digest="digest", now=1_000) == (
        RegistrationTokenAdded(token_id="id", name="ci", secret_digest="digest", added_at=1_000),
    )


def test_a_revoked_token_is_refused_and_the_others_are_not():
    tokens = some_tokens("one", "two")
    (revoked,) = tokens.revoke("id-0", now=2_000)
    assert revoked == RegistrationTokenRevoked(token_id="id-0", revoked_at=2_000)
    left = evolve(tokens, revoked)
    assert left.tokens == (
        RegistrationToken(token_id="id-1", name="ci", secret_digest="two", added_at=1_000),
    )


def test_a_token_that_is_unknown_or_revoked_cannot_be_revoked():
    with pytest.raises(RegistrationTokenUnknown):
        some_tokens("one").revoke("id-1", now=2_000)


def test_there_are_a_hundred_valid_tokens_at_most():
    tokens = some_tokens(*map(str, range(MAX_TOKENS)))
    with pytest.raises(TooManyRegistrationTokens):
        tokens.add(token_id="id", name="ci", secret_digest="digest", now=1_000)
