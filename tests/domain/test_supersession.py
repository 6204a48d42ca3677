from hypothesis import given
from hypothesis import strategies as st

from grantledger.domain.token_grant import (
    MAX_REUSE_WINDOW,
    Supersessions,
    superseded,
    when_superseded,
)

seconds = st.lists(st.integers(0, 1_000), max_size=60)


def remembered(*at: int) -> Supersessions:
    """Return what is remembered when generations 0, 1, 2, ... were superseded at these seconds."""
    entries: Supersessions = ()
    for generation, second in enumerate(at):
        entries = superseded(entries, generation, at=second)
    return entries


def test_remembers_the_second_in_which_each_generation_was_superseded():
    entries = remembered(10, 20, 30)
    assert [when_superseded(entries, generation) for generation in range(3)] == [10, 20, 30]


def test_generations_of_one_second_share_an_entry():
    assert remembered(10, 10, 10, 11) == ((10, 0), (11, 3))


def test_a_generation_in_the_middle_of_a_second_is_found():
    assert when_superseded(remembered(10, 10, 10, 11), 1) == 10


def test_nothing_is_known_before_the_first_supersession():
    assert when_superseded((), 0) is None


def test_what_no_window_can_reach_any_more_is_forgotten():
    entries = remembered(10, 10 + MAX_REUSE_WINDOW + 1)
    assert when_superseded(entries, 0) is None


def test_what_the_longest_window_can_just_reach_is_kept():
    entries = remembered(10, 10 + MAX_REUSE_WINDOW)
    assert when_superseded(entries, 0) == 10


def test_a_clock_that_was_set_back_makes_no_older_token_look_fresher():
    entries = remembered(100, 40)
    assert [when_superseded(entries, generation) for generation in range(2)] == [100, 100]


@given(st.lists(st.integers(0, 5), max_size=3_000))
def test_there_are_never_more_entries_than_seconds_remembered(pauses):
    second, entries = 0, remembered()
    for generation, pause in enumerate(pauses):
        second += pause
        entries = superseded(entries, generation, at=second)
        assert len(entries) <= MAX_REUSE_WINDOW + 1


@given(seconds)
def test_agrees_with_a_memory_that_forgets_nothing_within_the_longest_window(at):
    entries, latest, everything = remembered(), 0, []
    for generation, second in enumerate(at):
        latest = max(latest, second)
        everything.append(latest)
        entries = superseded(entries, generation, at=second)
    expected = [second if second >= latest - MAX_REUSE_WINDOW else None for second in everything]
    assert [when_superseded(entries, generation) for generation in range(len(at))] == expected
