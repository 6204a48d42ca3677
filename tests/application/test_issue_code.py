import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from grantledger.application.authorization.issue_code import IssuedCode
from grantledger.application.provenance import by_user
from grantledger.domain.authorization_code import CODE, CodeIssued
from grantledger.domain.authorization_request import (
    AlreadyConnected,
    SignInNeeded,
    TransactionExpired,
    TransactionSpent,
)
from grantledger.domain.client_registration import ClientIsDisabled, ClientUnknown
from grantledger.domain.consent import ConsentGiven
from grantledger.domain.user_account import UserIsDisabled
from support.clients import HTTPS
from support.codes import CHALLENGE
from support.policies import a_policy
from support.requests import NOTES
from support.storage import InterleavingLedger, InterruptedLedger, nothing_recorded
from support.story import CALLER, PASSWORD, Story


async def test_a_code_event_holds_all_that_was_consented_to(ledger, story, client, ada):
    request = await story.asks(client, ada, scope="openid notes:read", resources=(NOTES,))
    await story.issue_code(request, ada, CALLER, consent_given=True)
    now = story.clock.now()
    assert ledger.events[-1] == CodeIssued(
        transaction_id=request.transaction_id,
        client_id=client.client_id,
        client_registration=1,
        user_id=ada.user_id,
        session_id=ada.session_id,
        redirect_uri=HTTPS,
        scopes=("openid", "notes:read"),
        resource=NOTES,
        code_challenge=CHALLENGE,
        issued_at=now,
        expires_at=now + 600,
        auth_time=now,
    )


async def test_the_ledger_knows_a_code_by_its_transaction_alone(ledger, story, client, ada):
    request = await story.asks(client)
    issued = await story.issue_code(request, ada, CALLER, consent_given=True)
    stream_id = ledger.log[-1].stream_id
    assert stream_id == f"code:{request.transaction_id}"
    assert issued.code not in repr(ledger.log)


async def test_issuing_is_recorded_as_the_users_act(ledger, client, ada, code):
    assert ledger.log[-1].by == by_user(ada.user_id, CALLER)


async def test_code_and_consent_are_recorded_together(ledger, story, client, ada):
    request = await story.asks(client)
    before = len(ledger.log)
    await story.issue_code(request, ada, CALLER, consent_given=True)
    assert [type(event) for event in ledger.events[before:]] == [ConsentGiven, CodeIssued]


async def test_consent_that_is_recorded_already_is_not_recorded_again(ledger, story, client, ada, code):
    before = len(ledger.log)
    await story.code(client, ada)
    assert [type(event) for event in ledger.events[before:]] == [CodeIssued]


# one transaction, one code


async def test_consent_sent_twice_gets_the_same_code_twice(ledger, story, client, ada):
    request = await story.asks(client)
    first = await story.issue_code(request, ada, CALLER, consent_given=True)
    with nothing_recorded(ledger):
        assert await story.issue_code(request, ada, CALLER, consent_given=True) == first


async def test_parallel_submissions_of_consent_get_the_same_code(ledger, story, client, ada):
    request = await story.asks(client)
    firsts: list[IssuedCode] = []

    async def first():
        firsts.append(await story.issue_code(request, ada, CALLER, consent_given=True))

    racing = Story(InterruptedLedger(ledger, first), outside=story.outside)
    again = await racing.issue_code(request, ada, CALLER, consent_given=True)
    assert firsts == [again]


@pytest.mark.parametrize("ending", ["sign_out_everywhere", "set_password", "sign_out"])
async def test_a_session_that_ends_during_the_consent_gives_no_code(ledger, story, client, ada, ending):
    request = await story.asks(client)

    async def end():
        match ending:
            case "sign_out_everywhere":
                await story.sign_out_everywhere(ada.user_id, CALLER)
            case "set_password":
                await story.set_password(ada.user_id, "another long password", CALLER)
            case "sign_out":
                await story.sign_out(ada, CALLER)

    racing = Story(InterruptedLedger(ledger, end), outside=story.outside)
    with pytest.raises(SignInNeeded):
        await racing.issue_code(request, ada, CALLER, consent_given=True)
    assert not any(isinstance(event, ConsentGiven | CodeIssued) for event in ledger.events)


async def test_a_client_disabled_during_the_consent_gets_no_code(ledger, story, client, ada):
    request = await story.asks(client)
    racing = Story(
        InterruptedLedger(ledger, lambda: story.disable_client(client.client_id, CALLER)),
        outside=story.outside,
    )
    with pytest.raises(ClientIsDisabled):
        await racing.issue_code(request, ada, CALLER, consent_given=True)
    assert not any(isinstance(event, CodeIssued) for event in ledger.events)


async def test_a_user_disabled_during_the_consent_gets_no_code(ledger, story, client, ada):
    request = await story.asks(client)
    racing = Story(
        InterruptedLedger(ledger, lambda: story.disable_user(ada.user_id, CALLER)), outside=story.outside
    )
    with pytest.raises(UserIsDisabled):
        await racing.issue_code(request, ada, CALLER, consent_given=True)
    assert not any(isinstance(event, ConsentGiven) for event in ledger.events)


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_a_redeemed_code_is_not_sent_again(ledger, story, client, ada, is_deleted):
    """The log still shows the redemption after the row of the code was deleted."""
    request = await story.asks(client)
    await story.redeems(client, (await story.issue_code(request, ada, CALLER, consent_given=True)).code)
    if is_deleted:
        ledger.forget(CODE, request.transaction_id)
    with nothing_recorded(ledger), pytest.raises(AlreadyConnected):
        await story.issue_code(request, ada, CALLER, consent_given=True)


def spent_alone() -> Any:
    """Expect `TransactionSpent` itself, not the subclass for an app that is connected."""
    return pytest.raises(TransactionSpent, check=lambda refusal: type(refusal) is TransactionSpent)


async def test_a_code_is_not_sent_to_another_user(ledger, story, client, ada):
    request = await story.asks(client)
    await story.issue_code(request, ada, CALLER, consent_given=True)
    await story.open_account("eve@example.com", PASSWORD, CALLER)
    eve = await story.signs_in("eve@example.com")
    with nothing_recorded(ledger), spent_alone():
        await story.issue_code(request, eve, CALLER, consent_given=True)


async def test_an_expired_code_is_not_sent_again(ledger, client, ada):
    hasty = Story(ledger, a_policy(code_lifetime=5))
    request = await hasty.asks(client)
    await hasty.issue_code(request, ada, CALLER, consent_given=True)
    hasty.clock.advance(5)
    with spent_alone():
        await hasty.issue_code(request, ada, CALLER, consent_given=True)


async def test_a_transaction_whose_code_was_deleted_gives_no_second_one(ledger, story, client, ada):
    request = await story.asks(client)
    await story.issue_code(request, ada, CALLER, consent_given=True)
    ledger.forget(CODE, request.transaction_id)
    with nothing_recorded(ledger), spent_alone():
        await story.issue_code(request, ada, CALLER, consent_given=True)


async def test_twenty_parallel_submissions_give_one_code(ledger, story, client, ada):
    racing = Story(InterleavingLedger(ledger), outside=story.outside)
    request = await story.asks(client)
    answers = await asyncio.gather(
        *(racing.issue_code(request, ada, CALLER, consent_given=True) for _ in range(20))
    )
    issued = [event for event in ledger.events if isinstance(event, CodeIssued)]
    assert len(issued) == 1
    assert answers == [answers[0]] * 20


async def test_a_transaction_stays_spent_after_its_code_is_redeemed(story, client, ada):
    request = await story.asks(client)
    issued = await story.issue_code(request, ada, CALLER, consent_given=True)
    await story.redeems(client, issued.code)
    with pytest.raises(TransactionSpent):
        await story.issue_code(request, ada, CALLER, consent_given=True)


async def test_two_tabs_are_two_transactions(story, client, ada):
    one, other = await story.asks(client), await story.asks(client)
    codes = {
        (await story.issue_code(request, ada, CALLER, consent_given=True)).code for request in (one, other)
    }
    assert len(codes) == 2


async def test_two_tabs_answered_in_parallel_get_a_code_each(ledger, story, client, ada):
    racing = Story(InterleavingLedger(ledger), outside=story.outside)
    requests = [await story.asks(client) for _ in range(8)]
    issued = await asyncio.gather(
        *(racing.issue_code(request, ada, CALLER, consent_given=True) for request in requests)
    )
    assert len({answer.code for answer in issued}) == 8


# clients and users that were disabled or deleted meanwhile


async def test_no_code_for_a_client_that_was_disabled_since(ledger, story, client, ada):
    request = await story.asks(client)
    await story.disable_client(client.client_id, CALLER)
    with nothing_recorded(ledger), pytest.raises(ClientIsDisabled):
        await story.issue_code(request, ada, CALLER, consent_given=True)


@pytest.mark.parametrize("registers_again", [False, True])
async def test_no_code_for_a_client_that_was_deleted_since(ledger, story, client, ada, registers_again):
    request = await story.asks(client)
    await story.delete_client(client.client_id, CALLER)
    if registers_again:
        await story.registers()
    with nothing_recorded(ledger), pytest.raises(ClientUnknown):
        await story.issue_code(request, ada, CALLER, consent_given=True)


async def test_no_code_for_a_user_who_was_disabled_since(ledger, story, client, ada):
    request = await story.asks(client)
    await story.disable_user(ada.user_id, CALLER)
    with nothing_recorded(ledger), pytest.raises(UserIsDisabled):
        await story.issue_code(request, ada, CALLER, consent_given=True)


async def test_no_code_for_an_unknown_user(ledger, story, client, ada):
    request = await story.asks(client)
    with nothing_recorded(ledger), pytest.raises(UserIsDisabled):
        await story.issue_code(request, replace(ada, user_id="glu_unknown"), CALLER, consent_given=True)


async def test_no_code_for_an_unknown_client(ledger, story, client, ada):
    request = replace(await story.asks(client), client_id="glc_unknown")
    with nothing_recorded(ledger), pytest.raises(ClientUnknown):
        await story.issue_code(request, ada, CALLER, consent_given=True)


async def test_no_code_from_the_second_of_the_requests_expiry_on(ledger, story, client, ada):
    request = await story.asks(client)
    story.clock.advance(600)
    with nothing_recorded(ledger), pytest.raises(TransactionExpired):
        await story.allows(request, replace(ada, expires_at=10**10))
