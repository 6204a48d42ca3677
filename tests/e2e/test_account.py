"""The pages under `/authorize/account`: connected apps, password, sessions, and signing up."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from secrets import token_hex

import httpx2
import pytest

from grantledger.application.provenance import Caller
from support.oauth import SESSION_COOKIE, Person, csrf_token, error_of, heading_of
from support.server import EMAIL, PASSWORD, PUBLIC, Server, serving

ACCOUNT = "/authorize/account"
SIGN_IN = (200, "Sign in")
HOME = (200, "Connected apps")
NEW = "another password of length"


class Visitor(Person):
    """A user at their own account."""

    email = EMAIL

    async def home(self) -> httpx2.Response:
        return await self.http.get(ACCOUNT)

    async def send(self, page: httpx2.Response, form: str, **filled: str) -> httpx2.Response:
        fields = {"csrf_token": csrf_token(page), **filled}
        return await self.followed(await self.http.post(f"{ACCOUNT}/{form}", data=fields))

    async def enter(self, password: str = PASSWORD) -> httpx2.Response:
        return await self.send(await self.home(), "sign-in", email=self.email, password=password)


@pytest.fixture(scope="session")
def open_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with open sign-up."""
    with serving(
        tmp_path_factory.mktemp("open-door"), sign_up="true", sign_in_attempts="off", **PUBLIC
    ) as running:
        yield running


@pytest.fixture
async def visitor(open_door: Server) -> AsyncIterator[Visitor]:
    """A user whose account is used by this test only."""
    someone = Visitor.at(open_door.origin)
    async with open_door.use_cases() as container:
        someone.email = f"{token_hex(8)}@example.com"
        await container.use_cases().open_account(someone.email, PASSWORD, Caller(correlation_id="test"))
    yield someone
    await someone.http.aclose()


@pytest.fixture
async def elsewhere(visitor: Visitor) -> AsyncIterator[Visitor]:
    """The same person in another browser, signed in."""
    other = Visitor.at(visitor.origin)
    other.email = visitor.email
    await other.enter()
    yield other
    await other.http.aclose()


async def connected(visitor: Visitor, **metadata: str) -> tuple[str, str]:
    """Connect an app and return its client id and an access token."""
    client = (await visitor.register(**metadata))["client_id"]
    return client, (await visitor.tokens(client))["access_token"]


# Signing in


async def test_a_stranger_signs_in_and_then_sees_the_account(visitor: Visitor):
    assert heading_of(await visitor.home()) == SIGN_IN
    page = await visitor.enter()
    assert heading_of(page) == HOME
    assert visitor.email in page.text


async def test_a_sign_in_form_from_another_site_is_refused(visitor: Visitor):
    page = await visitor.home()
    visitor.http.headers["sec-fetch-site"] = "cross-site"
    sent = await visitor.send(page, "sign-in", email=visitor.email, password=PASSWORD)
    assert heading_of(sent) == (403, "This form cannot be used")
    assert SESSION_COOKIE not in visitor.cookies()


async def test_the_account_writes_nothing_for_strangers(visitor: Visitor, open_door: Server):
    before = open_door.recorded()
    await visitor.home()
    await visitor.enter(password="wrong")
    assert open_door.recorded() == before


# Connected apps


async def test_a_connected_app_is_shown_with_its_access_and_the_time_of_connection(visitor: Visitor):
    await visitor.enter()
    client = (await visitor.register(client_name="Notes & more"))["client_id"]
    await visitor.tokens(client, scope="openid email")
    page = await visitor.home()
    for shown in ("Notes &amp; more", client, "claude.ai", "See your e-mail address", "Connected since"):
        assert shown in page.text
    assert re.search(
        r'<time datetime="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ">\d+ [A-Z][a-z]+ \d{4}, \d\d:\d\d UTC', page.text
    )
    assert re.search(r"Last refresh</dt>\s*<dd>not yet", page.text)


async def test_a_refresh_is_shown(visitor: Visitor):
    await visitor.enter()
    client = (await visitor.register())["client_id"]
    await visitor.refresh(client, (await visitor.tokens(client))["refresh_token"])
    assert re.search(r"Last refresh</dt>\s*<dd><time", (await visitor.home()).text)


async def test_disconnecting_refuses_the_very_next_request(visitor: Visitor):
    await visitor.enter()
    client, token = await connected(visitor)
    assert (await visitor.session(token)).status_code == 200
    page = await visitor.send(await visitor.home(), "disconnect", client_id=client)
    assert (await visitor.session(token)).status_code == 401
    assert heading_of(page) == HOME
    assert "The app is disconnected." in page.text
    assert client not in page.text
    assert "The app is disconnected." not in (await visitor.home()).text


async def test_disconnecting_twice_has_the_same_result_as_once(visitor: Visitor):
    await visitor.enter()
    client, _ = await connected(visitor)
    page = await visitor.home()
    both = await asyncio.gather(*(visitor.send(page, "disconnect", client_id=client) for _ in range(2)))
    assert [heading_of(answer) for answer in both] == [HOME, HOME]


async def test_a_link_cannot_make_the_page_say_that_something_was_done(visitor: Visitor):
    await visitor.enter()
    assert "disconnected." not in (await visitor.http.get(f"{ACCOUNT}?notice=disconnected")).text


async def test_a_user_cannot_disconnect_the_app_of_another(visitor: Visitor, open_door: Server):
    await visitor.enter()
    client, token = await connected(visitor)
    eve = Visitor.at(open_door.origin)
    async with eve.http:
        await eve.enter()
        await eve.send(await eve.home(), "disconnect", client_id=client)
    assert (await visitor.session(token)).status_code == 200


FORMS = {
    "disconnect": {"client_id": "glc_x"},
    "sign-out": {},
    "sign-out-everywhere": {"disconnect": "every"},
    "password": {"old_password": PASSWORD, "new_password": NEW, "new_password_again": NEW},
}


@pytest.mark.parametrize("form", FORMS)
async def test_a_form_of_the_account_needs_its_token(visitor: Visitor, open_door: Server, form: str):
    page = await visitor.enter()
    before = open_door.recorded()
    answer = await visitor.send(page, form, **FORMS[form], csrf_token="x" * 43)
    assert heading_of(answer) == (403, "This form cannot be used")
    assert open_door.recorded() == before


@pytest.mark.parametrize("form", ["disconnect", "sign-out-everywhere", "password"])
async def test_a_form_of_the_account_needs_a_signed_in_user(visitor: Visitor, open_door: Server, form: str):
    page = await visitor.enter()
    await visitor.send(page, "sign-out")
    before = open_door.recorded()
    answer = await visitor.send(page, form, **FORMS[form])
    assert heading_of(answer) == (403, "You are not signed in any more")
    assert f'href="{ACCOUNT}"' in answer.text
    assert open_door.recorded() == before


@pytest.mark.parametrize("form", [*FORMS, "sign-in", "sign-up"])
async def test_loading_the_url_of_a_form_shows_a_page(visitor: Visitor, form: str):
    await visitor.enter()
    answer = await visitor.followed(await visitor.http.get(f"{ACCOUNT}/{form}"))
    assert heading_of(answer) == ((200, "Change password") if form == "password" else HOME)


# Sessions


async def test_signing_out_twice_ends_on_the_sign_in_page(visitor: Visitor):
    page = await visitor.enter()
    for _ in range(2):
        assert heading_of(await visitor.send(page, "sign-out")) == SIGN_IN


async def test_signing_out_everywhere_ends_the_other_browser(visitor: Visitor, elsewhere: Visitor):
    page = await visitor.enter()
    assert heading_of(await visitor.send(page, "sign-out-everywhere")) == SIGN_IN
    assert heading_of(await elsewhere.home()) == SIGN_IN
    assert heading_of(await visitor.enter()) == HOME


@pytest.mark.parametrize(("chosen", "status"), [({}, 200), ({"disconnect": "every"}, 401)])
async def test_signing_out_everywhere_disconnects_apps_only_if_the_user_chooses_it(
    visitor: Visitor, chosen: dict[str, str], status: int
):
    page = await visitor.enter()
    _, token = await connected(visitor)
    await visitor.send(page, "sign-out-everywhere", **chosen)
    assert (await visitor.session(token)).status_code == status


# Password


async def changed(visitor: Visitor, old: str, new: str, again: str, **chosen: str) -> httpx2.Response:
    page = await visitor.http.get(f"{ACCOUNT}/password")
    fields = {"old_password": old, "new_password": new, "new_password_again": again}
    return await visitor.send(page, "password", **fields, **chosen)


async def test_a_changed_password_signs_in_and_the_old_one_does_not(visitor: Visitor, elsewhere: Visitor):
    await visitor.enter()
    page = await changed(visitor, PASSWORD, NEW, NEW)
    assert heading_of(page) == HOME
    assert "Your password is changed." in page.text
    assert heading_of(await elsewhere.home()) == SIGN_IN
    assert heading_of(await elsewhere.enter()) == (400, "Sign in")
    assert heading_of(await elsewhere.enter(password=NEW)) == HOME


@pytest.mark.parametrize(
    ("old", "new", "again", "problem"),
    [
        ("wrong", NEW, NEW, "The current password is not right."),
        (PASSWORD, NEW, f"{NEW}?", "The two passwords are not the same."),
        (PASSWORD, "short", "short", "The password needs at least 12 characters."),
        (PASSWORD, "\u00e9" * 513, "\u00e9" * 513, "The password is too long: 1024 letters at most"),
    ],
)
async def test_a_wrong_change_of_password_says_what_is_wrong(
    visitor: Visitor, old: str, new: str, again: str, problem: str
):
    await visitor.enter()
    answer = await changed(visitor, old, new, again)
    assert heading_of(answer) == (400, "Change password")
    assert problem in answer.text
    assert NEW not in answer.text


@pytest.mark.parametrize(("chosen", "status"), [({}, 200), ({"disconnect": "every"}, 401)])
async def test_a_new_password_disconnects_apps_only_if_the_user_chooses_it(
    visitor: Visitor, chosen: dict[str, str], status: int
):
    await visitor.enter()
    _, token = await connected(visitor)
    await changed(visitor, PASSWORD, NEW, NEW, **chosen)
    assert (await visitor.session(token)).status_code == status


async def test_the_password_page_needs_a_signed_in_user(visitor: Visitor):
    assert heading_of(await visitor.followed(await visitor.http.get(f"{ACCOUNT}/password"))) == SIGN_IN


# Signing up


async def signed_up(
    visitor: Visitor, email: str, password: str = NEW, again: str = NEW, name: str = ""
) -> httpx2.Response:
    await visitor.home()
    page = await visitor.http.get(f"{ACCOUNT}/sign-up")
    assert heading_of(page) == (200, "Sign up")
    return await visitor.send(
        page, "sign-up", email=email, password=password, password_again=again, name=name
    )


async def test_a_new_user_signs_up_and_then_signs_in(visitor: Visitor):
    email = f"new-{visitor.email}"
    page = await signed_up(visitor, email)
    assert heading_of(page) == SIGN_IN
    assert email in page.text
    assert heading_of(await visitor.send(page, "sign-in", email=email, password=NEW)) == HOME


async def test_an_app_with_the_scope_profile_gets_the_name_that_was_given_at_the_sign_up(visitor: Visitor):
    email = f"new-{visitor.email}"
    page = await signed_up(visitor, email, name="  Grace Hopper ")
    await visitor.send(page, "sign-in", email=email, password=NEW)
    client = (await visitor.register())["client_id"]
    token = (await visitor.tokens(client, scope="openid profile"))["access_token"]
    answer = await visitor.http.get("/userinfo", headers={"authorization": f"Bearer {token}"})
    assert answer.json()["name"] == "Grace Hopper"


async def test_signing_up_does_not_reveal_whether_an_address_has_an_account(visitor: Visitor):
    def without_token(page: httpx2.Response, email: str) -> str:
        return page.text.replace(csrf_token(page), "").replace(email, "")

    new = f"new-{visitor.email}"
    answers = [(await signed_up(visitor, email), email) for email in (visitor.email, new)]
    taken, free = [without_token(page, email) for page, email in answers]
    assert taken == free


async def test_signing_up_with_a_taken_address_leaves_its_password(visitor: Visitor):
    await signed_up(visitor, visitor.email)
    assert heading_of(await visitor.enter(password=NEW)) == (400, "Sign in")
    assert heading_of(await visitor.enter()) == HOME


@pytest.mark.parametrize(
    ("email", "password", "again", "problem"),
    [
        ("nobody", NEW, NEW, "This is not an e-mail address."),
        ("new@example.com", NEW, "x", "The two passwords are not the same."),
        ("new@example.com", "short", "short", "The password needs at least 12 characters."),
    ],
)
async def test_a_wrong_sign_up_says_what_is_wrong(
    visitor: Visitor, email: str, password: str, again: str, problem: str
):
    page = await signed_up(visitor, email, password, again)
    assert heading_of(page) == (400, "Sign up")
    assert problem in page.text
    assert re.search(
        r'<input [^>]*aria-invalid="true" aria-describedby="problem|'
        r'<input [^>]*aria-describedby="problem [^>]*aria-invalid="true"',
        page.text,
    )
    assert email in page.text
    assert password not in page.text


async def test_signing_up_during_an_authorization_leads_to_consent(visitor: Visitor):
    sign_in = await visitor.asked((await visitor.register())["client_id"])
    assert "/sign-up" in sign_in.text
    sign_up = await visitor.http.get(f"{sign_in.url.path}/sign-up")
    email = f"new-{visitor.email}"
    page = await visitor.submit(sign_up, "sign-up", email=email, password=NEW, password_again=NEW)
    assert heading_of(page) == SIGN_IN
    assert heading_of(await visitor.sign_in(page, email=email, password=NEW)) == (200, "Allow access?")


async def test_sign_up_is_404_where_it_is_not_offered(server: Server, person: Person):
    page = await person.http.get(ACCOUNT)
    assert "sign-up" not in page.text
    for answer in (await person.http.get(f"{ACCOUNT}/sign-up"), await person.http.post(f"{ACCOUNT}/sign-up")):
        assert heading_of(answer) == (404, "There is no page here")


async def test_the_account_of_a_disabled_user_is_closed(visitor: Visitor, open_door: Server):
    await visitor.enter()
    async with open_door.use_cases() as container:
        user_id = await container.ledger().find("email_key", visitor.email)
        assert user_id is not None
        await container.use_cases().disable_user(user_id, Caller(correlation_id="test"))
    assert heading_of(await visitor.home()) == SIGN_IN
    assert heading_of(await visitor.enter()) == (400, "Sign in")


async def test_programs_are_not_answered_with_pages(person: Person):
    assert error_of(await person.http.get("/token"))[0] == 405
