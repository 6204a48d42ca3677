import pytest
from msgspec.structs import replace

from grantledger.domain.client_registration import (
    ClientAuthenticationFailed,
    ClientHasNoSecret,
    ClientIsDisabled,
    ClientRegistration,
    ClientUnknown,
    register,
)
from support.clients import (
    APPROVAL_WITHDRAWN,
    APPROVED,
    DELETED,
    DISABLED,
    ENABLED,
    METADATA,
    REGISTERED,
    ROTATED,
    a_client,
)

AGAIN = REGISTERED


def registering(client: ClientRegistration | None, secret_digest: str | None = None):
    return register(client, client_id="glc_editor", metadata=METADATA, secret_digest=secret_digest, now=1_000)


def test_registering_records_the_metadata():
    assert registering(None) == (REGISTERED,)


def test_registering_records_the_digest_of_the_secret():
    (registered,) = registering(None, "digest")
    assert registered.secret_digest == "digest"


def test_registering_the_same_client_again_records_nothing():
    assert registering(a_client()) == ()


def test_registering_a_disabled_client_again_is_refused():
    with pytest.raises(ClientIsDisabled):
        registering(a_client(DISABLED))


def test_a_deleted_client_can_register_again():
    assert registering(a_client(DELETED)) == (REGISTERED,)


def test_a_disabled_and_deleted_client_can_register_again():
    assert registering(a_client(DISABLED, DELETED)) == (REGISTERED,)


def test_registrations_of_a_client_id_are_counted():
    assert a_client(DELETED, AGAIN, DELETED, AGAIN).registration == 3


def test_a_client_that_registered_again_may_act():
    a_client(DISABLED, DELETED, AGAIN).check_usable()


def test_a_registered_client_may_act():
    a_client().check_usable()


def test_a_disabled_client_is_refused():
    with pytest.raises(ClientIsDisabled):
        a_client(DISABLED).check_usable()


@pytest.mark.parametrize("events", [(DELETED,), (DISABLED, DELETED)])
def test_a_deleted_client_is_unknown(events):
    with pytest.raises(ClientUnknown):
        a_client(*events).check_usable()


def test_a_client_may_act_in_its_current_registration():
    a_client(DELETED, AGAIN).check_usable(2)


@pytest.mark.parametrize("registration", [1, 3])
def test_a_client_cannot_act_in_another_registration(registration):
    with pytest.raises(ClientUnknown):
        a_client(DELETED, AGAIN).check_usable(registration)


def test_disabling_records_the_time():
    assert a_client().disable(now=1_100) == (DISABLED,)


def test_disabling_twice_records_one_event():
    assert a_client(DISABLED).disable(now=1_150) == ()


def test_a_deleted_client_cannot_be_disabled():
    assert a_client(DELETED).disable(now=1_300) == ()


def test_enabling_records_the_time():
    assert a_client(DISABLED).enable(now=1_120) == (ENABLED,)


def test_an_enabled_client_may_act_again():
    a_client(DISABLED, ENABLED).check_usable()


@pytest.mark.parametrize("events", [(), (DISABLED, ENABLED), (DISABLED, DELETED)])
def test_enabling_an_enabled_client_records_nothing(events):
    assert a_client(*events).enable(now=1_300) == ()


def test_approving_records_the_time_once():
    assert a_client().approve(now=1_140) == (APPROVED,)
    assert a_client(APPROVED).approve(now=1_150) == ()


def test_a_deleted_client_cannot_be_approved():
    assert a_client(DELETED).approve(now=1_300) == ()


def test_an_approval_can_be_withdrawn_once():
    assert a_client(APPROVED).withdraw_approval(now=1_160) == (APPROVAL_WITHDRAWN,)
    assert a_client().withdraw_approval(now=1_160) == ()
    assert a_client(APPROVED, APPROVAL_WITHDRAWN).withdraw_approval(now=1_170) == ()


def test_a_client_that_registers_again_is_not_approved():
    assert not a_client(APPROVED, DELETED, AGAIN).approved


def test_deleting_records_the_time():
    assert a_client().delete(now=1_200) == (DELETED,)


def test_a_disabled_client_can_be_deleted():
    assert a_client(DISABLED).delete(now=1_200) == (DELETED,)


def test_deleting_twice_records_one_event():
    assert a_client(DELETED).delete(now=1_300) == ()


def test_a_client_without_a_secret_is_public():
    assert a_client().is_public


def test_a_client_with_a_secret_is_not_public():
    assert not a_client(secret_digest="right").is_public


def test_a_public_client_authenticates_without_a_secret():
    a_client().authenticate(None, now=2_000)


def test_a_public_client_that_presents_a_secret_is_refused():
    with pytest.raises(ClientAuthenticationFailed):
        a_client().authenticate("anything", now=2_000)


def test_a_confidential_client_authenticates_with_its_secret():
    a_client(secret_digest="right").authenticate("right", now=2_000)


@pytest.mark.parametrize("presented", [None, "", "wrong", "righ", "right "])
def test_a_confidential_client_without_its_secret_is_refused(presented):
    with pytest.raises(ClientAuthenticationFailed):
        a_client(secret_digest="right").authenticate(presented, now=2_000)


def test_a_client_that_registers_again_does_not_keep_its_secret():
    assert a_client(DELETED, AGAIN, secret_digest="right").is_public


# A new secret


def rotated(overlap: int) -> ClientRegistration:
    client = a_client(secret_digest="old")
    (event,) = client.rotate_secret(secret_digest="new", overlap=overlap, now=2_000)
    return a_client(event, secret_digest="old")


def test_a_new_secret_is_accepted_at_once():
    rotated(overlap=60).authenticate("new", now=2_000)


def test_the_previous_secret_is_accepted_until_its_overlap_ends():
    client = rotated(overlap=60)
    client.authenticate("old", now=2_059)
    with pytest.raises(ClientAuthenticationFailed):
        client.authenticate("old", now=2_060)


def test_a_compromised_secret_is_refused_at_once():
    with pytest.raises(ClientAuthenticationFailed):
        rotated(overlap=0).authenticate("old", now=2_000)


@pytest.mark.parametrize("presented", [None, "", "older"])
def test_no_other_secret_is_accepted_after_a_rotation(presented):
    with pytest.raises(ClientAuthenticationFailed):
        rotated(overlap=60).authenticate(presented, now=2_001)


def test_the_secret_of_a_public_client_cannot_be_replaced():
    with pytest.raises(ClientHasNoSecret):
        a_client().rotate_secret(secret_digest="new", overlap=0, now=2_000)


def test_the_secret_of_a_deleted_client_cannot_be_replaced():
    with pytest.raises(ClientUnknown):
        a_client(DELETED, secret_digest="old").rotate_secret(secret_digest="new", overlap=0, now=2_000)


def test_a_client_whose_secret_was_replaced_is_not_pruned():
    """An operator has decided about it."""
    assert a_client(secret_digest="old").may_be_pruned
    assert not rotated(overlap=0).may_be_pruned


def test_a_client_that_registers_again_has_only_its_new_secret():
    again = a_client(ROTATED, DELETED, replace(AGAIN, secret_digest="another"), secret_digest="old")
    again.authenticate("another", now=1_300)
    for gone in ("old", "new digest"):
        with pytest.raises(ClientAuthenticationFailed):
            again.authenticate(gone, now=1_300)
