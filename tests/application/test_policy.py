from grantledger.domain.resource_indicator import Resource
from support.policies import a_policy
from support.requests import MCP, NOTES


def test_known_scopes_are_the_servers_own_and_those_of_its_resources():
    assert a_policy().known_scopes == (
        "openid",
        "profile",
        "email",
        "offline_access",
        "files:read",
        "notes:read",
        "notes:write",
    )


def test_a_scope_of_two_resources_is_listed_once():
    resources = (Resource(MCP, scopes=("read",)), Resource(NOTES, scopes=("read", "openid")))
    assert a_policy(resources=resources).known_scopes[4:] == ("read",)


def test_the_first_of_the_resources_is_the_default():
    assert [each.identifier for each in a_policy().askable.resources] == [MCP, NOTES]


def test_clients_cannot_register_the_servers_own_pages():
    assert a_policy().registration.redirect_uris.issuer == "https://auth.example"
