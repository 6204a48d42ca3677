import pytest

from grantledger.application.accounts.sign_in import SignInRefused
from grantledger.application.ports import Unavailable
from grantledger.application.throttling import GuessLimit, TooManyGuesses
from grantledger.domain.network import network_of
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
    """Three here, five from one place, ten for one subject: in an hour."""
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


def test_a_secret_is_not_tried_once_too_many_were_wrong(limit: GuessLimit):
    for _ in range(3):
        fails(limit)
    assert is_throttled(limit) == 1_200


def test_the_right_secret_does_not_count(limit: GuessLimit):
    for _ in range(50):
        succeeds(limit)
    for _ in range(3):
        fails(limit)
    is_throttled(limit)


def test_who_waits_is_let_in_again(limit: GuessLimit, time: Time):
    for _ in range(3):
        fails(limit)
    time.now += is_throttled(limit)
    succeeds(limit)


def test_an_outage_is_nobodys_guess(limit: GuessLimit):
    for _ in range(50):
        with pytest.raises(Unavailable), limit.guess("ada", HOME):
            raise Unavailable
    succeeds(limit)


def test_guesses_that_are_being_tried_count(limit: GuessLimit):
    with limit.guess("ada", HOME), limit.guess("ada", HOME), limit.guess("ada", HOME):
        is_throttled(limit)


def test_one_place_cannot_try_many_subjects(limit: GuessLimit):
    for subject in ("ada", "bob", "eve", "dan", "una"):
        fails(limit, subject)
    is_throttled(limit, "kim")
    succeeds(limit, "kim", ELSEWHERE)


def test_many_places_cannot_try_one_subject(limit: GuessLimit):
    for n in range(10):
        fails(limit, "ada", f"203.0.113.{n}")
    is_throttled(limit, "ada", "203.0.113.99")
    succeeds(limit, "eve", "203.0.113.99")


def test_strangers_do_not_lock_out_who_has_been_right_from_here(limit: GuessLimit):
    succeeds(limit)
    for n in range(10):
        fails(limit, "ada", f"203.0.113.{n}")
    is_throttled(limit, "ada", ELSEWHERE)
    succeeds(limit)


def test_neighbours_do_not_lock_out_who_has_been_right_from_here(limit: GuessLimit):
    succeeds(limit)
    for subject in ("bob", "eve", "dan", "una", "kim"):
        fails(limit, subject)
    succeeds(limit)


def test_who_has_been_right_from_here_is_bounded_too(limit: GuessLimit):
    succeeds(limit)
    for _ in range(3):
        fails(limit)
    is_throttled(limit)


def test_a_guess_that_is_refused_by_one_bound_costs_nothing_of_the_others(limit: GuessLimit):
    for _ in range(3):
        fails(limit)
    for _ in range(50):
        is_throttled(limit)
    fails(limit, "eve")
    fails(limit, "eve")
    is_throttled(limit, "eve")


def test_a_caller_without_an_address_is_bounded_by_the_subject(limit: GuessLimit):
    for _ in range(3):
        fails(limit, address=None)
    is_throttled(limit, address=None)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_addresses_of_one_owner_are_one_place(one: str, other: str):
    assert network_of(one) == network_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("2001:db8:1:2::1", "2001:db8:1:3::1"), ("192.0.2.1", "192.0.2.2"), ("unknown", "192.0.2.1")],
)
def test_addresses_of_two_owners_are_two_places(one: str, other: str):
    assert network_of(one) != network_of(other)
