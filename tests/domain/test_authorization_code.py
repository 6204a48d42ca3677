import pytest

from grantledger.domain.authorization_code import (
    CodeBelongsToAnotherClient,
    CodeExpired,
    CodeRedeemed,
    CodeRedirectUriMismatch,
    CodeReplayed,
    evolve,
)
from grantledger.domain.pkce import CodeVerifierMalformed, CodeVerifierMismatch, CodeVerifierMissing
from grantledger.domain.resource_indicator import ResourceForeign
from support.codes import ANOTHER_VERIFIER, EXPIRES_AT, ISSUED, ISSUED_AT, a_code, a_redeemed_code, redeem

MCP = ISSUED.resource
NOTES = "https://mcp.example/notes/mcp"

# Each mistake in a request and its refusal, which is the same for an unused and a redeemed code.
WRONG = {
    "another client": ({"client_id": "glc_thief"}, CodeBelongsToAnotherClient),
    "a later registration of the client": ({"client_registration": 2}, CodeBelongsToAnotherClient),
    "another redirect URI": ({"redirect_uri": "https://thief.example/"}, CodeRedirectUriMismatch),
    "a redirect URI that is merely like it": (
        {"redirect_uri": ISSUED.redirect_uri + "/"},
        CodeRedirectUriMismatch,
    ),
    "an empty redirect URI": ({"redirect_uri": ""}, CodeRedirectUriMismatch),
    "no verifier": ({"verifier": None}, CodeVerifierMissing),
    "a verifier that is none": ({"verifier": "short"}, CodeVerifierMalformed),
    "another verifier": ({"verifier": ANOTHER_VERIFIER}, CodeVerifierMismatch),
    "the challenge for a verifier": ({"verifier": ISSUED.code_challenge}, CodeVerifierMismatch),
    "another resource": ({"resources": (NOTES,)}, ResourceForeign),
    "another resource with the right one": ({"resources": (MCP, NOTES)}, ResourceForeign),
}

wrong = pytest.mark.parametrize(("request_", "refusal"), WRONG.values(), ids=WRONG)


def test_redeems_with_the_verifier_from_rfc7636_appendix_b():
    assert redeem(a_code(), at=ISSUED_AT, grant_id="grant") == (
        CodeRedeemed(grant_id="grant", redeemed_at=ISSUED_AT),
    )


def test_redeems_in_the_last_second_before_expiry():
    assert redeem(a_code(), at=EXPIRES_AT - 1)


@pytest.mark.parametrize("late", [0, 1, 1_000_000])
def test_a_code_is_refused_from_its_expiry_on(late):
    with pytest.raises(CodeExpired):
        redeem(a_code(), at=EXPIRES_AT + late)


@wrong
def test_a_code_is_not_redeemed_with(request_, refusal):
    with pytest.raises(refusal):
        redeem(a_code(), **request_)


def test_the_redirect_uri_may_be_omitted():
    assert redeem(a_code(), redirect_uri=None)


@pytest.mark.parametrize("resources", [(), (MCP,), (MCP, MCP), ("HTTPS://MCP.example:443/mcp",)])
def test_the_resource_may_be_omitted_repeated_or_spelled_differently(resources):
    assert redeem(a_code(), resources=resources)


def test_a_replay_names_the_grant_that_the_code_opened():
    """Fails if a redeemed code can be redeemed again."""
    assert redeem(a_redeemed_code(), at=ISSUED_AT + 10, grant_id="another-grant") == (
        CodeReplayed(grant_id="the-first-grant", replayed_at=ISSUED_AT + 10),
    )


def test_a_replay_is_recorded_once():
    replayed = a_code(
        CodeRedeemed(grant_id="the-first-grant", redeemed_at=1_001),
        CodeReplayed(grant_id="the-first-grant", replayed_at=1_002),
    )
    assert redeem(replayed) == ()


def test_a_redeemed_code_expires_too():
    """The ledger forgets expired codes, and no answer may depend on when it does."""
    with pytest.raises(CodeExpired):
        redeem(a_redeemed_code(), at=EXPIRES_AT)


@wrong
def test_no_replay_is_recorded_for_a_request_with(request_, refusal):
    with pytest.raises(refusal):
        redeem(a_redeemed_code(), **request_)


@wrong
def test_expiry_is_checked_before_everything_else(request_, refusal):
    assert refusal is not CodeExpired
    with pytest.raises(CodeExpired):
        redeem(a_code(), at=EXPIRES_AT, **request_)


def test_the_state_holds_what_was_consented_to():
    code = a_code()
    assert (code.user_id, code.scopes, code.resource) == (ISSUED.user_id, ISSUED.scopes, ISSUED.resource)


def test_a_redeemed_code_names_its_grant():
    assert evolve(a_code(), CodeRedeemed(grant_id="grant", redeemed_at=1_001)).grant_id == "grant"
