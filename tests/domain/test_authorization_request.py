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
from support.clients import APPROVAL_WITHDRAWN, APPROVED, DELETED, DISABLED, HTTPS, LOOPBACK, a_client
from support.codes import CHALLENGE
from support.requests import MCP, NOTES, a_request, asking

THIEF = "https://thief.example/callback"
PRIVATE_USE = "cursor://anysphere.cursor-mcp/oauth/callback"


def a_session(session_id: str) -> BrowserSession:
    return BrowserSession(
        session_id=session_id, user_id="glu_ada", secret_digest="digest", signed_in_at=1_000, expires_at=2_000
    )


def a_yes_to(
    *scopes: str, resource: str = MCP, registration: int = 1, host: str = "client.example"
) -> Consent:
    return Consent(
        user_id="glu_ada",
        client_id="glc_editor",
        client_registration=registration,
        allowed=((host, resource, scopes),),
    )


# where answers go


def test_answers_go_to_the_redirect_uri_that_is_asked_for():
    assert redirect_target(a_client(redirect_uris=(THIEF, HTTPS)), asking()) == HTTPS


def test_answers_go_to_the_only_registered_redirect_uri_when_none_is_named():
    assert redirect_target(a_client(), asking(redirect_uri=None)) == HTTPS


def test_answers_go_to_the_port_that_a_loopback_client_listens_on_today():
    today = "http://127.0.0.1:51004/callback"
    assert redirect_target(a_client(redirect_uris=(LOOPBACK,)), asking(redirect_uri=today)) == today


def test_answers_go_nowhere_when_several_are_registered_and_none_is_named():
    with pytest.raises(RedirectUriRequired):
        redirect_target(a_client(redirect_uris=(HTTPS, LOOPBACK)), asking(redirect_uri=None))


@pytest.mark.parametrize("presented", [THIEF, HTTPS + "/", HTTPS + "?x=1", HTTPS.upper(), LOOPBACK])
def test_answers_go_nowhere_that_is_not_registered(presented):
    with pytest.raises(RedirectUriMismatch):
        redirect_target(a_client(), asking(redirect_uri=presented))


def test_answers_go_nowhere_for_a_disabled_client():
    with pytest.raises(ClientIsDisabled):
        redirect_target(a_client(DISABLED), asking())


def test_answers_go_nowhere_for_a_deleted_client():
    with pytest.raises(ClientUnknown):
        redirect_target(a_client(DELETED), asking())


def test_the_client_is_checked_before_its_redirect_uri():
    with pytest.raises(ClientIsDisabled):
        redirect_target(a_client(DISABLED), asking(redirect_uri=THIEF))


# what the client is told


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
def test_refuses(wrong, refusal):
    with pytest.raises(refusal):
        a_request(**wrong)


def test_a_repeated_parameter_is_named_for_the_operator():
    with pytest.raises(ParameterRepeated, match=r"^scope, state$"):
        a_request(repeated=frozenset({"state", "scope"}))


def test_the_form_is_checked_before_what_it_asks_for():
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


def test_unknown_scopes_drop_out():
    assert a_request(scope="  admin notes:read \t openid notes:read").scopes == ("notes:read", "openid")


def test_a_request_without_a_resource_asks_for_the_first():
    assert a_request(resources=()).resource == MCP


def test_a_resource_is_kept_as_it_is_configured():
    assert a_request(resources=("HTTPS://MCP.EXAMPLE:443/notes/mcp",)).resource == NOTES


@pytest.mark.parametrize("state", [None, "the-state", "s" * MAX_STATE, "€ &?=#"])
def test_the_state_is_kept_as_it_came(state):
    assert a_request(state=state).state == state


def test_the_only_response_mode_may_be_named():
    assert a_request(response_mode="query") == a_request()


def test_prompts_that_nobody_knows_are_ignored():
    assert a_request(prompt="select_account login create login").prompts == ("login",)


def test_an_unknown_prompt_beside_none_is_no_contradiction():
    assert a_request(prompt="none create").allows_no_page


def test_a_page_may_be_shown_unless_the_client_says_no():
    assert not a_request().allows_no_page


# who must sign in


def test_somebody_must_sign_in():
    assert a_request().needs_sign_in(None)


def test_who_is_signed_in_need_not_sign_in_again():
    assert not a_request(session_before="session").needs_sign_in(a_session("session"))


def test_with_prompt_login_who_is_signed_in_must_sign_in_again():
    assert a_request(prompt="login", session_before="session").needs_sign_in(a_session("session"))


def test_with_prompt_login_one_new_sign_in_is_enough():
    assert not a_request(prompt="login", session_before="session").needs_sign_in(a_session("new-session"))


def test_with_prompt_login_who_was_not_signed_in_signs_in_once():
    assert not a_request(prompt="login", session_before=None).needs_sign_in(a_session("new-session"))


# who must be asked


def test_who_never_said_yes_is_asked():
    assert a_request().needs_consent_page(None, a_client())


def test_who_said_yes_to_all_of_this_is_not_asked_again():
    assert not a_request().needs_consent_page(a_yes_to("openid", "notes:read", "notes:write"), a_client())


@pytest.mark.parametrize(
    "consent",
    [
        a_yes_to("openid"),
        a_yes_to("openid", "notes:read", resource=NOTES),
        a_yes_to("openid", "notes:read", registration=2),
        a_yes_to("openid", "notes:read", host="thief.example"),
    ],
    ids=[
        "to less",
        "for another resource",
        "to another registration of the client",
        "for another redirect host",
    ],
)
def test_who_said_yes_only_to_something_else_is_asked(consent):
    assert a_request().needs_consent_page(consent, a_client())


def test_with_prompt_consent_everybody_is_asked():
    assert a_request(prompt="consent").needs_consent_page(a_yes_to("openid", "notes:read"), a_client())


ANY_PROGRAM = (
    LOOPBACK,
    "http://localhost:3118/callback",
    "http://[::1]:3118/callback",
    "https://localhost/callback",
    "https://127.0.0.1/callback",
    PRIVATE_USE,
    "com.example.app:/callback",
)


def asked_again(target: str, client: ClientRegistration) -> bool:
    """Whether who has said yes to all of it is asked once more."""
    request: AuthorizationRequest = replace(a_request(), redirect_uri=target)
    yes = a_yes_to("openid", "notes:read", host=request.asked.redirect_host)
    assert yes.covers(request.asked)
    return request.needs_consent_page(yes, client)


@pytest.mark.parametrize("target", ANY_PROGRAM)
def test_a_remembered_yes_does_not_count_where_any_program_may_be_waiting(target):
    assert asked_again(target, a_client())
    assert asked_again(target, a_client(secret_digest="secret"))


@pytest.mark.parametrize("target", ANY_PROGRAM)
def test_a_public_client_is_shown_there_also_when_an_operator_has_approved_it(target):
    assert asked_again(target, a_client(APPROVED))


def test_an_approved_client_that_has_a_secret_is_remembered_there():
    assert not asked_again(LOOPBACK, a_client(APPROVED, secret_digest="secret"))


def test_once_the_approval_is_withdrawn_it_is_shown_again():
    assert asked_again(LOOPBACK, a_client(APPROVED, APPROVAL_WITHDRAWN, secret_digest="secret"))


def test_at_a_web_site_nobody_needs_an_approval():
    assert not asked_again(HTTPS, a_client())


def test_an_approved_client_is_shown_all_the_same_for_what_was_not_allowed_yet():
    request = replace(a_request(), redirect_uri=LOOPBACK)
    assert request.needs_consent_page(None, a_client(APPROVED, secret_digest="secret"))


@pytest.mark.parametrize(
    ("signed_in_at", "max_age", "again"),
    [(700, "300", False), (699, "300", True), (1_000, "1", False), (998, "1", True), (1, "999999999", False)],
)
def test_who_signed_in_longer_ago_than_max_age_signs_in_again(signed_in_at, max_age, again):
    request = a_request(max_age=max_age, session_before="session")
    session = replace(a_session("session"), signed_in_at=signed_in_at)
    assert request.needs_sign_in(session) is again


def test_max_age_0_asks_even_who_has_signed_in_this_very_second():
    session = replace(a_session("session"), signed_in_at=1_000)
    assert a_request(max_age="0", session_before="session").needs_sign_in(session)


@pytest.mark.parametrize("max_age", ["0", "1"])
def test_who_signs_in_for_max_age_is_not_asked_again_however_long_the_answer_takes(max_age):
    request = a_request(max_age=max_age, session_before="session")
    assert not request.needs_sign_in(replace(a_session("new-session"), signed_in_at=1_000))


def test_max_age_0_allows_no_page_no_more_than_prompt_none_does():
    assert a_request(max_age="0", prompt="none").allows_no_page


@pytest.mark.parametrize("max_age", ["-1", "1.5", "soon", "1000000000", " 60", "٣٠", "0x10", "6 0"])
def test_a_max_age_that_is_no_number_of_seconds_is_refused(max_age):
    with pytest.raises(MaxAgeInvalid):
        a_request(max_age=max_age)


def test_a_nonce_of_512_bytes_is_kept_and_a_longer_one_refused():
    assert a_request(nonce="n" * 512).nonce == "n" * 512
    with pytest.raises(NonceTooLong):
        a_request(nonce="n" * 513)
