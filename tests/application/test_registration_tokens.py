import pytest
from msgspec.structs import replace

from grantledger.domain.client_registration import ClientRegistered
from grantledger.domain.digests import digest
from grantledger.domain.registration_tokens import (
    RegistrationTokenAdded,
    RegistrationTokenRefused,
    RegistrationTokenUnknown,
)
from support.policies import a_policy
from support.storage import InterruptedLedger, nothing_recorded
from support.story import CALLER, REGISTRATION, Story


@pytest.fixture
def guarded(ledger, story):
    """The same server with `registration = "token"`."""
    return Story(ledger, a_policy(registration_mode="token"), story.outside)


async def test_a_client_registers_with_a_registration_token(guarded):
    new = await guarded.add_registration_token("ci", CALLER)
    assert (await guarded.register_client(REGISTRATION, CALLER, token=new.token)).client


@pytest.mark.parametrize("token", [None, "", "glrg_wrong"])
async def test_without_a_valid_registration_token_no_client_registers(ledger, guarded, token):
    await guarded.add_registration_token("ci", CALLER)
    with nothing_recorded(ledger), pytest.raises(RegistrationTokenRefused):
        await guarded.register_client(REGISTRATION, CALLER, token=token)


async def test_a_known_client_needs_the_registration_token_too(story, guarded):
    await story.registers()
    with pytest.raises(RegistrationTokenRefused):
        await guarded.registers()


async def test_a_revoked_registration_token_is_refused(guarded):
    new = await guarded.add_registration_token("ci", CALLER)
    await guarded.revoke_registration_token(new.token_id, CALLER)
    with pytest.raises(RegistrationTokenRefused):
        await guarded.register_client(REGISTRATION, CALLER, token=new.token)


@pytest.mark.parametrize("method", ["none", "client_secret_basic"])
async def test_a_token_that_is_revoked_during_a_registration_registers_no_client(ledger, guarded, method):
    new = await guarded.add_registration_token("ci", CALLER)
    revoking = InterruptedLedger(ledger, lambda: guarded.revoke_registration_token(new.token_id, CALLER))
    racing = Story(revoking, a_policy(registration_mode="token"), guarded.outside)
    asked = replace(REGISTRATION, token_endpoint_auth_method=method)
    with pytest.raises(RegistrationTokenRefused):
        await racing.register_client(asked, CALLER, token=new.token)
    assert not any(isinstance(event, ClientRegistered) for event in ledger.events)


async def test_an_unknown_registration_token_cannot_be_revoked(guarded):
    with pytest.raises(RegistrationTokenUnknown):
        await guarded.revoke_registration_token("unknown", CALLER)


async def test_no_client_registers_where_registration_is_closed(ledger, story):
    closed = Story(ledger, a_policy(registration_mode="closed"), story.outside)
    with nothing_recorded(ledger), pytest.raises(RegistrationTokenRefused):
        await closed.registers()


async def test_the_ledger_holds_only_the_digest_of_a_registration_token(ledger, guarded):
    new = await guarded.add_registration_token("ci", CALLER)
    (added,) = ledger.events
    assert added == RegistrationTokenAdded(
        token_id=new.token_id, name="ci", secret_digest=digest(new.token), added_at=guarded.clock.now()
    )


async def test_the_id_of_a_registration_token_never_looks_like_an_option(guarded):
    new = [await guarded.add_registration_token("ci", CALLER) for _ in range(20)]
    assert all(token.token_id.startswith("t_") for token in new)
