from typing import Any

import pytest

from grantledger.domain.consent import (
    Asked,
    Consent,
    ConsentGiven,
    ConsentWithdrawn,
    Event,
    consent_key,
    evolve,
    give,
)

MCP = "https://mcp.example/mcp"
NOTES = "https://mcp.example/notes/mcp"
HOST = "client.example"


def given_to(resource: str, *scopes: str, registration: int = 1, host: str = HOST) -> ConsentGiven:
    return ConsentGiven(
        user_id="glu_ada",
        client_id="glc_editor",
        client_registration=registration,
        redirect_host=host,
        resource=resource,
        scopes=scopes,
        given_at=1_000,
    )


def a_consent(*given: Event) -> Consent:
    consent = None
    for event in given:
        consent = evolve(consent, event)
    assert consent is not None
    return consent


def asked(*scopes: str, resource: str = MCP, registration: int = 1, host: str = HOST) -> Asked:
    return Asked(client_registration=registration, redirect_host=host, resource=resource, scopes=scopes)


def consent_given(consent: Consent | None, *scopes: str, **asks: Any) -> Any:
    return give(consent, asked(*scopes, **asks), user_id="glu_ada", client_id="glc_editor", now=1_000)


def covers(consent: Consent, *scopes: str, **asks: Any) -> bool:
    return consent.covers(asked(*scopes, **asks))


def test_a_first_consent_is_recorded():
    assert consent_given(None, "openid", "notes:read") == (given_to(MCP, "openid", "notes:read"),)


def test_the_same_consent_again_records_nothing():
    assert consent_given(a_consent(given_to(MCP, "openid", "notes:read")), "notes:read", "openid") == ()


def test_consent_to_fewer_scopes_records_nothing():
    assert consent_given(a_consent(given_to(MCP, "openid", "notes:read")), "openid") == ()


def test_consent_to_more_scopes_is_recorded():
    consent = a_consent(given_to(MCP, "openid"))
    assert consent_given(consent, "openid", "notes:read") == (given_to(MCP, "openid", "notes:read"),)


def test_consent_for_another_resource_is_recorded():
    assert consent_given(a_consent(given_to(MCP, "openid")), "openid", resource=NOTES) == (
        given_to(NOTES, "openid"),
    )


@pytest.mark.parametrize("scopes", [("openid",), ("notes:read",), ("notes:read", "openid")])
def test_covers_the_allowed_scopes_in_any_order(scopes):
    assert covers(a_consent(given_to(MCP, "openid", "notes:read")), *scopes)


def test_does_not_cover_a_scope_that_was_not_allowed():
    assert not covers(a_consent(given_to(MCP, "openid")), "openid", "notes:read")


def test_does_not_cover_another_resource():
    assert not covers(a_consent(given_to(MCP, "openid")), "openid", resource=NOTES)


def test_does_not_cover_another_redirect_host():
    assert not covers(a_consent(given_to(MCP, "openid")), "openid", host="thief.example")


def test_consent_for_another_redirect_host_is_recorded():
    consent = a_consent(given_to(MCP, "openid"))
    elsewhere = given_to(MCP, "openid", host="other.example")
    assert consent_given(consent, "openid", host="other.example") == (elsewhere,)


def test_each_redirect_host_has_its_own_consent():
    consent = a_consent(given_to(MCP, "openid"), given_to(MCP, "notes:read", host="other.example"))
    assert not covers(consent, "notes:read")


def test_each_resource_has_its_own_consent():
    consent = a_consent(given_to(MCP, "openid"), given_to(NOTES, "notes:read"))
    assert not covers(consent, "notes:read", resource=MCP)


def test_consent_for_one_resource_keeps_that_for_another():
    consent = a_consent(given_to(MCP, "openid"), given_to(NOTES, "notes:read"))
    assert covers(consent, "openid", resource=MCP)


def test_a_later_consent_adds_to_an_earlier_one():
    consent = a_consent(given_to(MCP, "openid", "notes:read"), given_to(MCP, "notes:read", "notes:write"))
    assert consent.allowed == ((HOST, MCP, ("openid", "notes:read", "notes:write")),)


def test_a_client_that_registered_again_has_no_consent():
    assert not covers(a_consent(given_to(MCP, "openid")), "openid", registration=2)


def test_consent_to_a_client_that_registered_again_is_recorded():
    consent = a_consent(given_to(MCP, "openid"))
    assert consent_given(consent, "openid", registration=2) == (given_to(MCP, "openid", registration=2),)


def test_consent_does_not_add_to_that_of_an_earlier_registration():
    consent = a_consent(given_to(MCP, "openid", "notes:read"), given_to(MCP, "openid", registration=2))
    assert consent.allowed == ((HOST, MCP, ("openid",)),)


def test_adding_does_not_change_the_loaded_consent():
    consent = a_consent(given_to(MCP, "openid"))
    evolve(consent, given_to(MCP, "notes:read"))
    assert consent.allowed == ((HOST, MCP, ("openid",)),)


def test_every_pair_of_user_and_client_has_its_own_consent():
    assert consent_key("glu_ada", "glc_editor") != consent_key("glu_adaglc_", "editor")


WITHDRAWN = ConsentWithdrawn(withdrawn_at=1_100)


def test_withdrawing_records_the_time():
    assert a_consent(given_to(MCP, "openid")).withdraw(now=1_100) == (WITHDRAWN,)


def test_withdrawing_twice_records_one_event():
    assert a_consent(given_to(MCP, "openid"), WITHDRAWN).withdraw(now=1_200) == ()


def test_a_withdrawn_consent_covers_nothing():
    assert not covers(a_consent(given_to(MCP, "openid"), WITHDRAWN), "openid")


def test_consent_after_a_withdrawal_does_not_restore_earlier_ones():
    consent = a_consent(given_to(MCP, "openid", "email"), WITHDRAWN, given_to(MCP, "openid"))
    assert covers(consent, "openid")
    assert not covers(consent, "email")
