"""The pages under `/authorize` as browsers use them: forms, tabs, cookies, and people who are not meant."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookies import Morsel, SimpleCookie
from secrets import token_urlsafe
from typing import Any
from zlib import compress

import anyio
import httpx
import msgspec
import pytest
from msgspec.structs import replace

from grantledger.application.provenance import Caller
from grantledger.domain.authorization_request import AuthorizationRequest
from support.oauth import (
    CHALLENGE,
    REDIRECT_URI,
    SESSION_COOKIE,
    LongAgo,
    Person,
    assert_guarded,
    csrf_token,
    heading_of,
    returned,
    transaction_url,
)
from support.server import EMAIL, PASSWORD, Server

pytestmark = pytest.mark.e2e

SIGN_IN = (200, "Sign in")
SIGN_IN_AGAIN = (400, "Sign in")
CONSENT = (200, "Allow access?")
FOREIGN = (403, "This form cannot be used")
LOST = (400, "This page has expired")
SPENT = (400, "This request was answered already")
UNREADABLE = (400, "This request cannot be read")
SIGNED_OUT = (403, "You are not signed in any more")

REQUEST = "grantledger-request-"


def cookies_set(answer: httpx.Response) -> dict[str, Morsel[str]]:
    morsels: dict[str, Morsel[str]] = {}
    for header in answer.headers.get_list("set-cookie"):
        morsels |= SimpleCookie(header)
    return morsels


def parked(person: Person) -> list[str]:
    return [name for name in person.cookies() if name.startswith(REQUEST)]


@asynccontextmanager
async def as_it_was(person: Person, server: Server) -> AsyncIterator[Person]:
    """Return a browser with the cookies that `person` has now, whatever becomes of them."""
    copy = Person.at(server.origin)
    for cookie in person.http.cookies.jar:
        copy.http.cookies.jar.set_cookie(cookie)
    yield copy
    await copy.http.aclose()


# Signing in


async def test_the_sign_in_page_says_for_which_application_and_resource(server: Server, person: Person):
    client = await person.register(client_name="Notes for editors")
    page = await person.asked(client["client_id"])
    assert heading_of(page) == SIGN_IN
    assert "Notes for editors" in page.text
    assert f"{server.origin}/mcp" in page.text


async def test_the_right_password_leads_on_to_consent(person: Person):
    client = await person.register()
    assert heading_of(await person.sign_in(await person.asked(client["client_id"]))) == CONSENT


WRONG = [
    (EMAIL, "wrong"),
    (EMAIL, ""),
    (EMAIL, PASSWORD + " "),
    (EMAIL, "x" * 5000),
    ("nobody@example.com", PASSWORD),
    ("", PASSWORD),
    ("no e-mail address", PASSWORD),
    (f"{EMAIL}\0", PASSWORD),
]


@pytest.mark.parametrize(("email", "password"), WRONG, ids=range(len(WRONG)))
async def test_a_wrong_sign_in_shows_the_page_again(person: Person, email: str, password: str):
    client = await person.register()
    page = await person.sign_in(await person.asked(client["client_id"]), email=email, password=password)
    assert heading_of(page) == SIGN_IN_AGAIN
    assert "The e-mail address or the password is not right." in page.text
    assert SESSION_COOKIE not in person.cookies()


async def test_a_wrong_sign_in_does_not_tell_which_half_was_wrong(person: Person):
    client = await person.register()
    page = await person.asked(client["client_id"])
    wrong_password = await person.sign_in(page, password="wrong")
    nobody = await person.sign_in(page, email="eve@example.com", password="wrong")
    assert wrong_password.text.replace(EMAIL, "eve@example.com") == nobody.text


async def test_a_password_is_never_shown_again(person: Person):
    """Seen to catch: a sign-in page repeats the password."""
    client = await person.register()
    page = await person.sign_in(await person.asked(client["client_id"]), password="my-wrong-password")
    assert "my-wrong-password" not in page.text


async def test_the_right_password_is_welcome_after_a_wrong_one(person: Person):
    client = await person.register()
    page = await person.sign_in(await person.asked(client["client_id"]), password="wrong")
    assert heading_of(await person.sign_in(page)) == CONSENT


async def test_loading_the_address_of_a_refused_form_shows_its_page(person: Person):
    client = await person.register()
    page = await person.sign_in(await person.asked(client["client_id"]), password="wrong")
    assert heading_of(await person.followed(await person.http.get(page.url.path))) == SIGN_IN


async def test_others_are_answered_while_passwords_are_checked(person: Person):
    page = await person.asked((await person.register())["client_id"])
    checked: list[httpx.Response] = []

    async def check() -> None:
        checked.append(await person.sign_in(page, password="wrong"))

    async with anyio.create_task_group() as sign_ins:
        for _ in range(12):
            sign_ins.start_soon(check)
        await anyio.sleep(0.02)
        assert (await person.session("glat_unknown")).status_code == 401
        waiting = 12 - len(checked)
    assert waiting > 6


async def test_signing_in_does_not_adopt_a_session_that_was_there_before(person: Person):
    client = await person.register()
    person.http.cookies.set(SESSION_COOKIE, "planted.secret", domain="127.0.0.1", path="/authorize")
    await person.sign_in(await person.asked(client["client_id"]))
    assert not person.cookies()[SESSION_COOKIE].startswith("planted")


async def test_signing_in_again_ends_the_session_before(server: Server, person: Person):
    client = await person.register()
    await person.sign_in(await person.asked(client["client_id"]))
    page = await person.asked(client["client_id"], prompt="login")
    async with as_it_was(person, server) as before:
        await person.sign_in(page)
        assert heading_of(await before.asked(client["client_id"])) == SIGN_IN


FORGED = [
    "x",
    ".",
    "x.",
    ".x",
    "x.y",
    "x.y.z",
    "%00.%00",
    "\u00e9.\u00e9",
    '"',
    "x" * 4000,
    "{id}.wrong",
    "{id}.",
]


@pytest.mark.parametrize("value", FORGED, ids=ascii)
async def test_a_forged_session_cookie_is_nobody(server: Server, session_cookie: str, value: str):
    cookie = value.format(id=session_cookie.partition(".")[0]) if "{" in value else value
    async with httpx.AsyncClient(base_url=server.origin, verify=False) as http:
        person = Person(server.origin, http)
        client = await person.register()
        location = (await person.authorize(client["client_id"])).headers["location"]
        ((name, request),) = person.cookies().items()
        header = f"{SESSION_COOKIE}={cookie}; {name}={request}".encode("latin-1")
        http.cookies.clear()
        assert heading_of(await http.get(location, headers={b"cookie": header})) == SIGN_IN


async def test_signing_out_ends_the_session(server: Server, person: Person):
    client = await person.register()
    page = await person.sign_in(await person.asked(client["client_id"]))
    async with as_it_was(person, server) as before:
        assert heading_of(await person.submit(page, "sign-out")) == SIGN_IN
        assert SESSION_COOKIE not in person.cookies()
        assert heading_of(await before.asked(client["client_id"])) == SIGN_IN


# Saying yes


async def test_consent_names_the_client_the_receiver_the_scopes_the_resource_and_the_user(
    server: Server, ada: Person
):
    """Seen to catch: a page does not show the redirect host."""
    client = await ada.register(client_name="Notes for editors")
    page = await ada.asked(client["client_id"], scope="openid email")
    assert heading_of(page) == CONSENT
    for shown in (
        "Notes for editors",
        "client.example",
        "Know which account here is yours",
        "See your e-mail address",
        f"{server.origin}/mcp",
        EMAIL,
        client["client_id"],
    ):
        assert shown in page.text


async def test_consent_warns_of_a_client_that_registered_itself(ada: Person, client: str):
    assert "This application registered itself." in (await ada.asked(client)).text


async def test_consent_does_not_say_of_an_approved_client_that_nobody_checked_it(
    server: Server, ada: Person, client: str
):
    async with server.use_cases() as container:
        await container.approve_client()(client, Caller(correlation_id="test"))
    page = await ada.asked(client)
    assert heading_of(page) == CONSENT
    assert "registered itself" not in page.text
    assert "Not verified" not in page.text


async def test_consent_warns_again_when_the_approval_is_withdrawn(server: Server, ada: Person, client: str):
    async with server.use_cases() as container:
        await container.approve_client()(client, Caller(correlation_id="test"))
        await container.withdraw_approval()(client, Caller(correlation_id="test"))
    assert "This application registered itself." in (await ada.asked(client)).text


async def test_consent_warns_of_loopback(ada: Person):
    uri = "http://127.0.0.1:3118/callback"
    client = await ada.register(redirect_uris=[uri])
    page = await ada.asked(client["client_id"], redirect_uri=uri)
    assert "This address is on your own computer." in page.text


async def test_consent_warns_of_a_private_scheme(ada: Person):
    uri = "cursor://anysphere.cursor-mcp/oauth/callback"
    client = await ada.register(redirect_uris=[uri])
    page = await ada.asked(client["client_id"], redirect_uri=uri)
    assert "This address opens an app, not a website." in page.text
    assert "cursor://anysphere.cursor-mcp" in page.text


async def test_consent_for_a_web_site_has_no_warning_of_the_computer(ada: Person, client: str):
    assert "on this computer" not in (await ada.asked(client)).text.lower()


async def test_what_a_client_calls_itself_is_text(ada: Person):
    client = await ada.register(client_name="<script>alert(1)</script>", client_uri="https://x.example/\"'")
    page = await ada.asked(client["client_id"])
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "<script" not in page.text


async def test_pages_need_no_script_and_load_nothing_from_elsewhere(person: Person):
    links = ("client_uri", "logo_uri", "tos_uri", "policy_uri")
    client = await person.register(**{link: f"https://evil.example/{link}" for link in links})
    sign_in = await person.asked(client["client_id"])
    for page in (sign_in, await person.sign_in(sign_in)):
        assert "evil.example/" not in page.text
        assert not re.search(r"<script|javascript:|\son[a-z]+=|<style|\sstyle=", page.text)
        assert not re.search(r"""(?:src|href|action)=["'](?!/|data:)""", page.text)


async def test_the_stylesheet_that_pages_name_is_there(person: Person):
    page = await person.http.get("/authorize")
    found = re.search(r'rel="stylesheet" href="([^"]+)"', page.text)
    assert found
    answer = await person.http.get(found[1])
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/css")
    assert answer.headers["x-content-type-options"] == "nosniff"


# Forms that were not made here


FORMS = ("sign-in", "consent", "sign-out")


async def page_with(person: Person, form: str, client: str) -> httpx.Response:
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
    """Seen to catch: a form needs no token of its page."""
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
async def test_a_form_of_a_request_that_waits_in_another_browser_does_nothing(
    server: Server, ada: Person, stranger: Person, client: str, form: str
):
    page = await page_with(ada, form, client)
    before = server.events()
    assert heading_of(await stranger.post(page, form, **FILLED[form])) == LOST
    assert server.events() == before


async def test_a_request_that_waits_in_another_browser_is_not_shown(
    ada: Person, stranger: Person, client: str
):
    page = await ada.asked(client)
    assert heading_of(await stranger.http.get(page.url.path)) == LOST


async def test_another_person_cannot_say_yes_on_my_page(server: Server, person: Person, eve: str):
    """Seen to catch: a form needs no token of its page."""
    client = (await person.register())["client_id"]
    page = await person.sign_in(await person.asked(client))
    async with as_it_was(person, server) as somebody:
        # The same browser, where somebody else has signed in since.
        await somebody.sign_in(await somebody.asked(client, prompt="login"), email=eve)
        assert heading_of(await somebody.post(page, "consent", decision="allow")) == FOREIGN


async def test_nobody_can_say_yes_without_being_signed_in(server: Server, person: Person):
    client = await person.register()
    page = await person.asked(client["client_id"])
    before = server.events()
    assert heading_of(await person.post(page, "consent", decision="allow")) == SIGNED_OUT
    assert server.events() == before


async def test_nobody_can_say_yes_before_signing_in_again_where_the_client_wants_it(ada: Person, client: str):
    page = await ada.asked(client, prompt="login")
    assert heading_of(await ada.post(page, "consent", decision="allow")) == SIGNED_OUT


@pytest.mark.parametrize("decision", ["", "yes", "ALLOW"])
async def test_only_allow_and_deny_are_answers(ada: Person, client: str, decision: str):
    page = await ada.asked(client)
    assert heading_of(await ada.post(page, "consent", decision=decision)) == FOREIGN


async def test_an_answer_may_not_be_both(ada: Person, client: str):
    page = await ada.asked(client)
    body = f"csrf_token={csrf_token(page)}&decision=deny&decision=allow"
    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = await ada.http.post(f"{transaction_url(page)}/consent", content=body, headers=form)
    assert heading_of(answer) == UNREADABLE


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/json", "multipart/form-data; boundary=x", ""]
)
async def test_only_a_form_is_a_form(ada: Person, client: str, media_type: str):
    page = await ada.asked(client)
    body = f"csrf_token={csrf_token(page)}&decision=allow"
    headers = {"content-type": media_type}
    answer = await ada.http.post(f"{transaction_url(page)}/consent", content=body, headers=headers)
    assert heading_of(answer) == UNREADABLE


async def test_a_link_cannot_say_yes(server: Server, ada: Person, client: str):
    page = await ada.asked(client)
    before = server.events()
    link = f"{transaction_url(page)}/consent"
    answer = await ada.http.get(link, params={"csrf_token": csrf_token(page), "decision": "allow"})
    assert heading_of(await ada.followed(answer)) == CONSENT
    assert server.events() == before


# Tabs, and being answered twice


async def test_two_requests_wait_side_by_side(ada: Person):
    one, two = [(await ada.register())["client_id"] for _ in range(2)]
    first, second = await ada.asked(one, state="first"), await ada.asked(two, state="second")
    answers = [returned(await ada.submit(page, "consent", decision="allow")) for page in (second, first)]
    assert [answer["state"] for answer in answers] == ["second", "first"]
    codes = [answer["code"] for answer in answers]
    tokens = [await ada.redeem(client, code) for client, code in zip((two, one), codes, strict=True)]
    assert [answer.status_code for answer in tokens] == [200, 200]


async def test_a_request_that_waits_is_answered_after_a_yes_in_another_tab(ada: Person, client: str):
    left_open, other = await ada.asked(client, state="left open"), await ada.asked(client)
    await ada.submit(other, "consent", decision="allow")
    answer = returned(await ada.http.get(left_open.url.path))
    assert answer["state"] == "left open"
    assert (await ada.redeem(client, answer["code"])).status_code == 200


async def test_a_sign_in_page_that_was_left_open_goes_on_after_a_sign_in_in_another_tab(person: Person):
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


async def test_the_ninth_request_that_waits_takes_the_place_of_the_first(ada: Person, client: str):
    pages = [await ada.asked(client, state=str(n)) for n in range(9)]
    assert len(parked(ada)) == 8
    assert heading_of(await ada.http.get(pages[0].url.path)) == LOST
    for page in pages[1:]:
        assert heading_of(await ada.http.get(page.url.path)) == CONSENT


async def test_the_six_newest_of_the_largest_requests_wait_side_by_side(ada: Person, client: str):
    wide = token_urlsafe(1536)[:2047]  # compresses least
    pages = [await ada.asked(client, state=f"{n}{wide}") for n in range(8)]
    told = [heading_of(await ada.http.get(page.url.path)) for page in pages]
    assert told == [LOST] * 2 + [CONSENT] * 6


async def test_a_yes_that_is_sent_twice_gives_one_code(server: Server, ada: Person, client: str):
    page = await ada.asked(client)
    before = server.events("authorization_code.issued.v1")
    async with as_it_was(ada, server) as kept:
        answers = await asyncio.gather(*(kept.post(page, "consent", decision="allow") for _ in range(12)))
    (code,) = {returned(answer)["code"] for answer in answers}
    assert server.events("authorization_code.issued.v1") == before + 1
    assert (await ada.redeem(client, code)).status_code == 200


async def test_an_answer_that_was_lost_is_given_again(server: Server, ada: Person, client: str):
    page = await ada.asked(client)
    async with as_it_was(ada, server) as before:
        first = returned(await ada.submit(page, "consent", decision="allow"))
        assert returned(await before.http.get(page.url.path)) == first


async def test_a_request_that_was_answered_gives_no_second_code_to_who_kept_its_cookie(
    server: Server, ada: Person, client: str
):
    page = await ada.asked(client)
    async with as_it_was(ada, server) as before:
        answer = returned(await ada.submit(page, "consent", decision="allow"))
        await ada.redeem(client, answer["code"])
        assert heading_of(await before.http.get(page.url.path)) == SPENT
        assert heading_of(await before.post(page, "consent", decision="allow")) == SPENT


@pytest.mark.parametrize("decision", ["allow", "deny"])
async def test_going_back_to_a_page_that_was_answered_shows_that_it_is_over(
    ada: Person, client: str, decision: str
):
    page = await ada.asked(client)
    await ada.submit(page, "consent", decision=decision)
    assert heading_of(await ada.http.get(page.url.path)) == LOST
    assert heading_of(await ada.post(page, "consent", decision="allow")) == LOST


async def test_going_back_to_the_sign_in_page_and_signing_in_again_goes_on(person: Person):
    client = await person.register()
    sign_in = await person.asked(client["client_id"])
    await person.sign_in(sign_in)
    assert heading_of(await person.sign_in(sign_in)) == CONSENT


# Requests that are lost


async def test_without_its_cookie_a_request_is_lost(person: Person):
    client = await person.register()
    page = await person.asked(client["client_id"])
    person.http.cookies.clear()
    assert heading_of(await person.sign_in(page)) == LOST


async def test_the_cookie_of_one_request_does_not_open_another(person: Person):
    client = await person.register()
    pages = [await person.asked(client["client_id"]) for _ in range(2)]
    first, second = [REQUEST + page.url.path.rpartition("/")[2] for page in pages]
    person.http.cookies.set(first, person.cookies()[second], domain="127.0.0.1", path="/authorize")
    assert heading_of(await person.http.get(pages[0].url.path)) == LOST


@pytest.mark.parametrize("position", [0, 10, 30, -1])
async def test_a_cookie_that_was_changed_is_none_of_ours(person: Person, position: int):
    client = await person.register()
    page = await person.asked(client["client_id"])
    ((name, value),) = person.cookies().items()
    other = list(value)
    other[position] = "B" if other[position] == "A" else "A"
    # Of the last character of base64 only some bits count.
    changed = "".join(other) if position >= 0 else value[:-2]
    person.http.cookies.set(name, changed, domain="127.0.0.1", path="/authorize")
    assert heading_of(await person.http.get(page.url.path)) == LOST


@pytest.mark.parametrize("transaction_id", ["x", "A" * 16, "%00", "..%2f", "\u00e9", "A" * 4000])
async def test_a_request_that_never_was_is_lost(person: Person, transaction_id: str):
    assert heading_of(await person.http.get(f"/authorize/{transaction_id}"))[0] in (400, 404)


async def sealed(server: Server, transaction_id: str, change: Any) -> str:
    """Return the cookie of a request that is in the box as `change` makes it."""
    waiting = AuthorizationRequest(
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
        content = compress(msgspec.json.encode(change(waiting)))
        return str(container.sealed_box().seal(content, transaction_id))


LATER = {
    "ten minutes later": lambda waiting: replace(waiting, expires_at=1_000_000_000),
    "by a release that parked something else": lambda waiting: {"transaction": waiting.transaction_id},
}


@pytest.mark.parametrize("change", LATER.values(), ids=LATER)
async def test_a_request_is_lost(server: Server, person: Person, change: Any):
    transaction_id = "A" * 16
    value = await sealed(server, transaction_id, change)
    person.http.cookies.set(REQUEST + transaction_id, value, domain="127.0.0.1", path="/authorize")
    assert heading_of(await person.http.get(f"/authorize/{transaction_id}")) == LOST


async def test_lost_requests_make_room(server: Server, person: Person):
    value = await sealed(server, "A" * 16, LATER["ten minutes later"])
    person.http.cookies.set(REQUEST + "A" * 16, value, domain="127.0.0.1", path="/authorize")
    client = await person.register()
    await person.authorize(client["client_id"])
    assert len(parked(person)) == 1


# Headers and cookies


async def test_every_answer_on_the_way_is_guarded(person: Person):
    client = await person.register()
    start = await person.authorize(client["client_id"])
    sign_in = await person.followed(start)
    signed_in = await person.post(sign_in, "sign-in", email=EMAIL, password=PASSWORD)
    consent = await person.followed(signed_in)
    allowed = await person.post(consent, "consent", decision="allow")
    for answer in (start, sign_in, signed_in, consent, allowed):
        assert_guarded(answer.headers)


async def test_every_redirect_is_303_so_that_no_browser_repeats_a_form(person: Person):
    client = await person.register()
    start = await person.authorize(client["client_id"])
    signed_in = await person.post(await person.followed(start), "sign-in", email=EMAIL, password=PASSWORD)
    consent = await person.followed(signed_in)
    signed_out = await person.post(consent, "sign-out")
    assert [start.status_code, signed_in.status_code, signed_out.status_code] == [303, 303, 303]


@pytest.mark.parametrize(
    "path", ["/authorize", "/authorize/x", "/authorize/.well-known/", "/authorize/x/consent"]
)
async def test_no_other_origin_may_read_a_page(person: Person, path: str):
    origin = {"origin": "https://evil.example", "access-control-request-method": "GET"}
    for answer in (
        await person.http.get(path, headers=origin),
        await person.http.post(path, headers=origin),
        await person.http.options(path, headers=origin),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_the_cookie_of_a_request_reaches_only_the_pages(person: Person):
    client = await person.register()
    ((name, cookie),) = cookies_set(await person.authorize(client["client_id"])).items()
    assert name.startswith(REQUEST)
    assert attributes_of(cookie) == {
        "path": "/authorize",
        "httponly": True,
        "samesite": "lax",
        "max-age": "600",
    }


async def test_the_cookie_of_a_session_reaches_only_the_pages(person: Person):
    client = await person.register()
    page = await person.asked(client["client_id"])
    answer = await person.post(page, "sign-in", email=EMAIL, password=PASSWORD)
    assert attributes_of(cookies_set(answer)[SESSION_COOKIE]) == {
        "path": "/authorize",
        "httponly": True,
        "samesite": "lax",
        "max-age": "86400",
    }


async def test_a_cookie_is_forgotten_where_it_was_set(ada: Person, client: str):
    page = await ada.asked(client)
    answer = await ada.post(page, "consent", decision="allow")
    ((name, cookie),) = cookies_set(answer).items()
    assert name == REQUEST + page.url.path.rpartition("/")[2]
    assert cookie.value == ""
    assert attributes_of(cookie)["path"] == "/authorize"
    assert attributes_of(cookie)["max-age"] == "0"


def attributes_of(cookie: Morsel[str]) -> dict[str, Any]:
    return {name: value for name, value in cookie.items() if value}


async def test_no_cookie_is_a_secret_of_the_ledger(server: Server, ada: Person, client: str):
    await ada.asked(client)
    on_disk = server.written()
    for value in ada.cookies().values():
        assert value.encode() not in on_disk


async def test_a_number_to_ask_for_help_with_is_on_every_error(person: Person):
    headers = {"x-request-id": "chosen-by-a-stranger"}
    pages = [(await person.http.get("/authorize", headers=headers)).text for _ in range(2)]
    numbers = [re.findall(r"<code><bdi[^>]*>([0-9a-f]{16})</bdi></code>", page) for page in pages]
    assert numbers[0] != numbers[1]
    assert [len(found) for found in numbers] == [1, 1]


# Errors that HTTP itself knows


NOT_HERE = (404, "There is no page here")


@pytest.mark.parametrize("path", ["/authorize/x/y", "/authorize/assets/page.js"])
async def test_an_address_below_the_pages_where_nothing_is_says_so_as_a_page(person: Person, path: str):
    assert heading_of(await person.http.get(path)) == NOT_HERE


@pytest.mark.parametrize(("method", "path"), [("PUT", "/authorize/x"), ("DELETE", "/authorize/x/consent")])
async def test_a_method_that_no_page_takes_is_told_as_a_page(person: Person, method: str, path: str):
    answer = await person.http.request(method, path)
    assert heading_of(answer) == (405, "This address takes no such request")
    assert "GET" in answer.headers["allow"]


async def test_a_form_that_is_too_large_is_told_as_a_page(person: Person):
    page = await person.asked((await person.register())["client_id"])
    answer = await person.post(page, "sign-in", email="x" * 70_000)
    assert heading_of(answer) == (413, "That was too much text")


async def test_an_address_beside_the_pages_is_no_page(person: Person):
    answer = await person.http.get("/authorized")
    assert answer.headers["content-type"] == "application/json"


# Strangers


async def test_a_stranger_who_has_not_registered_writes_nothing(server: Server, stranger: Person):
    client = await stranger.register()
    page = await stranger.asked(client["client_id"])
    before = server.written()
    await stranger.authorize(client["client_id"])
    await stranger.authorize("glc_unknown")
    await stranger.authorize(client["client_id"], prompt="none")
    await stranger.sign_in(page, password="wrong")
    await stranger.post(page, "consent", decision="allow")
    await stranger.post(page, "sign-out")
    await stranger.redeem(client["client_id"], "glac_unknown")
    await stranger.refresh(client["client_id"], "glrt_unknown")
    await stranger.revoke(client["client_id"], "glat_unknown")
    await stranger.session("glat_unknown")
    assert server.written() == before


async def test_a_browser_session_ends_after_its_time(long_ago: LongAgo):
    assert returned(long_ago.browser)["error"] == "login_required"
