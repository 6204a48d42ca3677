import pytest
from msgspec.structs import replace

from grantledger.domain.authorization_request import (
    AuthorizationRequest,
    MaxAgeInvalid,
    NonceTooLong,
    ParameterRepeated,
    PromptContradictory,
    RequestObjectUnsupported,
    RequestUriUnsupported,
    ResponseModeUnsupported,
    ResponseTypeMissing,
    ResponseTypeUnsupported,
    StateTooLong,
    may_redirect_unasked,
    redirect_target,
)
from grantledger.domain.browser_session import BrowserSession
from grantledger.domain.client_registration import ClientIsDisabled, ClientRegistration, ClientUnknown
from grantledger.domain.consent import Consent
from grantledger.domain.limits import MAX_STATE
from grantledger.domain.pkce import (
    CodeChallengeMalformed,
    CodeChallengeMethodUnsupported,
    CodeChallengeMissing,
)
from grantledger.domain.redirect_uri import RedirectUriMismatch, RedirectUriRequired
from grantledger.domain.resource_indicator import ResourceForeign
from grantledger.domain.scope import ScopeInvalid
from support.clients import (
    APPROVAL_WITHDRAWN,
    APPROVED,
    DELETED,
    DISABLED,
    HTTPS,
    LOOPBACK,
    METADATA,
    a_client,
)
from support.codes import CHALLENGE
from support.requests import MCP, NOTES, a_request, asking

THIEF = "https://thief.example/callback"
PRIVATE_USE = "cursor://anysphere.cursor-mcp/oauth/callback"


def a_session(session_id: str) -> BrowserSession:
    return BrowserSession(
        session_id=session_id, user_id="glu_ada", secret_digest="digest", signed_in_at=1_000, expires_at=2_000
    )


def consent_to(
    *scopes: str, resource: str = MCP, registration: int = 1, host: str = "client.example"
) -> Consent:
    return Consent(
        user_id="glu_ada",
        client_id="glc_editor",
        client_registration=registration,
        allowed=((host, resource, scopes),),
    )


# where responses go


def test_the_requested_redirect_uri_is_used_if_registered():
    assert redirect_target(a_client(redirect_uris=(THIEF, HTTPS)), asking()) == HTTPS


def test_the_only_registered_redirect_uri_is_the_default():
    assert redirect_target(a_client(), asking(redirect_uri=None)) == HTTPS


def test_a_loopback_redirect_uri_may_use_another_port():
    today = "http://127.0.0.1:51004/callback"
    assert redirect_target(a_client(redirect_uris=(LOOPBACK,)), asking(redirect_uri=today)) == today


def test_with_several_redirect_uris_registered_one_must_be_named():
    with pytest.raises(RedirectUriRequired):
        redirect_target(a_client(redirect_uris=(HTTPS, LOOPBACK)), asking(redirect_uri=None))


@pytest.mark.parametrize("presented", [THIEF, HTTPS + "/", HTTPS + "?x=1", HTTPS.upper(), LOOPBACK])
def test_an_unregistered_redirect_uri_is_refused(presented):
    with pytest.raises(RedirectUriMismatch):
        redirect_target(a_client(), asking(redirect_uri=presented))


def test_no_redirect_for_a_disabled_client():
    with pytest.raises(ClientIsDisabled):
        redirect_target(a_client(DISABLED), asking())


def test_no_redirect_for_a_deleted_client():
    with pytest.raises(ClientUnknown):
        redirect_target(a_client(DELETED), asking())


def test_the_client_is_checked_before_its_redirect_uri():
    with pytest.raises(ClientIsDisabled):
        redirect_target(a_client(DISABLED), asking(redirect_uri=THIEF))


# refusals that are sent to the client


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        ({"repeated": frozenset({"scope"})}, ParameterRepeated),
        ({"state": "s" * (MAX_STATE + 1)}, StateTooLong),
        ({"request": "eyJhbGciOiJub25lIn0.e30."}, RequestObjectUnsupported),
        ({"request_uri": "https://client.example/request"}, RequestUriUnsupported),
        ({"response_type": None}, ResponseTypeMissing),
        ({"response_type": "token"}, ResponseTypeUnsupported),
        ({"response_type": "code id_token"}, ResponseTypeUnsupported),
        ({"response_mode": "fragment"}, ResponseModeUnsupported),
        ({"code_challenge": None}, CodeChallengeMissing),
        ({"code_challenge": None, "code_challenge_method": None}, CodeChallengeMissing),
        ({"code_challenge_method": None}, CodeChallengeMethodUnsupported),
        ({"code_challenge_method": "plain"}, CodeChallengeMethodUnsupported),
        ({"code_challenge": CHALLENGE[1:]}, CodeChallengeMalformed),
        ({"scope": "admin root"}, ScopeInvalid),
        ({"resources": ("https://other.example/mcp",)}, ResourceForeign),
        ({"resources": (MCP, NOTES)}, ResourceForeign),
        ({"prompt": "none login"}, PromptContradictory),
        ({"prompt": "consent none"}, PromptContradictory),
    ],
)
def test_a_request_is_refused_for(wrong, refusal):
    with pytest.raises(refusal):
        a_request(**wrong)


def test_the_refusal_names_the_repeated_parameter():
    with pytest.raises(ParameterRepeated, match=r"^scope, state$"):
        a_request(repeated=frozenset({"state", "scope"}))


def test_repeated_parameters_are_refused_before_anything_else():
    with pytest.raises(ParameterRepeated):
        a_request(repeated=frozenset({"scope"}), code_challenge=None, scope="admin", resources=("x",))


# what is asked for


def test_a_request_keeps_what_the_code_will_be_bound_to():
    request = a_request()
    assert (request.client_id, request.client_registration, request.redirect_uri, request.code_challenge) == (
        "glc_editor",
        1,
        HTTPS,
        CHALLENGE,
    )


def test_a_request_without_a_scope_asks_for_the_default():
    assert a_request(scope=None).scopes == ("openid",)


def test_unknown_scopes_are_dropped():
    assert a_request(scope="  admin notes:read \t openid notes:read").scopes == ("notes:read", "openid")


def test_scopes_of_another_resource_are_dropped():
    asked = "openid notes:read notes:share"
    assert a_request(scope=asked, resources=(NOTES,)).scopes == ("openid", "notes:read", "notes:share")
    assert a_request(scope=asked, resources=(MCP,)).scopes == ("openid", "notes:read")


def test_a_client_that_cannot_refresh_is_not_granted_offline_access():
    client = replace(a_client(), metadata=replace(METADATA, grant_types=("authorization_code",)))
    assert a_request(client, scope="openid offline_access").scopes == ("openid",)
    assert a_request(scope="openid offline_access").scopes == ("openid", "offline_access")


def test_a_request_without_a_resource_gets_the_first_configured_one():
    assert a_request(resources=()).resource == MCP


def test_the_configured_spelling_of_the_resource_is_kept():
    assert a_request(resources=("HTTPS://MCP.EXAMPLE:443/notes/mcp",)).resource == NOTES


@pytest.mark.parametrize("state", [None, "the-state", "s" * MAX_STATE, "€ &?=#"])
def test_the_state_is_kept_unchanged(state):
    assert a_request(state=state).state == state


def test_the_only_response_mode_may_be_named():
    assert a_request(response_mode="query") == a_request()


def test_unknown_prompts_are_ignored():
    assert a_request(prompt="select_account login create login").prompts == ("login",)


def test_an_unknown_prompt_together_with_none_is_ignored():
    assert a_request(prompt="none create").allows_no_page


def test_a_page_is_allowed_unless_the_prompt_is_none():
    assert not a_request().allows_no_page


# who must sign in


def test_without_a_session_a_sign_in_is_needed():
    assert a_request().needs_sign_in(None)


def test_with_a_session_no_sign_in_is_needed():
    assert not a_request(session_before="session").needs_sign_in(a_session("session"))


def test_prompt_login_asks_a_signed_in_user_to_sign_in_again():
    assert a_request(prompt="login", session_before="session").needs_sign_in(a_session("session"))


def test_prompt_login_asks_for_one_new_sign_in():
    assert not a_request(prompt="login", session_before="session").needs_sign_in(a_session("new-session"))


def test_prompt_login_asks_for_one_sign_in_if_there_was_no_session():
    assert not a_request(prompt="login", session_before=None).needs_sign_in(a_session("new-session"))


# when the consent page is shown


def test_without_consent_the_page_is_shown():
    assert a_request().needs_consent_page(None, a_client())


def test_with_consent_to_the_whole_request_the_page_is_skipped():
    assert not a_request().needs_consent_page(consent_to("openid", "notes:read", "notes:write"), a_client())


@pytest.mark.parametrize(
    "consent",
    [
        consent_to("openid"),
        consent_to("openid", "notes:read", resource=NOTES),
        consent_to("openid", "notes:read", registration=2),
        consent_to("openid", "notes:read", host="thief.example"),
    ],
    ids=[
        "to less",
        "for another resource",
        "to another registration of the client",
        "for another redirect host",
    ],
)
def test_the_page_is_shown_if_the_user_consented_only(consent):
    assert a_request().needs_consent_page(consent, a_client())


def test_with_prompt_consent_the_page_is_always_shown():
    assert a_request(prompt="consent").needs_consent_page(consent_to("openid", "notes:read"), a_client())


ANY_PROGRAM = (
    LOOPBACK,
    "http://localhost:3118/callback",
    "http://[::1]:3118/callback",
    "https://localhost/callback",
    "https://127.0.0.1/callback",
    PRIVATE_USE,
    "com.example.app:/callback",
)


def page_is_shown(target: str, client: ClientRegistration) -> bool:
    """Whether the page is shown to a user who has consented to the whole request."""
    request: AuthorizationRequest = replace(a_request(), redirect_uri=target)
    consent = consent_to("openid", "notes:read", host=request.asked.redirect_host)
    assert consent.covers(request.asked)
    return request.needs_consent_page(consent, client)


@pytest.mark.parametrize("target", ANY_PROGRAM)
def test_consent_is_not_remembered_on_loopback_and_private_schemes(target):
    assert page_is_shown(target, a_client())
    assert page_is_shown(target, a_client(secret_digest="secret"))


@pytest.mark.parametrize("target", ANY_PROGRAM)
def test_approval_does_not_skip_the_page_for_a_public_client(target):
    assert page_is_shown(target, a_client(APPROVED))


def test_an_approved_confidential_client_on_loopback_may_skip_the_page():
    assert not page_is_shown(LOOPBACK, a_client(APPROVED, secret_digest="secret"))


def test_after_the_approval_is_withdrawn_the_page_is_shown_again():
    assert page_is_shown(LOOPBACK, a_client(APPROVED, APPROVAL_WITHDRAWN, secret_digest="secret"))


def test_on_https_no_approval_is_needed_to_skip_the_page():
    assert not page_is_shown(HTTPS, a_client())


def test_an_approved_client_still_needs_consent():
    request = replace(a_request(), redirect_uri=LOOPBACK)
    assert request.needs_consent_page(None, a_client(APPROVED, secret_digest="secret"))


@pytest.mark.parametrize(
    ("signed_in_at", "max_age", "again"),
    [(700, "300", False), (699, "300", True), (1_000, "1", False), (998, "1", True), (1, "999999999", False)],
)
def test_a_sign_in_older_than_max_age_must_be_repeated(signed_in_at, max_age, again):
    request = a_request(max_age=max_age, session_before="session")
    session = replace(a_session("session"), signed_in_at=signed_in_at)
    assert request.needs_sign_in(session) is again


def test_max_age_0_refuses_even_a_sign_in_of_the_current_second():
    session = replace(a_session("session"), signed_in_at=1_000)
    assert a_request(max_age="0", session_before="session").needs_sign_in(session)


@pytest.mark.parametrize("max_age", ["0", "1"])
def test_a_sign_in_that_max_age_required_counts_however_long_consent_takes(max_age):
    request = a_request(max_age=max_age, session_before="session")
    assert not request.needs_sign_in(replace(a_session("new-session"), signed_in_at=1_000))


def test_max_age_0_with_prompt_none_still_allows_no_page():
    assert a_request(max_age="0", prompt="none").allows_no_page


@pytest.mark.parametrize("max_age", ["-1", "1.5", "soon", "1000000000", " 60", "٣٠", "0x10", "6 0"])
def test_a_max_age_that_is_not_a_number_of_seconds_is_refused(max_age):
    with pytest.raises(MaxAgeInvalid):
        a_request(max_age=max_age)


def test_a_nonce_of_512_bytes_is_kept_and_a_longer_one_refused():
    assert a_request(nonce="n" * 512).nonce == "n" * 512
    with pytest.raises(NonceTooLong):
        a_request(nonce="n" * 513)


def test_a_request_that_loses_the_scope_openid_loses_its_nonce():
    request = a_request(scope="openid notes:read", nonce="n-0S6")
    assert request.of_scopes(("openid",)).nonce == "n-0S6"
    assert request.of_scopes(("notes:read",)).nonce is None


# Responses without a click of the user


WELL_KNOWN = "https://claude.ai/api/mcp/auth_callback"


@pytest.mark.parametrize("target", [LOOPBACK, "http://localhost/callback", WELL_KNOWN, PRIVATE_USE])
def test_loopback_and_well_known_clients_are_redirected_to_without_a_click(target):
    assert may_redirect_unasked(a_client(), target, None)


@pytest.mark.parametrize("target", [HTTPS, "com.example.app:/callback", "vscode://ms-vscode.remote/open"])
def test_an_address_that_anyone_may_register_needs_a_click(target):
    assert not may_redirect_unasked(a_client(), target, None)


def test_an_approved_client_needs_no_click():
    assert may_redirect_unasked(a_client(APPROVED), HTTPS, None)


def test_a_client_that_the_user_has_consented_to_needs_no_click():
    assert may_redirect_unasked(a_client(), HTTPS, consent_to("openid"))


@pytest.mark.parametrize(
    "consent", [consent_to("openid", host="other.example"), consent_to("openid", registration=2)]
)
def test_consent_for_another_host_or_registration_still_needs_a_click(consent):
    assert not may_redirect_unasked(a_client(), HTTPS, consent)
