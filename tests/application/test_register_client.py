import asyncio
import re

import pytest

from grantledger.application.provenance import by_client
from grantledger.domain.client_metadata import ClientMetadataInvalid, RedirectUriInvalid
from grantledger.domain.client_registration import ClientIsDisabled, ClientRegistered
from grantledger.domain.digests import digest
from grantledger.domain.redirect_uri import RedirectUriForbidden
from support.clients import HTTPS, LOOPBACK
from support.policies import a_policy
from support.storage import InterleavingLedger, nothing_recorded
from support.story import CALLER, Story

# a public client


async def test_a_public_client_gets_no_secret(story):
    assert (await story.registers()).secret is None


async def test_a_registration_is_recorded_as_the_clients_act(ledger, story):
    client = (await story.registers()).client
    assert ledger.events == [
        ClientRegistered(
            client_id=client.client_id, metadata=client.metadata, registered_at=story.clock.now()
        )
    ]
    assert ledger.log[0].by == by_client(client.client_id, CALLER)


async def test_the_same_metadata_is_the_same_client(story):
    first = await story.registers()
    story.clock.advance(1_000)
    assert await story.registers() == first


async def test_registering_the_same_metadata_again_records_nothing(ledger, story):
    await story.registers()
    with nothing_recorded(ledger):
        await story.registers()


async def test_the_order_of_lists_does_not_make_another_client(story):
    one = await story.registers(redirect_uris=(HTTPS, LOOPBACK))
    other = await story.registers(redirect_uris=(LOOPBACK, HTTPS))
    assert one.client == other.client


async def test_another_loopback_port_does_not_make_another_client(ledger, story):
    one = await story.registers(redirect_uris=("http://localhost:3118/callback",))
    with nothing_recorded(ledger):
        other = await story.registers(redirect_uris=("http://localhost:49152/callback",))
    assert other.client == one.client


async def test_the_redirect_uris_of_the_answer_are_those_that_were_sent(story):
    await story.registers(redirect_uris=(HTTPS, "http://localhost:3118/callback"))
    sent = ("http://localhost:49152/callback", HTTPS)
    assert (await story.registers(redirect_uris=sent)).redirect_uris == sent


async def test_ignored_metadata_does_not_make_another_client(story):
    one = await story.registers(grant_types=("authorization_code", "refresh_token"))
    other = await story.registers(
        grant_types=("refresh_token", "urn:ietf:params:oauth:grant-type:device_code", "authorization_code")
    )
    assert one == other


@pytest.mark.parametrize(
    "members",
    [
        {"client_name": "Another editor"},
        {"redirect_uris": (LOOPBACK,)},
        {"grant_types": ("authorization_code",)},
        {"scope": "openid notes:read"},
        {"software_version": "2"},
    ],
)
async def test_other_metadata_is_another_client(story, members):
    assert (await story.registers(**members)).client.client_id != (await story.registers()).client.client_id


async def test_parallel_registrations_of_one_client_are_one_event(ledger, story):
    racing = Story(InterleavingLedger(ledger), outside=story.outside)
    answers = await asyncio.gather(*(racing.registers() for _ in range(20)))
    assert len({answer.client.client_id for answer in answers}) == 1
    assert len(ledger.events) == 1


async def test_a_disabled_client_cannot_register_again(ledger, story, client):
    await story.disable_client(client.client_id, CALLER)
    with nothing_recorded(ledger), pytest.raises(ClientIsDisabled):
        await story.registers()


async def test_a_deleted_client_registers_again_under_the_same_id(story, client):
    await story.delete_client(client.client_id, CALLER)
    again = (await story.registers()).client
    assert (again.client_id, again.registration) == (client.client_id, client.registration + 1)


async def test_a_client_that_registered_again_can_get_grants(story, client, ada):
    await story.delete_client(client.client_id, CALLER)
    again = (await story.registers()).client
    assert await story.looks_up(await story.tokens(again, ada))


# a confidential client


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", None])
async def test_a_confidential_client_gets_a_new_id_each_time(story, method):
    one = await story.registers(token_endpoint_auth_method=method)
    other = await story.registers(token_endpoint_auth_method=method)
    assert one.client.client_id != other.client.client_id
    assert one.secret != other.secret


async def test_the_ledger_holds_only_the_digest_of_the_secret(ledger, story):
    new = await story.registers(token_endpoint_auth_method="client_secret_post")
    (registered,) = ledger.events
    assert registered.secret_digest == digest(new.secret)


async def test_a_client_secret_has_a_prefix_and_is_url_safe(story):
    new = await story.registers(token_endpoint_auth_method="client_secret_post")
    assert re.fullmatch(r"glcs_[A-Za-z0-9_-]{43}", new.secret)


@pytest.mark.parametrize("method", ["none", "client_secret_post"])
async def test_a_client_id_has_a_prefix_and_is_url_safe(story, method):
    client = (await story.registers(token_endpoint_auth_method=method)).client
    assert re.fullmatch(r"glc_[A-Za-z0-9_-]{27,32}", client.client_id)


# refusals


@pytest.mark.parametrize(
    ("members", "refusal"),
    [
        ({"redirect_uris": (HTTPS, "javascript:alert(1)")}, RedirectUriForbidden),
        ({"redirect_uris": ("https://auth.example/authorize/x",)}, RedirectUriForbidden),
        ({"redirect_uris": ("http://client.example/callback",)}, RedirectUriInvalid),
        ({"redirect_uris": None}, RedirectUriInvalid),
        ({"grant_types": ("client_credentials",)}, ClientMetadataInvalid),
        ({"token_endpoint_auth_method": "private_key_jwt"}, ClientMetadataInvalid),
    ],
)
async def test_a_registration_is_refused_with(ledger, story, members, refusal):
    with nothing_recorded(ledger), pytest.raises(refusal):
        await story.registers(**members)


async def test_a_scheme_allowed_by_the_operator_is_registered(ledger, story):
    story = Story(ledger, a_policy(private_use_redirect_uris=("myeditor",)), story.outside)
    assert (await story.registers(redirect_uris=("myeditor://callback",))).client
