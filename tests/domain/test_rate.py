import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantledger.domain.rate import Rate, parsed_rate

RATE = Rate(count=10, period=60)


def taken(rate: Rate, times: int, *, now: float = 0.0, full_at: float = 0.0) -> float:
    for _ in range(times):
        assert rate.wait(full_at, now=now) == 0
        full_at = rate.taken(full_at, now=now)
    return full_at


def test_the_full_count_may_be_taken_at_once():
    assert RATE.wait(taken(RATE, 10), now=0.0) > 0


def test_the_wait_is_the_time_to_refill_one_token():
    assert RATE.wait(taken(RATE, 10), now=0.0) == pytest.approx(6)
    assert RATE.wait(taken(RATE, 10), now=4.0) == pytest.approx(2)
    assert RATE.wait(taken(RATE, 10), now=6.0) == 0


def test_after_one_period_the_bucket_is_full():
    assert taken(RATE, 10, now=60.0, full_at=taken(RATE, 10)) == pytest.approx(120)


def test_a_returned_token_may_be_taken_again():
    assert RATE.wait(RATE.given_back(taken(RATE, 10)), now=0.0) == 0


@given(
    count=st.integers(1, 50),
    period=st.sampled_from([1, 60, 3_600]),
    pauses=st.lists(st.floats(0, 100), max_size=100),
)
def test_at_most_twice_the_count_is_taken_in_any_period(count: int, period: int, pauses: list[float]):
    """The full bucket at its beginning, and the tokens that are refilled during it."""
    rate, now, full_at, takes = Rate(count, period), 0.0, 0.0, []
    for pause in pauses:
        now += pause
        if rate.wait(full_at, now=now) == 0:
            full_at = rate.taken(full_at, now=now)
            takes.append(now)
    for start in takes:
        assert len([take for take in takes if start <= take < start + period]) <= 2 * count


@given(count=st.integers(1, 100), period=st.sampled_from([1, 60, 3_600, 86_400]))
def test_after_the_returned_wait_a_token_may_be_taken(count: int, period: int):
    rate = Rate(count, period)
    full_at = taken(rate, count)
    assert rate.wait(full_at, now=rate.wait(full_at, now=0.0)) == 0


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1/second", Rate(1, 1)),
        ("10/minute", Rate(10, 60)),
        ("10/hour", Rate(10, 3_600)),
        ("999999999/day", Rate(999_999_999, 86_400)),
        ("off", None),
    ],
)
def test_reads_a_rate_as_operators_write_it(text: str, rate: Rate | None):
    assert parsed_rate(text) == rate


@pytest.mark.parametrize(
    "text", ["", "10", "0/hour", "-1/day", "10/week", "1000000000/day", "OFF", "10 / hour"]
)
def test_refuses_other_texts_for_a_rate(text: str):
    with pytest.raises(ValueError, match="must be a rate such as"):
        parsed_rate(text)
