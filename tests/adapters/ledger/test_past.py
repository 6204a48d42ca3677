"""A stream as it was: folded from the log up to a moment, which the clocks of several servers disagree on."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from adapters.ledger import facts
from adapters.ledger.storage import WatchedDatabase, a_ledger, rows_of, writer_in_queue, writers_held_up
from grantledger.adapters.ledger.mapper import TagMapper
from grantledger.adapters.ledger.past import SqlitePast, up_to
from grantledger.application.history.as_of import PastGrant, ReadClientAsOf, ReadGrantAsOf
from grantledger.domain.client_registration import CLIENT, ClientDeleted, ClientDisabled
from grantledger.domain.token_grant import GRANT, GrantRevoked
from grantledger.domain.user_account import USER, AccountDisabled
from support import clients, grants

SECOND = 1_000_000


class Days:
    """A ledger whose clock a test sets, and what was in it at a second of that clock."""

    def __init__(self, database: WatchedDatabase) -> None:
        self.second = 0
        self._database = database
        self.ledger = a_ledger(database, now=lambda: self.second * SECOND)
        self.past = SqlitePast(database, TagMapper())

    async def at(self, second: int, *changes: Any) -> None:
        self.second = second
        await self.ledger.record(changes, facts.SOMEBODY)

    async def then(self, second: int, kind: Any, key: str, *events: Any) -> None:
        await self.at(second, (await self.ledger.load(kind, key)).then(events))

    async def version(self, second: float, key: str = "grant") -> int:
        return (await self.past.load_as_of(GRANT, key, int(second * SECOND))).version

    async def grant(self, second: int) -> PastGrant | None:
        return await ReadGrantAsOf(self.past)("grant", second * SECOND)

    async def standing(self, second: int) -> str | None:
        found = await self.grant(second)
        return None if found is None else found.standing


@pytest.fixture
async def days(database: WatchedDatabase):
    days = Days(database)
    await days.ledger.open()
    yield days
    await days.ledger.close()


async def opened(days: Days, at: int = 1_000) -> None:
    client_id, user_id = grants.OPENED.client_id, grants.OPENED.user_id
    await days.at(at, facts.registered(client_id), facts.opened_account(user_id), facts.opened())


async def test_a_stream_holds_what_was_recorded_by_then(days: Days):
    """Seen to catch: the moment itself left out; the newest state whatever the moment."""
    await opened(days)
    await days.at(1_010, facts.refreshed(await days.ledger.load(GRANT, "grant")))
    moments = (999.999999, 1_000, 1_009.999999, 1_010, 9_999)
    assert [await days.version(moment) for moment in moments] == [0, 1, 1, 2, 2]


async def test_what_stands_before_a_recorded_event_had_happened_whatever_its_clock_said(days: Days):
    """Seen to catch: events picked by their own time alone, which leaves a gap in the stream."""
    await opened(days)
    await days.at(5_000, facts.refreshed(await days.ledger.load(GRANT, "grant")))  # a clock that is fast
    await days.at(1_020, facts.revoked(await days.ledger.load(GRANT, "grant")))
    assert [await days.version(moment) for moment in (1_010, 1_020, 5_000)] == [1, 3, 3]


async def test_what_a_tool_wrote_without_a_time_counts_from_the_event_before_it_in_the_log(days: Days):
    """Seen to catch: an event without an envelope that counts from the beginning of time."""
    await opened(days)
    await days.at(1_050, facts.opened_account("glu_bob"))
    revoked = TagMapper().stored("grant:grant", 2, GrantRevoked(reason="by a tool", revoked_at=1_060))
    days.ledger.recorder.insert_events([revoked])
    assert [await days.version(moment) for moment in (1_049, 1_050)] == [1, 2]


async def test_the_past_is_read_from_the_log_and_not_from_rows(days: Days, database: WatchedDatabase):
    await opened(days)
    for table in ("token_grant", "client", "user_account"):
        rows_of(database, f"DELETE FROM {table}")
    assert await days.standing(1_001) == "live"


async def test_a_realm_has_a_past_of_its_own(days: Days, database: WatchedDatabase):
    await opened(days)
    elsewhere = SqlitePast(database, TagMapper(), realm="elsewhere")
    assert (await elsewhere.load_as_of(GRANT, "grant", 2_000 * SECOND)).version == 0


@given(st.lists(st.integers(0, 20), max_size=12), st.integers(0, 20), st.integers(0, 20))
def test_a_later_moment_never_holds_less(times: list[int], one: int, other: int):
    earlier, later = sorted((one, other))
    assert up_to(times, earlier) <= up_to(times, later)


@given(st.lists(st.integers(0, 20), max_size=12), st.integers(0, 20))
def test_all_that_was_recorded_by_then_is_held_and_ends_with_such_an_event(times: list[int], moment: int):
    held = up_to(times, moment)
    assert all(time > moment for time in times[held:])
    assert held == 0 or times[held - 1] <= moment


async def test_a_grant_is_judged_by_the_moment_and_not_by_today(days: Days):
    """Seen to catch: expiry judged by the clock of the one who asks."""
    await opened(days)
    assert grants.OPENED.refresh_expires_at is not None
    ends = grants.OPENED.refresh_expires_at
    assert [await days.standing(moment) for moment in (999, 1_000, ends - 1, ends)] == [
        None,
        "live",
        "live",
        "expired",
    ]
    found = await days.grant(grants.OPENED.access_expires_at)
    assert found is not None
    assert (found.access_token_live, found.refresh_token_live) == (False, True)


async def test_a_grant_tells_what_it_was_good_for_and_whose_it_was(days: Days):
    await opened(days)
    await days.at(1_010, facts.refreshed(await days.ledger.load(GRANT, "grant")))
    before, after = await days.grant(1_009), await days.grant(1_010)
    assert before is not None
    assert after is not None
    assert (before.client_id, before.user_id) == (grants.OPENED.client_id, grants.OPENED.user_id)
    assert (before.generation, before.access.scopes) == (0, grants.OPENED.scopes)
    assert (after.generation, after.access) == (1, grants.ONLY_READ)
    assert after.consented == before.consented


async def test_a_revoked_grant_says_since_when_and_why(days: Days):
    await opened(days)
    await days.then(1_100, GRANT, "grant", GrantRevoked(reason="client", revoked_at=1_100))
    assert [await days.standing(moment) for moment in (1_099, 1_100)] == ["live", "revoked"]
    found = await days.grant(1_100)
    assert found is not None
    assert (found.revoked, found.access_token_live, found.refresh_token_live) == ("client", False, False)


@pytest.mark.parametrize(
    ("kind", "key", "event", "standing"),
    [
        (CLIENT, grants.OPENED.client_id, ClientDisabled(disabled_at=1), "client disabled"),
        (CLIENT, grants.OPENED.client_id, ClientDeleted(deleted_at=1), "client deleted"),
        (USER, grants.OPENED.user_id, AccountDisabled(disabled_at=1), "user disabled"),
    ],
)
async def test_a_grant_stands_with_its_client_and_its_user(
    days: Days, kind: Any, key: str, event: Any, standing: str
):
    await opened(days)
    await days.then(1_100, kind, key, event)
    assert [await days.standing(moment) for moment in (1_099, 1_100)] == ["live", standing]


async def test_a_client_tells_who_it_was_through_deletion_and_return(days: Days):
    name = clients.REGISTERED.client_id
    await days.at(1_000, facts.registered(name))
    await days.then(1_100, CLIENT, name, ClientDisabled(disabled_at=1_100))
    await days.then(1_200, CLIENT, name, ClientDeleted(deleted_at=1_200))
    await days.then(1_300, CLIENT, name, replace(clients.REGISTERED, registered_at=1_300))
    read = ReadClientAsOf(days.past)
    found = [await read(name, second * SECOND) for second in (999, 1_000, 1_100, 1_200, 1_300)]
    assert [client and (client.standing, client.registration) for client in found] == [
        None,
        ("registered", 1),
        ("disabled", 1),
        ("deleted", 1),
        ("registered", 2),
    ]


async def test_what_waits_for_other_writers_has_not_happened_yet(days: Days, database: WatchedDatabase):
    """Seen to catch: an event is dated when it was asked for."""
    await opened(days)
    days.second = 2_000
    revoked = (await days.ledger.load(GRANT, "grant")).then(
        [GrantRevoked(reason="revoked_by_user", revoked_at=2_000)]
    )
    with writers_held_up(database):
        recording = await writer_in_queue(database, days.ledger, revoked)
        days.second = 3_000
    await recording
    assert (await days.version(2_999), await days.version(3_000)) == (1, 2)
