import pytest
from msgspec.structs import replace

from grantledger.domain.signing_keys import (
    MAX_REMEMBERED,
    KeyCreated,
    NextKeyTooNew,
    SigningKeys,
    begin,
    evolve,
)
from support.signing_keys import FIRST, SECOND

THIRD, FOURTH = replace(FIRST, kid="kid-3"), replace(FIRST, kid="kid-4")
LEAD, VERIFIED_FOR = 3_600, 3_900


def after(keys, events):
    for event in events:
        keys = evolve(keys, event)
    return keys


def at_first(now=1_000):
    return after(None, begin(FIRST, SECOND, now=now))


def rotated(keys, fresh, *, now):
    return after(keys, keys.rotate(fresh, lead=LEAD, verified_for=VERIFIED_FOR, now=now))


def statuses(keys: SigningKeys):
    return {key.kid: key.status for key in keys.keys}


def shown(keys: SigningKeys, *, now):
    return [key.kid for key in keys.published(now=now)]


def test_at_first_one_key_signs_and_one_is_next():
    assert statuses(at_first()) == {"kid-1": "active", "kid-2": "next"}


def test_a_key_is_published_before_it_signs():
    assert shown(at_first(), now=1_000) == ["kid-1", "kid-2"]


def test_rotating_activates_the_next_key_and_publishes_another():
    assert statuses(rotated(at_first(), THIRD, now=4_600)) == {
        "kid-1": "retired",
        "kid-2": "active",
        "kid-3": "next",
    }


def test_the_active_key_is_published_first():
    assert shown(rotated(at_first(), THIRD, now=4_600), now=4_600) == ["kid-2", "kid-3", "kid-1"]


@pytest.mark.parametrize("seconds", [0, LEAD - 1])
def test_a_key_published_too_recently_does_not_sign(seconds):
    with pytest.raises(NextKeyTooNew) as refused:
        rotated(at_first(), THIRD, now=1_000 + seconds)
    assert refused.value.ready_at == 1_000 + LEAD


def test_every_key_is_published_for_the_lead_time_before_it_signs():
    once = rotated(at_first(), THIRD, now=4_600)
    with pytest.raises(NextKeyTooNew):
        rotated(once, FOURTH, now=4_600 + LEAD - 1)


@pytest.mark.parametrize(
    ("seconds", "is_shown"), [(0, True), (VERIFIED_FOR - 1, True), (VERIFIED_FOR, False)]
)
def test_a_retired_key_is_published_until_all_it_signed_has_expired(seconds, is_shown):
    keys = rotated(at_first(), THIRD, now=4_600)
    assert ("kid-1" in shown(keys, now=4_600 + seconds)) is is_shown


def test_a_compromise_withdraws_every_key_at_once():
    keys = rotated(at_first(), THIRD, now=4_600)
    fifth = replace(FIRST, kid="kid-5")
    replaced = after(keys, keys.replace_all([(FOURTH, fifth)], now=4_601))
    assert shown(replaced, now=4_601) == ["kid-4", "kid-5"]
    assert (replaced.active.kid, replaced.next_of("ES256").kid) == ("kid-4", "kid-5")


def test_after_a_compromise_rotation_continues():
    keys = at_first()
    replaced = after(keys, keys.replace_all([(THIRD, FOURTH)], now=2_000))
    assert rotated(replaced, replace(FIRST, kid="kid-5"), now=2_000 + LEAD).active.kid == "kid-4"


RSA, NEXT_RSA = replace(FIRST, kid="rsa-1", alg="RS256"), replace(FIRST, kid="rsa-2", alg="RS256")


def with_rsa(now=2_000):
    return after(at_first(), begin(RSA, NEXT_RSA, now=now))


def test_each_algorithm_has_its_own_active_and_next_key():
    keys = with_rsa()
    assert keys.algorithms == ("ES256", "RS256")
    assert [keys.active_of(alg).kid for alg in keys.algorithms] == ["kid-1", "rsa-1"]
    assert [keys.next_of(alg).kid for alg in keys.algorithms] == ["kid-2", "rsa-2"]


def test_rotating_one_algorithm_leaves_the_others():
    keys = rotated(with_rsa(), THIRD, now=4_600)
    assert (keys.active_of("ES256").kid, keys.active_of("RS256").kid) == ("kid-2", "rsa-1")


def test_the_key_of_id_tokens_is_published_first():
    assert shown(with_rsa(), now=2_000) == ["kid-1", "kid-2", "rsa-1", "rsa-2"]


def test_a_compromise_withdraws_the_keys_of_every_algorithm():
    keys = with_rsa()
    fresh = [(THIRD, FOURTH), (replace(RSA, kid="rsa-3"), replace(RSA, kid="rsa-4"))]
    replaced = after(keys, keys.replace_all(fresh, now=3_000))
    assert shown(replaced, now=3_000) == ["kid-3", "kid-4", "rsa-3", "rsa-4"]


def test_rotations_of_one_algorithm_forget_no_key_of_another():
    keys, now = with_rsa(now=1_000), 1_000
    for number in range(3, 40):
        now += LEAD
        keys = rotated(keys, replace(FIRST, kid=f"kid-{number}"), now=now)
    assert keys.active_of("RS256").kid == "rsa-1"


def test_the_state_holds_a_bounded_number_of_keys():
    keys, now = at_first(), 1_000
    for number in range(3, 40):
        now += LEAD
        keys = rotated(keys, replace(FIRST, kid=f"kid-{number}"), now=now)
    assert len(keys.keys) == MAX_REMEMBERED
    assert len(shown(keys, now=now)) == 4


def test_no_event_holds_a_private_key():
    members = {name for event in begin(FIRST, SECOND, now=1) for name in event.__struct_fields__}
    assert members == {"kid", "alg", "public_key", "created_at", "activated_at"}
    assert set(FIRST.public_key.__struct_fields__) == {"kty", "crv", "x", "y", "n", "e"}
    assert KeyCreated in {type(event) for event in begin(FIRST, SECOND, now=1)}
