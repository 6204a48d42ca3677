from collections.abc import Collection, Mapping

import pytest

from fakes.memory_ledger import MemoryLedger
from grantledger.application.tokens.personal_claims import PersonalClaims, PersonalClaimsReader
from grantledger.domain.aggregate import Versioned
from grantledger.domain.user_account import USER
from support.story import CALLER, EMAIL, PASSWORD

SCOPES = ("openid", "email", "profile")


class CountedReads(MemoryLedger):
    """The private records of another ledger, with every read counted."""

    def __init__(self, ledger: MemoryLedger) -> None:
        super().__init__()
        self.__dict__ = ledger.__dict__
        self.reads: list[str] = []

    async def values(self, subject: str, names: Collection[str]) -> Mapping[str, str]:
        self.reads.append(subject)
        return await super().values(subject, names)


@pytest.fixture
async def ada(story):
    return await story.open_account(EMAIL, PASSWORD, CALLER, name="Ada")


@pytest.fixture
def counted(ledger: MemoryLedger) -> CountedReads:
    return CountedReads(ledger)


async def test_a_user_is_read_once_while_the_account_stays_the_same(ledger, ada, counted):
    read = PersonalClaimsReader(counted)
    for _ in range(3):
        assert await read(await ledger.load(USER, ada), SCOPES) == PersonalClaims(name="Ada", email=EMAIL)
    assert counted.reads == [ada]


async def test_a_name_that_was_changed_is_returned_at_once(ledger, story, ada, counted):
    read = PersonalClaimsReader(counted)
    await read(await ledger.load(USER, ada), SCOPES)
    await story.set_name(ada, "Ada Lovelace", CALLER)
    assert (await read(await ledger.load(USER, ada), SCOPES)).name == "Ada Lovelace"


@pytest.mark.parametrize(
    ("scopes", "claims"),
    [
        (("openid",), PersonalClaims()),
        (("email",), PersonalClaims(email=EMAIL)),
        (("profile",), PersonalClaims(name="Ada")),
    ],
)
async def test_only_what_the_scopes_grant_is_returned(ledger, ada, counted, scopes, claims):
    read = PersonalClaimsReader(counted)
    await read(await ledger.load(USER, ada), SCOPES)
    assert await read(await ledger.load(USER, ada), scopes) == claims


async def test_at_most_1024_users_are_kept(counted):
    read = PersonalClaimsReader(counted)
    users = [Versioned(kind=USER, key=f"glu_{number}", version=1) for number in range(1_025)]
    for user in users:
        await read(user, SCOPES)
    await read(users[-1], SCOPES)
    assert len(counted.reads) == 1_025
    await read(users[0], SCOPES)
    assert len(counted.reads) == 1_026
