import asyncio
import re

import pytest

from grantledger.application.accounts.open_account import EmailTaken
from grantledger.application.provenance import by_operator
from grantledger.domain.email_address import EmailInvalid
from grantledger.domain.password import (
    PasswordIsAddress,
    PasswordTooCommon,
    PasswordTooLong,
    PasswordTooShort,
)
from grantledger.domain.person_name import NameInvalid
from grantledger.domain.user_account import AccountOpened
from support.storage import InterleavingLedger, nothing_recorded
from support.story import CALLER, EMAIL, PASSWORD, Story


async def test_opening_an_account_is_recorded_as_the_operators_act(ledger, story):
    user_id = await story.open_account(EMAIL, PASSWORD, CALLER)
    assert ledger.events == [AccountOpened(user_id=user_id, opened_at=story.clock.now())]
    assert ledger.log[0].by == by_operator(CALLER)


async def test_a_user_id_is_a_prefix_and_random_characters(story):
    user_id = await story.open_account(EMAIL, PASSWORD, CALLER)
    assert re.fullmatch(r"glu_[A-Za-z0-9_-]{22}", user_id)


async def test_the_address_is_a_private_record_as_it_was_typed(ledger, story):
    user_id = await story.open_account("  ADA@Example.com ", PASSWORD, CALLER)
    assert await ledger.value(user_id, "email") == "ADA@Example.com"
    assert await ledger.value(user_id, "email_key") == EMAIL


async def test_two_mailboxes_are_two_accounts(story):
    one = await story.open_account("stra\u00dfe@example.com", PASSWORD, CALLER)
    assert await story.open_account("strasse@example.com", PASSWORD, CALLER) != one


async def test_the_password_hash_is_a_private_record(ledger, story):
    user_id = await story.open_account(EMAIL, PASSWORD, CALLER)
    assert await ledger.value(user_id, "password_hash") == await story.hasher.hash(PASSWORD)


async def test_the_name_is_a_private_record_and_in_no_event(ledger, story):
    user_id = await story.open_account(EMAIL, PASSWORD, CALLER, name="  Ada Lovelace ")
    assert await ledger.value(user_id, "name") == "Ada Lovelace"
    assert "Lovelace" not in repr(ledger.events)


async def test_without_a_name_no_name_is_kept(ledger, story):
    user_id = await story.open_account(EMAIL, PASSWORD, CALLER, name=" ")
    assert await ledger.value(user_id, "name") is None


async def test_no_account_is_opened_with_a_name_that_cannot_be_shown(ledger, story):
    with nothing_recorded(ledger), pytest.raises(NameInvalid):
        await story.open_account(EMAIL, PASSWORD, CALLER, name="Ada\x1b[31m")


async def test_an_account_is_found_by_its_address_but_not_its_password_hash(ledger, story):
    user_id = await story.open_account(EMAIL, PASSWORD, CALLER)
    assert await ledger.find("email_key", EMAIL) == user_id
    assert await ledger.find("password_hash", await story.hasher.hash(PASSWORD)) is None


@pytest.mark.parametrize("again", [EMAIL, "ADA@EXAMPLE.COM", " ada@example.com"])
async def test_an_address_has_one_account_however_it_is_written(ledger, story, again):
    await story.open_account(EMAIL, PASSWORD, CALLER)
    with nothing_recorded(ledger), pytest.raises(EmailTaken):
        await story.open_account(again, PASSWORD, CALLER)


async def test_parallel_requests_open_one_account_for_an_address(ledger, story):
    racing = Story(InterleavingLedger(ledger), outside=story.outside)
    answers = await asyncio.gather(
        *(racing.open_account(EMAIL, PASSWORD, CALLER) for _ in range(20)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, EmailTaken)]
    assert (len(refused), len(ledger.events)) == (19, 1)


@pytest.mark.parametrize("email", ["", "ada", "@example.com", "ada@"])
async def test_no_account_is_opened_with_an_invalid_address(ledger, story, email):
    with nothing_recorded(ledger), pytest.raises(EmailInvalid):
        await story.open_account(email, PASSWORD, CALLER)


@pytest.mark.parametrize(
    ("password", "refusal"),
    [
        ("short", PasswordTooShort),
        ("x" * 1025, PasswordTooLong),
        ("aaaaaaaaaaaa", PasswordTooCommon),
        ("password2026", PasswordTooCommon),
        (EMAIL.upper(), PasswordIsAddress),
    ],
)
async def test_no_account_is_opened_with_a_forbidden_password(ledger, story, password, refusal):
    with nothing_recorded(ledger), pytest.raises(refusal):
        await story.open_account(EMAIL, password, CALLER)
