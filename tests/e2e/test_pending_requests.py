"""Authorization requests that are pending in a browser: several at once, answered twice, lost."""

import asyncio
from secrets import token_urlsafe
from typing import Any
from zlib import compress

import msgspec
import pytest
from msgspec.structs import replace

from grantledger.domain.authorization_request import AuthorizationRequest
from support.oauth import CHALLENGE, REDIRECT_URI, Person, heading_of, returned
from support.pages import CONNECTED, CONSENT, FOREIGN, LOST, REQUEST, SPENT, as_it_was, pending_requests
from support.server import Server


@pytest.fixture(scope="session")
def server(public: Server) -> Server:
    """A server whose issuer is not on loopback: browsers stay signed in between requests."""
    return public


async def test_two_requests_can_be_pending_at_once(ada: Person):
    one, two = [(await ada.register())["client_id"] for _ in range(2)]
    first, second = await ada.asked(one, state="first"), await ada.asked(two, state="second")
    answers = [returned(await ada.submit(page, "consent", decision="allow")) for page in (second, first)]
    assert [answer["state"] for answer in answers] == ["second", "first"]
    codes = [answer["code"] for answer in answers]
    tokens = [await ada.redeem(client, code) for client, code in zip((two, one), codes, strict=True)]
    assert [answer.status_code for answer in tokens] == [200, 200]


async def test_a_pending_request_is_answered_after_a_consent_in_another_tab(ada: Person, client: str):
    left_open, other = await ada.asked(client, state="left open"), await ada.asked(client)
    await ada.submit(other, "consent", decision="allow")
    answer = returned(await ada.http.get(left_open.url.path))
    assert answer["state"] == "left open"
    assert (await ada.redeem(client, answer["code"])).status_code == 200


async def test_an_open_sign_in_page_goes_on_after_a_sign_in_in_another_tab(person: Person):
    client = await person.register()
    left_open = await person.asked(client["client_id"])
    other = await person.sign_in(await person.asked(client["client_id"]))
    assert heading_of(await person.sign_in(left_open)) == CONSENT
    assert "code" in returned(await person.submit(other, "consent", decision="allow"))


async def test_a_consent_page_that_was_left_open_cannot_be_used_after_signing_out(person: Person):
    client = await person.register()
    left_open = await person.sign_in(await person.asked(client["client_id"]))
    await person.submit(await person.asked(client["client_id"]), "sign-out")
    assert heading_of(await person.post(left_open, "consent", decision="allow")) == FOREIGN


async def test_the_ninth_pending_request_replaces_the_first(ada: Person, client: str):
    pages = [await ada.asked(client, state=str(n)) for n in range(9)]
    assert len(pending_requests(ada)) == 8
    assert heading_of(await ada.http.get(pages[0].url.path)) == LOST
    for page in pages[1:]:
        assert heading_of(await ada.http.get(page.url.path)) == CONSENT


async def test_of_several_requests_of_the_largest_size_only_the_newest_is_kept(ada: Person, client: str):
    wide = token_urlsafe(1536)[:2047]  # compresses least
    pages = [await ada.asked(client, state=f"{n}{wide}") for n in range(3)]
    headings = [heading_of(await ada.http.get(page.url.path)) for page in pages]
    assert headings == [LOST, LOST, CONSENT]


async def test_a_consent_that_is_sent_twice_gives_one_code(server: Server, ada: Person, client: str):
    page = await ada.asked(client)
    before = server.events("authorization_code.issued.v1")
    async with as_it_was(ada, server) as kept:
        answers = await asyncio.gather(*(kept.post(page, "consent", decision="allow") for _ in range(12)))
    (code,) = {returned(answer)["code"] for answer in answers}
    assert server.events("authorization_code.issued.v1") == before + 1
    assert (await ada.redeem(client, code)).status_code == 200


async def test_going_back_after_allow_gives_the_same_code_until_it_is_redeemed(ada: Person, client: str):
    page = await ada.asked(client)
    first = returned(await ada.submit(page, "consent", decision="allow"))
    assert returned(await ada.http.get(page.url.path)) == first
    assert returned(await ada.post(page, "consent", decision="allow")) == first
    assert (await ada.redeem(client, first["code"])).status_code == 200


async def test_going_back_after_the_code_is_redeemed_shows_that_the_app_is_connected(
    server: Server, ada: Person, client: str
):
    page = await ada.asked(client)
    await ada.redeem(client, returned(await ada.submit(page, "consent", decision="allow"))["code"])
    before = server.events()
    for answer in (
        await ada.http.get(page.url.path),
        await ada.post(page, "consent", decision="allow"),
    ):
        assert heading_of(answer) == CONNECTED
        assert "glac_" not in answer.text
    assert server.events() == before


async def test_a_request_that_another_user_answered_has_ended(person: Person, eve: str):
    client = (await person.register())["client_id"]
    page = await person.sign_in(await person.asked(client))
    await person.submit(page, "consent", decision="allow")
    await person.sign_in(await person.asked(client, prompt="login"), email=eve)
    assert heading_of(await person.http.get(page.url.path)) == SPENT


async def test_going_back_after_deny_shows_that_the_request_has_ended(ada: Person, client: str):
    page = await ada.asked(client)
    await ada.submit(page, "consent", decision="deny")
    assert heading_of(await ada.http.get(page.url.path)) == LOST
    assert heading_of(await ada.post(page, "consent", decision="allow")) == LOST


async def test_going_back_to_the_sign_in_page_and_signing_in_again_goes_on(person: Person):
    client = await person.register()
    sign_in = await person.asked(client["client_id"])
    await person.sign_in(sign_in)
    assert heading_of(await person.sign_in(sign_in)) == CONSENT


async def test_without_its_cookie_a_request_cannot_be_continued(person: Person):
    client = await person.register()
    page = await person.asked(client["client_id"])
    person.http.cookies.clear()
    assert heading_of(await person.sign_in(page)) == LOST


async def test_the_cookie_of_one_request_does_not_open_another(person: Person):
    client = await person.register()
    pages = [await person.asked(client["client_id"]) for _ in range(2)]
    first, second = [REQUEST + page.url.path.rpartition("/")[2] for page in pages]
    person.http.cookies.set(first, person.cookies()[second], domain="127.0.0.1", path="/")
    assert heading_of(await person.http.get(pages[0].url.path)) == LOST


@pytest.mark.parametrize("position", [0, 10, 30, -1])
async def test_a_changed_cookie_is_refused(person: Person, position: int):
    client = await person.register()
    page = await person.asked(client["client_id"])
    ((name, value),) = person.cookies().items()
    other = list(value)
    other[position] = "B" if other[position] == "A" else "A"
    # Only some bits of the last base64 character count.
    changed = "".join(other) if position >= 0 else value[:-2]
    person.http.cookies.set(name, changed, domain="127.0.0.1", path="/")
    assert heading_of(await person.http.get(page.url.path)) == LOST


@pytest.mark.parametrize("transaction_id", ["x", "A" * 22, "%00", "..%2f", "\u00e9", "A" * 4000])
async def test_an_unknown_transaction_gets_an_error_page(person: Person, transaction_id: str):
    assert heading_of(await person.http.get(f"/authorize/{transaction_id}"))[0] in (400, 404)


async def sealed(server: Server, transaction_id: str, change: Any) -> str:
    """Return the sealed cookie of a pending request, changed by `change`."""
    pending = AuthorizationRequest(
        transaction_id=transaction_id,
        client_id="glc_client",
        client_registration=1,
        redirect_uri=REDIRECT_URI,
        state=None,
        scopes=("openid",),
        resource=f"{server.origin}/mcp",
        code_challenge=CHALLENGE,
        prompts=(),
        session_before=None,
        expires_at=4_000_000_000,
    )
    async with server.use_cases() as container:
        content = compress(msgspec.msgpack.encode(change(pending)))
        return str(container.sealed_box().seal(content, transaction_id))


LATER = {
    "more than ten minutes old": lambda pending: replace(pending, expires_at=1_000_000_000),
    "of a release with another format": lambda pending: {"transaction": pending.transaction_id},
}


@pytest.mark.parametrize("change", LATER.values(), ids=LATER)
async def test_a_request_with_an_old_cookie_cannot_be_continued(server: Server, person: Person, change: Any):
    transaction_id = "A" * 22
    value = await sealed(server, transaction_id, change)
    person.http.cookies.set(REQUEST + transaction_id, value, domain="127.0.0.1", path="/")
    assert heading_of(await person.http.get(f"/authorize/{transaction_id}")) == LOST
