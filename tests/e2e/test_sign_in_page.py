"""Signing in and out: what opens and ends a session, and which cookies are ignored."""

import anyio
import httpx2
import pytest

from grantledger.application.provenance import Caller
from support.oauth import SESSION_COOKIE, LongAgo, Person, heading_of, returned
from support.pages import CONSENT, SIGN_IN, SIGN_IN_AGAIN, as_it_was
from support.server import EMAIL, PASSWORD, Server
from support.timeouts import TIMEOUT


@pytest.fixture(scope="session")
def server(public: Server) -> Server:
    """A server whose issuer is not on loopback: browsers stay signed in between requests."""
    return public


async def test_the_sign_in_page_says_for_which_application_and_resource(server: Server, person: Person):
    client = await person.register(client_name="Notes for editors")
    page = await person.asked(client["client_id"])
    assert heading_of(page) == SIGN_IN
    assert "Notes for editors" in page.text
    assert f"{server.issuer}/mcp" in page.text


async def test_the_sign_in_page_marks_a_client_until_an_operator_approves_it(server: Server, person: Person):
    client = (await person.register())["client_id"]
    assert "Not verified." in (await person.asked(client)).text
    async with server.use_cases() as container:
        await container.use_cases().approve_client(client, Caller(correlation_id="test"))
    assert "Not verified." not in (await person.asked(client)).text


async def test_the_right_password_leads_to_consent(person: Person):
    client = await person.register()
    assert heading_of(await person.sign_in(await person.asked(client["client_id"]))) == CONSENT


WRONG = [
    (EMAIL, "wrong"),
    (EMAIL, "x" * 5000),
    ("nobody@example.com", PASSWORD),
]


@pytest.mark.parametrize(("email", "password"), WRONG, ids=range(len(WRONG)))
async def test_a_wrong_sign_in_shows_the_page_again(person: Person, email: str, password: str):
    client = await person.register()
    page = await person.sign_in(await person.asked(client["client_id"]), email=email, password=password)
    assert heading_of(page) == SIGN_IN_AGAIN
    assert "The e-mail address or the password is not right." in page.text
    assert SESSION_COOKIE not in person.cookies()


async def test_a_form_with_a_nul_cannot_be_read(person: Person):
    client = await person.register()
    page = await person.sign_in(await person.asked(client["client_id"]), email=f"{EMAIL}\0")
    assert heading_of(page) == (400, "This request cannot be read")


async def test_a_refused_sign_in_is_the_same_for_a_wrong_address_or_password(person: Person):
    client = await person.register()
    page = await person.asked(client["client_id"])
    wrong_password = await person.sign_in(page, password="wrong")
    unknown = await person.sign_in(page, email="eve@example.com", password="wrong")
    assert wrong_password.text.replace(EMAIL, "eve@example.com") == unknown.text


async def test_a_password_is_never_shown_again(person: Person):
    client = await person.register()
    page = await person.sign_in(await person.asked(client["client_id"]), password="my-wrong-password")
    assert "my-wrong-password" not in page.text


async def test_the_right_password_is_accepted_after_a_wrong_one(person: Person):
    client = await person.register()
    page = await person.sign_in(await person.asked(client["client_id"]), password="wrong")
    assert heading_of(await person.sign_in(page)) == CONSENT


async def test_loading_the_url_of_a_refused_form_shows_its_page(person: Person):
    client = await person.register()
    page = await person.sign_in(await person.asked(client["client_id"]), password="wrong")
    assert heading_of(await person.followed(await person.http.get(page.url.path))) == SIGN_IN


SIGN_INS = 6
MANY = 5 * SIGN_INS
"""If each check blocked the server, one or two requests would be answered between two of them."""


async def answered_while_passwords_are_checked(person: Person, page: httpx2.Response) -> int:
    """Send sign-ins all at once, and return how many other requests are answered meanwhile."""
    checked: list[httpx2.Response] = []

    async def check(number: int) -> None:
        # For an unknown address the server checks a hash of full cost; the hash of the usual user is quick.
        # Only a few checks of one account may wait, so each attempt names another account.
        checked.append(await person.sign_in(page, email=f"nobody{number}@example.com", password="wrong"))

    answered = 0
    async with anyio.create_task_group() as sign_ins:
        for number in range(SIGN_INS):
            sign_ins.start_soon(check, number)
        while len(checked) < SIGN_INS:
            assert (await person.session("glat_unknown")).status_code == 401
            answered += 1
    return answered


async def test_other_requests_are_answered_while_passwords_are_checked(person: Person):
    """Repeated if a busy machine gave this process no processor time during the checks."""
    page = await person.asked((await person.register())["client_id"])
    answered: list[int] = []
    while len(answered) < 5 and max(answered, default=0) < MANY:
        answered.append(await answered_while_passwords_are_checked(person, page))
    assert max(answered) >= MANY, answered


async def test_signing_in_does_not_adopt_a_session_that_was_there_before(person: Person):
    client = await person.register()
    person.http.cookies.set(SESSION_COOKIE, "planted.secret", domain="127.0.0.1", path="/")
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
    "x.y.z",
    "\u00e9.\u00e9",
    '"',
    "x" * 4000,
    "{id}.wrong",
]


@pytest.fixture
async def session_cookie(ada: Person) -> str:
    return ada.cookies()[SESSION_COOKIE]


@pytest.mark.parametrize("value", FORGED, ids=ascii)
async def test_a_forged_session_cookie_signs_no_user_in(server: Server, session_cookie: str, value: str):
    cookie = value.format(id=session_cookie.partition(".")[0]) if "{" in value else value
    async with httpx2.AsyncClient(base_url=server.origin, timeout=TIMEOUT, verify=False) as http:
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


@pytest.mark.full
async def test_a_browser_session_ends_at_its_expiry(long_ago: LongAgo):
    assert returned(long_ago.browser)["error"] == "login_required"
