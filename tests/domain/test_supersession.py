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


def test_finds_the_second_in_which_each_generation_was_superseded():
    entries = remembered(10, 20, 30)
    assert [when_superseded(entries, generation) for generation in range(3)] == [10, 20, 30]


def test_generations_of_one_second_share_an_entry():
    assert remembered(10, 10, 10, 11) == ((10, 0), (11, 3))


def test_a_generation_in_the_middle_of_a_second_is_found():
    assert when_superseded(remembered(10, 10, 10, 11), 1) == 10


def test_without_a_supersession_nothing_is_found():
    assert when_superseded((), 0) is None


def test_entries_older_than_the_longest_window_are_dropped():
    entries = remembered(10, 10 + MAX_REUSE_WINDOW + 1)
    assert when_superseded(entries, 0) is None


def test_entries_that_the_longest_window_reaches_are_kept():
    entries = remembered(10, 10 + MAX_REUSE_WINDOW)
    assert when_superseded(entries, 0) == 10


def test_a_clock_set_back_makes_no_older_token_look_newer():
    entries = remembered(100, 40)
    assert [when_superseded(entries, generation) for generation in range(2)] == [100, 100]


@given(st.lists(st.integers(0, 5), max_size=3_000))
def test_there_is_at_most_one_entry_per_second_of_the_longest_window(pauses):
    second, entries = 0, remembered()
    for generation, pause in enumerate(pauses):
        second += pause
        entries = superseded(entries, generation, at=second)
        assert len(entries) <= MAX_REUSE_WINDOW + 1


@given(seconds)
def test_agrees_with_a_full_list_within_the_longest_window(at):
    entries, latest, everything = remembered(), 0, []
    for generation, second in enumerate(at):
        latest = max(latest, second)
        everything.append(latest)
        entries = superseded(entries, generation, at=second)
    expected = [second if second >= latest - MAX_REUSE_WINDOW else None for second in everything]
    assert [when_superseded(entries, generation) for generation in range(len(at))] == expected
