"""Each limit at the last byte that passes, and at the first that does not."""

import json
from secrets import token_urlsafe
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from grantledger.adapters.http import limits as http_limits
from grantledger.domain import limits
from support.oauth import REDIRECT_URI, Person, error_of, query, returned
from support.pages import leave_link
from support.raw_http import RawAnswer, ask, chunked, client_metadata, connected, post
from support.server import Server
from support.stores import once

pytestmark = once("is answered before the store is asked")

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
DISCOVERY = "/.well-known/oauth-authorization-server"


def answered(server: Server, *pieces: bytes) -> RawAnswer:
    answer = ask(server.origin, *pieces)
    assert answer is not None
    return answer


# The body: 64 KiB


def form_of(size: int) -> bytes:
    """Return a form of that many bytes, each of its parameters well within the limit of a parameter."""
    filled = "&".join(f"p{n}={'x' * 4_000}" for n in range(size // 4_010))
    return f"grant_type=none&{filled}&q=".encode().ljust(size, b"x")


@pytest.mark.parametrize("sent", [post, chunked])
def test_a_body_of_64_kibibytes_is_read(server: Server, sent):
    answer = answered(server, sent("/token", form_of(65_536), kind=FORM))
    assert answer.error == (401, "invalid_client")  # read: it names no client


@pytest.mark.parametrize("sent", [post, chunked])
def test_a_body_with_one_byte_more_is_413(server: Server, sent):
    answer = answered(server, sent("/token", form_of(65_537), kind=FORM))
    assert answer.error == (413, "invalid_request")


@pytest.mark.parametrize("sent", [post, chunked])
def test_the_limit_of_the_body_holds_for_registrations(server: Server, sent):
    fits, exceeds = (client_metadata(x="x" * (size - 63)) for size in (65_536, 65_537))
    assert (len(fits), len(exceeds)) == (65_536, 65_537)
    assert answered(server, sent("/register", fits, kind=JSON)).status == 201
    assert answered(server, sent("/register", exceeds, kind=JSON)).error == (413, "invalid_request")


def test_a_body_without_end_closes_the_connection(server: Server):
    with connected(server.origin) as connection:
        head = (
            f"POST /token HTTP/1.1\r\nhost: x\r\ncontent-type: {FORM}\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        connection.sendall(head.encode())
        chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            connection.sendall(chunk * 1_000)


def test_deeply_nested_json_is_refused(server: Server):
    answer = answered(server, post("/register", b"[" * 65_536, kind=JSON))
    assert answer.error == (400, "invalid_client_metadata")


# The head: 32 KiB


def get_with_head_of(size: int, target: str = DISCOVERY) -> bytes:
    """Return a request whose target and header lines together have that many bytes."""
    filler = size - len(target) - len("host: x\r\n") - len("x-filler: \r\n")
    return f"GET {target} HTTP/1.1\r\nhost: x\r\nx-filler: {'x' * filler}\r\n\r\n".encode()


def test_a_head_of_32_kibibytes_is_read(server: Server):
    assert answered(server, get_with_head_of(32_768)).status == 200


def test_a_head_with_one_byte_more_is_431(server: Server):
    assert answered(server, get_with_head_of(32_769)).error == (431, "invalid_request")


def test_many_small_headers_count_together(server: Server):
    lines = b"".join(b"x-%04d: %s\r\n" % (n, b"x" * 90) for n in range(330))
    head = b"GET %s HTTP/1.1\r\nhost: x\r\n%s\r\n" % (DISCOVERY.encode(), lines)
    assert answered(server, head).status == 431


def test_the_request_target_counts(server: Server):
    assert answered(server, get_with_head_of(32_768, f"{DISCOVERY}?q={'x' * 32_000}")).status == 200
    assert answered(server, get_with_head_of(32_769, f"{DISCOVERY}?q={'x' * 32_000}")).status == 431


def test_a_head_without_end_is_431_before_it_ends(server: Server):
    assert answered(server, b"GET / HTTP/1.1\r\nx-endless: ", *[b"x" * 8_192] * 40).status == 431


def test_a_head_in_small_pieces_counts_as_a_whole(server: Server):
    whole = get_with_head_of(32_769)
    pieces = [whole[start : start + 1_000] for start in range(0, len(whole), 1_000)]
    assert answered(server, *pieces).status == 431


def test_a_refusal_of_the_head_has_a_request_id_and_closes(server: Server):
    answer = answered(server, get_with_head_of(40_000))
    assert len(answer.headers["x-request-id"]) == 16
    assert answer.headers["connection"] == "close"
    assert answer.headers["cache-control"] == "no-store"


def test_a_request_that_is_not_http_is_400(server: Server):
    assert answered(server, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n").error == (400, "invalid_request")


def test_trailers_of_a_chunked_body_are_not_headers(server: Server):
    body = chunked("/token", b"grant_type=refresh_token&refresh_token=x", kind=FORM)
    trailers = b"0\r\nauthorization: Basic eDp5\r\n\r\n"
    answer = answered(server, body.removesuffix(b"0\r\n\r\n") + trailers)
    assert answer.error == (401, "invalid_client")
    assert "www-authenticate" not in answer.headers


# Parameters


async def asked(person: Person, **parameters: str | None) -> dict[str, str]:
    client = await person.register()
    answer = await person.authorize(client["client_id"], prompt="none", **parameters)
    # A response that is too long for the headers of a redirect is a link on a page.
    link = leave_link(answer)
    return returned(answer) if link is None else dict(parse_qsl(urlsplit(link).query))


@pytest.mark.parametrize("state", ["s" * 2_048, "é" * 1_024])
async def test_a_state_of_2_kibibytes_comes_back(person: Person, state: str):
    answer = await asked(person, state=state)
    assert (answer["error"], answer["state"]) == ("login_required", state)


@pytest.mark.parametrize("state", ["s" * 2_049, "é" * 1_024 + "s"])
async def test_a_state_with_one_byte_more_is_refused(person: Person, state: str):
    assert (await asked(person, state=state))["error"] == "invalid_request"


async def test_a_scope_of_1_kibibyte_is_read(person: Person):
    assert (await asked(person, scope="openid ".ljust(1_024, "x")))["error"] == "login_required"


async def test_a_scope_with_one_byte_more_is_refused(person: Person):
    assert (await asked(person, scope="openid ".ljust(1_025, "x")))["error"] == "invalid_scope"


async def test_a_registration_with_a_scope_of_more_than_1_kibibyte_is_refused(person: Person):
    assert (await person.register(scope="openid ".ljust(1_024, "x")))["client_id"]
    answer = await person.http.post("/register", content=client_metadata(scope="openid ".ljust(1_025, "x")))
    assert error_of(answer) == (400, "invalid_client_metadata")


READ = (401, "invalid_client")
NOT_READ = (400, "invalid_request")


@pytest.mark.parametrize(("size", "error"), [(8_192, READ), (8_193, NOT_READ)])
@pytest.mark.parametrize("parameter", ["p={}", "{}=p"])
def test_a_parameter_has_8_kibibytes_at_most(server: Server, parameter: str, size: int, error: object):
    form = f"grant_type=none&{parameter.format('x' * size)}".encode()
    assert answered(server, post("/token", form, kind=FORM)).error == error


@pytest.mark.parametrize(("count", "error"), [(64, READ), (65, NOT_READ)])
def test_a_form_has_64_parameters_at_most(server: Server, count: int, error: object):
    form = "&".join(["grant_type=none", *(f"p{n}=x" for n in range(count - 1))]).encode()
    assert answered(server, post("/token", form, kind=FORM)).error == error


@pytest.mark.parametrize(("count", "error"), [(8, READ), (9, NOT_READ)])
def test_a_form_names_8_resources_at_most(server: Server, count: int, error: object):
    form = "grant_type=none" + "&resource=r" * count
    assert answered(server, post("/token", form.encode(), kind=FORM)).error == error


@pytest.mark.parametrize(("parameter", "passes"), [("nonce", "n" * 512), ("max_age", "9" * 9)])
async def test_a_nonce_has_512_bytes_and_a_max_age_nine_digits(person: Person, parameter: str, passes: str):
    exceeds = passes + passes[0]
    assert (await asked(person, **{parameter: passes}))["error"] == "login_required"
    assert (await asked(person, **{parameter: exceeds}))["error"] == "invalid_request"


async def test_a_parameter_too_long_at_authorize_gets_an_error_page(person: Person):
    client = await person.register()
    asked = query(client["client_id"], p="x" * 8_193)
    assert (await person.http.get(f"/authorize?{urlencode(asked)}")).status_code == 400


# Redirect URIs


def uri_of(size: int) -> str:
    return f"{REDIRECT_URI}?q=".ljust(size, "x")


@pytest.mark.parametrize(("count", "size"), [(20, 700), (7, 2_045)])
def test_20_redirect_uris_or_7_of_2_kibibytes_are_registered(server: Server, count: int, size: int):
    uris = [uri_of(size) + f"{n:03}" for n in range(count)]
    answer = answered(server, post("/register", client_metadata(redirect_uris=uris), kind=JSON))
    assert json.loads(answer.body)["redirect_uris"] == uris


def test_21_redirect_uris_are_refused(server: Server):
    uris = [f"{REDIRECT_URI}/{n}" for n in range(21)]
    answer = answered(server, post("/register", client_metadata(redirect_uris=uris), kind=JSON))
    assert answer.error == (400, "invalid_redirect_uri")


def test_a_redirect_uri_with_one_byte_more_is_refused(server: Server):
    body = client_metadata(redirect_uris=[uri_of(2_049)])
    assert answered(server, post("/register", body, kind=JSON)).error == (400, "invalid_redirect_uri")


async def test_a_link_that_is_too_long_is_left_out(person: Person):
    fits, exceeds = "https://e.example/".ljust(2_048, "x"), "https://e.example/".ljust(2_049, "x")
    client = await person.register(client_uri=fits, logo_uri=exceeds)
    assert client["client_uri"] == fits
    assert "logo_uri" not in client


async def test_a_name_of_more_than_200_characters_is_cut(person: Person):
    for name in ("n" * 200, "n" * 201):
        assert (await person.register(client_name=name))["client_name"] == "n" * 200


# What browsers carry


async def test_the_cookies_of_pending_requests_leave_room_for_other_headers(public: Server):
    """Fails if a site that sends the browser here repeatedly can lock the user out."""
    person = Person.at(public.origin)
    client = await person.register()
    for _ in range(12):
        state = token_urlsafe(1_500)
        assert (await person.authorize(client["client_id"], state=state)).status_code == 303
    pending = {name: value for name, value in person.cookies().items() if "request-" in name}
    assert 0 < sum(len(f"{name}={value}; ") for name, value in pending.items()) <= 4_096
    newest = await person.asked(client["client_id"])
    assert newest.status_code == 200
    await person.http.aclose()


def test_the_figures_are_those_of_the_documentation():
    assert (http_limits.MAX_HEAD, http_limits.MAX_BODY, http_limits.MAX_PARAMETER) == (32_768, 65_536, 8_192)
    assert (limits.MAX_STATE, limits.MAX_SCOPE) == (2_048, 1_024)
    assert (limits.MAX_REDIRECT_URIS, limits.MAX_URI) == (20, 2_048)
