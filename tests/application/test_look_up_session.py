from collections.abc import Collection, Mapping

import pytest
from msgspec.structs import replace

from fakes.memory_ledger import MemoryLedger
from grantledger.application.ports import TokenClaims, Unavailable
from grantledger.application.provenance import by_operator
from grantledger.application.tokens.find_token import FindToken
from grantledger.application.tokens.look_up_session import (
    AccessTokenForAnotherResource,
    AccessTokenUnknown,
    LookUpSession,
)
from grantledger.application.tokens.mcp_session import McpSession, SessionUser
from grantledger.application.tokens.personal_claims import PersonalClaimsReader
from grantledger.domain.aggregate import Versioned
from grantledger.domain.client_registration import ClientIsDisabled, ClientUnknown
from grantledger.domain.resource_indicator import Resource
from grantledger.domain.token_grant import (
    GRANT,
    AccessTokenHasEnded,
    GrantHasExpired,
    GrantIsRevoked,
)
from grantledger.domain.user_account import UserIsDisabled
from support.grants import OPENED
from support.policies import POLICY, a_policy
from support.requests import MCP, NOTES
from support.storage import nothing_recorded
from support.story import CALLER, EMAIL, PASSWORD, Story


async def test_returns_user_client_scopes_resource_and_expiry(story, client, ada):
    tokens = await story.tokens(client, ada, scope="openid notes:read", resources=(NOTES,))
    assert await story.looks_up(tokens) == McpSession(
        access_token=tokens.access_token,
        user_id=ada.user_id,
        client_id=client.client_id,
        scopes=("openid", "notes:read"),
        resource=NOTES,
        expires_at=story.clock.now() + 3_600,
        claims={
            "iss": POLICY.issuer,
            "sub": ada.user_id,
            "aud": NOTES,
            "client_id": client.client_id,
            "scope": "openid notes:read",
            "iat": story.clock.now(),
            "exp": story.clock.now() + 3_600,
        },
        grant_id=story.sealer.read(tokens.access_token).claims.grant_id,
    )


class UnreadablePrivateRecords(MemoryLedger):
    async def values(self, subject: str, names: Collection[str]) -> Mapping[str, str]:
        raise AssertionError(f"{names} of {subject} were read")


async def test_with_email_and_profile_the_session_names_the_user(story, client):
    await story.open_account(EMAIL, PASSWORD, CALLER, name="Ada Lovelace")
    tokens = await story.tokens(client, await story.signs_in(), scope="openid email profile")
    assert (await story.looks_up(tokens)).user == SessionUser(
        email=EMAIL, email_verified=False, name="Ada Lovelace"
    )


async def test_without_email_and_profile_no_personal_data_is_read(ledger, story, client, ada):
    """A second read would double the cost of every request that a guard checks."""
    tokens = await story.tokens(client, ada, scope="openid")
    look_up = LookUpSession(
        find_token=FindToken(ledger, story.sealer, story.outside.access_token_signer),
        personal_claims=PersonalClaimsReader(UnreadablePrivateRecords()),
        clock=story.clock,
        policy=POLICY,
        catalogue=story.catalogue,
    )
    assert (await look_up(tokens.access_token)).user is None


async def test_a_session_does_not_show_its_token(story, tokens):
    session = await story.looks_up(tokens)
    for shown in (repr(session), str(session), f"{session}", repr(list(session.__rich_repr__()))):
        assert tokens.access_token not in shown
        assert session.client_id in shown


async def test_looking_up_records_nothing(ledger, story, tokens):
    with nothing_recorded(ledger):
        await story.looks_up(tokens)


# one audience


@pytest.mark.parametrize("spelling", [MCP, "HTTPS://MCP.EXAMPLE/mcp", "https://mcp.example:443/mcp"])
async def test_a_token_is_accepted_for_every_spelling_of_its_resource(story, tokens, spelling):
    assert await story.looks_up(tokens, resource=spelling)


async def test_a_lone_slash_after_the_host_is_the_same_resource(ledger, story, client, ada):
    at_the_root = a_policy(resources=(Resource(identifier="https://mcp.example"),))
    story = Story(ledger, at_the_root, story.outside)
    tokens = await story.tokens(client, ada, resources=())
    assert await story.looks_up(tokens, resource="https://mcp.example/")


@pytest.mark.parametrize(
    "other", [NOTES, MCP + "/", MCP + "?x", "https://mcp.example", "http://mcp.example/mcp", ""]
)
async def test_a_token_is_refused_for_every_other_resource(story, tokens, other):
    with pytest.raises(AccessTokenForAnotherResource):
        await story.looks_up(tokens, resource=other)


# refused on the very next look-up


async def test_refuses_a_token_in_the_second_of_its_expiry(story, tokens):
    story.clock.advance(3_600)
    with pytest.raises(AccessTokenHasEnded):
        await story.looks_up(tokens)


async def test_accepts_a_token_in_the_last_second_before_its_expiry(story, tokens):
    story.clock.advance(3_599)
    assert await story.looks_up(tokens)


async def test_refuses_at_the_absolute_limit_of_the_grant(ledger, story, client, code):
    limited = Story(ledger, a_policy(grant_lifetime=100), story.outside)
    tokens = await limited.redeems(client, code)
    story.clock.advance(100)
    with pytest.raises(GrantHasExpired):
        await story.looks_up(tokens)


async def test_refuses_a_revoked_grant(story, client, tokens):
    await story.revokes(client, tokens.refresh_token)
    with pytest.raises(GrantIsRevoked):
        await story.looks_up(tokens)


async def test_refuses_a_revoked_token(story, client, tokens):
    await story.revokes(client, tokens.access_token)
    with pytest.raises(AccessTokenHasEnded):
        await story.looks_up(tokens)


async def test_refuses_a_disabled_client(story, client, tokens):
    await story.disable_client(client.client_id, CALLER)
    with pytest.raises(ClientIsDisabled):
        await story.looks_up(tokens)


async def test_refuses_a_deleted_client(story, client, tokens):
    await story.delete_client(client.client_id, CALLER)
    with pytest.raises(ClientUnknown):
        await story.looks_up(tokens)


async def test_grants_of_an_earlier_registration_stay_refused(story, client, tokens):
    await story.delete_client(client.client_id, CALLER)
    await story.registers()
    with pytest.raises(ClientUnknown):
        await story.looks_up(tokens)


async def test_refuses_a_disabled_user(story, ada, tokens):
    await story.disable_user(ada.user_id, CALLER)
    with pytest.raises(UserIsDisabled):
        await story.looks_up(tokens)


async def test_an_outage_is_not_a_refusal_of_the_token(ledger, story, tokens):
    ledger.outage = True
    with pytest.raises(Unavailable):
        await story.looks_up(tokens)


async def of_a_grant_opened_for(ledger, story, **opened):
    """Return the access token of a grant whose client or user the ledger does not know."""
    grant = Versioned(kind=GRANT, key="unknown-grant").then([replace(OPENED, **opened)])
    await ledger.record([grant], by_operator(CALLER))
    claims = TokenClaims(key_id="key-1", grant_id=grant.key, generation=0, expires_at=story.clock.now() + 1)
    return story.sealer.access_token(claims, OPENED.nonce)


async def test_refuses_an_unknown_user(ledger, story, client):
    token = await of_a_grant_opened_for(ledger, story, client_id=client.client_id, user_id="glu_unknown")
    with pytest.raises(UserIsDisabled):
        await story.look_up_session(token)


async def test_refuses_an_unknown_client(ledger, story, ada):
    token = await of_a_grant_opened_for(ledger, story, client_id="glc_unknown", user_id=ada.user_id)
    with pytest.raises(ClientUnknown):
        await story.look_up_session(token)


# what is not an access token of this server


@pytest.mark.parametrize("token", ["", "unknown", "glat_guessed", "Bearer x"])
async def test_refuses_a_malformed_token(story, token):
    with pytest.raises(AccessTokenUnknown):
        await story.look_up_session(token)


async def test_refuses_a_refresh_token(story, tokens):
    with pytest.raises(AccessTokenUnknown):
        await story.look_up_session(tokens.refresh_token)


async def test_refuses_a_token_with_another_seal(story, tokens):
    with pytest.raises(AccessTokenUnknown):
        await story.look_up_session(tokens.access_token + "x")


async def test_refuses_a_token_of_an_unknown_grant(story, tokens):
    grant_id = story.sealer.read(tokens.access_token).claims.grant_id
    with pytest.raises(AccessTokenUnknown):
        await story.look_up_session(tokens.access_token.replace(grant_id, "no-such-grant"))
