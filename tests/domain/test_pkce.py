import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantledger.domain.pkce import (
    CodeChallengeMalformed,
    CodeChallengeMethodUnsupported,
    CodeChallengeMissing,
    CodeVerifierMalformed,
    CodeVerifierMismatch,
    CodeVerifierMissing,
    check_verifier,
    checked_challenge,
)

# RFC 7636 appendix B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_the_verifier_of_rfc7636_appendix_b_matches_its_challenge():
    check_verifier(VERIFIER, checked_challenge(CHALLENGE, "S256"))


@pytest.mark.parametrize("method", ["S256", "plain", None])
@pytest.mark.parametrize("challenge", [None, ""])
def test_a_challenge_is_required_even_if_a_method_is_sent(challenge, method):
    with pytest.raises(CodeChallengeMissing):
        checked_challenge(challenge, method)


@pytest.mark.parametrize("method", ["plain", "s256", "S512", "S256 ", "", None])
def test_only_s256_is_supported_and_a_missing_method_means_plain(method):
    with pytest.raises(CodeChallengeMethodUnsupported):
        checked_challenge(CHALLENGE, method)


@pytest.mark.parametrize(
    "challenge",
    [
        CHALLENGE[:-1],
        CHALLENGE + "=",
        CHALLENGE + "\n",
        CHALLENGE[:-1] + "+",
        CHALLENGE[:-1] + "\u0661",
        " " * 43,
    ],
)
def test_a_challenge_is_43_characters_of_base64url(challenge):
    with pytest.raises(CodeChallengeMalformed):
        checked_challenge(challenge, "S256")


@pytest.mark.parametrize("verifier", [None, ""])
def test_a_verifier_is_always_required(verifier):
    with pytest.raises(CodeVerifierMissing):
        check_verifier(verifier, CHALLENGE)


@pytest.mark.parametrize("verifier", ["a" * 42, "a" * 129, "a" * 42 + "+", "a" * 43 + "\n", "\u00e9" * 43])
def test_a_verifier_is_43_to_128_unreserved_characters(verifier):
    with pytest.raises(CodeVerifierMalformed):
        check_verifier(verifier, CHALLENGE)


@pytest.mark.parametrize("verifier", [VERIFIER[:-1] + "l", "a" * 43, "~._-" * 32, CHALLENGE])
def test_another_verifier_does_not_match(verifier):
    with pytest.raises(CodeVerifierMismatch):
        check_verifier(verifier, CHALLENGE)


@given(st.text("abcXYZ019-._~", min_size=43, max_size=128))
def test_no_other_verifier_matches_the_challenge_of_the_appendix(verifier):
    with pytest.raises(CodeVerifierMismatch):
        check_verifier(verifier, CHALLENGE)
