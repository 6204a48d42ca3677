"""Cookies on a loopback issuer: what another program on the machine receives and sets authorizes nothing.

Browsers send cookies to every port of a host, over http and https, and take cookies from all of them.
"""

import re
import secrets
import ssl
from collections.abc import Callable, Iterator

import httpx2
import pytest
from msgspec import Struct
from playwright.sync_api import Browser, Page, expect

from browser.visitor import signs_in_at_the_host
from support.chromium import new_context
from support.loopback_client import LANDED, LoopbackClient, listening
from support.oauth import csrf_token
from support.other_port import COOKIE, OtherPort, Reply, other_port
from support.server import EMAIL, PASSWORD, Server, free_port, serving
from support.timeouts import TIMEOUT
from support.tls import self_signed, tls_proxy
from support.visitors import allow, comes_to, keep_cookies, sign_in

GUESSED = (
    *("/", "/cb", "/login", "/authorize", "/authorize/account", "/authorize/account/password"),
    *("/authorize/x", "/authorize/s", "/authorize/s/x", "/authorize/s/x/account"),
)
"""Paths that a program on another port can name."""

NOT_OURS = "csrftoken"
"""Of the host application: it signs no user in."""


class Site(Struct, frozen=True):
    """A server on loopback, and how its user signs in."""

    origin: str
    name: str
    signs_in: Callable[[Page], None]

    @property
    def host(self) -> str:
        return self.origin.partition("://")[2].partition(":")[0]


def _signs_in(page: Page) -> None:
    sign_in(page, EMAIL)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    return self_signed(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def behind_tls(
    tmp_path_factory: pytest.TempPathFactory, certificate: ssl.SSLContext
) -> Iterator[tuple[Server, str]]:
    port = free_port()
    origin = f"https://localhost:{port}"
    with (
        serving(tmp_path_factory.mktemp("tls"), issuer=origin) as running,
        tls_proxy(certificate, port, int(running.settings["port"])),
    ):
        yield running, origin


@pytest.fixture(params=["http", "https", "host"])
def site(
    request: pytest.FixtureRequest, server: Server, behind_tls: tuple[Server, str], host: Server
) -> Site:
    """The built-in identity over http and https, and an application that signs its own users in."""
    sites = {
        "http": Site(server.origin, EMAIL, _signs_in),
        "https": Site(behind_tls[1], EMAIL, _signs_in),
        "host": Site(host.origin, "grace", signs_in_at_the_host),
    }
    return sites[request.param]


@pytest.fixture
def others(certificate: ssl.SSLContext) -> Iterator[list[OtherPort]]:
    """Programs on other ports, one that speaks http and one that speaks https."""
    with other_port() as http, other_port(certificate) as https:
        yield [http, https]


@pytest.fixture
def thief() -> Iterator[OtherPort]:
    with other_port() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = new_context(browser, ignore_https_errors=True)
    yield context.new_page()
    keep_cookies(context)
    context.close()


def cookies_at(page: Page, site: Site, others: list[OtherPort], paths: tuple[str, ...]) -> set[str]:
    """Send the browser to the other programs, and return the names of the cookies that they received."""
    for other in others:
        other.seen.clear()
        for path in paths:
            page.goto(other.url(path, site.host))
    return {name for other in others for _, name in other.cookies_seen()} - {NOT_OURS}


def at_the_account(page: Page, site: Site) -> str:
    page.goto(f"{site.origin}/authorize/account")
    site.signs_in(page)
    comes_to(page, "Connected apps")
    return page.url


def at_consent(page: Page, site: Site, client: LoopbackClient) -> str:
    """Return the transaction id."""
    page.goto(client.url())
    site.signs_in(page)
    comes_to(page, "Allow access?")
    return page.url.rpartition("/")[2]


def cookie_header(other: OtherPort, path: str) -> dict[str, str]:
    """Return the Cookie header that a program makes of what it received there."""
    (found,) = [cookies for seen, cookies, _ in other.seen if seen == path]
    return {"cookie": "; ".join(f"{name}={value}" for name, value in found.items())}


def answer_to(url: str, cookies: dict[str, str]) -> httpx2.Response:
    """Ask as a program does that writes whatever headers it wants."""
    headers = {"sec-fetch-site": "same-origin", "host": url.split("/")[2], **cookies}
    with httpx2.Client(verify=False, timeout=TIMEOUT) as http:
        return http.get(url, headers=headers)


def asks_to_sign_in(answer: httpx2.Response) -> bool:
    return "<h1>Sign in</h1>" in answer.text or answer.headers.get("location", "").startswith("/login")


# What other programs receive


def test_other_ports_receive_no_cookie_of_a_user_at_the_account(
    page: Page, site: Site, others: list[OtherPort]
):
    at_the_account(page, site)
    assert cookies_at(page, site, others, GUESSED) == set()


def test_other_ports_receive_nothing_of_a_user_at_the_consent_page(
    page: Page, site: Site, others: list[OtherPort]
):
    with listening(site.origin) as client:
        transaction = at_consent(page, site, client)
    assert cookies_at(page, site, others, GUESSED) == set()
    known = (f"/authorize/{transaction}", f"/authorize/{transaction}/consent")
    seen = cookies_at(page, site, others, known)
    assert {name.rpartition("grantledger-")[2] for name in seen} <= {f"request-{transaction}"}


def test_a_pending_request_and_its_cookie_sign_no_one_in(page: Page, site: Site, thief: OtherPort):
    with listening(site.origin) as client:
        transaction = at_consent(page, site, client)
    path = f"/authorize/{transaction}"
    cookies_at(page, site, [thief], (path,))
    answer = answer_to(f"{site.origin}{path}", cookie_header(thief, path))
    assert asks_to_sign_in(answer)


def test_the_callback_receives_no_cookie_and_no_referrer(page: Page, site: Site, thief: OtherPort):
    client = LoopbackClient(site.origin, thief.url("/callback", site.host))
    at_consent(page, site, client)
    allow(page)
    expect(page.get_by_role("heading", name="Another program")).to_be_visible()
    assert page.evaluate("document.referrer") == ""
    (arrived,) = [
        (set(cookies) - {NOT_OURS}, referrer) for path, cookies, referrer in thief.seen if path == "/callback"
    ]
    assert arrived == (set(), "")
    client.close()


# What other programs set


class Intruder(Struct, frozen=True):
    """Another account at the server, signed in from an HTTP client: its cookies, and where they lead."""

    origin: str
    email: str
    url: str
    cookies: dict[str, tuple[str, str]]
    """Value and path by name."""

    def planted(self, *paths: str) -> list[str]:
        """Return Set-Cookie headers for the paths of the cookies, and for more paths."""
        return [
            f"{name}={value}; Path={path}; HttpOnly; SameSite=Lax"
            for name, (value, own) in self.cookies.items()
            for path in (own, *paths)
        ]


@pytest.fixture
def intruder(server: Server, email: str) -> Iterator[Intruder]:
    with httpx2.Client(base_url=server.origin, verify=False, follow_redirects=True, timeout=TIMEOUT) as http:
        http.headers["sec-fetch-site"] = "same-origin"
        form = http.get("/authorize/account")
        sent = {"csrf_token": csrf_token(form), "email": email, "password": PASSWORD}
        home = http.post("/authorize/account/sign-in", data=sent)
        assert email in home.text
        cookies = {cookie.name: (cookie.value or "", cookie.path) for cookie in http.cookies.jar}
        yield Intruder(server.origin, email, str(home.url), cookies)


@pytest.fixture
def local(server: Server) -> Site:
    return Site(server.origin, EMAIL, _signs_in)


GARBAGE = secrets.token_urlsafe()

WIDE = ("/authorize", "/", "/authorize/account")

WAYS: dict[str, Callable[[Page, OtherPort, str], object]] = {
    "a script": lambda page, _, url: page.evaluate("url => { location = url; }", url),
    "a link": lambda page, _, url: page.evaluate(
        """url => { document.body.innerHTML = '<a id=go>go</a>'; go.href = url; go.click(); }""", url
    ),
    "a redirect of a typed address": lambda page, thief, _: page.goto(thief.url("/away")),
}


PLACES = {"at its own path": (), "at more paths": WIDE}
"""Where an attacker's cookies are planted. At its own path alone, no name is sent twice."""


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("way", WAYS)
def test_a_browser_is_not_sent_into_a_planted_session(
    *, page: Page, thief: OtherPort, intruder: Intruder, way: str, place: str
):
    thief.plants("/plant", *intruder.planted(*PLACES[place]))
    thief.redirects("/away", intruder.url)
    page.goto(thief.url("/plant"))
    WAYS[way](page, thief, intruder.url)
    comes_to(page, "Sign in")
    assert intruder.email not in page.content()


@pytest.mark.parametrize("place", PLACES)
def test_a_client_does_not_send_the_browser_from_its_callback_into_a_planted_session(
    *, page: Page, local: Site, thief: OtherPort, intruder: Intruder, place: str
):
    thief.plants("/plant", *intruder.planted(*PLACES[place]))
    thief.redirects("/callback", intruder.url)
    page.goto(thief.url("/plant"))
    client = LoopbackClient(local.origin, thief.url("/callback"))
    at_consent(page, local, client)
    allow(page)
    comes_to(page, "Sign in")
    assert intruder.email not in page.content()
    client.close()


def test_planted_cookies_do_not_change_a_session(
    page: Page, local: Site, thief: OtherPort, intruder: Intruder
):
    at_the_account(page, local)
    garbage = [
        f"{COOKIE}-{name}={GARBAGE}; Path={path}"
        for name in ("session", "visit", "notice", f"request-{'x' * 22}", f"session-{'x' * 22}")
        for path in WIDE
    ]
    thief.plants("/plant", *intruder.planted(*WIDE), *garbage)
    other = page.context.new_page()
    other.goto(thief.url("/plant"))
    page.reload()
    comes_to(page, "Connected apps")
    expect(page.get_by_text(local.name).first).to_be_visible()
    assert intruder.email not in page.content()


def test_a_user_with_planted_cookies_authorizes_only_their_own_request(
    page: Page, local: Site, thief: OtherPort, intruder: Intruder
):
    thief.plants("/plant", *intruder.planted(*WIDE))
    page.goto(thief.url("/plant"))
    with listening(local.origin) as client:
        at_consent(page, local, client)
        expect(page.get_by_text(local.name).first).to_be_visible()


def test_a_notice_cannot_be_planted(page: Page, local: Site, thief: OtherPort):
    at_the_account(page, local)
    thief.plants("/plant", *(f"{COOKIE}-notice=password; Path={path}" for path in WIDE))
    page.context.new_page().goto(thief.url("/plant"))
    page.reload()
    comes_to(page, "Connected apps")
    assert page.get_by_role("status").count() == 0


def test_signing_in_at_a_planted_request_gives_nothing_to_the_program_that_planted_it(
    page: Page, local: Site, thief: OtherPort
):
    with listening(local.origin) as client, httpx2.Client(timeout=TIMEOUT, verify=False) as http:
        started = http.get(client.url())
        path = started.headers["location"]
        (name, value) = next(iter(http.cookies.items()))
    thief.plants("/plant", f"{name}={value}; Path={path}; HttpOnly; SameSite=Lax")
    page.goto(thief.url("/plant"))
    segments = set()
    for _ in range(2):
        page.goto(f"{local.origin}{path}")
        local.signs_in(page)
        comes_to(page, "Allow access?")
        found = re.search("/authorize/s/([A-Za-z0-9_-]{22})/", page.url)
        assert found
        segments.add(found[1])
    assert len(segments) == 2
    assert asks_to_sign_in(answer_to(f"{local.origin}{path}", {"cookie": f"{name}={value}"}))
    assert cookies_at(page, local, [thief], GUESSED) == set()


# Forms of other programs


FORMS = {
    "plain": "<form method=post action='{action}'>{fields}<button>Go</button></form>",
    "without referrer": "<meta name=referrer content=no-referrer>"
    "<form method=post action='{action}'>{fields}<button>Go</button></form>",
    "through a 307": "<form method=post action='/307'>{fields}<button>Go</button></form>",
    "sandboxed": "<iframe sandbox='allow-forms allow-top-navigation' srcdoc=\"<form method=post target=_top "
    "action='{action}'>{fields}<button>Go</button></form>\"></iframe>",
}


@pytest.mark.parametrize("kind", FORMS)
def test_a_form_of_another_port_does_nothing(
    *, page: Page, server: Server, local: Site, thief: OtherPort, email: str, kind: str
):
    """Request and form token are good: without the rule the browser would be signed in as the thief."""
    with (
        listening(local.origin) as client,
        httpx2.Client(base_url=local.origin, timeout=TIMEOUT, verify=False) as http,
    ):
        path = http.get(client.url()).headers["location"]
        (name, value) = next(iter(http.cookies.items()))
        token = csrf_token(http.get(path))
    action = f"{local.origin}{path}/sign-in"
    fields = "".join(
        f"<input name={key} value='{text}'>"
        for key, text in {"csrf_token": token, "email": email, "password": PASSWORD}.items()
    )
    thief.replies["/form"] = Reply(
        FORMS[kind].format(action=action, fields=fields),
        headers=[("set-cookie", f"{name}={value}; Path={path}; HttpOnly; SameSite=Lax")],
    )
    thief.redirects("/307", action, 307)
    page.goto(thief.url("/form"))
    before = server.events()
    frame = page.frame_locator("iframe") if kind == "sandboxed" else page
    frame.get_by_role("button", name="Go").click()
    comes_to(page, "This form cannot be used")
    assert server.events() == before


# The people who use it


def test_each_authorization_has_a_sign_in_of_its_own(page: Page, local: Site):
    for _ in range(2):
        with listening(local.origin) as client:
            at_consent(page, local, client)
            allow(page)
            expect(page.get_by_text(LANDED)).to_be_visible()
            assert client.is_let_in(client.tokens())


def test_connected_apps_are_reached_from_the_consent_page_without_another_sign_in(page: Page, local: Site):
    with listening(local.origin) as client:
        at_consent(page, local, client)
        page.get_by_role("link", name="Connected apps").click()
        comes_to(page, "Connected apps")
        page.go_back()
        allow(page)
        expect(page.get_by_text(LANDED)).to_be_visible()


def test_the_address_of_a_session_without_its_cookie_asks_to_sign_in(
    page: Page, browser: Browser, local: Site
):
    url = at_the_account(page, local)
    elsewhere = new_context(browser)
    other = elsewhere.new_page()
    other.goto(url)
    comes_to(other, "Sign in")
    elsewhere.close()


def test_another_host_name_of_the_machine_is_redirected_to_the_issuer(page: Page, local: Site):
    with listening(local.origin) as client:
        page.goto(client.url().replace("127.0.0.1", "localhost", 1))
        assert page.url.startswith(f"{local.origin}/authorize/")
        local.signs_in(page)
        allow(page)
        expect(page.get_by_text(LANDED)).to_be_visible()
