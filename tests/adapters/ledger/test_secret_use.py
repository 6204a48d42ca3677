"""Which master secrets must be kept: those that tokens of live grants were sealed under."""

from collections.abc import Mapping

from msgspec.structs import replace

from adapters.ledger import facts
from adapters.ledger.storage import WatchedDatabase
from grantledger.adapters.ledger.mapper import TagMapper
from grantledger.adapters.ledger.secret_use import SecretUse
from grantledger.adapters.ledger.sqlite_ledger import SqliteLedger
from grantledger.application.keys.master_secrets import LiveTokens
from grantledger.domain.token_grant import GRANT, GrantRefreshed
from support import grants

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
    return await SecretUse(database, TagMapper(), "main").live(now=now, progress=lambda _, __: None)


async def test_a_grant_lives_as_long_as_its_refresh_token(ledger: SqliteLedger, database: WatchedDatabase):
    await ledger.record([facts.opened()], facts.SOMEBODY)
    assert await live(database, REFRESH_END - 1) == {"key-1": LiveTokens(1, REFRESH_END)}
    assert await live(database, REFRESH_END) == {}


async def test_after_a_refresh_the_older_access_token_lives_to_its_own_end(
    ledger: SqliteLedger, database: WatchedDatabase
):
    await ledger.record([facts.opened()], facts.SOMEBODY)
    await ledger.record([(await ledger.load(GRANT, "grant")).then((REFRESHED,))], facts.SOMEBODY)
    assert await live(database, 2_001) == {
        "key-1": LiveTokens(1, ACCESS_END),
        "key-2": LiveTokens(1, 700_000),
    }
    assert await live(database, ACCESS_END) == {"key-2": LiveTokens(1, 700_000)}


async def test_a_superseded_refresh_token_lives_as_long_as_it_may_be_retried(
    ledger: SqliteLedger, database: WatchedDatabase
):
    await ledger.record([facts.opened()], facts.SOMEBODY)
    late = replace(REFRESHED, refreshed_at=ACCESS_END + 1_000)
    await ledger.record([(await ledger.load(GRANT, "grant")).then((late,))], facts.SOMEBODY)
    assert (await live(database, ACCESS_END + 1_299))["key-1"] == LiveTokens(1, ACCESS_END + 1_300)
    assert "key-1" not in await live(database, ACCESS_END + 1_300)


async def test_what_is_revoked_keeps_no_secret(ledger: SqliteLedger, database: WatchedDatabase):
    await ledger.record([facts.opened(), facts.opened("other")], facts.SOMEBODY)
    await ledger.record([facts.revoked(await ledger.load(GRANT, "grant"))], facts.SOMEBODY)
    assert await live(database, 2_000) == {"key-1": LiveTokens(1, REFRESH_END)}


async def test_the_last_end_of_several_grants_is_told(ledger: SqliteLedger, database: WatchedDatabase):
    later = facts.opened("later", refresh_expires_at=REFRESH_END + 5)
    await ledger.record([facts.opened(), later, facts.opened("other")], facts.SOMEBODY)
    assert await live(database, 2_000) == {"key-1": LiveTokens(3, REFRESH_END + 5)}
