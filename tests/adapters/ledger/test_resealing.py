"""The vault under a new master secret: readable before, during and after, and finished after a crash."""

import pytest

from adapters.ledger import facts
from adapters.ledger.storage import WatchedDatabase, a_ledger, rows_of
from grantledger.adapters.crypto.master_secrets import MasterSecrets
from grantledger.adapters.crypto.sealing import Vault
from grantledger.adapters.ledger.resealing import Resealing
from grantledger.application.ports import Conflict, MasterSecretMissing, PrivateRecord, Unavailable

OLD, NEW = b"o" * 32, b"n" * 32
USERS = ("glu_a", "glu_b", "glu_c", "glu_d", "glu_e")


def vault(*secrets: bytes) -> Vault:
    return Vault(MasterSecrets(secrets), "main")


def key_id(secret: bytes) -> str:
    return MasterSecrets([secret]).newest


def an_email(user: str) -> PrivateRecord:
    return PrivateRecord(
        subject=user, name="email", value=f"{user}@example.com", lookup=f"{user}@example.com"
    )


def a_hash(user: str) -> PrivateRecord:
    return PrivateRecord(subject=user, name="password_hash", value=f"hash of {user}")


@pytest.fixture
async def under_the_old(database: WatchedDatabase) -> WatchedDatabase:
    """A database with five users, sealed under the old secret."""
    ledger = a_ledger(database, sealer=vault(OLD))
    await ledger.open()
    for user in USERS:
        await ledger.record([facts.opened_account(user)], facts.SOMEBODY, [an_email(user), a_hash(user)])
    await ledger.close()
    return database


async def batches(resealing: Resealing) -> list[int]:
    """Seal everything under the new secret; return how many each batch was."""
    return [count async for count in resealing.seal_anew(key_id(NEW))]


async def check_readable(database: WatchedDatabase, *secrets: bytes) -> None:
    ledger = a_ledger(database, sealer=vault(*secrets))
    for user in USERS:
        assert await ledger.find("email", f"{user}@example.com") == user
        assert await ledger.value(user, "password_hash") == f"hash of {user}"
    await ledger.close()


async def test_every_record_is_then_read_and_found_under_the_new_secret_alone(under_the_old: WatchedDatabase):
    resealing = Resealing(under_the_old, vault(NEW, OLD), "main")
    assert await resealing.counts() == {key_id(OLD): 10}
    assert sum(await batches(resealing)) == 10
    assert await resealing.counts() == {key_id(NEW): 10}
    await check_readable(under_the_old, NEW)


async def test_what_a_crash_leaves_is_readable_and_the_next_run_goes_on_with_it(
    under_the_old: WatchedDatabase,
):
    run = Resealing(under_the_old, vault(OLD, NEW), "main", batch=3).seal_anew(key_id(NEW))
    assert await anext(run) == 3
    del run
    # Whichever of the two a process seals under, it reads all.
    await check_readable(under_the_old, NEW, OLD)
    await check_readable(under_the_old, OLD, NEW)
    assert sum(await batches(Resealing(under_the_old, vault(NEW, OLD), "main", batch=3))) == 7
    await check_readable(under_the_old, NEW)


async def test_a_batch_that_fails_leaves_no_half_of_itself(under_the_old: WatchedDatabase):
    rows_of(under_the_old, "UPDATE private_record SET sealed = x'00' WHERE subject = 'glu_b'")
    with pytest.raises(Unavailable, match="cannot be unsealed"):
        await batches(Resealing(under_the_old, vault(NEW, OLD), "main"))
    assert await Resealing(under_the_old, vault(NEW, OLD), "main").counts() == {key_id(OLD): 10}


async def test_it_seals_under_the_secret_that_is_named_and_not_under_the_newest(
    under_the_old: WatchedDatabase,
):
    """Seen to catch: what is sealed anew is sealed as before."""
    assert sum(await batches(Resealing(under_the_old, vault(OLD, NEW), "main"))) == 10
    await check_readable(under_the_old, NEW)


async def test_running_again_does_nothing(under_the_old: WatchedDatabase):
    resealing = Resealing(under_the_old, vault(NEW, OLD), "main")
    await batches(resealing)
    assert await batches(resealing) == []


async def test_without_the_old_secret_nothing_is_touched(under_the_old: WatchedDatabase):
    with pytest.raises(Unavailable, match=key_id(OLD)):
        await batches(Resealing(under_the_old, vault(NEW), "main"))
    await check_readable(under_the_old, OLD)


async def test_a_process_that_was_started_without_the_new_secret_refuses_at_once(
    under_the_old: WatchedDatabase,
):
    """It would seal under the old one for ever."""
    with pytest.raises(MasterSecretMissing, match=key_id(NEW)):
        Resealing(under_the_old, vault(OLD), "main").seal_anew(key_id(NEW))


async def test_another_realm_is_left_alone(under_the_old: WatchedDatabase):
    assert await batches(Resealing(under_the_old, vault(NEW, OLD), "other")) == []


async def test_who_lacks_a_secret_in_use_cannot_say_that_somebody_is_unknown(under_the_old: WatchedDatabase):
    await batches(Resealing(under_the_old, vault(NEW, OLD), "main"))
    left_behind = a_ledger(under_the_old, sealer=vault(OLD))
    with pytest.raises(Unavailable, match=key_id(NEW)):
        await left_behind.find("email", "glu_a@example.com")
    await left_behind.close()


async def test_who_lacks_a_secret_in_use_cannot_open_a_second_account_for_an_address(
    under_the_old: WatchedDatabase,
):
    await batches(Resealing(under_the_old, vault(NEW, OLD), "main"))
    left_behind = a_ledger(under_the_old, sealer=vault(OLD))
    await left_behind.open()
    again = PrivateRecord(
        subject="glu_x", name="email", value="glu_a@example.com", lookup="glu_a@example.com"
    )
    with pytest.raises(Unavailable, match=key_id(NEW)):
        await left_behind.record([facts.opened_account("glu_x")], facts.SOMEBODY, [again])
    await left_behind.record([facts.opened()], facts.SOMEBODY)  # who keeps nothing private is not disturbed
    await left_behind.close()


async def test_an_address_stays_unique_between_processes_that_seal_under_different_secrets(
    under_the_old: WatchedDatabase,
):
    await batches(Resealing(under_the_old, vault(NEW, OLD), "main"))
    not_restarted = a_ledger(under_the_old, sealer=vault(OLD, NEW))
    await not_restarted.open()
    again = PrivateRecord(
        subject="glu_x", name="email", value="glu_a@example.com", lookup="glu_a@example.com"
    )
    with pytest.raises(Conflict):
        await not_restarted.record([facts.opened_account("glu_x")], facts.SOMEBODY, [again])
    await not_restarted.close()
