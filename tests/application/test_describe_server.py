import msgspec
import pytest

from grantledger.application.describe_server import (
    AuthorizationServerMetadata,
    DescribeServer,
    OpenIdProviderMetadata,
)
from grantledger.domain.client_metadata import RegistrationRequest, effective_metadata
from grantledger.domain.resource_indicator import Resource
from support.clients import HTTPS
from support.policies import POLICY, a_policy
from support.requests import MCP, NOTES

server = DescribeServer(POLICY).authorization_server


@pytest.mark.parametrize(
    "issuer", ["https://auth.example", "https://auth.example/", "https://a.example/tenant"]
)
def test_the_issuer_is_exactly_the_configured_one(issuer):
    assert DescribeServer(a_policy(issuer=issuer)).authorization_server().issuer == issuer


@pytest.mark.parametrize(
    ("issuer", "endpoint"),
    [
        ("https://auth.example", "https://auth.example/token"),
        ("https://auth.example/", "https://auth.example/token"),
        ("https://auth.example/tenant", "https://auth.example/tenant/token"),
    ],
)
def test_endpoints_are_under_the_issuer(issuer, endpoint):
    assert DescribeServer(a_policy(issuer=issuer)).authorization_server().token_endpoint == endpoint


def test_the_documentation_is_named_where_the_operator_has_one():
    described = DescribeServer(a_policy(documentation="https://docs.example/")).authorization_server()
    assert described.service_documentation == "https://docs.example/"
    assert "service_documentation" not in msgspec.to_builtins(server())


def test_endpoints_are_where_clients_without_metadata_look_for_them():
    described = server()
    endpoints = (
        described.authorization_endpoint,
        described.token_endpoint,
        described.registration_endpoint,
        described.revocation_endpoint,
    )
    assert endpoints == tuple(
        f"https://auth.example/{path}" for path in ("authorize", "token", "register", "revoke")
    )


def test_closed_registration_is_not_advertised():
    described = DescribeServer(a_policy(registration_mode="closed")).authorization_server()
    assert "registration_endpoint" not in msgspec.to_builtins(described)


def test_registration_with_a_token_is_advertised():
    described = DescribeServer(a_policy(registration_mode="token")).authorization_server()
    assert described.registration_endpoint == "https://auth.example/register"


def test_no_more_scopes_are_advertised_than_the_default():
    assert server().scopes_supported == ("openid",)


def test_s256_is_advertised():
    assert server().code_challenge_methods_supported == ("S256",)


def test_the_issuer_in_authorization_responses_is_advertised():
    assert server().authorization_response_iss_parameter_supported is True


@pytest.mark.parametrize("method", server().token_endpoint_auth_methods_supported)
def test_every_advertised_method_can_be_registered(method):
    request = RegistrationRequest(redirect_uris=(HTTPS,), token_endpoint_auth_method=method)
    assert effective_metadata(request, POLICY.registration).token_endpoint_auth_method == method


def test_every_advertised_grant_type_can_be_registered():
    offered = server().grant_types_supported
    request = RegistrationRequest(redirect_uris=(HTTPS,), grant_types=offered)
    assert effective_metadata(request, POLICY.registration).grant_types == offered


def test_every_resource_is_named():
    assert server().protected_resources == (MCP, NOTES)


def test_a_resource_names_its_authorization_server_and_scopes():
    described = DescribeServer(POLICY).protected_resource(POLICY.resources[1])
    assert msgspec.to_builtins(described) == {
        "resource": NOTES,
        "authorization_servers": ("https://auth.example",),
        "bearer_methods_supported": ("header",),
        "scopes_supported": ("notes:read", "notes:write"),
        "resource_name": "Notes",
    }


def test_empty_lists_and_names_are_omitted():
    described = DescribeServer(POLICY).protected_resource(Resource("https://bare.example/mcp"))
    assert set(msgspec.to_builtins(described)) == {
        "resource",
        "authorization_servers",
        "bearer_methods_supported",
    }


def test_openid_connect_is_described_if_openid_can_be_granted():
    described = server()
    assert isinstance(described, OpenIdProviderMetadata)
    assert described.jwks_uri == "https://auth.example/jwks"
    assert described.userinfo_endpoint == "https://auth.example/userinfo"


def test_without_openid_nothing_of_openid_connect_is_advertised():
    described = DescribeServer(a_policy(server_scopes=("email",), default_scope=("email",)))
    assert type(described.authorization_server()) is AuthorizationServerMetadata


def test_claims_of_a_scope_that_is_not_known_are_not_advertised():
    described = DescribeServer(a_policy(server_scopes=("openid",))).authorization_server()
    assert isinstance(described, OpenIdProviderMetadata)
    assert "email" not in described.claims_supported


def test_request_uri_is_advertised_as_not_supported():
    assert msgspec.to_builtins(server())["request_uri_parameter_supported"] is False
