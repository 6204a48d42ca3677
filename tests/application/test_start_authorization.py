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

# A request with every mistake at once that is reported at the redirect URI.
ALL_WRONG = {
    "response_type": "token",
    "scope": "admin",
    "code_challenge": None,
    "resources": ("https://other.example/mcp",),
    "repeated": frozenset({"scope"}),
    "prompt": "none login",
}
# Other parameters, valid or not, do not change who gets the refusal.
else_right_or_wrong = pytest.mark.parametrize("parameters", [{}, ALL_WRONG], ids=["else right", "all wrong"])


# refusals that are shown to the user and never redirected


@else_right_or_wrong
async def test_no_redirect_for_an_unknown_client(story, parameters):
    with pytest.raises(ClientUnknown):
        await story.start_authorization(asking(client_id="glc_unknown", **parameters), None)


@else_right_or_wrong
async def test_no_redirect_without_a_client_id(story, parameters):
    with pytest.raises(ClientUnknown):
        await story.start_authorization(asking(client_id=None, **parameters), None)


@else_right_or_wrong
async def test_no_redirect_for_a_disabled_client(story, client, parameters):
    await story.disable_client(client.client_id, CALLER)
    with pytest.raises(ClientIsDisabled):
        await story.asks(client, **parameters)


@else_right_or_wrong
async def test_no_redirect_for_a_deleted_client(story, client, parameters):
    await story.delete_client(client.client_id, CALLER)
    with pytest.raises(ClientUnknown):
        await story.asks(client, **parameters)


@else_right_or_wrong
async def test_no_redirect_to_an_unregistered_uri(story, client, parameters):
    with pytest.raises(RedirectUriMismatch):
        await story.asks(client, redirect_uri="https://thief.example/callback", **parameters)


@else_right_or_wrong
async def test_no_redirect_if_the_uri_is_ambiguous(story, parameters):
    client = (await story.registers(redirect_uris=(HTTPS, LOOPBACK))).client
    with pytest.raises(RedirectUriRequired):
        await story.asks(client, redirect_uri=None, **parameters)


async def test_no_redirect_in_an_outage(ledger, story, client):
    ledger.outage = True
    with pytest.raises(Unavailable):
        await story.asks(client)


# refusals that are sent back to the client


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
async def test_an_invalid_request_is_sent_back_with_the_reason(story, client, wrong, refusal):
    with pytest.raises(SentBack) as sent_back:
        await story.asks(client, **wrong)
    assert isinstance(sent_back.value.cause, refusal)


async def test_a_refusal_is_sent_back_with_the_state(story, client):
    with pytest.raises(SentBack) as sent_back:
        await story.asks(client, scope="admin", state="the-state")
    assert (sent_back.value.redirect_uri, sent_back.value.state) == (HTTPS, "the-state")


async def test_a_refusal_is_sent_back_without_a_state_if_there_was_none(story, client):
    with pytest.raises(SentBack) as sent_back:
        await story.asks(client, scope="admin", state=None)
    assert sent_back.value.state is None


async def test_a_refusal_is_sent_back_to_the_port_of_a_native_client(story):
    native = (await story.registers(redirect_uris=(LOOPBACK,))).client
    today = "http://127.0.0.1:51004/callback"
    with pytest.raises(SentBack) as sent_back:
        await story.asks(native, redirect_uri=today, scope="admin")
    assert sent_back.value.redirect_uri == today


# a request that has passed every check


async def test_starting_records_nothing(ledger, story, client):
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


async def test_every_request_gets_its_own_transaction(story, client):
    one, other = await story.asks(client), await story.asks(client)
    assert one.transaction_id != other.transaction_id


async def test_a_transaction_id_is_url_safe(story, client):
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", (await story.asks(client)).transaction_id)


async def test_a_request_expires_after_ten_minutes(story, client):
    assert (await story.asks(client)).expires_at == story.clock.now() + 600


async def test_a_request_names_the_session_that_was_signed_in_before(story, client, ada):
    assert (await story.asks(client, ada)).session_before == ada.session_id


async def test_a_request_names_no_session_if_there_was_none(story, client):
    assert (await story.asks(client)).session_before is None


async def test_a_request_names_the_registration_of_its_client(story, client):
    await story.delete_client(client.client_id, CALLER)
    again = (await story.registers()).client
    assert (await story.asks(again)).client_registration == 2


@pytest.mark.parametrize("parameter", ["client_id", "redirect_uri"])
async def test_no_redirect_if_client_id_or_redirect_uri_is_repeated(story, client, parameter):
    with pytest.raises(ParameterRepeated):
        await story.asks(client, repeated=frozenset({parameter}))
