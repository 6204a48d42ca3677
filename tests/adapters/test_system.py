import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantledger.adapters.system import SystemClock, SystemRandomness
from grantledger.application.ports import Clock, Randomness

clock: Clock = SystemClock()
randomness: Randomness = SystemRandomness()


def test_the_clock_counts_whole_seconds_since_1970():
    before = int(time.time())
    assert before <= clock.now() <= int(time.time())


def test_a_token_has_the_given_number_of_bytes():
    assert len(base64.urlsafe_b64decode(randomness.token(size=16) + "==")) == 16


def test_a_token_has_32_bytes_by_default():
    assert len(base64.urlsafe_b64decode(randomness.token() + "=")) == 32


def test_a_token_begins_with_its_prefix():
    assert randomness.token("glc_").startswith("glc_")


def test_tokens_differ():
    assert len({randomness.token() for _ in range(1000)}) == 1000


def test_an_id_is_the_base64url_of_16_bytes():
    made = randomness.new_id()
    raw = base64.urlsafe_b64decode(made + "==")
    assert (len(raw), base64.urlsafe_b64encode(raw).rstrip(b"=").decode()) == (16, made)


def test_ids_of_the_same_millisecond_differ(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(time, "time_ns", lambda: 1_796_000_000_000_000_000)
    assert len({randomness.new_id() for _ in range(1000)}) == 1000


@given(st.lists(st.integers(0, 2**46), min_size=2, unique=True))
def test_ids_sort_by_the_millisecond_they_were_made_in(milliseconds: list[int]):
    with pytest.MonkeyPatch.context() as patch:
        ids = {}
        for at in milliseconds:
            patch.setattr(time, "time_ns", lambda at=at: at * 1_000_000)
            ids[randomness.new_id()] = at
    assert [ids[made] for made in sorted(ids)] == sorted(milliseconds)


@given(st.integers(0, 2**46))
def test_an_id_begins_with_a_letter(milliseconds: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: milliseconds * 1_000_000)
        assert randomness.new_id()[0].isalpha()
