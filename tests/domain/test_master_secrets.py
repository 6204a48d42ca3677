from typing import Any

from grantledger.domain.master_secrets import (
    MAX_REMEMBERED,
    MasterSecretHistory,
    SecretActivated,
    SecretAdded,
    SecretRetired,
    UsedSecret,
    evolve,
)


def after(*events: Any) -> MasterSecretHistory:
    secrets = None
    for event in events:
        secrets = evolve(secrets, event)
    assert secrets is not None
    return secrets


def test_the_secret_that_was_activated_last_seals():
    secrets = after(SecretActivated(key_id="a", activated_at=1), SecretActivated(key_id="b", activated_at=2))
    assert secrets.sealing == "b"


def test_activating_the_sealing_secret_records_nothing():
    secrets = after(SecretActivated(key_id="a", activated_at=1))
    assert secrets.activate("a", now=2) == ()


def test_an_earlier_secret_can_be_activated_again():
    secrets = after(SecretActivated(key_id="a", activated_at=1), SecretActivated(key_id="b", activated_at=2))
    assert secrets.activate("a", now=3) == (SecretActivated(key_id="a", activated_at=3),)


def test_a_retired_secret_that_is_added_again_can_be_retired_again():
    secrets = after(
        SecretRetired(key_id="a", retired_at=1, live_grants=0), SecretAdded(key_id="a", added_at=2)
    )
    gone = UsedSecret(key_id="a", role="missing")
    assert secrets.retire(gone, force=False, now=3) == (
        SecretRetired(key_id="a", retired_at=3, live_grants=0),
    )


def test_the_state_holds_a_bounded_number_of_secrets():
    secrets = after(*(SecretAdded(key_id=str(number), added_at=number) for number in range(40)))
    assert len(secrets.secrets) == MAX_REMEMBERED
    assert secrets.find("39") is not None
