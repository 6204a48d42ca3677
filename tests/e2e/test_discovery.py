"""Discovery: where clients look, what they find there, and that nothing else answers."""

import pytest

from support.oauth import Person, error_of
from support.server import Server
from support.stores import once

pytestmark = once("is answered before the store is asked")

AUTHORIZATION_SERVER = "/.well-known/oauth-authorization-server"
OPENID_CONFIGURATION = "/.well-known/openid-configuration"
PROTECTED_RESOURCE = "/.well-known/oauth-protected-resource"

SPOOFED = {
    "host": "evil.example",
    "forwarded": "host=evil.example;proto=https",
    "x-forwarded-host": "evil.example",
    "x-forwarded-proto": "https",
    "x-forwarded-prefix": "/evil",
    "x-original-host": "evil.example",
}


async def test_the_metadata_says_what_is_enforced_and_nothing_else(server: Server, person: Person):
    answer = await person.http.get(AUTHORIZATION_SERVER)
    assert answer.json() == {
        "issuer": server.origin,
        "authorization_endpoint": f"{server.origin}/authorize",
        "token_endpoint": f"{server.origin}/token",
        "registration_endpoint": f"{server.origin}/register",
        "revocation_endpoint": f"{server.origin}/revoke",
        "introspection_endpoint": f"{server.origin}/introspect",
        "scopes_supported": ["openid"],
        "protected_resources": [f"{server.origin}/mcp"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_post", "client_secret_basic"],
        "revocation_endpoint_auth_methods_supported": ["none", "client_secret_post", "client_secret_basic"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "jwks_uri": f"{server.origin}/jwks",
        "userinfo_endpoint": f"{server.origin}/userinfo",
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "claims_supported": [
            *("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash"),
            *("name", "email", "email_verified"),
        ],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }


async def test_openid_configuration_is_the_same_document(person: Person):
    oauth, openid = [await person.http.get(path) for path in (AUTHORIZATION_SERVER, OPENID_CONFIGURATION)]
    assert openid.content == oauth.content


async def test_every_advertised_endpoint_answers(person: Person):
    metadata = (await person.http.get(AUTHORIZATION_SERVER)).json()
    for name in [name for name in metadata if name.endswith(("_endpoint", "_uri"))]:
        get, post = await person.http.get(metadata[name]), await person.http.post(metadata[name])
        assert 404 not in (get.status_code, post.status_code), name
        assert {get.status_code, post.status_code} - {405}, name
        assert max(get.status_code, post.status_code) < 500, name


@pytest.mark.parametrize("path", ["", "/mcp"], ids=["at the root", "path-inserted"])
async def test_the_protected_resource_describes_itself(server: Server, person: Person, path: str):
    answer = await person.http.get(f"{PROTECTED_RESOURCE}{path}")
    assert answer.status_code == 200
    assert answer.json() == {
        "resource": f"{server.origin}/mcp",
        "authorization_servers": [server.origin],
        "bearer_methods_supported": ["header"],
    }


async def test_each_resource_on_this_origin_has_a_document_of_its_own(two_resources: Server, member: Person):
    answer = await member.http.get(f"{PROTECTED_RESOURCE}/notes/mcp")
    assert answer.json() == {
        "resource": f"{two_resources.origin}/notes/mcp",
        "authorization_servers": [two_resources.origin],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["notes:read", "notes:write"],
        "resource_name": "Notes",
    }


async def test_the_root_describes_the_first_resource_of_this_origin(two_resources: Server, member: Person):
    answer = await member.http.get(PROTECTED_RESOURCE)
    assert answer.json()["resource"] == f"{two_resources.origin}/notes/mcp"


async def test_all_resources_are_listed_the_default_one_first(two_resources: Server, member: Person):
    metadata = (await member.http.get(AUTHORIZATION_SERVER)).json()
    assert metadata["protected_resources"] == ["https://mcp.example", f"{two_resources.origin}/notes/mcp"]


async def test_scopes_of_resources_are_not_scopes_of_the_server(member: Person):
    metadata = (await member.http.get(AUTHORIZATION_SERVER)).json()
    assert metadata["scopes_supported"] == ["openid"]


@pytest.mark.parametrize("path", [AUTHORIZATION_SERVER, OPENID_CONFIGURATION, PROTECTED_RESOURCE])
async def test_metadata_is_json_that_may_be_kept_for_a_short_time(person: Person, path: str):
    answer = await person.http.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=60"


@pytest.mark.parametrize("path", [AUTHORIZATION_SERVER, OPENID_CONFIGURATION, PROTECTED_RESOURCE])
async def test_the_host_of_a_request_changes_nothing(person: Person, path: str):
    plain, spoofed = await person.http.get(path), await person.http.get(path, headers=SPOOFED)
    assert spoofed.content == plain.content
    assert spoofed.status_code == plain.status_code


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-client",
        "/.well-known/oauth-protected-resources",
        "/.well-known/oauth-authorization-server/mcp",
        "/.well-known/oauth-protected-resource/other",
        "/.well-known/oauth-protected-resource/mcp/deeper",
        "/.well-known/openid-federation",
        "/.well-known/openid-configuration/mcp",
        "/.well-known/jwks.json",
        "/mcp/.well-known/openid-configuration",
        "/.well-known/",
    ],
)
async def test_other_well_known_paths_are_404_as_json(person: Person, path: str):
    assert error_of(await person.http.get(path)) == (404, "not_found")


async def test_the_metadata_of_a_resource_on_another_origin_is_not_served(member: Person):
    # The path of https://mcp.example is empty, so its document would be at the root.
    paths = [PROTECTED_RESOURCE, f"{PROTECTED_RESOURCE}/", f"{PROTECTED_RESOURCE}/notes/mcp"]
    described = [(await member.http.get(path)).json()["resource"] for path in paths]
    assert "https://mcp.example" not in described


async def test_metadata_cannot_be_posted_to(person: Person):
    answer = await person.http.post(AUTHORIZATION_SERVER)
    assert error_of(answer) == (405, "method_not_allowed")
    assert "GET" in answer.headers["allow"]


async def test_an_unknown_path_is_404_as_json(person: Person):
    assert error_of(await person.http.get("/unknown")) == (404, "not_found")
