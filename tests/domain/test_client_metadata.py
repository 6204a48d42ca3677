import hashlib
from base64 import urlsafe_b64encode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from grantledger.domain.client_metadata import (
    AuthMethodUnsupported,
    ClientMetadata,
    ClientMetadataInvalid,
    GrantTypesWithoutCode,
    MetadataTooLong,
    RedirectUriInvalid,
    RegistrationPolicy,
    RegistrationRequest,
    ResponseTypesWithoutCode,
    TooManyRedirectUris,
    effective_metadata,
    metadata_digest,
)
from grantledger.domain.redirect_uri import RedirectUriForbidden, RedirectUriPolicy
from support.registrations import CLIENTS, registration_body, registration_request

POLICY = RegistrationPolicy(
    redirect_uris=RedirectUriPolicy(issuer="https://auth.example"),
    known_scopes=("openid", "profile", "email", "offline_access", "notes:read"),
    default_scope=("openid",),
)
CURSOR = "cursor://anysphere.cursor-mcp/oauth/callback"
HTTPS = "https://claude.ai/cb"
LOOPBACK = "http://localhost:3118/callback"


def registered(*uris: str, **members: object) -> ClientMetadata:
    request = msgspec.convert({"redirect_uris": uris or (HTTPS,), **members}, RegistrationRequest)
    return effective_metadata(request, POLICY)


def again(metadata: ClientMetadata) -> ClientMetadata:
    return effective_metadata(msgspec.convert(msgspec.to_builtins(metadata), RegistrationRequest), POLICY)


@pytest.mark.parametrize("client", CLIENTS)
def test_real_clients_register_with_every_redirect_uri_they_send(client):
    request = registration_request(client)
    metadata = effective_metadata(request, POLICY)
    assert metadata.redirect_uris == request.redirect_uris
    assert metadata.client_name == request.client_name
    assert metadata.grant_types == ("authorization_code", "refresh_token")


@pytest.mark.parametrize("client", CLIENTS)
def test_real_clients_get_the_method_they_asked_for(client):
    wanted = {"chatgpt": "none", "claude-ai": "client_secret_post", "python-sdk": "client_secret_basic"}
    metadata = effective_metadata(registration_request(client), POLICY)
    assert metadata.token_endpoint_auth_method == wanted.get(client, "none")


@pytest.mark.parametrize("client", CLIENTS)
def test_real_clients_with_loopback_or_private_uris_are_native(client):
    web = {"claude-ai", "chatgpt", "chatgpt-legacy", "cursor"}
    metadata = effective_metadata(registration_request(client), POLICY)
    assert metadata.application_type == ("web" if client in web else "native")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_member_without_a_value_is_absent(client):
    members = msgspec.to_builtins(effective_metadata(registration_request(client), POLICY))
    assert all(members.values())


@pytest.mark.parametrize("client", CLIENTS)
def test_registering_effective_metadata_again_changes_nothing(client):
    metadata = effective_metadata(registration_request(client), POLICY)
    assert again(metadata) == metadata


@pytest.mark.parametrize("client", CLIENTS)
def test_unknown_members_are_ignored(client):
    members = msgspec.json.decode(registration_body(client))
    members |= {"resource": "https://mcp.example", "contacts": ["a@b.example"], "client_name#ja": "x"}
    request = msgspec.convert(members, RegistrationRequest)
    assert request == registration_request(client)


def test_a_null_member_counts_as_omitted():
    members = dict.fromkeys(RegistrationRequest.__struct_fields__) | {"redirect_uris": [HTTPS]}
    assert effective_metadata(msgspec.convert(members, RegistrationRequest), POLICY) == registered()


def test_an_empty_member_counts_as_omitted():
    empty = {"client_name": "", "client_uri": "", "logo_uri": " ", "scope": "", "software_id": "\t"}
    assert (
        registered(**empty, token_endpoint_auth_method="", grant_types=[], response_types=[]) == registered()
    )


def test_a_minimal_registration_gets_the_defaults_and_may_refresh():
    assert registered() == ClientMetadata(
        redirect_uris=(HTTPS,),
        token_endpoint_auth_method="client_secret_basic",
        grant_types=("authorization_code", "refresh_token"),
        response_types=("code",),
        application_type="web",
        scope="openid",
    )


def test_offline_access_is_left_out_for_a_client_that_cannot_refresh():
    asked = {"scope": "openid offline_access"}
    assert registered(**asked).scope == "openid offline_access"
    assert registered(**asked, grant_types=("authorization_code",)).scope == "openid"


def test_a_redirect_uri_that_no_rule_allows_is_dropped():
    metadata = registered("myapp://callback", HTTPS, "http://client.example/cb", HTTPS)
    assert metadata.redirect_uris == (HTTPS,)


@pytest.mark.parametrize("uri", ["https://My-App.example/cb", "https://my_app.example/cb"])
def test_a_redirect_uri_whose_host_has_capitals_or_an_underscore_is_dropped(uri):
    assert registered(uri, HTTPS).redirect_uris == (HTTPS,)
    with pytest.raises(RedirectUriInvalid):
        registered(uri)


def test_a_confidential_client_gets_no_private_use_redirect_uri():
    assert registered(CURSOR, HTTPS).redirect_uris == (HTTPS,)
    assert registered(CURSOR, HTTPS, token_endpoint_auth_method="none").redirect_uris == (CURSOR, HTTPS)


@pytest.mark.parametrize("uris", [[], ["myapp://callback"], [CURSOR]])
def test_a_registration_without_an_allowed_redirect_uri_is_refused(uris):
    with pytest.raises(RedirectUriInvalid):
        effective_metadata(RegistrationRequest(redirect_uris=tuple(uris)), POLICY)


def test_more_than_twenty_redirect_uris_are_refused_as_too_many():
    with pytest.raises(TooManyRedirectUris):
        registered(*(f"{HTTPS}/{number}" for number in range(21)))


def test_an_authentication_method_that_is_not_supported_is_refused_by_its_name():
    with pytest.raises(AuthMethodUnsupported, match="private_key_jwt"):
        registered(token_endpoint_auth_method="private_key_jwt")


@pytest.mark.parametrize("uri", ["javascript:alert(1)", "/callback", "https://auth.example/authorize/x"])
def test_one_forbidden_redirect_uri_refuses_the_registration(uri):
    with pytest.raises(RedirectUriForbidden):
        registered(HTTPS, uri)


@pytest.mark.parametrize(
    ("members", "method"),
    [
        ({"token_endpoint_auth_method": "none"}, "none"),
        ({"token_endpoint_auth_method": "client_secret_post"}, "client_secret_post"),
        ({"token_endpoint_auth_methods_supported": ["private_key_jwt", "none"]}, "none"),
        (
            {
                "token_endpoint_auth_method": "private_key_jwt",
                "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_post", "none"],
            },
            "client_secret_post",
        ),
    ],
)
def test_a_client_gets_an_authentication_method_it_named(members, method):
    assert registered(**members).token_endpoint_auth_method == method


@pytest.mark.parametrize(
    ("members", "refusal"),
    [
        ({"token_endpoint_auth_method": "private_key_jwt"}, AuthMethodUnsupported),
        ({"token_endpoint_auth_method": "NONE"}, AuthMethodUnsupported),
        ({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}, AuthMethodUnsupported),
        ({"grant_types": ["client_credentials"]}, GrantTypesWithoutCode),
        ({"grant_types": ["refresh_token"]}, GrantTypesWithoutCode),
        ({"response_types": ["token"]}, ResponseTypesWithoutCode),
    ],
)
def test_a_registration_that_cannot_work_is_refused(members, refusal):
    with pytest.raises(refusal):
        registered(**members)


def test_unknown_grant_and_response_types_are_dropped():
    metadata = registered(
        grant_types=["refresh_token", "implicit", "authorization_code"], response_types=["token", "code"]
    )
    assert metadata.grant_types == ("authorization_code", "refresh_token")
    assert metadata.response_types == ("code",)


@pytest.mark.parametrize(
    ("uris", "wanted", "given_type"),
    [
        ((LOOPBACK, CURSOR), None, "native"),
        ((LOOPBACK, CURSOR), "web", "native"),
        ((LOOPBACK, HTTPS), None, "web"),
        ((LOOPBACK, HTTPS), "web", "web"),
        ((LOOPBACK, HTTPS), "native", "native"),
        ((HTTPS,), "native", "native"),
        ((HTTPS,), "spaceship", "web"),
    ],
)
def test_the_application_type_follows_the_redirect_uris_and_refuses_nothing(uris, wanted, given_type):
    metadata = registered(*uris, token_endpoint_auth_method="none", application_type=wanted)
    assert metadata.application_type == given_type


def test_unknown_scopes_are_dropped_and_none_left_means_the_default():
    assert registered(scope=" email  address openid email").scope == "email openid"
    assert registered(scope="address phone").scope == "openid"


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("  Claude\n\tCode  ", "Claude Code"),
        ("Claude\u202e edoC\u2066", "Claude edoC"),
        ("Cl\u200baude\x00 \ufeff\u00ad!", "Claude !"),
        ("a \u200b b", "a b"),
        ("\u200e\u200f", None),
        ("\ud800x", "x"),
        ("x" * 199 + " y", "x" * 199),
        ("メモ帳", "メモ帳"),
    ],
)
def test_a_name_has_no_invisible_or_bidirectional_characters(sent, shown):
    assert registered(client_name=sent).client_name == shown


@pytest.mark.parametrize(
    "link",
    ["javascript:alert(1)", "https://claude.ai@evil.example/", "//x", "https://x.example/" + "a" * 2048],
)
@pytest.mark.parametrize("member", ["client_uri", "logo_uri", "tos_uri", "policy_uri"])
def test_a_link_that_is_not_safe_to_show_is_dropped(member, link):
    assert getattr(registered(**{member: link}), member) is None


def test_a_web_link_is_kept_as_written():
    assert registered(client_uri="http://localhost:6274/#about").client_uri == "http://localhost:6274/#about"


requests = st.builds(
    RegistrationRequest,
    redirect_uris=st.lists(
        st.sampled_from([HTTPS, LOOPBACK, CURSOR, "myapp:x", "http://client.example/"])
    ).map(tuple),
    token_endpoint_auth_method=st.sampled_from([None, "none", "client_secret_post", "private_key_jwt"]),
    token_endpoint_auth_methods_supported=st.sampled_from([None, (), ("none",), ("private_key_jwt", "none")]),
    grant_types=st.sampled_from([None, (), ("refresh_token", "authorization_code"), ("implicit",)]),
    client_name=st.none() | st.text(),
    software_id=st.none() | st.text(),
    client_uri=st.none() | st.text() | st.just("https://claude.ai"),
    scope=st.none() | st.text() | st.just("email unknown openid"),
    application_type=st.sampled_from([None, "web", "native", ""]),
)


@given(requests)
def test_registering_the_response_gives_the_same_response(request):
    try:
        metadata = effective_metadata(request, POLICY)
    except (ClientMetadataInvalid, RedirectUriInvalid):
        return
    assert again(metadata) == metadata
    assert metadata_digest(again(metadata)) == metadata_digest(metadata)


@given(st.permutations([HTTPS, LOOPBACK, CURSOR]), st.permutations(["openid", "email", "profile"]))
def test_a_digest_does_not_depend_on_the_order_of_lists(uris, scopes):
    members = {"token_endpoint_auth_method": "none", "client_name": "Cursor"}
    one = registered(HTTPS, LOOPBACK, CURSOR, scope="openid email profile", **members)
    assert metadata_digest(registered(*uris, scope=" ".join(scopes), **members)) == metadata_digest(one)


@pytest.mark.parametrize("port", ["", ":1", ":65535"])
def test_a_digest_does_not_depend_on_the_port_of_a_loopback_uri(port):
    members = {"token_endpoint_auth_method": "none", "client_name": "Claude Code"}
    other = registered(HTTPS, f"http://localhost{port}/callback", **members)
    assert metadata_digest(other) == metadata_digest(registered(HTTPS, LOOPBACK, **members))


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:3118/callback",
        "http://localhost:3118/other",
        "https://localhost:3118/callback",
        "https://localhost:3119/callback",
    ],
)
def test_a_digest_depends_on_everything_else_in_a_redirect_uri(uri):
    assert metadata_digest(registered(uri)) != metadata_digest(registered(LOOPBACK))


def test_all_metadata_together_have_at_most_16_kibibytes():
    uris = [f"https://client.example/{number}/" + "a" * 1_990 for number in range(8)]
    assert len(registered(*uris).redirect_uris) == 8
    with pytest.raises(MetadataTooLong):
        registered(*uris, logo_uri="https://client.example/" + "a" * 1_500)


@pytest.mark.parametrize(
    "other",
    [
        {"redirect_uris": (HTTPS, LOOPBACK)},
        {"token_endpoint_auth_method": "none"},
        {"grant_types": ("authorization_code",)},
        {"application_type": "native"},
        {"scope": "openid email"},
        {"client_name": "Claude"},
        {"software_id": "Claude"},
        {"logo_uri": HTTPS},
    ],
)
def test_a_digest_covers_every_member(other):
    assert metadata_digest(replace(registered(), **other)) != metadata_digest(registered())


def test_a_digest_is_the_same_in_every_release():
    # A public client's id is made from it: another digest would give all of them new ids.
    canonical = (
        b'{"application_type":"native","client_name":"Claude Code",'
        b'"grant_types":["authorization_code","refresh_token"],'
        b'"redirect_uris":["http://localhost/callback"],"response_types":["code"],"scope":"openid",'
        b'"token_endpoint_auth_method":"none"}'
    )
    expected = urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()
    metadata = registered(LOOPBACK, client_name="Claude Code", token_endpoint_auth_method="none")
    assert metadata_digest(metadata) == expected == "td2Jy4HeakhDEpyV8Z6y8--FIBRSzmbfFJTB2_zIaNk"
