import base64
import time

from grantledger.adapters.system import SystemClock, SystemRandomness
from grantledger.application.ports import Clock, Randomness

clock: Clock = SystemClock()
randomness: Randomness = SystemRandomness()


def test_tells_the_whole_seconds_since_1970():
    before = int(time.time())
    assert before <= clock.now() <= int(time.time())


def test_draws_as_many_bytes_as_asked_for():
    assert len(base64.urlsafe_b64decode(randomness.token(size=16) + "==")) == 16


def test_draws_32_bytes_when_nothing_is_asked_for():
    assert len(base64.urlsafe_b64decode(randomness.token() + "=")) == 32


def test_puts_the_prefix_before_what_it_draws():
    assert randomness.token("glc_").startswith("glc_")


def test_never_draws_the_same_twice():
    assert len({randomness.token() for _ in range(1000)}) == 1000
