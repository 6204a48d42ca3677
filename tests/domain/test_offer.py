import pytest

from grantledger.domain.offer import NoLongerOffered, Offer

OFFER = Offer(frozenset({"https://mcp.example/mcp", "https://root.example"}), frozenset({"openid", "read"}))


def test_granted_scopes_that_are_configured_stay():
    assert OFFER.left_of(("read", "openid"), resource="https://mcp.example/mcp") == ("read", "openid")


def test_a_granted_scope_that_was_removed_from_the_settings_is_left_out():
    assert OFFER.left_of(("write", "read"), resource="https://mcp.example/mcp") == ("read",)


def test_a_grant_whose_scopes_were_all_removed_is_refused():
    with pytest.raises(NoLongerOffered):
        OFFER.left_of(("write",), resource="https://mcp.example/mcp")


def test_a_resource_that_was_removed_is_refused():
    with pytest.raises(NoLongerOffered):
        OFFER.left_of(("read",), resource="https://mcp.example/other")


def test_another_spelling_of_a_resource_is_the_same_resource():
    assert OFFER.left_of(("read",), resource="https://ROOT.example:443/") == ("read",)


@pytest.mark.parametrize(
    ("scopes", "resource"),
    [(("read", "write"), "https://root.example"), (("read",), "https://other.example")],
)
def test_a_pending_request_is_refused_if_any_part_of_it_was_removed(scopes, resource):
    with pytest.raises(NoLongerOffered):
        OFFER.check_all(scopes, resource=resource)
