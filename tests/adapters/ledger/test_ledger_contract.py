"""What every adapter of the storage ports keeps to."""

import asyncio
from typing import Any

import pytest

from adapters.ledger import facts
from grantledger.application.ports import Conflict, PrivateRecord
from grantledger.application.use_cases import Storage
from grantledger.domain.aggregate import Versioned
from grantledger.domain.authorization_code import CODE
from grantledger.domain.client_registration import CLIENT, ClientDisabled
from grantledger.domain.token_grant import GRANT
from grantledger.domain.user_account import USER, AccountDisabled, AccountOpened


def an_email(subject: str, address: str = "ada@example.com") -> PrivateRecord:
    return PrivateRecord(subject=subject, name="email", value=address, lookup=address)


class TestLedger:
    async def test_a_stream_to_which_nothing_has_happened_is_at_version_0(self, storage: Storage):
        assert await storage.load(USER, "glu_ada") == Versioned(kind=USER, key="glu_ada")

    async def test_what_was_recorded_is_loaded(self, storage: Storage):
        change = facts.issued()
        await storage.record([change], facts.SOMEBODY)
        assert await storage.load(CODE, "code") == Versioned(kind=CODE, key="code").evolved(change.events)

    async def test_several_events_of_one_change_are_all_recorded(self, storage: Storage):
        opened, disabled = AccountOpened(user_id="glu_ada", opened_at=1), AccountDisabled(disabled_at=2)
        await storage.record([Versioned(kind=USER, key="glu_ada").then((opened, disabled))], facts.SOMEBODY)
        account = await storage.load(USER, "glu_ada")
        assert (account.version, account.state and account.state.disabled) == (2, True)

    async def test_a_stream_goes_on_from_where_it_was_loaded(self, storage: Storage):
        await storage.record([facts.opened()], facts.SOMEBODY)
        await storage.record([facts.refreshed(await storage.load(GRANT, "grant"))], facts.SOMEBODY)
        await storage.record([facts.revoked(await storage.load(GRANT, "grant"))], facts.SOMEBODY)
        grant = await storage.load(GRANT, "grant")
        assert (grant.version, grant.state and grant.state.revoked) == (3, "test")

    async def test_one_key_of_two_kinds_is_two_streams(self, storage: Storage):
        await storage.record([facts.opened("same")], facts.SOMEBODY)
        assert (await storage.load(CODE, "same")).version == 0

    async def test_changes_of_several_streams_are_recorded_together(self, storage: Storage):
        await storage.record([facts.issued(), facts.opened()], facts.SOMEBODY)
        assert [(await storage.load(CODE, "code")).version, (await storage.load(GRANT, "grant")).version] == [
            1,
            1,
        ]

    async def test_records_all_changes_or_none(self, storage: Storage):
        await storage.record([facts.opened()], facts.SOMEBODY)
        with pytest.raises(Conflict):
            await storage.record([facts.issued(), facts.opened()], facts.SOMEBODY)
        assert (await storage.load(CODE, "code")).version == 0

    async def test_a_change_of_what_somebody_else_has_changed_conflicts(self, storage: Storage):
        await storage.record([facts.opened()], facts.SOMEBODY)
        seen = await storage.load(GRANT, "grant")
        await storage.record([facts.refreshed(seen)], facts.SOMEBODY)
        with pytest.raises(Conflict):
            await storage.record([facts.revoked(seen)], facts.SOMEBODY)

    async def test_a_change_of_a_version_that_is_yet_to_come_conflicts(self, storage: Storage):
        await storage.record([facts.opened()], facts.SOMEBODY)
        seen = await storage.load(GRANT, "grant")
        ahead = seen.evolved(facts.refreshed(seen).events)
        with pytest.raises(Conflict):
            await storage.record([facts.revoked(ahead)], facts.SOMEBODY)

    async def test_two_changes_of_one_stream_in_one_call_conflict(self, storage: Storage):
        with pytest.raises(Conflict):
            await storage.record([facts.opened(), facts.opened()], facts.SOMEBODY)

    async def test_of_many_at_once_one_changes_the_stream(self, storage: Storage):
        attempts = [storage.record([facts.opened(), facts.issued(f"{n}")], facts.SOMEBODY) for n in range(50)]
        outcomes = await asyncio.gather(*attempts, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes].count(Conflict) == 49
        codes = [(await storage.load(CODE, f"{n}")).version for n in range(50)]
        assert sum(codes) == 1

    async def test_a_change_without_events_records_nothing(self, storage: Storage):
        await storage.record([Versioned(kind=USER, key="glu_ada").then(())], facts.SOMEBODY)
        assert (await storage.load(USER, "glu_ada")).version == 0

    async def test_a_transaction_gives_one_code(self, storage: Storage):
        await storage.record([facts.issued("one", transaction_id="same")], facts.SOMEBODY)
        with pytest.raises(Conflict):
            await storage.record([facts.issued("two", transaction_id="same")], facts.SOMEBODY)
        assert (await storage.load(CODE, "two")).version == 0

    async def test_a_conflict_keeps_the_private_records_out_too(self, storage: Storage):
        await storage.record([facts.opened_account()], facts.SOMEBODY)
        with pytest.raises(Conflict):
            await storage.record([facts.opened_account()], facts.SOMEBODY, [an_email("glu_ada")])
        assert await storage.value("glu_ada", "email") is None


class TestGrantReader:
    async def test_there_is_no_standing_of_a_grant_that_was_never_opened(self, storage: Storage):
        assert await storage.standing("grant") is None

    async def test_a_grant_is_read_with_its_client_and_its_user(self, storage: Storage):
        changes: list[Any] = [facts.registered(), facts.opened_account(), facts.opened()]
        await storage.record(changes, facts.SOMEBODY)
        standing = await storage.standing("grant")
        assert standing is not None
        assert standing.grant == await storage.load(GRANT, "grant")
        assert standing.client == (await storage.load(CLIENT, "glc_editor")).state
        assert standing.user == (await storage.load(USER, "glu_ada")).state

    async def test_who_was_disabled_since_is_read_as_disabled(self, storage: Storage):
        await storage.record([facts.registered(), facts.opened_account(), facts.opened()], facts.SOMEBODY)
        client, user = await storage.load(CLIENT, "glc_editor"), await storage.load(USER, "glu_ada")
        await storage.record([client.then((ClientDisabled(disabled_at=2),))], facts.SOMEBODY)
        await storage.record([user.then((AccountDisabled(disabled_at=2),))], facts.SOMEBODY)
        standing = await storage.standing("grant")
        assert standing is not None
        assert standing.client is not None
        assert standing.user is not None
        assert (standing.client.disabled, standing.user.disabled) == (True, True)

    async def test_a_client_or_user_that_is_not_there_is_none(self, storage: Storage):
        await storage.record([facts.opened()], facts.SOMEBODY)
        standing = await storage.standing("grant")
        assert standing is not None
        assert (standing.client, standing.user) == (None, None)


class TestTransactionReader:
    async def test_a_transaction_is_spent_when_it_has_given_its_code(self, storage: Storage):
        assert not await storage.is_spent("transaction")
        await storage.record([facts.issued(transaction_id="transaction")], facts.SOMEBODY)
        assert await storage.is_spent("transaction")
        assert not await storage.is_spent("another")


class TestPrivateRecords:
    async def test_a_value_is_read_back_by_subject_and_name(self, storage: Storage):
        await storage.record([facts.opened_account()], facts.SOMEBODY, [an_email("glu_ada")])
        assert await storage.value("glu_ada", "email") == "ada@example.com"
        assert await storage.value("glu_ada", "password_hash") is None
        assert await storage.value("glu_bob", "email") is None

    async def test_a_subject_is_found_by_lookup(self, storage: Storage):
        await storage.record([facts.opened_account()], facts.SOMEBODY, [an_email("glu_ada")])
        assert await storage.find("email", "ada@example.com") == "glu_ada"
        assert await storage.find("email", "bob@example.com") is None
        assert await storage.find("password_hash", "ada@example.com") is None

    async def test_a_record_without_lookup_is_not_found(self, storage: Storage):
        secret = PrivateRecord(subject="glu_ada", name="password_hash", value="hash")
        await storage.record([facts.opened_account()], facts.SOMEBODY, [secret])
        assert await storage.find("password_hash", "hash") is None

    async def test_two_subjects_do_not_share_a_lookup(self, storage: Storage):
        await storage.record([facts.opened_account()], facts.SOMEBODY, [an_email("glu_ada")])
        with pytest.raises(Conflict):
            await storage.record([facts.opened_account("glu_bob")], facts.SOMEBODY, [an_email("glu_bob")])
        assert (await storage.load(USER, "glu_bob")).version == 0

    async def test_a_later_record_of_the_name_takes_the_place_of_the_first(self, storage: Storage):
        await storage.record([facts.opened_account()], facts.SOMEBODY, [an_email("glu_ada")])
        user = await storage.load(USER, "glu_ada")
        moved = an_email("glu_ada", "ada@example.org")
        await storage.record([user.then((AccountDisabled(disabled_at=2),))], facts.SOMEBODY, [moved])
        assert await storage.value("glu_ada", "email") == "ada@example.org"
        assert await storage.find("email", "ada@example.com") is None

    async def test_a_record_without_a_value_erases_what_was_kept(self, storage: Storage):
        await storage.record([facts.opened_account()], facts.SOMEBODY, [an_email("glu_ada")])
        user = await storage.load(USER, "glu_ada")
        erased = PrivateRecord(subject="glu_ada", name="email", value=None)
        await storage.record([user.then((AccountDisabled(disabled_at=2),))], facts.SOMEBODY, [erased])
        assert await storage.value("glu_ada", "email") is None
        assert await storage.find("email", "ada@example.com") is None
        await storage.record([facts.opened_account("glu_bob")], facts.SOMEBODY, [an_email("glu_bob")])
        assert await storage.find("email", "ada@example.com") == "glu_bob"
