import pytest

from grantledger.domain.person_name import MAX_NAME, NameInvalid, checked_name


@pytest.mark.parametrize("name", ["Ada Lovelace", "Zoë", "Ὑπατία", "李清照", "O'Neil-Smith", "a" * MAX_NAME])
def test_a_name_stays_as_it_is(name):
    assert checked_name(name) == name


def test_accents_are_composed_and_surrounding_space_is_dropped():
    assert checked_name(" Zoe\u0308 ") == "Zo\u00eb"


def test_a_name_of_200_letters_is_accepted_however_accents_are_typed():
    assert checked_name("\u03c9\u0314\u0342\u0345" * MAX_NAME) == "\u1fa7" * MAX_NAME


def test_a_name_that_is_far_too_long_is_refused_before_its_accents_are_composed(monkeypatch):
    """To compose 4,000 accents takes 0.1 s, in which the server answers nobody."""
    monkeypatch.setattr("grantledger.domain.person_name.unicodedata", None)
    with pytest.raises(NameInvalid):
        checked_name("a" + "\u0301" * 4_000)


@pytest.mark.parametrize("name", ["", " ", "\u2003"])
def test_without_a_visible_character_there_is_no_name(name):
    assert checked_name(name) is None


@pytest.mark.parametrize("name", ["a" * (MAX_NAME + 1), "A\nB", "A\x00", "A\x1b[31m", "A\u2028B", "\ud800"])
def test_a_name_that_is_too_long_or_has_several_lines_is_refused(name):
    with pytest.raises(NameInvalid):
        checked_name(name)
