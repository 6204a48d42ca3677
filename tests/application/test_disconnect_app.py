import asyncio
import random
from collections.abc import Sequence
from typing import Any, TypeVar

import pytest

from grantledger.application.authorization.resume_authorization import AskForConsent
from grantledger.application.ports import PrivateRecord
from grantledger.application.provenance import Provenance, by_user
from grantledger.application.use_cases import Storage
from grantledger.domain.aggregate import Change, Kind, Versioned
from grantledger.domain.authorization_code import ConsentWithdrawnSince
from grantledger.domain.consent import ConsentWithdrawn
from grantledger.domain.token_grant import GrantIsRevoked, GrantOpened, GrantRevoked
from support.storage import InterleavingLedger, nothing_recorded
from support.story import CALLER, PASSWORD, Story

S = TypeVar("S")


async def test_disconnecting_ends_every_token_at_once(story, client, ada):
    held = [await story.tokens(client, ada) for _ in range(3)]
    await story.disconnect_app(ada.user_id, client.client_id, CALLER)
    for tokens in held:
        with pytest.raises(GrantIsRevoked):
            await story.looks_up(tokens)
        with pytest.raises(GrantIsRevoked):
            await story.refreshes(client, tokens)


async def test_disconnecting_is_recorded_as_the_users_act(ledger, story, client, ada, tokens):
    before = len(ledger.log)
    await story.disconnect_app(ada.user_id, client.client_id, CALLER)
    now = story.clock.now()
    assert ledger.events[before:] == [
        ConsentWithdrawn(withdrawn_at=now),
        GrantRevoked(reason="revoked_by_user", revoked_at=now),
    ]
    assert ledger.log[-1].by == by_user(ada.user_id, CALLER)


async def test_a_disconnected_app_has_to_ask_again(story, client, ada, tokens):
    await story.disconnect_app(ada.user_id, client.client_id, CALLER)
    request = await story.asks(client, ada)
    assert isinstance(await story.resume_authorization(request, ada, CALLER), AskForConsent)


async def test_a_disconnected_app_can_be_connected_again(story, client, ada, tokens):
    await story.disconnect_app(ada.user_id, client.client_id, CALLER)
    assert await story.looks_up(await story.tokens(client, ada))


async def test_a_code_issued_before_the_disconnection_opens_no_grant(ledger, story, client, ada, code):
    await story.disconnect_app(ada.user_id, client.client_id, CALLER)
    with nothing_recorded(ledger), pytest.raises(ConsentWithdrawnSince):
        await story.redeems(client, code)


async def test_disconnecting_twice_records_one_event(ledger, story, client, ada, tokens):
    await story.disconnect_app(ada.user_id, client.client_id, CALLER)
    with nothing_recorded(ledger):
        await story.disconnect_app(ada.user_id, client.client_id, CALLER)


async def test_disconnecting_an_unknown_app_does_nothing(ledger, story, ada):
    with nothing_recorded(ledger):
        await story.disconnect_app(ada.user_id, "glc_unknown", CALLER)


async def test_other_apps_and_other_users_keep_what_they_have(story, client, ada, tokens):
    other = (await story.registers(client_name="Other")).client
    await story.open_account("eve@example.com", PASSWORD, CALLER)
    eves = await story.tokens(client, await story.signs_in("eve@example.com"))
    others = await story.tokens(other, ada)
    await story.disconnect_app(ada.user_id, client.client_id, CALLER)
    assert [await story.looks_up(kept) for kept in (eves, others)]


async def test_all_grants_end_even_if_they_fill_more_than_one_page(ledger, story, client, ada):
    for _ in range(205):
        await story.tokens(client, ada)
    await story.disconnect_app(ada.user_id, client.client_id, CALLER)
    revoked = [event for event in ledger.events if isinstance(event, GrantRevoked)]
    assert len(revoked) == 205


class DelayedLedger(InterleavingLedger):
    """A ledger that delays each call by a different time."""

    def __init__(self, inner: Storage, seed: int) -> None:
        super().__init__(inner)
        self._random = random.Random(seed)

    async def _delay(self) -> None:
        for _ in range(self._random.randrange(8)):
            await asyncio.sleep(0)

    async def load(self, kind: Kind[S], key: str) -> Versioned[S]:
        await self._delay()
        return await super().load(kind, key)

    async def record(
        self, changes: Sequence[Change[Any]], by: Provenance, private: Sequence[PrivateRecord] = ()
    ) -> None:
        await self._delay()
        await super().record(changes, by, private)


@pytest.mark.parametrize("seed", range(150))
async def test_a_code_redeemed_in_parallel_leaves_no_live_grant(ledger, story, client, ada, seed):
    """In any order of the two: once both have ended, no grant of the client is alive."""
    code = await story.code(client, ada)
    racing = Story(DelayedLedger(ledger, seed), outside=story.outside)
    disconnecting = racing.disconnect_app(ada.user_id, client.client_id, CALLER)
    await asyncio.gather(racing.redeems(client, code), disconnecting, return_exceptions=True)
    opened = [event for event in ledger.events if isinstance(event, GrantOpened)]
    revoked = [event for event in ledger.events if isinstance(event, GrantRevoked)]
    assert len(opened) == len(revoked)


async def test_all_apps_can_be_disconnected_in_one_call(story, client, ada, tokens):
    other = await story.tokens((await story.registers(client_name="Other")).client, ada)
    await story.disconnect_every_app(ada.user_id, CALLER)
    for held in (tokens, other):
        with pytest.raises(GrantIsRevoked):
            await story.looks_up(held)
    assert await story.list_connected_apps(ada.user_id) == ()


async def test_disconnecting_all_includes_an_app_with_a_code_and_no_grant(ledger, story, client, ada, code):
    await story.disconnect_every_app(ada.user_id, CALLER)
    with pytest.raises(ConsentWithdrawnSince):
        await story.redeems(client, code)


async def test_pages_of_ended_grants_do_not_hide_a_live_one(story, client, ada, tokens):
    other = (await story.registers(client_name="Other")).client
    for _ in range(205):
        await story.tokens(other, ada)
    await story.disconnect_app(ada.user_id, other.client_id, CALLER)
    (app,) = await story.list_connected_apps(ada.user_id)
    assert app.client == client
    await story.disconnect_every_app(ada.user_id, CALLER)
    with pytest.raises(GrantIsRevoked):
        await story.looks_up(tokens)
