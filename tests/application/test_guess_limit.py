import pytest

from grantledger.application.accounts.sign_in import SignInRefused
from grantledger.application.ports import Unavailable
from grantledger.application.throttling import GuessLimit, TooManyGuesses
from grantledger.domain.rate import Rate
from support.throttles import guess_limit

HOME, ELSEWHERE = "192.0.2.1", "198.51.100.7"


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def limit(time: Time) -> GuessLimit:
    """Per hour: 3 for a subject from one network, 5 from one network, 10 for a subject."""
    return guess_limit(Rate(3, 3_600), Rate(5, 3_600), Rate(10, 3_600), time)


def fails(limit: GuessLimit, subject: str = "ada", address: str | None = HOME) -> None:
    with pytest.raises(SignInRefused), limit.guess(subject, address):
        raise SignInRefused


def succeeds(limit: GuessLimit, subject: str = "ada", address: str | None = HOME) -> None:
    with limit.guess(subject, address):
        pass


def is_throttled(limit: GuessLimit, subject: str = "ada", address: str | None = HOME) -> int:
    tried = []
    with pytest.raises(TooManyGuesses) as refused, limit.guess(subject, address):
        tried.append("it")
    assert not tried
    return refused.value.retry_after


def test_no_secret_is_checked_after_too_many_wrong_ones(limit: GuessLimit):
    for _ in range(3):
        fails(limit)
    assert is_throttled(limit) == 1_200


def test_the_right_secret_does_not_count(limit: GuessLimit):
    for _ in range(50):
        succeeds(limit)
    for _ in range(3):
        fails(limit)
    is_throttled(limit)


def test_a_guess_is_allowed_again_after_retry_after(limit: GuessLimit, time: Time):
    for _ in range(3):
        fails(limit)
    time.now += is_throttled(limit)
    succeeds(limit)


def test_an_outage_does_not_count_as_a_guess(limit: GuessLimit):
    for _ in range(50):
        with pytest.raises(Unavailable), limit.guess("ada", HOME):
            raise Unavailable
    succeeds(limit)


def test_parallel_guesses_count(limit: GuessLimit):
    with limit.guess("ada", HOME), limit.guess("ada", HOME), limit.guess("ada", HOME):
        is_throttled(limit)


def test_one_network_cannot_try_many_subjects(limit: GuessLimit):
    for subject in ("ada", "bob", "eve", "dan", "una"):
        fails(limit, subject)
    is_throttled(limit, "kim")
    succeeds(limit, "kim", ELSEWHERE)


def test_many_networks_cannot_try_one_subject(limit: GuessLimit):
    for n in range(10):
        fails(limit, "ada", f"203.0.113.{n}")
    is_throttled(limit, "ada", "203.0.113.99")
    succeeds(limit, "eve", "203.0.113.99")


def test_other_networks_cannot_lock_out_a_known_one(limit: GuessLimit):
    succeeds(limit)
    for n in range(10):
        fails(limit, "ada", f"203.0.113.{n}")
    is_throttled(limit, "ada", ELSEWHERE)
    succeeds(limit)


def test_other_subjects_of_a_known_network_cannot_lock_a_user_out(limit: GuessLimit):
    succeeds(limit)
    for subject in ("bob", "eve", "dan", "una", "kim"):
        fails(limit, subject)
    succeeds(limit)


def test_a_known_network_is_bounded_too(limit: GuessLimit):
    succeeds(limit)
    for _ in range(3):
        fails(limit)
    is_throttled(limit)


def test_a_throttled_guess_takes_nothing_from_the_other_bounds(limit: GuessLimit):
    for _ in range(3):
        fails(limit)
    for _ in range(50):
        is_throttled(limit)
    fails(limit, "eve")
    fails(limit, "eve")
    is_throttled(limit, "eve")


def test_a_caller_without_an_address_is_bounded_per_subject(limit: GuessLimit):
    for _ in range(3):
        fails(limit, address=None)
    is_throttled(limit, address=None)


def test_guesses_by_others_do_not_lock_out_a_known_device(limit: GuessLimit):
    for subject in "abcde":
        fails(limit, subject)  # the limit of the device's network is used up
    for number in range(10):
        fails(limit, "ada", f"198.51.100.{number}")  # and so is the limit of the account
    is_throttled(limit)
    with limit.guess("ada", HOME, "device"):
        pass


def test_a_known_device_uses_its_own_count_first_and_then_the_usual_one(limit: GuessLimit):
    for _ in range(6):
        with pytest.raises(SignInRefused), limit.guess("ada", HOME, "device"):
            raise SignInRefused
    with pytest.raises(TooManyGuesses), limit.guess("ada", HOME, "device"):
        pass


def test_queued_checks_do_not_keep_a_known_device_out():
    limit = guess_limit(None, None, None, most_waiting=1)
    with limit.guess("ada", ELSEWHERE):
        with pytest.raises(TooManyGuesses), limit.guess("ada", HOME):
            pass
        with limit.guess("ada", HOME, "device"):
            pass
