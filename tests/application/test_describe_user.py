import msgspec
import pytest

from fakes.memory_ledger import MemoryLedger
from grantledger.application.tokens.describe_user import DescribeUser, OpenidNotGranted
from grantledger.application.tokens.find_token import FindToken
from grantledger.application.tokens.look_up_session import LookUpSession
from grantledger.application.tokens.personal_claims import PersonalClaimsReader
from grantledger.domain.token_grant import AccessTokenHasEnded
from grantledger.domain.user_account import UserIsDisabled
from support.policies import a_policy
from support.requests import NOTES
from support.story import CALLER, EMAIL, PASSWORD


async def claims_of(story, tokens):
    return msgspec.to_builtins(await story.describe_user(tokens.access_token))


async def test_with_openid_alone_only_the_user_id_is_returned(story, client, ada):
    assert await claims_of(story, await story.tokens(client, ada, scope="openid")) == {"sub": ada.user_id}


async def test_with_email_the_address_is_returned_as_not_verified(story, client, ada):
    assert await claims_of(story, await story.tokens(client, ada, scope="openid email")) == {
        "sub": ada.user_id,
        "email": EMAIL,
        "email_verified": False,
    }


async def test_with_profile_the_name_is_returned(story, client):
    await story.open_account(EMAIL, PASSWORD, CALLER, name="Ada Lovelace")
    ada = await story.signs_in()
    tokens = await story.tokens(client, ada, scope="openid profile")
    assert await claims_of(story, tokens) == {"sub": ada.user_id, "name": "Ada Lovelace"}


async def test_with_profile_a_user_without_a_name_has_none(story, client, ada):
    tokens = await story.tokens(client, ada, scope="openid profile")
    assert await claims_of(story, tokens) == {"sub": ada.user_id}


async def test_without_openid_the_request_is_refused(story, client, ada):
    tokens = await story.tokens(client, ada, scope="email")
    with pytest.raises(OpenidNotGranted):
        await claims_of(story, tokens)


async def test_a_narrowed_token_returns_only_the_claims_of_its_scopes(story, client, ada):
    tokens = await story.tokens(client, ada, scope="openid email")
    assert await claims_of(story, await story.refreshes(client, tokens, scope="openid")) == {
        "sub": ada.user_id
    }


async def test_the_resource_of_the_token_does_not_matter(story, client, ada):
    tokens = await story.tokens(client, ada, scope="openid", resources=(NOTES,))
    assert await claims_of(story, tokens) == {"sub": ada.user_id}


async def test_an_erased_address_is_absent(ledger, story, client, ada):
    tokens = await story.tokens(client, ada, scope="openid email")
    look_up = LookUpSession(
        find_token=FindToken(ledger, story.sealer, story.outside.access_token_signer),
        personal_claims=PersonalClaimsReader(MemoryLedger()),
        clock=story.clock,
        policy=a_policy(),
        catalogue=story.catalogue,
    )
    erased = DescribeUser(look_up)
    assert msgspec.to_builtins(await erased(tokens.access_token)) == {"sub": ada.user_id}


async def test_an_expired_token_is_refused(story, client, ada):
    tokens = await story.tokens(client, ada, scope="openid")
    story.clock.advance(tokens.expires_in)
    with pytest.raises(AccessTokenHasEnded):
        await claims_of(story, tokens)


async def test_a_token_of_a_disabled_user_is_refused(story, client, ada):
    tokens = await story.tokens(client, ada, scope="openid")
    await story.disable_user(ada.user_id, CALLER)
    with pytest.raises(UserIsDisabled):
        await claims_of(story, tokens)
