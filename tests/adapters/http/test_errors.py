"""The wire form of errors: which status and which headers go with a refusal."""

import msgspec
import pytest

from grantledger.adapters.http.errors import (
    STATUS_ERRORS,
    WIRE_ERRORS,
    BearerRefusal,
    PlainResponse,
    bearer_response,
    refusal_response,
    status_response,
    unavailable_response,
    wire_error,
)
from grantledger.application.throttling import TooManyGuesses, TooManyRegistrations, TooManyRequests
from grantledger.domain.authorization_code import CodeExpired
from grantledger.domain.client_registration import ClientAuthenticationFailed, ClientUnknown
from grantledger.domain.registration_tokens import RegistrationTokenRefused
from grantledger.domain.resource import ResourceAuthenticationFailed

METADATA = "https://notes.example/.well-known/oauth-protected-resource/mcp"


def headers(response: PlainResponse) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in response.headers}


def test_only_an_unauthenticated_client_or_registration_is_401():
    """On 401 clients discard their registration. A client that is registering has none yet."""
    unauthorized = {refusal for refusal, error in WIRE_ERRORS.items() if error.status == 401}
    assert unauthorized == {
        ClientUnknown,
        ClientAuthenticationFailed,
        RegistrationTokenRefused,
        ResourceAuthenticationFailed,
    }


def test_only_a_refused_rate_is_429():
    assert {refusal for refusal, error in WIRE_ERRORS.items() if error.status == 429} == {TooManyRequests}


@pytest.mark.parametrize(("refusal", "base"), [(TooManyRegistrations, TooManyRequests)])
def test_a_refusal_without_an_entry_has_the_error_of_its_base_class(
    refusal: type[TooManyRequests], base: type[TooManyRequests]
):
    assert refusal not in WIRE_ERRORS
    assert wire_error(refusal("x", retry_after=1)) is WIRE_ERRORS[base]


def test_an_expired_code_is_an_invalid_grant_that_is_not_stored():
    response = refusal_response(CodeExpired(), sent_authorization=False)
    assert response.status == 400
    assert msgspec.json.decode(response.body)["error"] == "invalid_grant"
    assert headers(response)["cache-control"] == "no-store"
    assert headers(response)["content-length"] == str(len(response.body))


@pytest.mark.parametrize(("sent", "challenge"), [(True, 'Bearer error="invalid_token"'), (False, "Bearer")])
def test_the_challenge_describes_a_wrong_registration_token_not_a_missing_one(sent: bool, challenge: str):
    response = refusal_response(RegistrationTokenRefused(), sent_authorization=sent)
    assert response.status == 401
    assert headers(response)["www-authenticate"] == challenge


@pytest.mark.parametrize(("sent", "challenge"), [(True, 'Basic realm="token endpoint"'), (False, None)])
def test_basic_is_offered_to_a_client_that_sent_the_header(sent: bool, challenge: str | None):
    response = refusal_response(ClientUnknown(), sent_authorization=sent)
    assert response.status == 401
    assert headers(response).get("www-authenticate") == challenge


def test_a_refused_rate_says_when_to_try_again():
    response = refusal_response(TooManyGuesses("x", retry_after=17), sent_authorization=True)
    assert (response.status, headers(response)["retry-after"]) == (429, "17")
    assert "www-authenticate" not in headers(response)


def test_an_outage_is_503_with_retry_after():
    response = unavailable_response()
    assert (response.status, headers(response)["retry-after"]) == (503, "1")


def test_an_unknown_status_is_kept_and_described_as_unreadable():
    response = status_response(415, [(b"allow", b"GET")])
    assert response.status == 415
    assert msgspec.json.decode(response.body)["error_description"] == STATUS_ERRORS[400].description
    assert headers(response)["allow"] == "GET"


@pytest.mark.parametrize("refusal", BearerRefusal)
def test_every_bearer_refusal_has_a_challenge(refusal: BearerRefusal):
    response = bearer_response(refusal, METADATA)
    challenge = headers(response)["www-authenticate"]
    assert response.status == refusal.value.status
    assert f'resource_metadata="{METADATA}"' in challenge
    assert (f'error="{refusal.value.error}"' in challenge) == (refusal.value.error is not None)
