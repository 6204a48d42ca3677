"""What every adapter of the storage ports must do."""

import asyncio
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from adapters.ledger import facts
from grantledger.application.ports import (
    MAX_PAGE,
    AppFacts,
    AuthorizationFacts,
    Conflict,
    ListPage,
    PrivateRecord,
)
from grantledger.application.use_cases import Storage
from grantledger.domain.aggregate import Versioned
from grantledger.domain.authorization_code import CODE
from grantledger.domain.browser_session import SIGNIN
from grantledger.domain.client_registration import CLIENT, ClientDeleted, ClientDisabled
from grantledger.domain.consent import CONSENT, ConsentGiven, consent_key
from grantledger.domain.token_grant import GRANT, AccessTokensRevoked, GrantRevoked
from grantledger.domain.user_account import USER, AccountDisabled, AccountOpened
from support import clients


def an_email(subject: str, address: str = "ada@example.com") -> PrivateRecord:
    return PrivateRecord(subject=subject, name="email", value=address, lookup=address)


class TestLedger:
    async def test_a_stream_to_which_nothing_has_happened_is_at_version_0(self, storage: Storage):
        assert await storage.load(USER, "glu_ada") == Versioned(kind=USER, key="glu_ada")

    async def test_recorded_events_are_loaded(self, storage: Storage):
        change = facts.issued()
        await storage.record([change], facts.OPERATOR)
        assert await storage.load(CODE, "code") == Versioned(kind=CODE, key="code").evolved(change.events)

    async def test_all_events_of_a_change_are_recorded(self, storage: Storage):
        opened, disabled = AccountOpened(user_id="glu_ada", opened_at=1), AccountDisabled(disabled_at=2)
        await storage.record([Versioned(kind=USER, key="glu_ada").then((opened, disabled))], facts.OPERATOR)
        account = await storage.load(USER, "glu_ada")
        assert (account.version, account.state and account.state.disabled) == (2, True)

    async def test_a_change_continues_the_version_that_was_loaded(self, storage: Storage):
        await storage.record([facts.opened()], facts.OPERATOR)
        await storage.record([facts.refreshed(await storage.load(GRANT, "grant"))], facts.OPERATOR)
        await storage.record([facts.revoked(await storage.load(GRANT, "grant"))], facts.OPERATOR)
        grant = await storage.load(GRANT, "grant")
        assert (grant.version, grant.state and grant.state.revoked) == (3, "test")

    async def test_one_key_of_two_kinds_is_two_streams(self, storage: Storage):
        await storage.record([facts.opened("same")], facts.OPERATOR)
        assert (await storage.load(CODE, "same")).version == 0

    async def test_changes_of_several_streams_are_recorded_together(self, storage: Storage):
        await storage.record([facts.issued(), facts.opened()], facts.OPERATOR)
        assert [(await storage.load(CODE, "code")).version, (await storage.load(GRANT, "grant")).version] == [
            1,
            1,
        ]

    async def test_records_all_changes_or_none(self, storage: Storage):
        await storage.record([facts.opened()], facts.OPERATOR)
        with pytest.raises(Conflict):
            await storage.record([facts.issued(), facts.opened()], facts.OPERATOR)
        assert (await storage.load(CODE, "code")).version == 0

    async def test_a_change_of_an_older_version_conflicts(self, storage: Storage):
        await storage.record([facts.opened()], facts.OPERATOR)
        seen = await storage.load(GRANT, "grant")
        await storage.record([facts.refreshed(seen)], facts.OPERATOR)
        with pytest.raises(Conflict):
            await storage.record([facts.revoked(seen)], facts.OPERATOR)

    async def test_a_change_of_a_future_version_conflicts(self, storage: Storage):
        await storage.record([facts.opened()], facts.OPERATOR)
        seen = await storage.load(GRANT, "grant")
        ahead = seen.evolved(facts.refreshed(seen).events)
        with pytest.raises(Conflict):
            await storage.record([facts.revoked(ahead)], facts.OPERATOR)

    async def test_two_changes_of_one_stream_in_one_call_conflict(self, storage: Storage):
        with pytest.raises(Conflict):
            await storage.record([facts.opened(), facts.opened()], facts.OPERATOR)

    async def test_of_fifty_parallel_changes_of_a_stream_one_succeeds(self, storage: Storage):
        attempts = [storage.record([facts.opened(), facts.issued(f"{n}")], facts.OPERATOR) for n in range(50)]
        outcomes = await asyncio.gather(*attempts, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes].count(Conflict) == 49
        codes = [(await storage.load(CODE, f"{n}")).version for n in range(50)]
        assert sum(codes) == 1

    async def test_a_change_without_events_records_nothing(self, storage: Storage):
        await storage.record([Versioned(kind=USER, key="glu_ada").then(())], facts.OPERATOR)
        assert (await storage.load(USER, "glu_ada")).version == 0

    async def test_a_conflict_stores_no_private_record(self, storage: Storage):
        await storage.record([facts.opened_account()], facts.OPERATOR)
        with pytest.raises(Conflict):
            await storage.record([facts.opened_account()], facts.OPERATOR, [an_email("glu_ada")])
        assert await storage.value("glu_ada", "email") is None


class TestAssertions:
    async def test_a_change_without_events_asserts_its_version(self, storage: Storage):
        await storage.record([facts.registered()], facts.OPERATOR)
        client = await storage.load(CLIENT, "glc_editor")
        await storage.record([client.then((ClientDisabled(disabled_at=2),))], facts.OPERATOR)
        with pytest.raises(Conflict):
            await storage.record([facts.opened(), client.unchanged()], facts.OPERATOR)
        assert (await storage.load(GRANT, "grant")).version == 0

    async def test_an_assertion_that_holds_changes_nothing(self, storage: Storage):
        await storage.record([facts.registered()], facts.OPERATOR)
        client = await storage.load(CLIENT, "glc_editor")
        await storage.record([facts.opened(), client.unchanged()], facts.OPERATOR)
        assert await storage.load(CLIENT, "glc_editor") == client
        assert (await storage.load(GRANT, "grant")).version == 1

    async def test_it_can_be_asserted_that_nothing_has_happened_yet(self, storage: Storage):
        client = await storage.load(CLIENT, "glc_editor")
        await storage.record([facts.registered()], facts.OPERATOR)
        with pytest.raises(Conflict):
            await storage.record([facts.opened(), client.unchanged()], facts.OPERATOR)

    async def test_one_failed_assertion_refuses_the_whole_call(self, storage: Storage):
        await storage.record([facts.registered(), facts.opened_account()], facts.OPERATOR)
        client, user = await storage.load(CLIENT, "glc_editor"), await storage.load(USER, "glu_ada")
        await storage.record([user.then((AccountDisabled(disabled_at=2),))], facts.OPERATOR)
        changes = [facts.issued(), client.unchanged(), facts.opened(), user.unchanged()]
        with pytest.raises(Conflict):
            await storage.record(changes, facts.OPERATOR, [an_email("glu_ada")])
        assert (await storage.load(CODE, "code")).version == 0
        assert (await storage.load(GRANT, "grant")).version == 0
        assert await storage.value("glu_ada", "email") is None

    async def test_what_is_asserted_may_change_in_a_later_call(self, storage: Storage):
        await storage.record([facts.registered()], facts.OPERATOR)
        client = await storage.load(CLIENT, "glc_editor")
        await storage.record([facts.opened(), client.unchanged()], facts.OPERATOR)
        await storage.record([client.then((ClientDisabled(disabled_at=2),))], facts.OPERATOR)
        assert (await storage.load(CLIENT, "glc_editor")).version == 2

    async def test_parallel_appends_that_read_an_older_version_conflict(self, storage: Storage):
        """One disables the client. The appends before it succeed, those after it conflict."""
        await storage.record([facts.registered()], facts.OPERATOR)
        client = await storage.load(CLIENT, "glc_editor")
        disabling = [client.then((ClientDisabled(disabled_at=2),))]
        attempts = [[facts.opened(f"{n}"), client.unchanged()] for n in range(9)]
        attempts.insert(4, disabling)
        outcomes = await asyncio.gather(
            *(storage.record(changes, facts.OPERATOR) for changes in attempts), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [type(None)] * 5 + [Conflict] * 5

    async def test_assertions_alone_write_nothing(self, storage: Storage):
        await storage.record([facts.registered()], facts.OPERATOR)
        client = await storage.load(CLIENT, "glc_editor")
        await storage.record([client.unchanged()], facts.OPERATOR)
        assert await storage.load(CLIENT, "glc_editor") == client


class TestDecisionReader:
    async def test_a_grant_that_was_never_opened_has_no_facts(self, storage: Storage):
        assert await storage.grant_facts("grant") is None

    async def test_a_grant_is_read_with_its_client_and_its_user(self, storage: Storage):
        changes: list[Any] = [facts.registered(), facts.opened_account(), facts.opened()]
        await storage.record(changes, facts.OPERATOR)
        read = await storage.grant_facts("grant")
        assert read is not None
        assert read.grant == await storage.load(GRANT, "grant")
        assert read.client == await storage.load(CLIENT, "glc_editor")
        assert read.user == await storage.load(USER, "glu_ada")

    async def test_a_client_or_user_that_was_disabled_is_read_as_disabled(self, storage: Storage):
        await storage.record([facts.registered(), facts.opened_account(), facts.opened()], facts.OPERATOR)
        client, user = await storage.load(CLIENT, "glc_editor"), await storage.load(USER, "glu_ada")
        await storage.record([client.then((ClientDisabled(disabled_at=2),))], facts.OPERATOR)
        await storage.record([user.then((AccountDisabled(disabled_at=2),))], facts.OPERATOR)
        read = await storage.grant_facts("grant")
        assert read is not None
        assert read.client.state is not None
        assert read.user.state is not None
        assert (read.client.state.disabled, read.user.state.disabled) == (True, True)

    async def test_a_missing_client_or_user_is_at_version_0(self, storage: Storage):
        await storage.record([facts.opened()], facts.OPERATOR)
        read = await storage.grant_facts("grant")
        assert read is not None
        assert (read.client, read.user) == (
            Versioned(kind=CLIENT, key="glc_editor"),
            Versioned(kind=USER, key="glu_ada"),
        )

    async def test_a_code_is_read_with_client_user_and_consent(self, storage: Storage):
        changes: list[Any] = [facts.registered(), facts.opened_account(), facts.consented(), facts.issued()]
        await storage.record(changes, facts.OPERATOR)
        read = await storage.code_facts("code")
        assert read.code == await storage.load(CODE, "code")
        assert read.client == await storage.load(CLIENT, "glc_editor")
        assert read.user == await storage.load(USER, "glu_ada")
        assert read.consent == await storage.load(CONSENT, consent_key("glu_ada", "glc_editor"))

    async def test_a_code_without_consent_is_read_with_an_empty_one(self, storage: Storage):
        await storage.record([facts.issued()], facts.OPERATOR)
        read = await storage.code_facts("code")
        key = consent_key("glu_ada", "glc_editor")
        assert read.consent == Versioned(kind=CONSENT, key=key)

    async def test_a_code_that_was_never_issued_is_at_version_0(self, storage: Storage):
        assert (await storage.code_facts("code")).code == Versioned(kind=CODE, key="code")

    async def test_a_request_is_read_with_everything_that_decides_it(self, storage: Storage):
        changes: list[Any] = [
            facts.registered(),
            facts.opened_account(),
            facts.signed_in(),
            facts.consented(),
            facts.issued(),
        ]
        await storage.record(changes, facts.OPERATOR)
        read = await storage.authorization_facts(
            client_id="glc_editor", user_id="", session_id="session", transaction_id="code"
        )
        assert read == AuthorizationFacts(
            client=await storage.load(CLIENT, "glc_editor"),
            user=await storage.load(USER, "glu_ada"),
            session=await storage.load(SIGNIN, "session"),
            consent=await storage.load(CONSENT, consent_key("glu_ada", "glc_editor")),
            code=await storage.load(CODE, "code"),
        )

    async def test_without_a_session_in_the_ledger_a_request_is_read_with_the_named_user(
        self, storage: Storage
    ):
        await storage.record([facts.opened_account()], facts.OPERATOR)
        await storage.record([facts.consented()], facts.OPERATOR)
        read = await storage.authorization_facts(
            client_id="glc_editor", user_id="glu_ada", session_id="of the host", transaction_id="code"
        )
        assert read.user == await storage.load(USER, "glu_ada")
        assert read.consent == await storage.load(CONSENT, consent_key("glu_ada", "glc_editor"))
        assert read.session.version == 0

    async def test_everything_about_a_request_may_be_missing(self, storage: Storage):
        read = await storage.authorization_facts(
            client_id="glc_editor", user_id="", session_id="", transaction_id="code"
        )
        versions = (read.client, read.user, read.session, read.consent, read.code)
        assert [one.version for one in versions] == [0] * 5

    async def test_a_session_is_read_with_its_user_and_the_email_address(self, storage: Storage):
        await storage.record([facts.opened_account()], facts.OPERATOR, [an_email("glu_ada")])
        await storage.record([facts.signed_in()], facts.OPERATOR)
        read = await storage.browser_session_facts("session")
        assert read is not None
        session = (await storage.load(SIGNIN, "session")).state
        assert session is not None
        user = (await storage.load(USER, "glu_ada")).state
        assert (read.session, read.user, read.email()) == (session, user, "ada@example.com")

    async def test_a_session_that_never_began_has_no_facts(self, storage: Storage):
        assert await storage.browser_session_facts("session") is None


class TestPrivateRecords:
    async def test_a_value_is_read_back_by_subject_and_name(self, storage: Storage):
        await storage.record([facts.opened_account()], facts.OPERATOR, [an_email("glu_ada")])
        assert await storage.value("glu_ada", "email") == "ada@example.com"
        assert await storage.value("glu_ada", "password_hash") is None
        assert await storage.value("glu_bob", "email") is None

    async def test_several_values_of_a_subject_are_read_at_once(self, storage: Storage):
        name = PrivateRecord(subject="glu_ada", name="name", value="Ada")
        await storage.record([facts.opened_account()], facts.OPERATOR, [an_email("glu_ada"), name])
        both = {"email": "ada@example.com", "name": "Ada"}
        assert await storage.values("glu_ada", ["name", "email", "password_hash"]) == both
        assert await storage.values("glu_ada", ["name"]) == {"name": "Ada"}
        assert await storage.values("glu_bob", ["name"]) == {}

    async def test_a_subject_is_found_by_lookup(self, storage: Storage):
        await storage.record([facts.opened_account()], facts.OPERATOR, [an_email("glu_ada")])
        assert await storage.find("email", "ada@example.com") == "glu_ada"
        assert await storage.find("email", "bob@example.com") is None
        assert await storage.find("password_hash", "ada@example.com") is None

    async def test_a_record_without_lookup_is_not_found(self, storage: Storage):
        secret = PrivateRecord(subject="glu_ada", name="password_hash", value="hash")
        await storage.record([facts.opened_account()], facts.OPERATOR, [secret])
        assert await storage.find("password_hash", "hash") is None

    async def test_two_subjects_do_not_share_a_lookup(self, storage: Storage):
        await storage.record([facts.opened_account()], facts.OPERATOR, [an_email("glu_ada")])
        with pytest.raises(Conflict):
            await storage.record([facts.opened_account("glu_bob")], facts.OPERATOR, [an_email("glu_bob")])
        assert (await storage.load(USER, "glu_bob")).version == 0

    async def test_a_later_record_of_the_name_replaces_the_first(self, storage: Storage):
        await storage.record([facts.opened_account()], facts.OPERATOR, [an_email("glu_ada")])
        user = await storage.load(USER, "glu_ada")
        moved = an_email("glu_ada", "ada@example.org")
        await storage.record([user.then((AccountDisabled(disabled_at=2),))], facts.OPERATOR, [moved])
        assert await storage.value("glu_ada", "email") == "ada@example.org"
        assert await storage.find("email", "ada@example.com") is None

    async def test_a_record_without_a_value_erases_the_earlier_one(self, storage: Storage):
        await storage.record([facts.opened_account()], facts.OPERATOR, [an_email("glu_ada")])
        user = await storage.load(USER, "glu_ada")
        erased = PrivateRecord(subject="glu_ada", name="email", value=None)
        await storage.record([user.then((AccountDisabled(disabled_at=2),))], facts.OPERATOR, [erased])
        assert await storage.value("glu_ada", "email") is None
        assert await storage.find("email", "ada@example.com") is None
        await storage.record([facts.opened_account("glu_bob")], facts.OPERATOR, [an_email("glu_bob")])
        assert await storage.find("email", "ada@example.com") == "glu_bob"


def keys(page: ListPage[Any]) -> list[str]:
    return [item.key for item in page.items]


async def grants(storage: Storage, **opened_at: int) -> None:
    for key, second in opened_at.items():
        await storage.record([facts.opened(key, opened_at=second)], facts.OPERATOR)


async def test_a_list_without_items_is_empty(storage: Storage):
    assert await storage.clients() == ListPage(items=(), after=None)
    assert await storage.users() == ListPage(items=(), after=None)
    assert await storage.grants() == ListPage(items=(), after=None)


async def test_lists_are_in_the_order_of_opening_not_of_recording(storage: Storage):
    await grants(storage, middle=20, newest=30, oldest=10)
    assert keys(await storage.grants()) == ["newest", "middle", "oldest"]


async def test_clients_are_listed_by_their_registration(storage: Storage):
    for key, second in (("glc_a", 1), ("glc_c", 3), ("glc_b", 2)):
        event = replace(clients.REGISTERED, client_id=key, registered_at=second)
        await storage.record([Versioned(kind=CLIENT, key=key).then((event,))], facts.OPERATOR)
    assert keys(await storage.clients()) == ["glc_c", "glc_b", "glc_a"]


async def test_a_client_that_registers_again_is_the_newest(storage: Storage):
    for key, second in (("glc_a", 1), ("glc_b", 2)):
        event = replace(clients.REGISTERED, client_id=key, registered_at=second)
        await storage.record([Versioned(kind=CLIENT, key=key).then((event,))], facts.OPERATOR)
    again = replace(clients.REGISTERED, client_id="glc_a", registered_at=4)
    deleted = await storage.load(CLIENT, "glc_a")
    await storage.record([deleted.then((ClientDeleted(deleted_at=3), again))], facts.OPERATOR)
    assert keys(await storage.clients()) == ["glc_a", "glc_b"]


async def unused(storage: Storage, before: int = 10_000) -> list[str]:
    return [client.key for client in await storage.unused_clients(before)]


async def test_a_client_is_unused_until_a_user_allows_it_something(storage: Storage):
    await storage.record([facts.registered("glc_a"), facts.registered("glc_b")], facts.OPERATOR)
    await storage.record([facts.consented("glc_a")], facts.OPERATOR)
    assert await unused(storage) == ["glc_b"]


@pytest.mark.parametrize(("before", "count"), [(999, 0), (1_000, 1)])
async def test_only_clients_that_registered_by_then_are_unused(storage: Storage, before: int, count: int):
    await storage.record([facts.registered()], facts.OPERATOR)
    assert len(await unused(storage, before)) == count


@pytest.mark.parametrize("event", [clients.DISABLED, clients.APPROVED, clients.DELETED])
async def test_a_client_that_may_not_be_pruned_is_not_unused(storage: Storage, event: Struct):
    await storage.record([facts.registered()], facts.OPERATOR)
    await storage.record([(await storage.load(CLIENT, "glc_editor")).then((event,))], facts.OPERATOR)
    assert await unused(storage) == []


async def test_unused_clients_are_found_behind_many_that_are_used(storage: Storage):
    for number in range(MAX_PAGE + 1):
        client = f"glc_{number:03}"
        await storage.record([facts.registered(client), facts.consented(client)], facts.OPERATOR)
    await storage.record([facts.registered("glc_unused")], facts.OPERATOR)
    assert await unused(storage) == ["glc_unused"]


async def test_users_are_listed_by_the_opening_of_their_accounts(storage: Storage):
    for key, second in (("glu_a", 1), ("glu_c", 3), ("glu_b", 2)):
        event = AccountOpened(user_id=key, opened_at=second)
        await storage.record([Versioned(kind=USER, key=key).then((event,))], facts.OPERATOR)
    assert keys(await storage.users()) == ["glu_c", "glu_b", "glu_a"]


async def test_an_item_is_the_aggregate_as_it_is_now(storage: Storage):
    await grants(storage, grant=10)
    await storage.record([facts.revoked(await storage.load(GRANT, "grant"))], facts.OPERATOR)
    (item,) = (await storage.grants()).items
    assert item == await storage.load(GRANT, "grant")
    assert item.state is not None
    assert item.state.revoked == "test"


async def test_grants_are_found_by_client_by_user_and_by_both(storage: Storage):
    for key, client, user in (
        ("one", "glc_a", "glu_a"),
        ("two", "glc_b", "glu_a"),
        ("three", "glc_b", "glu_b"),
    ):
        change = facts.opened(key, client_id=client, user_id=user, opened_at=len(key))
        await storage.record([change], facts.OPERATOR)
    assert keys(await storage.grants(client_id="glc_b")) == ["three", "two"]
    assert keys(await storage.grants(user_id="glu_a")) == ["two", "one"]
    assert keys(await storage.grants(client_id="glc_b", user_id="glu_a")) == ["two"]
    assert keys(await storage.grants(client_id="glc_nobody")) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6])
async def test_all_pages_together_are_the_whole_list(storage: Storage, limit: int):
    await grants(storage, a=10, b=20, c=20, d=20, e=30)
    seen, after = [], None
    while True:
        page = await storage.grants(limit=limit, after=after)
        assert len(page.items) <= limit
        seen += keys(page)
        after = page.after
        if after is None:
            break
    assert seen == ["e", "d", "c", "b", "a"]


async def test_the_last_page_says_that_it_is_the_last(storage: Storage):
    await grants(storage, a=10, b=20)
    assert (await storage.grants(limit=2)).after is None
    assert (await storage.grants(limit=1)).after == "b"


async def test_new_items_move_nothing_from_one_page_to_another(storage: Storage):
    await grants(storage, a=10, b=20, c=30)
    first = await storage.grants(limit=2)
    await grants(storage, d=40)
    assert keys(first) == ["c", "b"]
    assert keys(await storage.grants(limit=2, after=first.after)) == ["a"]


async def test_a_page_after_an_unknown_key_is_empty(storage: Storage):
    await grants(storage, a=10)
    assert await storage.grants(after="nobody") == ListPage(items=(), after=None)


async def app_of(storage: Storage, *, now: int) -> AppFacts:
    (app,) = await storage.connected_apps("glu_ada", now=now)
    return app


async def test_an_app_has_its_usable_grants_counted(storage: Storage):
    await storage.record([facts.registered(), facts.consented()], facts.OPERATOR)
    for key, opened_at in (("one", 1_100), ("two", 1_000), ("three", 1_200)):
        await storage.record([facts.opened(key, opened_at=opened_at)], facts.OPERATOR)
    await storage.record([facts.refreshed(await storage.load(GRANT, "three"))], facts.OPERATOR)
    app = await app_of(storage, now=2_000)
    assert (app.connections, app.since, app.last_refresh) == (3, 1_000, 1_001)
    assert app.client.client_id == app.consent.client_id == "glc_editor"


async def test_an_app_without_grants_has_no_time_of_connection(storage: Storage):
    await storage.record([facts.registered(), facts.consented()], facts.OPERATOR)
    app = await app_of(storage, now=2_000)
    assert (app.connections, app.since, app.last_refresh) == (0, None, None)


@pytest.mark.parametrize(
    "end",
    [GrantRevoked(reason="test", revoked_at=1_500), AccessTokensRevoked(through_generation=0, revoked_at=1)],
)
async def test_an_app_whose_grant_has_ended_has_no_connection(storage: Storage, end: Struct):
    opened = facts.opened(refresh_expires_at=None)
    await storage.record([facts.registered(), facts.consented(), opened], facts.OPERATOR)
    await storage.record([(await storage.load(GRANT, "grant")).then((end,))], facts.OPERATOR)
    assert (await app_of(storage, now=2_000)).connections == 0


@pytest.mark.parametrize(("now", "connections"), [(605_799, 1), (605_800, 0)])
async def test_a_grant_is_a_connection_until_it_expires(storage: Storage, now: int, connections: int):
    await storage.record([facts.registered(), facts.consented(), facts.opened()], facts.OPERATOR)
    assert (await app_of(storage, now=now)).connections == connections


async def test_grants_of_another_registration_or_user_are_no_connections(storage: Storage):
    await storage.record([facts.registered(), facts.consented()], facts.OPERATOR)
    others = [facts.opened("one", client_registration=2), facts.opened("two", user_id="glu_eve")]
    await storage.record([*others, facts.opened()], facts.OPERATOR)
    assert (await app_of(storage, now=2_000)).connections == 1


async def test_the_most_recently_connected_app_comes_first(storage: Storage):
    for client, opened_at in (("glc_a", 1_000), ("glc_b", 3_000), ("glc_c", 2_000)):
        consent = facts.consented(client)
        grant = facts.opened(client, client_id=client, opened_at=opened_at)
        await storage.record([facts.registered(client), consent, grant], facts.OPERATOR)
    again = facts.opened("again", client_id="glc_a", opened_at=4_000)
    await storage.record([again], facts.OPERATOR)
    apps = await storage.connected_apps("glu_ada", now=5_000)
    assert [(app.client.client_id, app.since) for app in apps] == [
        ("glc_a", 1_000),
        ("glc_b", 3_000),
        ("glc_c", 2_000),
    ]


async def test_the_consents_of_a_user_are_listed_page_by_page(storage: Storage):
    for user, client in (("glu_a", "glc_a"), ("glu_a", "glc_b"), ("glu_b", "glc_a")):
        given = ConsentGiven(
            user_id=user,
            client_id=client,
            client_registration=1,
            redirect_host="client.example",
            resource="https://mcp.example/mcp",
            scopes=("openid",),
            given_at=1,
        )
        empty = Versioned(kind=CONSENT, key=consent_key(user, client))
        await storage.record([empty.then((given,))], facts.OPERATOR)
    first = await storage.consents("glu_a", limit=1)
    second = await storage.consents("glu_a", after=first.after, limit=1)
    listed = [item.state for page in (first, second) for item in page.items]
    assert {consent.client_id for consent in listed if consent} == {"glc_a", "glc_b"}
    assert second.after is None
