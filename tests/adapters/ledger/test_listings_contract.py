"""What every adapter of the lists keeps to: newest first, a page at a time, nothing left out."""

from typing import Any

import pytest
from msgspec.structs import replace

from adapters.ledger import facts
from grantledger.application.ports import Page
from grantledger.application.use_cases import Storage
from grantledger.domain.aggregate import Versioned
from grantledger.domain.client_registration import CLIENT, ClientDeleted
from grantledger.domain.consent import CONSENT, ConsentGiven, consent_key
from grantledger.domain.token_grant import GRANT
from grantledger.domain.user_account import USER, AccountOpened
from support import clients


def keys(page: Page[Any]) -> list[str]:
    return [item.key for item in page.items]


async def grants(storage: Storage, **opened_at: int) -> None:
    for key, second in opened_at.items():
        await storage.record([facts.opened(key, opened_at=second)], facts.SOMEBODY)


async def test_where_there_is_nothing_a_list_is_empty(storage: Storage):
    assert await storage.clients() == Page(items=(), after=None)
    assert await storage.users() == Page(items=(), after=None)
    assert await storage.grants() == Page(items=(), after=None)


async def test_the_newest_comes_first_whatever_was_recorded_first(storage: Storage):
    await grants(storage, middle=20, newest=30, oldest=10)
    assert keys(await storage.grants()) == ["newest", "middle", "oldest"]


async def test_clients_are_listed_by_their_registration(storage: Storage):
    for key, second in (("glc_a", 1), ("glc_c", 3), ("glc_b", 2)):
        event = replace(clients.REGISTERED, client_id=key, registered_at=second)
        await storage.record([Versioned(kind=CLIENT, key=key).then((event,))], facts.SOMEBODY)
    assert keys(await storage.clients()) == ["glc_c", "glc_b", "glc_a"]


async def test_a_client_that_registers_again_is_the_newest(storage: Storage):
    for key, second in (("glc_a", 1), ("glc_b", 2)):
        event = replace(clients.REGISTERED, client_id=key, registered_at=second)
        await storage.record([Versioned(kind=CLIENT, key=key).then((event,))], facts.SOMEBODY)
    again = replace(clients.REGISTERED, client_id="glc_a", registered_at=4)
    deleted = await storage.load(CLIENT, "glc_a")
    await storage.record([deleted.then((ClientDeleted(deleted_at=3), again))], facts.SOMEBODY)
    assert keys(await storage.clients()) == ["glc_a", "glc_b"]


async def test_users_are_listed_by_the_opening_of_their_accounts(storage: Storage):
    for key, second in (("glu_a", 1), ("glu_c", 3), ("glu_b", 2)):
        event = AccountOpened(user_id=key, opened_at=second)
        await storage.record([Versioned(kind=USER, key=key).then((event,))], facts.SOMEBODY)
    assert keys(await storage.users()) == ["glu_c", "glu_b", "glu_a"]


async def test_an_item_is_the_aggregate_as_it_is_now(storage: Storage):
    await grants(storage, grant=10)
    await storage.record([facts.revoked(await storage.load(GRANT, "grant"))], facts.SOMEBODY)
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
        await storage.record([change], facts.SOMEBODY)
    assert keys(await storage.grants(client_id="glc_b")) == ["three", "two"]
    assert keys(await storage.grants(user_id="glu_a")) == ["two", "one"]
    assert keys(await storage.grants(client_id="glc_b", user_id="glu_a")) == ["two"]
    assert keys(await storage.grants(client_id="glc_nobody")) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6])
async def test_pages_together_are_the_whole_list_also_where_several_began_at_once(
    storage: Storage, limit: int
):
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


async def test_what_begins_meanwhile_moves_nothing_from_one_page_to_another(storage: Storage):
    await grants(storage, a=10, b=20, c=30)
    first = await storage.grants(limit=2)
    await grants(storage, d=40)
    assert keys(first) == ["c", "b"]
    assert keys(await storage.grants(limit=2, after=first.after)) == ["a"]


async def test_behind_an_unknown_key_there_is_nothing(storage: Storage):
    await grants(storage, a=10)
    assert await storage.grants(after="nobody") == Page(items=(), after=None)


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
        await storage.record([empty.then((given,))], facts.SOMEBODY)
    first = await storage.consents("glu_a", limit=1)
    second = await storage.consents("glu_a", after=first.after, limit=1)
    listed = [item.state for page in (first, second) for item in page.items]
    assert {consent.client_id for consent in listed if consent} == {"glc_a", "glc_b"}
    assert second.after is None
