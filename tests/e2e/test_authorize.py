"""`GET /authorize`: what is checked first, where errors go, and when no page is shown."""

from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from support.oauth import (
    REDIRECT_URI,
    Person,
    assert_guarded,
    heading_of,
    query,
    returned,
)
from support.server import Server

UNKNOWN_CLIENT = (400, "This application is not known here")

NO_RETURN = (400, "This return address is not registered")

UNREADABLE = (400, "This request cannot be read")

TOO_LARGE = (400, "This request is too large")

CONSENT = (200, "Allow access?")

LOOPBACK = "http://127.0.0.1:3118/callback"


async def raw(person: Person, text: str) -> Any:
    return await person.http.get(f"/authorize?{text}")


@pytest.mark.parametrize("client_id", [None, "", "glc_unknown", "https://client.example/metadata.json"])
async def test_an_unknown_client_gets_an_error_page_and_no_redirect(person: Person, client_id: Any):
    parameters = query("", client_id=client_id)
    assert heading_of(await raw(person, urlencode(parameters))) == UNKNOWN_CLIENT


async def test_a_redirect_uri_that_is_not_registered_is_redirected_nowhere(person: Person):
    client = await person.register()
    answer = await person.authorize(client["client_id"], redirect_uri=f"{REDIRECT_URI}/")
    assert heading_of(answer) == NO_RETURN


async def test_one_of_several_redirect_uris_has_to_be_named(person: Person):
    client = await person.register(redirect_uris=[REDIRECT_URI, LOOPBACK])
    assert heading_of(await person.authorize(client["client_id"], redirect_uri=None)) == NO_RETURN


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
async def test_client_id_and_redirect_uri_may_not_be_repeated(person: Person, name: str):
    client = await person.register()
    parameters = query(client["client_id"])
    twice = urlencode([*parameters.items(), (name, parameters[name])])
    assert heading_of(await raw(person, twice)) == UNREADABLE


@pytest.mark.parametrize(
    "text",
    ["x=%ff", "x=%c3", "x=" + "x" * 8193, "&".join(f"p{n}=1" for n in range(65))],
    ids=["not UTF-8", "a truncated UTF-8 character", "a long value", "many parameters"],
)
async def test_an_unreadable_query_gets_an_error_page(person: Person, text: str):
    client = await person.register()
    answer = await raw(person, f"{urlencode(query(client['client_id']))}&{text}")
    assert heading_of(answer) == UNREADABLE


@pytest.mark.parametrize(
    ("wrong", "shown"),
    [({"client_id": "glc_unknown"}, UNKNOWN_CLIENT), ({"redirect_uri": "https://evil.example/"}, NO_RETURN)],
    ids=["client", "redirect URI"],
)
async def test_the_client_and_its_redirect_uri_are_checked_first(
    person: Person, wrong: dict[str, str], shown: Any
):
    client = await person.register()
    everything_else = {"response_type": "token", "scope": "x", "code_challenge": None, "request": "x"}
    answer = await raw(person, urlencode(query(client["client_id"], **{**everything_else, **wrong})))
    assert heading_of(answer) == shown


async def test_a_refusal_stores_nothing_in_the_browser(person: Person):
    client = await person.register()
    for parameters in ({"redirect_uri": "https://evil.example/"}, {"scope": "unknown"}):
        assert "set-cookie" not in (await person.authorize(client["client_id"], **parameters)).headers


async def posted(person: Person, parameters: Any) -> Any:
    """Post a form to /authorize, and return the URL to which the browser is redirected."""
    return await person.http.post("/authorize", data=parameters)


async def test_a_posted_request_is_the_same_request_by_get(person: Person):
    """OpenID Connect Core section 3.1.2.1."""
    client = await person.register()
    asked = query(client["client_id"], state="a&b=c äöü", resource=f"{person.origin}/mcp", claims="{}")
    answer = await posted(person, asked)
    assert answer.status_code == 303
    path, _, sent = answer.headers["location"].partition("?")
    assert path == "/authorize"
    del asked["claims"]  # a parameter that means nothing here
    assert parse_qs(sent, strict_parsing=True) == {name: [value] for name, value in asked.items()}
    assert "set-cookie" not in answer.headers


async def test_a_request_posted_by_another_site_leads_to_the_sign_in_page(person: Person):
    client = await person.register()
    person.http.headers["sec-fetch-site"] = "cross-site"
    answer = await person.followed(await posted(person, query(client["client_id"])))
    assert heading_of(answer) == (200, "Sign in")


async def test_a_parameter_that_is_posted_twice_is_refused(person: Person):
    client = await person.register()
    asked = {**query(client["client_id"]), "scope": ["openid", "email"]}
    assert returned(await person.followed(await posted(person, asked)))["error"] == "invalid_request"


async def test_only_the_body_of_a_posted_request_counts(person: Person):
    client = await person.register()
    asked = query(client["client_id"])
    answer = await person.http.post("/authorize?scope=unknown", data=asked)
    assert "scope" not in parse_qs(urlsplit(answer.headers["location"]).query)


@pytest.mark.parametrize("body", ["x=%ff", "&".join(f"p{n}=1" for n in range(65))], ids=["bytes", "many"])
async def test_a_form_that_cannot_be_read_gets_an_error_page(person: Person, body: str):
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert heading_of(await person.http.post("/authorize", content=body, headers=headers)) == UNREADABLE


async def test_json_is_no_authorization_request(person: Person):
    assert heading_of(await person.http.post("/authorize", json={})) == UNREADABLE


async def test_a_posted_request_that_is_too_long_for_a_url_names_its_longest_parameter(person: Person):
    client = await person.register()
    page = await posted(person, query(client["client_id"], state="%" * 1000))
    assert heading_of(page) == TOO_LARGE
    assert "parameter “state” is too long" in page.text


REFUSED: dict[str, tuple[dict[str, str | None], str]] = {
    "no response type": ({"response_type": None}, "invalid_request"),
    "a token": ({"response_type": "token"}, "unsupported_response_type"),
    "a plain challenge": ({"code_challenge_method": "plain"}, "invalid_request"),
    "no known scope": ({"scope": "unknown other"}, "invalid_scope"),
    "a scope that is not ASCII": ({"scope": "öpenid"}, "invalid_scope"),
    "another resource": ({"resource": "https://evil.example/mcp"}, "invalid_target"),
    "a request object": ({"request": "eyJ..."}, "request_not_supported"),
    "a request URI": ({"request_uri": "https://client.example/request"}, "request_uri_not_supported"),
    "prompt=none without a session": ({"prompt": "none"}, "login_required"),
    "a state that is too long": ({"state": "x" * 2049}, "invalid_request"),
}


@pytest.mark.parametrize(("asked", "error"), REFUSED.values(), ids=REFUSED)
async def test_a_refusal_goes_back_to_the_client_with_state_and_issuer(
    server: Server, person: Person, asked: dict[str, str | None], error: str
):
    client = await person.register()
    answer = await person.authorize(client["client_id"], **asked)
    assert answer.headers["location"].startswith(f"{REDIRECT_URI}?")
    parameters = returned(answer)
    assert set(parameters) == {"error", "error_description", "state", "iss"}
    assert parameters["error"] == error
    assert parameters["state"] == asked.get("state", "the-state")
    assert parameters["iss"] == server.origin


@pytest.mark.parametrize("name", ["scope", "x"])
async def test_a_repeated_parameter_is_refused(person: Person, name: str):
    client = await person.register()
    parameters = {"scope": "openid", "prompt": "login", "x": "1", **query(client["client_id"])}
    twice = urlencode([*parameters.items(), (name, parameters[name])])
    assert returned(await raw(person, twice))["error"] == "invalid_request"


async def test_two_different_resources_are_refused(two_resources: Server, member: Person):
    client = await member.register()
    parameters = urlencode(query(client["client_id"]))
    both = urlencode([("resource", "https://mcp.example"), ("resource", f"{two_resources.origin}/notes/mcp")])
    assert returned(await raw(member, f"{parameters}&{both}"))["error"] == "invalid_target"


async def test_a_refusal_has_the_security_headers_of_a_page(person: Person):
    client = await person.register()
    assert_guarded((await person.authorize(client["client_id"], response_type="token")).headers)


async def test_unknown_parameters_are_ignored(ada: Person, client: str):
    parameters = {"nonce": "1", "claims": "{}", "login_hint": "x", "ui_locales": "de", "display": "popup"}
    assert heading_of(await ada.asked(client, **parameters)) == CONSENT


async def test_an_empty_parameter_is_an_omitted_one(ada: Person, client: str):
    empty = dict.fromkeys(("scope", "resource", "prompt", "response_mode", "request", "request_uri"), "")
    assert heading_of(await ada.asked(client, **empty)) == CONSENT


STATES = ["a b+c", "a&b=c&iss=evil", "äöü 🔑", "\r\nlocation: x", "<script>", "%2B%20", "#x", "x" * 2048]


@pytest.mark.parametrize("state", STATES, ids=lambda state: ascii(state)[:24])
async def test_state_comes_back_unchanged(person: Person, state: str):
    client = await person.register()
    answer = await person.authorize(client["client_id"], state=state, prompt="none")
    assert returned(answer)["state"] == state


async def test_state_survives_sign_in_and_consent(ada: Person, client: str):
    page = await ada.asked(client, state=STATES[1] + STATES[2])
    assert returned(await ada.submit(page, "consent", decision="allow"))["state"] == STATES[1] + STATES[2]


async def test_no_state_comes_back_if_none_was_sent(person: Person):
    client = await person.register()
    answer = await person.authorize(client["client_id"], state=None, prompt="none")
    assert "state" not in returned(answer)


@pytest.mark.parametrize("decision", ["allow", "deny"])
async def test_the_issuer_is_in_the_response_to_every_decision(
    server: Server, ada: Person, client: str, decision: str
):
    page = await ada.asked(client)
    assert returned(await ada.submit(page, "consent", decision=decision))["iss"] == server.origin


async def test_denying_consent_is_access_denied(ada: Person, client: str):
    answer = returned(await ada.submit(await ada.asked(client), "consent", decision="deny"))
    assert {"error": "access_denied", "state": "the-state"}.items() <= answer.items()
    assert "code" not in answer


async def test_a_redirect_uri_keeps_its_query_except_for_response_parameters(server: Server, person: Person):
    redirect_uri = f"{LOOPBACK}?kb_name=a%20b&iss=evil&state=evil"
    client = await person.register(redirect_uris=[redirect_uri])
    answer = await person.authorize(client["client_id"], redirect_uri=redirect_uri, prompt="none")
    shown = returned(answer)
    assert (shown["kb_name"], shown["iss"], shown["state"]) == ("a b", server.origin, "the-state")


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "com.example.app:/callback",
        "com.example.app://callback",
        "com.example.app:///callback",
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "http://[::1]:3118/callback",
        "http://localhost",
        "https://client.example",
    ],
)
async def test_the_response_goes_to_the_redirect_uri_byte_for_byte(ada: Person, redirect_uri: str):
    client = (await ada.register(redirect_uris=[redirect_uri]))["client_id"]
    page = await ada.asked(client, redirect_uri=redirect_uri)
    answer = await ada.submit(page, "consent", decision="deny")
    assert answer.headers["location"].startswith(f"{redirect_uri}?error=access_denied&")


async def test_a_native_client_may_listen_on_another_port_than_it_registered(person: Person):
    client = await person.register(redirect_uris=["http://127.0.0.1:33418/"])
    answer = await person.authorize(client["client_id"], redirect_uri="http://127.0.0.1:50000")
    assert answer.headers["location"].startswith("/authorize/")


async def test_a_get_without_cookies_stores_the_request_and_writes_no_event(server: Server, person: Person):
    """FastMCP's client sends it before it opens the browser, to learn whether it is still registered."""
    client = await person.register()
    before = server.events()
    answer = await person.authorize(client["client_id"])
    assert answer.status_code == 303
    assert server.events() == before


async def test_the_url_of_a_pending_request_carries_nothing_of_it(person: Person):
    client = await person.register()
    answer = await person.authorize(client["client_id"], scope="openid email")
    path, _, transaction_id = answer.headers["location"].rpartition("/")
    assert path == "/authorize"
    assert len(transaction_id) == 22


async def test_a_request_too_large_for_a_cookie_gets_an_error_page(person: Person):
    """Each value is within its limit, but together they are too large for a cookie."""
    client = await person.register(redirect_uris=[f"{REDIRECT_URI}?x={token_urlsafe(1_500)}"])
    answer = await person.authorize(client["client_id"], redirect_uri=None, state=token_urlsafe(1_536))
    assert heading_of(answer) == TOO_LARGE
