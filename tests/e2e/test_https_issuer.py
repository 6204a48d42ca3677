"""A server behind a proxy that ends TLS: which headers of which proxy it trusts."""

import re
from collections.abc import AsyncIterator, Iterator
from http.cookies import Morsel, SimpleCookie

import httpx2
import pytest

from support.oauth import Person, error_of, heading_of, returned
from support.server import EMAIL, PASSWORD, Server, free_port, serving
from support.stores import asked

ISSUER = "https://auth.example"
SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldCE="
SPOOFED = {
    "host": "evil.example",
    "forwarded": "for=1.2.3.4;host=evil.example;proto=http",
    "x-forwarded-host": "evil.example",
    "x-forwarded-proto": "http",
    "x-forwarded-port": "81",
    "x-forwarded-prefix": "/evil",
    "x-original-url": "/evil",
    "x-rewrite-url": "/evil",
}


@pytest.fixture(scope="module")
def behind_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("https")
    with serving(
        directory, issuer=ISSUER, master_secret=SECRET, trusted_proxies="127.0.0.1/32, 10.0.0.0/8"
    ) as running:
        yield running


@pytest.fixture
async def person(behind_proxy: Server) -> AsyncIterator[Person]:
    someone = Person.at(behind_proxy.origin)
    yield someone
    await someone.http.aclose()


def cookie_of(answer: httpx2.Response) -> Morsel[str]:
    (morsel,) = SimpleCookie(answer.headers["set-cookie"]).values()
    return morsel


async def test_the_metadata_names_the_issuer_and_not_where_the_server_listens(person: Person):
    metadata = (await person.http.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["issuer"] == ISSUER
    assert {url for name, url in metadata.items() if name.endswith("_endpoint")} == {
        f"{ISSUER}/{endpoint}"
        for endpoint in ("authorize", "token", "register", "revoke", "introspect", "userinfo")
    }


async def test_the_flow_works(person: Person):
    client = (await person.register())["client_id"]
    tokens = await person.tokens(client)
    session = (await person.session(tokens["access_token"])).json()
    assert session["resource"] == f"{ISSUER}/mcp"


async def test_redirects_name_the_issuer(person: Person):
    client = (await person.register())["client_id"]
    assert returned(await person.authorize(client, prompt="none"))["iss"] == ISSUER


async def test_the_cookie_of_a_request_is_bound_to_the_host(person: Person):
    client = (await person.register())["client_id"]
    cookie = cookie_of(await person.authorize(client))
    assert cookie.key.startswith("__Host-grantledger-request-")
    assert bound_to_the_host(cookie)


async def test_the_cookie_of_a_session_is_bound_to_the_host(person: Person):
    client = (await person.register())["client_id"]
    page = await person.asked(client)
    answer = await person.post(page, "sign-in", email=EMAIL, password=PASSWORD)
    cookie = SimpleCookie("; ".join(answer.headers.get_list("set-cookie")))["__Host-grantledger-session"]
    assert bound_to_the_host(cookie)


def bound_to_the_host(cookie: Morsel[str]) -> bool:
    """Whether a browser takes a cookie of that name, and sends it over TLS to this host alone."""
    demanded = cookie["secure"] is True and cookie["path"] == "/" and not cookie["domain"]
    return demanded and cookie["httponly"] is True and cookie["samesite"] == "lax"


async def test_a_cookie_that_a_neighbour_domain_could_have_set_is_not_read(person: Person):
    client = (await person.register())["client_id"]
    await person.code(client)
    session = person.cookies()["__Host-grantledger-session"]
    person.http.cookies.clear()
    person.http.cookies.set("grantledger-session", session, domain="127.0.0.1", path="/")
    assert returned(await person.authorize(client, prompt="none"))["error"] == "login_required"


@pytest.mark.parametrize("space", [b"\xa0", b"\x85"])
async def test_a_cookie_whose_name_begins_with_a_space_of_unicode_is_not_read(person: Person, space: bytes):
    """Browsers take it from a neighbour domain, because its name does not begin with `__Host-`."""
    client = (await person.register())["client_id"]
    await person.code(client)
    session = person.cookies()["__Host-grantledger-session"]
    person.http.cookies.clear()
    person.http.headers = [(b"cookie", space + f"__Host-grantledger-session={session}".encode())]
    assert returned(await person.authorize(client, prompt="none"))["error"] == "login_required"


@pytest.mark.parametrize("path", ["/authorize", "/authorize/x"])
async def test_the_servers_own_pages_are_refused_as_redirect_uris(person: Person, path: str):
    answer = await person.http.post("/register", json={"redirect_uris": [f"{ISSUER}{path}"]})
    assert error_of(answer) == (400, "invalid_redirect_uri")


_NUMBER = re.compile(rb"[0-9a-f]{16}")
"""The number on an error page, by which an operator finds the request."""

PATHS = [
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-unknown",
    "/session",
    "/token",
    "/authorize/assets/page.css",
    "/",
]


@pytest.mark.parametrize("path", PATHS)
async def test_the_host_of_a_request_changes_nothing_in_an_answer(person: Person, path: str):
    for method in ("GET", "HEAD", "POST", "OPTIONS"):
        plain = await person.http.request(method, path)
        spoofed = await person.http.request(method, path, headers=SPOOFED)
        assert spoofed.status_code == plain.status_code
        assert _NUMBER.sub(b"", spoofed.content) == _NUMBER.sub(b"", plain.content)
        assert without_what_is_always_new(spoofed) == without_what_is_always_new(plain)


def without_what_is_always_new(answer: httpx2.Response) -> list[tuple[str, str]]:
    return [
        (name, value) for name, value in answer.headers.multi_items() if name not in ("date", "x-request-id")
    ]


async def test_the_host_of_a_request_does_not_lead_a_browser_elsewhere(person: Person):
    client = (await person.register())["client_id"]
    person.http.headers.update(SPOOFED)
    start = await person.authorize(client)
    assert start.headers["location"].startswith("/authorize/")
    page = await person.followed(start)
    assert "evil" not in page.text
    signed_in = await person.post(page, "sign-in", email=EMAIL, password=PASSWORD)
    assert signed_in.headers["location"] == start.headers["location"]
    allowed = await person.post(await person.followed(signed_in), "consent", decision="allow")
    assert returned(allowed)["iss"] == ISSUER
    assert "evil" not in str(signed_in.headers) + str(allowed.headers)


# Forwarded headers


async def caller_of(server: Server, **headers: str) -> bytes:
    """Return the keyed digest of the address that the ledger keeps for a request."""
    async with Person.at(server.origin).http as http:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        metadata = {"redirect_uris": ["https://client.example/"]}
        client_id = (await http.post("/register", json=metadata, headers=sent)).json()["client_id"]
    query = "SELECT address_digest FROM events WHERE client_id = ? AND tag = 'client.registered.v1'"
    ((digest,),) = asked(server.ledger, query, client_id)
    return bytes(digest)


async def test_a_trusted_proxy_says_who_is_calling(behind_proxy: Server):
    one = await caller_of(behind_proxy, x_forwarded_for="203.0.113.7")
    other = await caller_of(behind_proxy, x_forwarded_for="203.0.113.8")
    assert len({one, other, await caller_of(behind_proxy)}) == 3


async def test_an_address_that_the_caller_wrote_itself_is_ignored(behind_proxy: Server):
    honest = await caller_of(behind_proxy, x_forwarded_for="203.0.113.7")
    spoofed = await caller_of(behind_proxy, x_forwarded_for="198.51.100.1, 203.0.113.7")
    assert spoofed == honest


async def test_a_chain_of_trusted_proxies_is_followed_to_the_caller(behind_proxy: Server):
    honest = await caller_of(behind_proxy, x_forwarded_for="203.0.113.7")
    assert await caller_of(behind_proxy, x_forwarded_for="203.0.113.7, 10.1.2.3") == honest


async def test_without_trusted_proxies_no_header_changes_the_address(server: Server):
    honest = await caller_of(server)
    spoofed = await caller_of(server, x_forwarded_for="203.0.113.7", forwarded="for=203.0.113.7")
    assert spoofed == honest


async def test_the_request_id_on_a_page_comes_from_a_trusted_proxy_only(server: Server, person: Person):
    headers = {"x-request-id": "number-of-the-proxy"}
    assert "number-of-the-proxy" in (await person.http.get("/authorize", headers=headers)).text
    async with Person.at(server.origin).http as http:
        assert "number-of-the-proxy" not in (await http.get("/authorize", headers=headers)).text


@pytest.mark.parametrize("number", ["short", "x" * 65, "<script>alert</script>", "a b c d e f g"])
async def test_a_malformed_request_id_is_ignored_even_from_a_trusted_proxy(person: Person, number: str):
    page = await person.http.get("/authorize", headers={"x-request-id": number})
    assert heading_of(page) == (400, "This application is not known here")
    assert number not in page.text


# Headers of a host of its own


@pytest.mark.parametrize("path", [*PATHS, "/authorize", "/authorize/account", "/register"])
async def test_browsers_learn_to_use_https_for_this_host_alone(person: Person, path: str):
    answer = await person.http.get(path)
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


@pytest.fixture(scope="module")
def https_on_loopback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    issuer = f"https://localhost:{free_port()}"
    with serving(tmp_path_factory.mktemp("https-on-loopback"), issuer=issuer) as running:
        yield running


@pytest.mark.parametrize("path", ["/authorize", "/authorize/account", "/jwks"])
async def test_a_loopback_host_never_gets_hsts(server: Server, https_on_loopback: Server, path: str):
    """With HSTS, all programs on all ports of the host would have to use TLS."""
    for each in (server, https_on_loopback):
        async with Person.at(each.origin).http as http:
            assert "strict-transport-security" not in (await http.get(path)).headers


async def test_only_account_pages_are_isolated_from_the_window_that_opened_them(person: Person):
    sign_in = await person.asked((await person.register())["client_id"])
    consent = await person.sign_in(sign_in)
    account = [await person.http.get(f"/authorize/account{page}") for page in ("", "/password")]
    policies = [page.headers.get("cross-origin-opener-policy") for page in (sign_in, consent, *account)]
    assert policies == [None, None, "same-origin", "same-origin"]
