"""What is sealed under which master secret: private records and live tokens."""

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from adapters.ledger import facts
from adapters.ledger.storage import WatchedDatabase, a_ledger, rows_of
from grantledger.adapters.crypto.master_secrets import MasterSecrets
from grantledger.adapters.crypto.sealing import Vault
from grantledger.adapters.ledger.ledger import EventLedger
from grantledger.adapters.ledger.secret_use import Resealing, SecretUse
from grantledger.application.keys.master_secrets import LiveTokens
from grantledger.application.ports import Conflict, MasterSecretMissing, PrivateRecord, Unavailable
from grantledger.domain.token_grant import GRANT, GrantRefreshed
from support import grants

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
        await ledger.record([facts.opened_account(user)], facts.OPERATOR, [an_email(user), a_hash(user)])
    await ledger.close()
    return database


async def batches(resealing: Resealing) -> list[int]:
    """Seal everything under the new secret. Return the number of records in each batch."""
    return [count async for count in resealing.reseal(key_id(NEW))]


async def check_readable(database: WatchedDatabase, *secrets: bytes) -> None:
    ledger = a_ledger(database, sealer=vault(*secrets))
    await ledger.open()
    for user in USERS:
        assert await ledger.find("email", f"{user}@example.com") == user
        assert await ledger.value(user, "password_hash") == f"hash of {user}"
    await ledger.close()


async def test_resealed_records_are_read_and_found_with_the_new_secret_alone(under_the_old: WatchedDatabase):
    resealing = Resealing(under_the_old, vault(NEW, OLD), "main")
    assert await resealing.counts() == {key_id(OLD): 10}
    assert sum(await batches(resealing)) == 10
    assert await resealing.counts() == {key_id(NEW): 10}
    await check_readable(under_the_old, NEW)


async def test_a_record_that_is_resealed_between_two_reads_is_found(
    under_the_old: WatchedDatabase, monkeypatch: pytest.MonkeyPatch
):
    """Fails if the digests under the two secrets are looked up one after the other."""
    fetch = under_the_old.fetch
    resealed: list[int] = []

    async def fetch_then_reseal(statement: Any, parameters: Any) -> Any:
        rows = await fetch(statement, parameters)
        if not resealed:
            resealed.extend(await batches(Resealing(under_the_old, vault(NEW, OLD), "main")))
        return rows

    ledger = a_ledger(under_the_old, sealer=vault(NEW, OLD))
    await ledger.open()
    monkeypatch.setattr(under_the_old, "fetch", fetch_then_reseal)
    found = await ledger.find("email", "glu_a@example.com")
    await ledger.close()
    assert resealed
    assert found == "glu_a"


async def test_after_a_crash_all_is_readable_and_the_next_run_continues(
    under_the_old: WatchedDatabase,
):
    run = Resealing(under_the_old, vault(OLD, NEW), "main", batch=3).reseal(key_id(NEW))
    assert await anext(run) == 3
    del run
    # A process reads all records, whichever of the two secrets it seals with.
    await check_readable(under_the_old, NEW, OLD)
    await check_readable(under_the_old, OLD, NEW)
    assert sum(await batches(Resealing(under_the_old, vault(NEW, OLD), "main", batch=3))) == 7
    await check_readable(under_the_old, NEW)


async def test_a_batch_that_fails_changes_nothing(under_the_old: WatchedDatabase):
    rows_of(under_the_old, "UPDATE private_record SET sealed = CAST('0' AS BLOB) WHERE subject = 'glu_b'")
    with pytest.raises(Unavailable, match="it is damaged"):
        await batches(Resealing(under_the_old, vault(NEW, OLD), "main"))
    assert await Resealing(under_the_old, vault(NEW, OLD), "main").counts() == {key_id(OLD): 10}


async def test_records_are_sealed_under_the_named_secret_not_the_newest(
    under_the_old: WatchedDatabase,
):
    """Fails if records stay sealed under the earlier secret."""
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


async def test_a_process_without_the_new_secret_refuses_at_once(
    under_the_old: WatchedDatabase,
):
    """Otherwise it would seal everything under the old secret again."""
    with pytest.raises(MasterSecretMissing, match=key_id(NEW)):
        Resealing(under_the_old, vault(OLD), "main").reseal(key_id(NEW))


async def test_another_realm_is_left_alone(under_the_old: WatchedDatabase):
    assert await batches(Resealing(under_the_old, vault(NEW, OLD), "other")) == []


async def test_without_a_secret_in_use_no_lookup_is_called_unknown(under_the_old: WatchedDatabase):
    await batches(Resealing(under_the_old, vault(NEW, OLD), "main"))
    left_behind = a_ledger(under_the_old, sealer=vault(OLD))
    await left_behind.open()
    with pytest.raises(Unavailable, match=key_id(NEW)):
        await left_behind.find("email", "glu_a@example.com")
    await left_behind.close()


async def test_without_a_secret_in_use_no_second_account_is_opened(
    under_the_old: WatchedDatabase,
):
    await batches(Resealing(under_the_old, vault(NEW, OLD), "main"))
    left_behind = a_ledger(under_the_old, sealer=vault(OLD))
    await left_behind.open()
    again = PrivateRecord(
        subject="glu_x", name="email", value="glu_a@example.com", lookup="glu_a@example.com"
    )
    with pytest.raises(Unavailable, match=key_id(NEW)):
        await left_behind.record([facts.opened_account("glu_x")], facts.OPERATOR, [again])
    await left_behind.record([facts.opened()], facts.OPERATOR)  # no private records
    await left_behind.close()


async def test_a_lookup_is_unique_across_processes_with_different_secrets(
    under_the_old: WatchedDatabase,
):
    await batches(Resealing(under_the_old, vault(NEW, OLD), "main"))
    not_restarted = a_ledger(under_the_old, sealer=vault(OLD, NEW))
    await not_restarted.open()
    again = PrivateRecord(
        subject="glu_x", name="email", value="glu_a@example.com", lookup="glu_a@example.com"
    )
    with pytest.raises(Conflict):
        await not_restarted.record([facts.opened_account("glu_x")], facts.OPERATOR, [again])
    await not_restarted.close()


ACCESS_END = grants.OPENED_AT + grants.ACCESS_LIFETIME
REFRESH_END = grants.OPENED_AT + grants.REFRESH_LIFETIME
REFRESHED = GrantRefreshed(
    generation=1,
    resource=grants.RESOURCE,
    scopes=grants.CONSENTED.scopes,
    key_id="key-2",
    refreshed_at=2_000,
    access_expires_at=5_600,
    refresh_expires_at=700_000,
)


async def live(database: WatchedDatabase, now: int) -> Mapping[str, LiveTokens]:
    return await SecretUse(database, "main").live(now=now, progress=lambda _, __: None)


async def test_a_grant_lives_as_long_as_its_refresh_token(ledger: EventLedger, database: WatchedDatabase):
    await ledger.record([facts.opened()], facts.OPERATOR)
    assert await live(database, REFRESH_END - 1) == {"key-1": LiveTokens(1, REFRESH_END)}
    assert await live(database, REFRESH_END) == {}


async def test_after_a_refresh_the_older_access_token_lives_to_its_own_end(
    ledger: EventLedger, database: WatchedDatabase
):
    await ledger.record([facts.opened()], facts.OPERATOR)
    await ledger.record([(await ledger.load(GRANT, "grant")).then((REFRESHED,))], facts.OPERATOR)
    assert await live(database, 2_001) == {
        "key-1": LiveTokens(1, ACCESS_END),
        "key-2": LiveTokens(1, 700_000),
    }
    assert await live(database, ACCESS_END) == {"key-2": LiveTokens(1, 700_000)}


async def test_a_superseded_refresh_token_lives_as_long_as_it_may_be_retried(
    ledger: EventLedger, database: WatchedDatabase
):
    await ledger.record([facts.opened()], facts.OPERATOR)
    late = replace(REFRESHED, refreshed_at=ACCESS_END + 1_000)
    await ledger.record([(await ledger.load(GRANT, "grant")).then((late,))], facts.OPERATOR)
    assert (await live(database, ACCESS_END + 1_299))["key-1"] == LiveTokens(1, ACCESS_END + 1_300)
    assert "key-1" not in await live(database, ACCESS_END + 1_300)


async def test_a_revoked_grant_keeps_no_secret_in_use(ledger: EventLedger, database: WatchedDatabase):
    await ledger.record([facts.opened(), facts.opened("other")], facts.OPERATOR)
    await ledger.record([facts.revoked(await ledger.load(GRANT, "grant"))], facts.OPERATOR)
    assert await live(database, 2_000) == {"key-1": LiveTokens(1, REFRESH_END)}


async def test_of_several_grants_the_latest_end_counts(ledger: EventLedger, database: WatchedDatabase):
    later = facts.opened("later", refresh_expires_at=REFRESH_END + 5)
    await ledger.record([facts.opened(), later, facts.opened("other")], facts.OPERATOR)
    assert await live(database, 2_000) == {"key-1": LiveTokens(3, REFRESH_END + 5)}
