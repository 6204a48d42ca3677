"""A session on loopback: half of its secret is in the path, half in the cookie."""

import re

import httpx2
import pytest

from support.oauth import Person, heading_of, returned
from support.pages import CONSENT, FOREIGN, LOST, SIGN_IN, SPENT, as_it_was, cookies_set
from support.server import EMAIL, PASSWORD, Server

ACCOUNT = "/authorize/account"
HOME = (200, "Connected apps")
NEW_PASSWORD = "another password of length"


async def home_of(person: Person, *, email: str = EMAIL, password: str = PASSWORD) -> httpx2.Response:
    """Sign in at the account and return its page."""
    return await person.sign_in(await person.http.get(ACCOUNT), email=email, password=password)


def segment_of(page: httpx2.Response) -> str:
    found = re.search("/authorize/s/([A-Za-z0-9_-]{22})/", page.url.path)
    assert found
    return found[1]


async def with_cookies(person: Person, url: str, cookies: dict[str, str]) -> httpx2.Response:
    """Send a GET with these cookies and no others."""
    async with Person.at(person.origin).http as http:
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        return await http.get(url, headers={"cookie": header})


async def test_every_sign_in_has_a_segment_of_its_own(person: Person):
    assert segment_of(await home_of(person)) != segment_of(await home_of(person))


@pytest.mark.parametrize("way", ["no cookie", "another segment", "another session's id", "half a secret"])
async def test_neither_half_of_the_secret_signs_anyone_in(person: Person, way: str):
    one, other = await home_of(person), await home_of(person)
    mine, theirs = segment_of(one), segment_of(other)
    cookies = person.cookies()
    value, other_value = cookies[f"grantledger-session-{mine}"], cookies[f"grantledger-session-{theirs}"]
    session_id, _, secret = value.partition(".")
    presented = {
        "no cookie": {},
        "another segment": {f"grantledger-session-{mine}": other_value},
        "another session's id": {
            f"grantledger-session-{mine}": f"{other_value.partition('.')[0]}.{secret}",
        },
        "half a secret": {f"grantledger-session-{mine}": f"{session_id}.{secret[:-1]}"},
    }
    answer = await with_cookies(person, one.url.path, presented[way])
    assert answer.headers["location"] == ACCOUNT
    honest = await with_cookies(person, one.url.path, {f"grantledger-session-{mine}": value})
    assert heading_of(honest) == HOME


async def test_a_session_cookie_counts_only_below_its_segment(person: Person):
    page = await home_of(person)
    cookies = person.cookies()
    for name, value in cookies.items():
        plain = {name: value, "grantledger-session": value}
        assert heading_of(await with_cookies(person, ACCOUNT, plain)) == SIGN_IN
    assert heading_of(await person.http.get(page.url.path)) == HOME


@pytest.mark.parametrize("site", ["none", "same-site", "cross-site"])
async def test_a_link_from_another_origin_into_a_session_leads_to_the_sign_in(person: Person, site: str):
    page = await home_of(person)
    headers = {"sec-fetch-site": site}
    for path in (page.url.path, f"{page.url.path}/password"):
        assert (await person.http.get(path, headers=headers)).headers["location"] == ACCOUNT
    assert heading_of(await person.http.get(page.url.path)) == HOME


@pytest.mark.parametrize("order", ["{own}; {planted}", "{planted}; {own}", "{own}; {own}"])
async def test_a_cookie_that_is_sent_twice_is_ignored(person: Person, order: str):
    """The order proves nothing: the longer path comes first, and programs at other ports choose paths."""
    page = await home_of(person)
    name = f"grantledger-session-{segment_of(page)}"
    header = order.format(own=f"{name}={person.cookies()[name]}", planted=f"{name}=planted")
    async with Person.at(person.origin).http as http:
        answer = await http.get(page.url.path, headers={"cookie": header})
    assert answer.headers["location"] == ACCOUNT


async def test_two_sign_ins_at_one_request_give_one_code(person: Person):
    client = (await person.register())["client_id"]
    sign_in = await person.asked(client)
    pages = [await person.sign_in(sign_in) for _ in range(2)]
    assert segment_of(pages[0]) != segment_of(pages[1])
    codes = {returned(await person.post(page, "consent", decision="allow"))["code"] for page in pages[:1]}
    again = await person.post(pages[1], "consent", decision="allow")
    if "location" in again.headers:
        codes.add(returned(again)["code"])
    else:
        assert heading_of(again) in (SPENT, LOST)
    assert len(codes) == 1


async def test_a_loopback_session_lasts_15_minutes_and_at_the_account_an_hour(person: Person):
    client = (await person.register())["client_id"]
    pages = {900: await person.asked(client), 3600: await person.http.get(ACCOUNT)}
    for lifetime, page in pages.items():
        answer = await person.post(page, "sign-in", email=EMAIL, password=PASSWORD)
        lifetimes = [c["max-age"] for n, c in cookies_set(answer).items() if "-session-" in n]
        assert lifetimes == [str(lifetime)]


async def test_a_new_password_moves_the_account_to_a_new_segment(server: Server, person: Person, eve: str):
    page = await home_of(person, email=eve)
    form = await person.http.get(f"{page.url.path}/password")
    fields = {"old_password": PASSWORD, "new_password": NEW_PASSWORD, "new_password_again": NEW_PASSWORD}
    async with as_it_was(person, server) as before:
        changed = await person.submit(form, "password", **fields)
        assert heading_of(changed) == HOME
        assert "Your password is changed." in changed.text
        assert segment_of(changed) != segment_of(page)
        assert (await before.http.get(page.url.path)).headers["location"] == ACCOUNT
    back = {**fields, "old_password": NEW_PASSWORD, "new_password": PASSWORD, "new_password_again": PASSWORD}
    await person.submit(await person.http.get(f"{changed.url.path}/password"), "password", **back)


@pytest.mark.parametrize("form", ["sign-out", "sign-out-everywhere"])
async def test_a_segment_cannot_be_used_after_signing_out(server: Server, stranger: Person, form: str):
    page = await home_of(stranger)
    async with as_it_was(stranger, server) as before:
        assert heading_of(await stranger.submit(page, form)) == SIGN_IN
        assert (await before.http.get(page.url.path)).headers["location"] == ACCOUNT
        assert not stranger.session_cookie()


async def test_a_user_can_switch_accounts_at_the_same_request(person: Person):
    client = (await person.register())["client_id"]
    consent = await person.sign_in(await person.asked(client))
    page = await person.submit(consent, "sign-out")
    assert heading_of(page) == SIGN_IN
    assert page.url.path.rpartition("/")[2] == consent.url.path.rpartition("/")[2]
    assert heading_of(await person.sign_in(page)) == CONSENT


async def test_prompt_none_always_answers_login_required(ada: Person, client: str):
    await ada.code(client)
    assert returned(await ada.authorize(client, prompt="none"))["error"] == "login_required"


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": "ISSUER"},
        {"sec-fetch-site": "none"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "null"},
        {},
    ],
    ids=str,
)
async def test_a_form_is_accepted_only_from_our_own_origin(
    server: Server, person: Person, headers: dict[str, str]
):
    page = await person.asked((await person.register())["client_id"])
    del person.http.headers["sec-fetch-site"]
    person.http.headers.update(
        {name: value.replace("ISSUER", server.issuer) for name, value in headers.items()}
    )
    before = server.events()
    answer = await person.post(page, "sign-in", email=EMAIL, password=PASSWORD)
    assert heading_of(answer) == FOREIGN
    assert server.events() == before


async def test_without_fetch_metadata_the_origin_header_decides(server: Server, person: Person):
    page = await person.asked((await person.register())["client_id"])
    del person.http.headers["sec-fetch-site"]
    person.http.headers["origin"] = server.issuer
    assert heading_of(await person.sign_in(page)) == CONSENT


@pytest.mark.parametrize("path", ["/authorize", ACCOUNT, "/authorize/x"])
async def test_a_request_to_another_host_name_is_redirected_to_the_issuer(
    server: Server, person: Person, path: str
):
    answer = await person.http.get(f"{path}?a=b%20c", headers={"host": "evil.example"})
    assert answer.headers["location"] == f"{server.issuer}{path}?a=b%20c"


async def test_a_form_sent_to_another_host_name_does_nothing(person: Person):
    page = await person.asked((await person.register())["client_id"])
    person.http.headers["host"] = "localhost:1"
    assert heading_of(await person.post(page, "sign-in", email=EMAIL, password=PASSWORD)) == FOREIGN
