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


def test_a_scope_that_two_resources_share_is_known_once():
    resources = (Resource(MCP, scopes=("read",)), Resource(NOTES, scopes=("read", "openid")))
    assert a_policy(resources=resources).known_scopes[4:] == ("read",)


def test_clients_may_ask_for_every_resource_the_first_by_default():
    assert a_policy().askable.resources == (MCP, NOTES)


def test_clients_that_register_may_not_answer_on_our_own_pages():
    assert a_policy().registration.redirect_uris.issuer == "https://auth.example"
