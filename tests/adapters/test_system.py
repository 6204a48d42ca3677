import base64
import time

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
