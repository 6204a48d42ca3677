import pytest
from msgspec.structs import replace

from grantledger.domain.browser_session import BrowserSession, SignedIn, SignedOut, evolve

SIGNED_IN = SignedIn(
    session_id="session", user_id="glu_ada", secret_digest="right", signed_in_at=1_000, expires_at=2_000
)
SIGNED_OUT = SignedOut(signed_out_at=1_500)


def a_session(*after: SignedOut) -> BrowserSession:
    session = evolve(None, SIGNED_IN)
    for event in after:
        session = evolve(session, event)
    return session


def test_a_session_is_live_with_its_secret():
    assert a_session().is_live(presented_digest="right", session_epoch=0, now=1_000)


def test_a_session_is_live_in_its_last_second():
    assert a_session().is_live(presented_digest="right", session_epoch=0, now=1_999)


def test_a_session_has_ended_in_the_second_of_its_expiry():
    assert not a_session().is_live(presented_digest="right", session_epoch=0, now=2_000)


@pytest.mark.parametrize("presented", ["wrong", "", "righ", "right "])
def test_a_session_is_not_live_with_another_secret(presented):
    assert not a_session().is_live(presented_digest=presented, session_epoch=0, now=1_000)


def test_a_session_is_not_live_after_signing_out():
    assert not a_session(SIGNED_OUT).is_live(presented_digest="right", session_epoch=0, now=1_501)


def test_signing_out_records_the_time():
    assert a_session().sign_out(now=1_500) == (SIGNED_OUT,)


def test_signing_out_twice_records_one_event():
    assert a_session(SIGNED_OUT).sign_out(now=1_600) == ()


def test_a_session_names_its_user():
    assert (a_session().session_id, a_session().user_id) == ("session", "glu_ada")


def test_a_session_of_an_earlier_epoch_has_ended():
    assert not a_session().is_live(presented_digest="right", session_epoch=1, now=1_000)


def test_a_session_of_the_current_epoch_is_live():
    session = evolve(None, replace(SIGNED_IN, session_epoch=3))
    assert session.is_live(presented_digest="right", session_epoch=3, now=1_000)
