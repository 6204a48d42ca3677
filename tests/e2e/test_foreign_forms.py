"""A form does nothing unless the server made it for this user in this browser."""

import httpx2
import pytest

from support.oauth import Person, csrf_token, heading_of, transaction_url
from support.pages import CONSENT, FOREIGN, LOST, SIGNED_OUT, UNREADABLE, as_it_was
from support.server import EMAIL, PASSWORD, Server
from support.stores import once

pytestmark = once("is answered before the store is asked")


@pytest.fixture(scope="session")
def server(public: Server) -> Server:
    """A server whose issuer is not on loopback: browsers stay signed in between requests."""
    return public


FORMS = ("sign-in", "consent", "sign-out")


async def page_with(person: Person, form: str, client: str) -> httpx2.Response:
    """Return a page that has this form. `person` is signed in."""
    page = await person.asked(client, prompt="login" if form == "sign-in" else "consent")
    assert f"/{form}" in page.text
    return page


FILLED: dict[str, dict[str, str]] = {
    "sign-in": {"email": EMAIL, "password": PASSWORD},
    "consent": {"decision": "allow"},
    "sign-out": {},
}


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "\u00e9"], ids=ascii)
@pytest.mark.parametrize("form", FORMS)
async def test_a_form_without_its_token_does_nothing(
    server: Server, ada: Person, client: str, form: str, token: str
):
    page = await page_with(ada, form, client)
    before = server.events()
    answer = await ada.post(page, form, **FILLED[form], csrf_token=token)
    assert heading_of(answer) == FOREIGN
    assert server.events() == before


@pytest.mark.parametrize("form", FORMS)
async def test_a_form_with_the_token_of_another_request_does_nothing(
    server: Server, ada: Person, client: str, form: str
):
    other = csrf_token(await page_with(ada, form, client))
    page = await page_with(ada, form, client)
    before = server.events()
    assert heading_of(await ada.post(page, form, **FILLED[form], csrf_token=other)) == FOREIGN
    assert server.events() == before


@pytest.mark.parametrize("form", FORMS)
async def test_a_form_of_a_request_pending_in_another_browser_does_nothing(
    server: Server, ada: Person, stranger: Person, client: str, form: str
):
    page = await page_with(ada, form, client)
    before = server.events()
    assert heading_of(await stranger.post(page, form, **FILLED[form])) == LOST
    assert server.events() == before


async def test_a_request_pending_in_another_browser_is_not_shown(ada: Person, stranger: Person, client: str):
    page = await ada.asked(client)
    assert heading_of(await stranger.http.get(page.url.path)) == LOST


async def test_another_user_cannot_consent_on_my_page(server: Server, person: Person, eve: str):
    client = (await person.register())["client_id"]
    page = await person.sign_in(await person.asked(client))
    async with as_it_was(person, server) as changed:
        # The same browser, in which another user has signed in since.
        await changed.sign_in(await changed.asked(client, prompt="login"), email=eve)
        assert heading_of(await changed.post(page, "consent", decision="allow")) == FOREIGN


async def test_consent_needs_a_signed_in_user(server: Server, person: Person):
    client = await person.register()
    page = await person.asked(client["client_id"])
    before = server.events()
    assert heading_of(await person.post(page, "consent", decision="allow")) == SIGNED_OUT
    assert server.events() == before


async def test_with_prompt_login_consent_needs_a_new_sign_in(ada: Person, client: str):
    page = await ada.asked(client, prompt="login")
    assert heading_of(await ada.post(page, "consent", decision="allow")) == SIGNED_OUT


@pytest.mark.parametrize("decision", ["", "yes", "ALLOW"])
async def test_every_decision_except_allow_and_deny_is_refused(ada: Person, client: str, decision: str):
    page = await ada.asked(client)
    assert heading_of(await ada.post(page, "consent", decision=decision)) == FOREIGN


async def test_a_decision_of_both_allow_and_deny_is_refused(ada: Person, client: str):
    page = await ada.asked(client)
    body = f"csrf_token={csrf_token(page)}&decision=deny&decision=allow"
    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = await ada.http.post(f"{transaction_url(page)}/consent", content=body, headers=form)
    assert heading_of(answer) == UNREADABLE


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/json", "multipart/form-data; boundary=x", ""]
)
async def test_consent_is_accepted_only_as_a_urlencoded_form(ada: Person, client: str, media_type: str):
    page = await ada.asked(client)
    body = f"csrf_token={csrf_token(page)}&decision=allow"
    headers = {"content-type": media_type}
    answer = await ada.http.post(f"{transaction_url(page)}/consent", content=body, headers=headers)
    assert heading_of(answer) == UNREADABLE


async def test_a_link_cannot_give_consent(server: Server, ada: Person, client: str):
    page = await ada.asked(client)
    before = server.events()
    link = f"{transaction_url(page)}/consent"
    answer = await ada.http.get(link, params={"csrf_token": csrf_token(page), "decision": "allow"})
    assert heading_of(await ada.followed(answer)) == CONSENT
    assert server.events() == before
