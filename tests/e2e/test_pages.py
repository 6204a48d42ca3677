"""The pages under `/authorize` as browsers use them: forms, tabs, cookies, and other people's requests."""

import re
from http.cookies import Morsel, SimpleCookie
from typing import Any

import pytest

from support.oauth import Person, assert_guarded, heading_of
from support.pages import cookies_set
from support.server import EMAIL, PASSWORD, Server

REQUEST = "grantledger-request-"


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


async def test_every_response_of_the_flow_has_the_security_headers(person: Person):
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


async def test_the_cookie_of_a_request_reaches_only_its_own_page(person: Person):
    client = await person.register()
    start = await person.authorize(client["client_id"])
    ((name, cookie),) = cookies_set(start).items()
    assert name == REQUEST + start.headers["location"].rpartition("/")[2]
    assert attributes_of(cookie) == {
        "path": start.headers["location"],
        "httponly": True,
        "samesite": "lax",
        "max-age": "600",
    }


async def test_session_cookies_are_sent_only_to_a_path_that_no_program_knows(person: Person):
    client = await person.register()
    page = await person.asked(client["client_id"])
    answer = await person.post(page, "sign-in", email=EMAIL, password=PASSWORD)
    home = answer.headers["location"].rpartition("/")[0]
    segment = home.removeprefix("/authorize/s/")
    session, request = cookies_set(answer)[f"grantledger-session-{segment}"], cookies_set(answer)
    assert attributes_of(session) == {"path": home, "httponly": True, "samesite": "lax", "max-age": "900"}
    assert {cookie["path"] for cookie in request.values()} == {home}


async def test_the_cookie_of_an_answered_request_is_deleted_at_each_of_its_paths(ada: Person, client: str):
    page = await ada.asked(client)
    answer = await ada.post(page, "consent", decision="deny")
    transaction = page.url.path.rpartition("/")[2]
    headers = [SimpleCookie(header) for header in answer.headers.get_list("set-cookie")]
    cookies = [cookie for header in headers for cookie in header.values()]
    assert {cookie.key for cookie in cookies} == {REQUEST + transaction}
    assert {(cookie["path"], cookie["max-age"]) for cookie in cookies} == {
        (f"/authorize/{transaction}", "0"),
        (page.url.path.rpartition("/")[0], "0"),
    }


def attributes_of(cookie: Morsel[str]) -> dict[str, Any]:
    return {name: value for name, value in cookie.items() if value}


async def test_no_value_of_a_cookie_is_in_the_ledger(server: Server, ada: Person, client: str):
    await ada.asked(client)
    on_disk = server.written()
    for value in ada.cookies().values():
        assert value.encode() not in on_disk


async def test_every_error_page_shows_a_number_to_ask_for_help_with(person: Person):
    headers = {"x-request-id": "chosen-by-a-stranger"}
    pages = [(await person.http.get("/authorize", headers=headers)).text for _ in range(2)]
    numbers = [re.findall(r"<code><bdi[^>]*>([0-9a-f]{16})</bdi></code>", page) for page in pages]
    assert numbers[0] != numbers[1]
    assert [len(found) for found in numbers] == [1, 1]


NOT_HERE = (404, "There is no page here")


@pytest.mark.parametrize("path", ["/authorize/x/y", "/authorize/assets/page.js"])
async def test_an_unknown_path_below_the_pages_gets_an_error_page(person: Person, path: str):
    assert heading_of(await person.http.get(path)) == NOT_HERE


@pytest.mark.parametrize(("method", "path"), [("PUT", "/authorize/x"), ("DELETE", "/authorize/x/consent")])
async def test_a_method_that_no_page_accepts_gets_an_error_page(person: Person, method: str, path: str):
    answer = await person.http.request(method, path)
    assert heading_of(answer) == (405, "This page cannot be opened this way")
    assert "GET" in answer.headers["allow"]


async def test_a_form_that_is_too_large_gets_an_error_page(person: Person):
    page = await person.asked((await person.register())["client_id"])
    answer = await person.post(page, "sign-in", email="x" * 70_000)
    assert heading_of(answer) == (413, "That was too much text")


async def test_a_path_that_only_begins_like_the_pages_gets_json(person: Person):
    answer = await person.http.get("/authorized")
    assert answer.headers["content-type"] == "application/json"


async def test_a_stranger_who_has_not_registered_writes_nothing(server: Server, stranger: Person):
    client = await stranger.register()
    page = await stranger.asked(client["client_id"])
    before = server.recorded()
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
    assert server.recorded() == before
