"""The cookies of pending requests: the size of one, the size of all together, and which are deleted first."""

from secrets import token_urlsafe
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from litestar import Request
from litestar.datastructures import Cookie
from msgspec.structs import replace

from grantledger.adapters.crypto.master_secrets import MasterSecrets
from grantledger.adapters.crypto.sealing import SealedBox
from grantledger.adapters.http.errors import RequestTooLarge
from grantledger.adapters.http.pages.browser import PageCookies, PendingRequests
from grantledger.adapters.http.pages.homes import Homes
from grantledger.adapters.http.responses import AnyRequest
from grantledger.adapters.system import SystemRandomness
from grantledger.domain.authorization_request import AuthorizationRequest
from support.requests import a_request

HOMES = Homes("https://auth.example")
NOISE = token_urlsafe(2_048)
"""Random, so it cannot be compressed below what base64 adds."""

PREFIX = "__Host-grantledger-request-"


class SetClock:
    seconds = 1_000

    def now(self) -> int:
        return self.seconds


class Jar:
    """The cookies of a browser, to which it adds those of pending requests."""

    def __init__(self) -> None:
        self.clock = SetClock()
        box = SealedBox(MasterSecrets([bytes(32)]), "main")
        cookies = PageCookies("https://auth.example", HOMES)
        self.pending = PendingRequests(box, cookies, HOMES, self.clock)
        self.cookies: dict[str, str] = {}

    @property
    def header(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def request(self) -> AnyRequest:
        headers = [(b"cookie", self.header.encode())] if self.cookies else []
        scope: Any = {"type": "http", "method": "GET", "path": "/authorize", "headers": headers, "state": {}}
        return Request(scope)

    def take(self, cookies: list[Cookie]) -> int:
        """Do what the Set-Cookie headers say, and return how long they are."""
        for cookie in cookies:
            self.cookies.pop(cookie.key, None)
            if cookie.max_age:
                self.cookies[cookie.key] = cookie.value or ""
        return sum(len(b"".join(cookie.to_encoded_header())) + len(": \r\n") for cookie in cookies)

    def begin(self, asked: AuthorizationRequest) -> int:
        """Send an authorization request, and see its page."""
        sent = self.take(self.pending.keep(asked, self.request()))
        self.take(self.pending.trim(self.request(), asked.transaction_id))
        return sent

    def has(self, asked: AuthorizationRequest) -> bool:
        return self.pending.find(asked.transaction_id, self.request()) is not None


def a_pending(**values: Any) -> AuthorizationRequest:
    return replace(a_request(), transaction_id=SystemRandomness().new_id(), **values)


def of_bytes(most: int) -> st.SearchStrategy[str]:
    """Texts of at most `most` bytes of UTF-8, as random as possible."""

    def text(raw: bytes) -> str:
        return raw.decode("latin-1").encode()[:most].decode(errors="ignore")

    return st.binary(max_size=most).map(text)


def ascii_text(most: int) -> st.SearchStrategy[str]:
    return st.integers(0, most).map(lambda length: NOISE[:length])


def redirect_uri(length: int) -> str:
    return f"https://client.example/{NOISE}"[:length]


OTHERS = st.fixed_dictionaries(
    {
        "redirect_uri": st.integers(30, 2_048).map(redirect_uri),
        "nonce": st.none() | of_bytes(100),
        "scopes": st.lists(ascii_text(30), max_size=4).map(tuple),
        "resource": ascii_text(100).map(lambda text: f"https://mcp.example/{text}"),
        "session_before": st.none() | ascii_text(43),
    }
)
STATES = st.none() | of_bytes(2048) | ascii_text(2048) | st.text(max_size=500)


def refusal_of(jar: Jar, asked: AuthorizationRequest) -> str | None:
    """Return the parameter that is too long, None if the request is kept."""
    try:
        jar.begin(asked)
    except RequestTooLarge as refusal:
        return refusal.parameter
    return None


LONG_REDIRECT = {
    "redirect_uri": redirect_uri(1_201),
    "nonce": None,
    "scopes": (),
    "resource": "https://mcp.example/",
    "session_before": None,
}


@given(OTHERS, of_bytes(600) | ascii_text(600) | st.sampled_from(["%" * 600, "\0" * 600, "é" * 300]))
@example(LONG_REDIRECT, "%" * 600)
def test_600_bytes_of_state_always_fit(others, state):
    without = refusal_of(Jar(), a_pending(**others, state=None))
    assert refusal_of(Jar(), a_pending(**others, state=state)) == without


def test_600_bytes_of_state_fit_with_a_redirect_uri_of_950_bytes():
    asked = a_pending(redirect_uri=redirect_uri(950), state="%" * 600)
    assert refusal_of(Jar(), asked) is None


@given(OTHERS, STATES)
def test_a_request_takes_3_kib_or_the_refusal_names_a_parameter(others, state):
    jar, asked = Jar(), a_pending(**others, state=state)
    too_long = refusal_of(jar, asked)
    assert too_long in (None, "state", "redirect_uri", "nonce", "scope", "resource")
    assert (too_long is None) == jar.has(asked) == bool(jar.cookies)
    assert all(len(value) <= 3 * 1024 for value in jar.cookies.values())


TOO_LONG: dict[str, dict[str, Any]] = {
    "state": {"state": token_urlsafe(1_536)[:2_048], "redirect_uri": redirect_uri(1_000)},
    "redirect_uri": {"redirect_uri": redirect_uri(1_300), "state": "x" * 2_000},
    "scope": {"scopes": tuple(token_urlsafe(60) for _ in range(20))},
    "nonce": {"nonce": token_urlsafe(375), "redirect_uri": redirect_uri(480), "scopes": ("x" * 400,)},
    "resource": {"resource": redirect_uri(1_300)},
}


@pytest.mark.parametrize("parameter", TOO_LONG)
def test_the_parameter_that_is_too_long_is_named(parameter):
    assert refusal_of(Jar(), a_pending(**TOO_LONG[parameter])) == parameter


def test_a_state_whose_response_would_be_too_long_is_named():
    """1,000 bytes that take 3,000 characters in a URL."""
    assert refusal_of(Jar(), a_pending(state="%" * 1_000)) == "state"


SIZES = st.lists(st.sampled_from([0, 20, 43, 300, 900, 1_500, 1_900]), max_size=14)


@given(SIZES)
def test_all_pending_requests_take_4_kib_together_and_the_oldest_go_first(sizes):
    jar, asked = Jar(), []
    for size in sizes:
        jar.clock.seconds += 1
        one = a_pending(state=NOISE[:size], expires_at=jar.clock.seconds + 600)
        asked.append(one)
        jar.begin(one)
        assert jar.has(one)
        assert len(jar.header) <= 4 * 1024
        assert len(jar.cookies) <= 8
    left = [jar.has(one) for one in asked]
    assert left == sorted(left)  # no older one outlives a newer one


@given(SIZES)
@example([0] * 8)
def test_the_cookies_of_one_redirect_fit_into_the_header_buffer_of_nginx(sizes):
    """Of 4 KiB, 750 bytes are other headers: see `test_behind_nginx.py`."""
    jar = Jar()
    largest = a_pending(state=NOISE[:-2_049:-1], redirect_uri=redirect_uri(600))
    for one in (*(a_pending(state=NOISE[:size]) for size in sizes), largest):
        assert jar.begin(one) <= 4 * 1024 - 750


def test_eight_ordinary_requests_are_pending_at_once():
    jar = Jar()
    asked = [a_pending(state=token_urlsafe(32), session_before=token_urlsafe(16)) for _ in range(9)]
    for one in asked:
        jar.begin(one)
    assert [jar.has(one) for one in asked] == [False] + [True] * 8


def test_after_parallel_requests_the_next_page_deletes_the_oldest():
    jar = Jar()
    asked = [a_pending(expires_at=1_600 + n) for n in range(12)]
    before = jar.request()
    for one in asked:
        jar.take(jar.pending.keep(one, before))
    assert len(jar.cookies) == 12
    jar.take(jar.pending.trim(jar.request(), asked[0].transaction_id))
    # The page that is shown keeps its request, although it is the oldest.
    assert [jar.has(one) for one in asked] == [True] + [False] * 4 + [True] * 7


def test_a_cookie_that_cannot_be_opened_is_deleted_when_it_is_the_oldest():
    jar = Jar()
    unreadable = PREFIX + "A" * 22
    jar.cookies[unreadable] = "x" * 40
    asked = [a_pending() for _ in range(8)]
    for one in asked:
        jar.begin(one)
    assert unreadable not in jar.cookies
    assert all(jar.has(one) for one in asked)
