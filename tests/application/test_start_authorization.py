import re

import pytest

from grantledger.application.ports import Unavailable
from grantledger.domain.authorization_request import (
    ParameterRepeated,
    ResponseTypeUnsupported,
    SentBack,
    StateTooLong,
)
from grantledger.domain.client_registration import ClientIsDisabled, ClientUnknown
from grantledger.domain.pkce import CodeChallengeMissing
from grantledger.domain.redirect_uri import RedirectUriMismatch, RedirectUriRequired
from grantledger.domain.resource_indicator import ResourceForeign
from grantledger.domain.scope import ScopeInvalid
from support.clients import HTTPS, LOOPBACK
from support.requests import MCP, NOTES, asking
from support.storage import nothing_recorded
from support.story import CALLER

# Everything that the client could be told at its redirect URI is wrong here at once.
ALL_WRONG = {
    "response_type": "token",
    "scope": "admin",
    "code_challenge": None,
    "resources": ("https://other.example/mcp",),
    "repeated": frozenset({"scope"}),
    "prompt": "none login",
}
# Whatever else is wrong or right, it must change nothing about who is told.
else_right_or_wrong = pytest.mark.parametrize("parameters", [{}, ALL_WRONG], ids=["else right", "all wrong"])


# what may not be redirected: the user is told, the client is not


@else_right_or_wrong
async def test_nothing_is_redirected_for_an_unknown_client(story, parameters):
    with pytest.raises(ClientUnknown):
        await story.start_authorization(asking(client_id="glc_nobody", **parameters), None)


@else_right_or_wrong
async def test_nothing_is_redirected_without_a_client(story, parameters):
    with pytest.raises(ClientUnknown):
        await story.start_authorization(asking(client_id=None, **parameters), None)


@else_right_or_wrong
async def test_nothing_is_redirected_for_a_disabled_client(story, client, parameters):
    await story.disable_client(client.client_id, CALLER)
    with pytest.raises(ClientIsDisabled):
        await story.asks(client, **parameters)


@else_right_or_wrong
async def test_nothing_is_redirected_for_a_deleted_client(story, client, parameters):
    await story.delete_client(client.client_id, CALLER)
    with pytest.raises(ClientUnknown):
        await story.asks(client, **parameters)


@else_right_or_wrong
async def test_nothing_is_redirected_to_where_the_client_is_not_registered(story, client, parameters):
    with pytest.raises(RedirectUriMismatch):
        await story.asks(client, redirect_uri="https://thief.example/callback", **parameters)


@else_right_or_wrong
async def test_nothing_is_redirected_when_it_is_not_clear_where(story, parameters):
    client = (await story.registers(redirect_uris=(HTTPS, LOOPBACK))).client
    with pytest.raises(RedirectUriRequired):
        await story.asks(client, redirect_uri=None, **parameters)


async def test_nothing_is_redirected_in_an_outage(ledger, story, client):
    ledger.outage = True
    with pytest.raises(Unavailable):
        await story.asks(client)


# what the client is told


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        ({"response_type": "token"}, ResponseTypeUnsupported),
        ({"code_challenge": None}, CodeChallengeMissing),
        ({"scope": "admin"}, ScopeInvalid),
        ({"resources": ("https://other.example/mcp",)}, ResourceForeign),
        ({"state": "s" * 3_000}, StateTooLong),
    ],
)
async def test_the_client_is_told_what_is_wrong_with_its_request(story, client, wrong, refusal):
    with pytest.raises(SentBack) as sent_back:
        await story.asks(client, **wrong)
    assert isinstance(sent_back.value.cause, refusal)


async def test_the_client_is_told_at_its_redirect_uri_with_its_state(story, client):
    with pytest.raises(SentBack) as sent_back:
        await story.asks(client, scope="admin", state="the-state")
    assert (sent_back.value.redirect_uri, sent_back.value.state) == (HTTPS, "the-state")


async def test_a_client_without_a_state_is_told_without_one(story, client):
    with pytest.raises(SentBack) as sent_back:
        await story.asks(client, scope="admin", state=None)
    assert sent_back.value.state is None


async def test_a_native_client_is_told_at_the_port_it_listens_on(story):
    native = (await story.registers(redirect_uris=(LOOPBACK,))).client
    today = "http://127.0.0.1:51004/callback"
    with pytest.raises(SentBack) as sent_back:
        await story.asks(native, redirect_uri=today, scope="admin")
    assert sent_back.value.redirect_uri == today


# a request that has passed every check


async def test_writes_nothing_for_a_stranger(ledger, story, client):
    with nothing_recorded(ledger):
        await story.asks(client)


async def test_a_request_without_scope_and_resource_asks_for_the_defaults(story, client):
    request = await story.asks(client, scope=None, resources=())
    assert (request.scopes, request.resource) == (("openid",), MCP)


async def test_a_request_may_ask_for_scopes_of_a_resource(story, client):
    request = await story.asks(client, scope="openid notes:write", resources=(NOTES,))
    assert (request.scopes, request.resource) == (("openid", "notes:write"), NOTES)


async def test_the_only_redirect_uri_need_not_be_named(story, client):
    assert (await story.asks(client, redirect_uri=None)).redirect_uri == HTTPS


async def test_every_request_is_a_transaction_of_its_own(story, client):
    one, other = await story.asks(client), await story.asks(client)
    assert one.transaction_id != other.transaction_id


async def test_a_transaction_id_can_stand_in_a_url(story, client):
    assert re.fullmatch(r"[A-Za-z0-9_-]{16}", (await story.asks(client)).transaction_id)


async def test_a_request_waits_ten_minutes(story, client):
    assert (await story.asks(client)).expires_at == story.clock.now() + 600


async def test_a_request_remembers_who_was_signed_in_before(story, client, ada):
    assert (await story.asks(client, ada)).session_before == ada.session_id


async def test_a_request_remembers_that_nobody_was_signed_in_before(story, client):
    assert (await story.asks(client)).session_before is None


async def test_a_request_is_of_the_registration_that_made_it(story, client):
    await story.delete_client(client.client_id, CALLER)
    anew = (await story.registers()).client
    assert (await story.asks(anew)).client_registration == 2


@pytest.mark.parametrize("parameter", ["client_id", "redirect_uri"])
async def test_nothing_is_redirected_when_client_or_target_are_named_twice(story, client, parameter):
    with pytest.raises(ParameterRepeated):
        await story.asks(client, repeated=frozenset({parameter}))
