import asyncio

import msgspec
import pytest

from fakes.clock import FrozenClock
from fakes.memory_ledger import MemoryLedger
from grantledger.application.keys.signing_keys import DescribeKeys, MakeSigningKeys, RotateSigningKey
from grantledger.application.ports import PRIVATE_KEY
from grantledger.domain.signing_keys import KEYS, SIGNING, NextKeyTooNew
from support.policies import POLICY
from support.signing_keys import CountingKeyMaker
from support.storage import InterleavingLedger, nothing_recorded
from support.story import CALLER


class Keys:
    def __init__(self, ledger) -> None:
        self.clock = FrozenClock()
        maker = CountingKeyMaker()
        self.ledger = ledger
        self.make = MakeSigningKeys(ledger, maker, self.clock)
        self.rotate = RotateSigningKey(ledger, maker, self.clock, POLICY)
        self.describe = DescribeKeys(ledger, self.clock)

    async def now(self):
        return (await self.ledger.load(KEYS, SIGNING)).state


@pytest.fixture
def keys(ledger: MemoryLedger) -> Keys:
    return Keys(ledger)


async def kids(keys: Keys) -> list[str]:
    return [key.kid for key in (await keys.describe()).keys]


async def test_the_first_start_makes_a_key_that_signs_and_the_next_one(keys):
    await keys.make(CALLER)
    assert [(key.kid, key.status) for key in (await keys.now()).keys] == [
        ("kid-1", "active"),
        ("kid-2", "next"),
    ]


async def test_a_later_start_makes_no_keys(keys, ledger):
    await keys.make(CALLER)
    with nothing_recorded(ledger):
        await keys.make(CALLER)


async def test_of_parallel_starts_one_makes_the_keys():
    ledger = InterleavingLedger(MemoryLedger())
    starting = [Keys(ledger) for _ in range(8)]
    await asyncio.gather(*(keys.make(CALLER) for keys in starting))
    assert ledger.conflicts == 7
    assert len((await starting[0].now()).keys) == 2


async def test_of_parallel_rotations_one_rotates():
    ledger = InterleavingLedger(MemoryLedger())
    keys = Keys(ledger)
    await keys.make(CALLER)
    keys.clock.advance(POLICY.signing_key_lead)
    outcomes = await asyncio.gather(*(keys.rotate(CALLER) for _ in range(8)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(NextKeyTooNew) == 7


async def test_every_private_key_is_a_private_record(keys, ledger):
    await keys.make(CALLER)
    keys.clock.advance(POLICY.signing_key_lead)
    await keys.rotate(CALLER)
    assert [await ledger.value(kid, PRIVATE_KEY) for kid in ("kid-1", "kid-2", "kid-3")] == [
        "private key 1",
        "private key 2",
        "private key 3",
    ]


async def test_no_private_key_is_in_an_event_or_published(keys, ledger):
    await keys.make(CALLER)
    public = msgspec.json.encode([ledger.events, await keys.describe()]).decode()
    assert "private key" not in public


async def test_the_system_makes_the_first_keys_and_the_operator_rotates_them(keys, ledger):
    await keys.make(CALLER)
    await keys.rotate(CALLER, compromised=True)
    assert {recorded.by.actor_kind for recorded in ledger.log[:3]} == {"system"}
    assert {recorded.by.actor_kind for recorded in ledger.log[3:]} == {"operator"}


async def test_a_rotation_that_is_too_early_records_nothing(keys, ledger):
    await keys.make(CALLER)
    with nothing_recorded(ledger), pytest.raises(NextKeyTooNew):
        await keys.rotate(CALLER)


async def test_rotating_before_the_first_start_makes_the_first_keys(keys):
    assert [key.status for key in (await keys.rotate(CALLER)).keys] == ["active", "next"]


async def test_a_retired_key_is_published_until_its_last_token_has_expired(keys):
    await keys.make(CALLER)
    keys.clock.advance(POLICY.signing_key_lead)
    await keys.rotate(CALLER)
    keys.clock.advance(POLICY.id_token_lifetime)
    assert await kids(keys) == ["kid-2", "kid-3", "kid-1"]
    keys.clock.advance(POLICY.signing_key_verified_for)
    assert await kids(keys) == ["kid-2", "kid-3"]


async def test_after_a_compromise_no_earlier_key_is_published(keys):
    await keys.make(CALLER)
    await keys.rotate(CALLER, compromised=True)
    assert await kids(keys) == ["kid-3", "kid-4"]


async def test_the_published_keys_are_a_jwk_set_for_signatures(keys):
    await keys.make(CALLER)
    assert msgspec.to_builtins(await keys.describe())["keys"][0] == {
        "kty": "EC",
        "use": "sig",
        "alg": "ES256",
        "kid": "kid-1",
        "crv": "P-256",
        "x": "x-1",
        "y": "y-1",
    }


async def test_before_the_first_start_no_key_is_published(keys):
    assert await kids(keys) == []
