"""What the server logs for each request, and that the id in the response finds its line."""

import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from secrets import token_urlsafe
from typing import Any, TypeVar

import pytest

from grantledger import AuthorizationServer, Mount, Settings
from support.hosting import hosting
from support.oauth import REDIRECT_URI, Person, basic, error_of
from support.raw_http import ask, client_metadata, post
from support.server import EMAIL, PASSWORD, Server, free_port, serving
from support.stores import asked
from support.timeouts import TIMEOUT

T = TypeVar("T")

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def lines(server: Server) -> list[dict[str, Any]]:
    whole, _, _ = server.log.rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def line_of(server: Server, answer: Any) -> dict[str, Any]:
    """Return the one line of the request with this answer, which is written just after the answer."""
    request_id = answer.headers["x-request-id"]
    (line,) = written(
        lambda: [
            line
            for line in lines(server)
            if line["correlation_id"] == request_id and line["event"] == "request"
        ]
    )
    return line


def written(look: Callable[[], list[T]]) -> list[T]:
    deadline = time.monotonic() + TIMEOUT
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


async def test_every_line_is_json_with_a_time_a_level_and_a_correlation_id(server: Server, person: Person):
    await person.register()
    for line in lines(server):
        assert list(line)[:3] == ["timestamp", "level", "event"]
        assert line["timestamp"].endswith("Z")
        assert len(line["correlation_id"]) == 16


async def test_lines_outside_of_requests_have_an_id_that_no_request_has(server: Server):
    (started,) = [line for line in lines(server) if line["event"].startswith("Grantledger serves")]
    assert started["correlation_id"] not in {
        line["correlation_id"] for line in lines(server) if line["event"] == "request"
    }


async def test_a_request_is_one_line(server: Server, ada: Person, client: str):
    code = await ada.code(client)
    answer = await ada.redeem(client, code)
    line = line_of(server, answer)
    assert line.pop("ms") > 0
    del line["timestamp"], line["correlation_id"]
    assert line == {
        "level": "info",
        "event": "request",
        "method": "POST",
        "route": "/token",
        "status": 200,
        "client_id": client,
    }


async def test_response_log_line_and_event_share_one_id(server: Server, person: Person):
    answer = await person.http.post("/register", content=client_metadata(client_name="Correlated"))
    found = asked(
        server.ledger, "SELECT correlation_id FROM events WHERE client_id = ?", answer.json()["client_id"]
    )
    assert found == [(answer.headers["x-request-id"],)]
    assert line_of(server, answer)["route"] == "/register"


REQUESTS = {
    "200": ("GET", "/.well-known/oauth-authorization-server"),
    "HEAD": ("HEAD", "/.well-known/oauth-authorization-server"),
    "404": ("GET", "/nowhere"),
    "405": ("GET", "/token"),
    "preflight": ("OPTIONS", "/token"),
    "400 as a page": ("GET", "/authorize"),
    "404 as a page": ("GET", "/authorize/x/y"),
    "401": ("GET", "/session"),
}


@pytest.mark.parametrize("case", REQUESTS)
async def test_every_answer_has_the_id_of_its_line(server: Server, person: Person, case: str):
    method, path = REQUESTS[case]
    answer = await person.http.request(method, path)
    assert (line_of(server, answer)["method"], line_of(server, answer)["status"]) == (
        method,
        answer.status_code,
    )


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (413, post("/register", b"x" * 65_537, kind=JSON)),
        (431, b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"x" * 40_000 + b"\r\n\r\n"),
        (400, b"this is not HTTP\r\n\r\n"),
    ],
)
def test_a_refusal_before_routing_has_the_id_of_its_line_too(server: Server, status: int, request_: bytes):
    answer = ask(server.origin, request_)
    assert answer is not None
    assert answer.status == status
    assert line_of(server, answer)["status"] == status


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/session?access_token=x", "/session"),
        ("/authorize/0123456789abcdef", "/authorize/{segment}"),
        ("/nowhere/glac_secret", None),
    ],
)
async def test_a_line_names_the_route_and_never_the_path_or_query(
    server: Server, person: Person, path: str, route: str | None
):
    line = line_of(server, await person.http.get(path))
    assert line["route"] == route
    assert not {"access_token", "0123456789abcdef", "glac_secret"} & set(
        json.dumps(line).replace('"', " ").split()
    )


async def test_a_refusal_is_logged_with_its_reason(server: Server, ada: Person, client: str):
    answer = await ada.authorize(client, redirect_uri="https://evil.example/cb?q=1#f")
    line = line_of(server, answer)
    assert "https://evil.example/cb?[query]" in line["detail"]
    assert "q=1" not in line["detail"]
    assert (line["refusal"], line["level"], line["client_id"]) == ("RedirectUriMismatch", "info", client)
    assert "evil.example" in line["detail"]


async def test_an_error_redirect_is_logged_with_its_cause(server: Server, ada: Person, client: str):
    assert line_of(server, await ada.authorize(client, state="x" * 3_000))["refusal"] == "StateTooLong"


CREDENTIALS = b"client_id=glc_nobody&"
REFUSED_FORMS = {
    "ParametersMalformed": b"p=%ff",
    "ParameterMissing": b"client_id=glc_nobody",
    "ParameterRepeated": b"scope=a&scope=b",
    "ClientUnknown": CREDENTIALS + b"grant_type=refresh_token&refresh_token=x",
    "ClientAuthenticationFailed": b"grant_type=refresh_token&refresh_token=x",
    "GrantTypeUnsupported": CREDENTIALS + b"grant_type=password",
}


@pytest.mark.parametrize("refusal", REFUSED_FORMS)
def test_the_log_names_what_is_wrong_with_a_form(server: Server, refusal: str):
    answer = ask(server.origin, post("/token", REFUSED_FORMS[refusal], kind=FORM))
    assert line_of(server, answer)["refusal"] == refusal


def test_the_log_names_client_credentials_in_header_and_body(server: Server):
    form = CREDENTIALS + b"grant_type=refresh_token&refresh_token=x"
    header = b"authorization: Basic Z2xjX290aGVyOng=\r\n"
    answer = ask(server.origin, post("/token", form, kind=FORM, headers=header))
    assert line_of(server, answer)["refusal"] == "ClientCredentialsMixed"


def test_the_log_names_a_registration_that_cannot_be_read_and_says_where(server: Server):
    line = line_of(server, ask(server.origin, post("/register", b'{"redirect_uris": 1}', kind=JSON)))
    assert line["refusal"] == "RegistrationMalformed"
    assert "$.redirect_uris" in line["detail"]


async def test_the_log_names_a_scope_that_is_too_long(server: Server, ada: Person, client: str):
    assert line_of(server, await ada.authorize(client, scope="x" * 1_025))["refusal"] == "ScopeTooLong"


async def test_the_log_names_a_request_that_is_too_large_for_a_cookie(server: Server, ada: Person):
    client = await ada.register(redirect_uris=[f"{REDIRECT_URI}?x={token_urlsafe(1_500)}"])
    answer = await ada.authorize(client["client_id"], redirect_uri=None, state=token_urlsafe(1_536))
    assert line_of(server, answer)["refusal"] == "RequestTooLarge"


async def test_the_log_names_a_page_that_has_expired(server: Server, person: Person):
    line = line_of(server, await person.http.get("/authorize/0123456789abcdef"))
    assert line["refusal"] == "PendingRequestLost"


async def test_a_foreign_form_is_a_warning(server: Server, ada: Person, client: str):
    page = await ada.asked(client)
    line = line_of(server, await ada.post(page, "consent", decision="allow", csrf_token="x"))
    assert (line["refusal"], line["level"]) == ("FormForeign", "warning")


async def test_a_replay_is_a_warning(server: Server, ada: Person, client: str):
    code = await ada.code(client)
    await ada.redeem(client, code)
    line = line_of(server, await ada.redeem(client, code))
    assert (line["refusal"], line["level"]) == ("CodeAlreadyRedeemed", "warning")


async def test_a_wrong_password_is_a_warning_without_the_address(server: Server, person: Person):
    client = await person.register()
    page = await person.asked(client["client_id"])
    line = line_of(server, await person.post(page, "sign-in", email=EMAIL, password="wrong password"))
    assert (line["refusal"], line["level"]) == ("SignInRefused", "warning")
    assert EMAIL not in json.dumps(line)


@pytest.mark.parametrize("mode", ["off", "digest", "plain"])
async def test_a_warning_names_caller_and_account_as_the_setting_says(tmp_path: Path, mode: str):
    with serving(tmp_path, log_callers=mode, sign_in_attempts="2/hour") as server:
        async with Person.at(server.origin).http as http:
            person = Person(server.origin, http)
            page = await person.asked((await person.register())["client_id"])
            answers = [
                await person.post(page, "sign-in", email=email, password="wrong password")
                for email in (EMAIL, f" {EMAIL.upper()}", EMAIL, "nobody@example.com")
            ]
        named = [line_of(server, answer) for answer in answers]
        assert [line["refusal"] for line in named] == [
            "SignInRefused",
            "SignInRefused",
            "TooManyGuesses",
            "SignInRefused",
        ]
        accounts = [line.get("account") for line in named]
        addresses = {line.get("address") for line in named}
        digests = asked(server.ledger, "SELECT DISTINCT address_digest FROM events")
        if mode == "off":
            assert (set(accounts), addresses) == ({None}, {None})
        else:
            assert len(set(accounts[:3])) == 1
            assert len(set(accounts)) == 2
            assert addresses == (
                {"127.0.0.1"} if mode == "plain" else {digest.hex() for (digest,) in digests if digest}
            )
        assert "example.com" not in server.log


async def test_only_a_warning_names_its_caller(server: Server, person: Person):
    answer = await person.http.get("/session", headers={"authorization": "Bearer glat_x"})
    assert not {"address", "account"} & set(line_of(server, answer))


@pytest.mark.full
async def test_failed_sign_ins_of_an_account_are_recorded_soon_after(tmp_path: Path):
    with serving(tmp_path) as server:
        async with Person.at(server.origin).http as http:
            person = Person(server.origin, http)
            page = await person.asked((await person.register())["client_id"])
            answers = [
                await person.post(page, "sign-in", email=email, password="wrong password")
                for email in (EMAIL, "nobody@example.com", EMAIL)
            ]
        refused = [line_of(server, answer)["refusal"] for answer in answers]
        assert refused == ["SignInRefused"] * 3, server.log
        assert written(lambda: [None] * server.events("user.sign_ins_failed.v1")), server.log
        assert server.events("user.sign_ins_failed.v1") == 1


async def test_failed_sign_ins_are_recorded_when_the_server_stops(tmp_path: Path):
    with serving(tmp_path) as server:
        async with Person.at(server.origin).http as http:
            person = Person(server.origin, http)
            page = await person.asked((await person.register())["client_id"])
            await person.post(page, "sign-in", email=EMAIL, password="wrong password")
    assert server.events("user.sign_ins_failed.v1") == 1


async def test_an_address_in_the_wrong_field_is_not_logged(server: Server, ada: Person, client: str):
    answer = await ada.authorize(client, redirect_uri="mailto:ada@example.com", state="x")
    assert "ada@example.com" not in json.dumps(line_of(server, answer))
    answer = await ada.authorize("ada%40example.com")
    assert "example.com" not in json.dumps(line_of(server, answer))


async def test_a_secret_in_the_wrong_field_is_not_logged(server: Server, person: Person):
    secret = "glcs_" + "s" * 43
    answer = await person.http.post(
        "/token", data={"grant_type": "refresh_token", "refresh_token": "x", "client_id": secret}
    )
    assert error_of(answer) == (401, "invalid_client")
    line = line_of(server, answer)
    assert (line["refusal"], line["detail"]) == ("ClientUnknown", "[secret]")
    assert "client_id" not in line
    answer = await person.http.post("/token", data={"grant_type": "x"}, headers=basic(secret, secret))
    assert secret not in server.log


async def test_a_request_id_that_a_client_chose_is_ignored(server: Server, person: Person):
    answer = await person.http.get("/session", headers={"x-request-id": "chosen-by-a-stranger"})
    assert answer.headers["x-request-id"] != "chosen-by-a-stranger"


@pytest.fixture
async def mounted(tmp_path: Path) -> AsyncIterator[str]:
    """The origin of a server in this process, with a guarded application and one that fails."""
    settings = Settings(database=str(tmp_path / "grantledger.sqlite3"), port=free_port())
    embedded = AuthorizationServer(settings)
    mounts = [embedded.mount(failing), Mount(path="/failing", app=failing, lifespan=nullcontext)]
    async with hosting(embedded.app(mounts), settings.port) as origin:
        yield origin


def own_lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return what this package has logged; uvicorn, too, logs to the host's `logging`."""
    return [record for record in caplog.records if record.name.startswith("grantledger")]


async def failing(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError


async def test_a_guards_answer_has_the_id_of_its_line(mounted: str, caplog: pytest.LogCaptureFixture):
    """Embedded, the host's `logging` gets the lines."""
    caplog.set_level("INFO", logger="grantledger")
    async with Person.at(mounted).http as http:
        answer = await http.get("/mcp")
    assert answer.status_code == 401
    (line,) = written(lambda: own_lines(caplog))
    logged = vars(line)
    assert logged["correlation_id"] == answer.headers["x-request-id"]
    assert (logged["message"], logged["route"], logged["status"]) == ("request", "/mcp", 401)


async def test_an_application_that_fails_is_500_with_the_id_of_its_lines(
    mounted: str, caplog: pytest.LogCaptureFixture
):
    async with Person.at(mounted).http as http:
        answer = await http.get("/failing")
    assert error_of(answer) == (500, "server_error")
    lines = written(lambda: own_lines(caplog))
    assert {record.levelname for record in lines} == {"ERROR"}
    assert {vars(record).get("correlation_id", answer.headers["x-request-id"]) for record in lines} == {
        answer.headers["x-request-id"]
    }


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(
        tmp_path_factory.mktemp("console"),
        log_format="console",
        log_level="warning",
        trusted_proxies="127.0.0.1",
    ) as running:
        yield running


async def test_strangers_cannot_break_a_line_on_the_console(console: Server):
    async with Person.at(console.origin).http as http:
        headers = {"x-request-id": "from-the-proxy"}
        data = {
            "grant_type": "refresh_token",
            "refresh_token": "x",
            "client_id": "x\n\x1b[31mred",
            "client_secret": "x",
        }
        known = await http.post("/token", data=data, headers=headers)
        assert known.headers["x-request-id"] == "from-the-proxy"
        page = await Person(console.origin, http).asked(
            (await Person(console.origin, http).register())["client_id"]
        )
        await Person(console.origin, http).post(page, "sign-in", email=EMAIL, password=f"not {PASSWORD}")
    (line,) = written(lambda: [line for line in console.log.splitlines() if "SignInRefused" in line])
    assert "warning" in line
    assert not [line for line in console.log.splitlines() if line.startswith(("\x1b", "[31m", "red"))]
    assert "\x1b" not in console.log


async def test_below_the_level_nothing_is_written(console: Server):
    assert "serves" not in console.log
    async with Person.at(console.origin).http as http:
        await http.get("/session")
    assert "/session" not in console.log


async def test_a_retry_from_another_network_is_a_warning(console: Server):
    person = Person.at(console.origin)
    async with person.http as http:
        client = (await person.register())["client_id"]
        tokens = await person.tokens(client)
        for address in ("203.0.113.7", "198.51.100.9"):
            http.headers["x-forwarded-for"] = address
            assert (await person.refresh(client, tokens["refresh_token"])).status_code == 200
    (line,) = written(lambda: [line for line in console.log.splitlines() if "RefreshRetried" in line])
    assert "warning" in line
    assert "198.51.100.9" not in line
