import asyncio
import re

import pytest

from grantledger.application.accounts.open_account import EmailTaken
from grantledger.application.provenance import by_operator
from grantledger.domain.email_address import EmailInvalid
from grantledger.domain.password import PasswordTooLong, PasswordTooShort
from grantledger.domain.user_account import AccountOpened
from support.storage import InterleavingLedger, nothing_recorded
from support.story import CALLER, EMAIL, PASSWORD, Story


async def test_an_account_is_remembered_with_the_operator_as_the_one_who_did_it(ledger, story):
    user_id = await story.open_account(EMAIL, PASSWORD, CALLER)
    assert ledger.events == [AccountOpened(user_id=user_id, opened_at=story.clock.now())]
    assert ledger.log[0].by == by_operator(CALLER)


async def test_a_user_id_is_recognisable_and_says_nothing_of_the_person(story):
    user_id = await story.open_account(EMAIL, PASSWORD, CALLER)
    assert re.fullmatch(r"glu_[A-Za-z0-9_-]{22}", user_id)


async def test_the_address_is_kept_beside_the_log(ledger, story):
    user_id = await story.open_account("  ADA@example.com ", PASSWORD, CALLER)
    assert await ledger.value(user_id, "email") == EMAIL


async def test_the_password_is_kept_beside_the_log_and_hashed(ledger, story):
    user_id = await story.open_account(EMAIL, PASSWORD, CALLER)
    assert await ledger.value(user_id, "password_hash") == await story.hasher.hash(PASSWORD)


async def test_the_account_is_found_by_its_address_only(ledger, story):
    user_id = await story.open_account(EMAIL, PASSWORD, CALLER)
    assert await ledger.find("email", EMAIL) == user_id
    assert await ledger.find("password_hash", await story.hasher.hash(PASSWORD)) is None


@pytest.mark.parametrize("again", [EMAIL, "ADA@EXAMPLE.COM", " ada@example.com"])
async def test_an_address_has_one_account(ledger, story, again):
    await story.open_account(EMAIL, PASSWORD, CALLER)
    with nothing_recorded(ledger), pytest.raises(EmailTaken):
        await story.open_account(again, PASSWORD, CALLER)


async def test_an_address_has_one_account_when_many_ask_for_it_at_once(ledger, story):
    racing = Story(InterleavingLedger(ledger), outside=story.outside)
    answers = await asyncio.gather(
        *(racing.open_account(EMAIL, PASSWORD, CALLER) for _ in range(20)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, EmailTaken)]
    assert (len(refused), len(ledger.events)) == (19, 1)


@pytest.mark.parametrize("email", ["", "ada", "@example.com", "ada@"])
async def test_refuses_what_is_no_address(ledger, story, email):
    with nothing_recorded(ledger), pytest.raises(EmailInvalid):
        await story.open_account(email, PASSWORD, CALLER)


async def test_refuses_a_password_of_seven_characters(ledger, story):
    with nothing_recorded(ledger), pytest.raises(PasswordTooShort):
        await story.open_account(EMAIL, "1234567", CALLER)


@pytest.mark.parametrize("password", ["x" * 1025, "\u00e9" * 513])
async def test_refuses_a_password_of_more_than_1024_bytes(ledger, story, password):
    with nothing_recorded(ledger), pytest.raises(PasswordTooLong):
        await story.open_account(EMAIL, password, CALLER)


@pytest.mark.parametrize("password", ["x" * 1024, "\u00e9" * 512, "e\u0301" * 512])
async def test_takes_a_password_of_1024_bytes_however_accents_are_written(story, password):
    assert await story.open_account(EMAIL, password, CALLER)


async def test_takes_a_password_of_eight_characters(story):
    assert await story.open_account(EMAIL, "12345678", CALLER)
