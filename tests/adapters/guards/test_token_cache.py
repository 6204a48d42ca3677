import pickle

import pytest
from msgspec.structs import replace

from grantledger.adapters.guards import token_cache
from grantledger.adapters.guards.token_cache import TokenCache, TokenRefused, digest_of
from support.guarding import SESSION

KEPT = replace(SESSION, access_token="")
REFUSED = TokenRefused("by the issuer")


class Time:
    monotonic, now = 100.0, 1_000_000_000.0


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def cache(time) -> TokenCache:
    return TokenCache(5, monotonic=lambda: time.monotonic, now=lambda: time.now)


def test_an_answer_is_kept_for_5_seconds_after_the_request(cache, time):
    started = cache.started()
    time.monotonic += 3  # the issuer was slow
    cache.keep(b"a", KEPT, started)
    time.monotonic += 1.9
    assert cache.get(b"a") == KEPT
    time.monotonic += 0.1
    assert cache.get(b"a") is None


def test_a_session_ends_with_its_token(cache, time):
    cache.keep(b"a", replace(KEPT, expires_at=int(time.now) + 1), cache.started())
    assert cache.get(b"a") is not None
    time.now += 1
    assert cache.get(b"a") is None


def test_a_refusal_is_kept_for_a_second(cache, time):
    cache.keep(b"a", REFUSED, cache.started())
    assert cache.get(b"a") is REFUSED
    time.monotonic += 1
    assert cache.get(b"a") is None


@pytest.mark.parametrize(("first", "second"), [(KEPT, REFUSED), (REFUSED, KEPT)])
def test_the_latest_answer_counts(cache, first, second):
    cache.keep(b"a", first, cache.started())
    cache.keep(b"a", second, cache.started())
    assert cache.get(b"a") is second


def test_a_full_cache_drops_the_oldest_answer(cache, monkeypatch):
    monkeypatch.setattr(token_cache, "MAX_SESSIONS", 2)
    for digest in (b"a", b"b", b"a", b"c"):
        cache.keep(digest, KEPT, cache.started())
    assert [cache.get(digest) for digest in (b"a", b"b", b"c")] == [KEPT, None, KEPT]


def test_guessed_tokens_displace_no_session(cache, monkeypatch):
    monkeypatch.setattr(token_cache, "MAX_REFUSED", 2)
    cache.keep(b"a", KEPT, cache.started())
    for guess in range(100):
        cache.keep(b"%d" % guess, REFUSED, cache.started())
    assert cache.get(b"a") == KEPT
    assert cache.get(b"97") is None
    assert cache.get(b"98") is REFUSED


def test_the_cache_contains_no_token(cache):
    cache.keep(digest_of("glat_secret"), KEPT, cache.started())
    assert b"glat_secret" not in pickle.dumps(cache._sessions)  # noqa: SLF001 - all of it
