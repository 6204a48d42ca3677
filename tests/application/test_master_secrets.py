"""Rotation of the master secret: what each step does, and which event it records."""

import pytest

from fakes.clock import FrozenClock
from fakes.memory_ledger import MemoryLedger
from fakes.secrets_in_memory import CountedRecords, GivenTokens, MemorySecretKeeper
from grantledger.application.keys.master_secrets import (
    ActivateMasterSecret,
    AddMasterSecret,
    DescribeMasterSecrets,
    LiveTokens,
    RetireMasterSecret,
)
from grantledger.domain.master_secrets import (
    MasterSecretHoldsRecords,
    MasterSecretNeeded,
    MasterSecretSeals,
    MasterSecretUnknown,
    MasterSecretWaits,
    SecretActivated,
    SecretAdded,
    SecretRetired,
    UsedSecret,
)
from support.storage import nothing_recorded
from support.story import CALLER


class Rotation:
    def __init__(self, ledger: MemoryLedger) -> None:
        self.ledger = ledger
        self.clock = FrozenClock()
        self.keeper = MemorySecretKeeper("secret-1")
        self.records = CountedRecords(**{"secret-1": 5})
        self.tokens = GivenTokens()
        self.describe = DescribeMasterSecrets(self.keeper, self.records, self.tokens, self.clock)
        self.add = AddMasterSecret(ledger, self.keeper, self.describe, self.clock)
        self.activate = ActivateMasterSecret(ledger, self.keeper, self.records, self.clock)
        self.retire = RetireMasterSecret(ledger, self.keeper, self.describe, self.clock)

    async def rotated(self) -> None:
        await self.activate(await self.add(CALLER), CALLER)


@pytest.fixture
def rotation(ledger: MemoryLedger) -> Rotation:
    return Rotation(ledger)


async def test_each_step_is_recorded_as_the_operators_act(rotation, ledger):
    """Fails if an activation is recorded with the system as actor."""
    await rotation.rotated()
    await rotation.retire("secret-1", CALLER)
    now = rotation.clock.now()
    assert ledger.events == [
        SecretAdded(key_id="secret-2", added_at=now),
        SecretActivated(key_id="secret-2", activated_at=now),
        SecretRetired(key_id="secret-1", retired_at=now, live_grants=0),
    ]
    assert {recorded.stream_id for recorded in ledger.log} == {"secrets:master"}
    assert {recorded.by.actor_kind for recorded in ledger.log} == {"operator"}
    assert {recorded.by.caller for recorded in ledger.log} == {CALLER}


async def test_a_new_secret_can_unseal_but_does_not_seal_yet(rotation):
    await rotation.add(CALLER)
    assert await rotation.keeper.key_ids() == ("secret-1", "secret-2")
    assert (await rotation.describe())[1] == UsedSecret(key_id="secret-2", role="opens")


async def test_no_secret_is_added_while_another_one_is_unused(rotation, ledger):
    await rotation.add(CALLER)
    with nothing_recorded(ledger), pytest.raises(MasterSecretWaits):
        await rotation.add(CALLER)
    assert len(await rotation.keeper.key_ids()) == 2


async def test_activating_a_secret_reseals_every_record_under_it(rotation):
    reported = []
    new = await rotation.add(CALLER)
    assert await rotation.activate(new, CALLER, lambda done, of: reported.append((done, of))) == 5
    assert await rotation.keeper.key_ids() == ("secret-2", "secret-1")
    assert await rotation.records.counts() == {"secret-2": 5}
    assert reported == [(2, 5), (4, 5), (5, 5)]


async def test_activating_again_after_a_crash_finishes_and_records_once(rotation, ledger):
    """Fails if each attempt records the activation, or a private record is not resealed."""
    await rotation.rotated()
    rotation.records.under = {"secret-1": 3, "secret-2": 2}
    with nothing_recorded(ledger):
        assert await rotation.activate("secret-2", CALLER) == 3


async def test_activating_again_after_a_crash_before_the_event_records_it(rotation, ledger):
    await rotation.add(CALLER)
    await rotation.keeper.put_first("secret-2")
    await rotation.activate("secret-2", CALLER)
    assert isinstance(ledger.events[-1], SecretActivated)


async def test_a_secret_that_is_not_configured_cannot_be_activated(rotation, ledger):
    with nothing_recorded(ledger), pytest.raises(MasterSecretUnknown):
        await rotation.activate("secret-9", CALLER)


async def refused(rotation: Rotation, key_id: str, refusal: type[Exception], *, force: bool = False) -> None:
    before = await rotation.keeper.key_ids()
    with nothing_recorded(rotation.ledger), pytest.raises(refusal):
        await rotation.retire(key_id, CALLER, force=force)
    assert await rotation.keeper.key_ids() == before


async def test_the_secret_that_seals_cannot_be_retired(rotation):
    await refused(rotation, "secret-1", MasterSecretSeals, force=True)


async def test_a_secret_that_private_records_need_cannot_be_retired(rotation):
    """Fails if `force` also retires a secret that private records need."""
    await rotation.rotated()
    rotation.records.under["secret-1"] = 1
    await refused(rotation, "secret-1", MasterSecretHoldsRecords, force=True)


async def test_a_secret_that_live_tokens_need_is_retired_only_with_force(rotation, ledger):
    await rotation.rotated()
    rotation.tokens.lives["secret-1"] = LiveTokens(2, rotation.clock.now() + 1)
    await refused(rotation, "secret-1", MasterSecretNeeded)
    await rotation.retire("secret-1", CALLER, force=True)
    assert ledger.events[-1].live_grants == 2
    assert await rotation.keeper.key_ids() == ("secret-2",)


async def test_an_unknown_secret_cannot_be_retired(rotation):
    await refused(rotation, "secret-9", MasterSecretUnknown)


async def test_a_secret_removed_by_hand_is_recorded_as_retired_once(rotation, ledger):
    await rotation.rotated()
    await rotation.keeper.remove("secret-1")
    rotation.tokens.lives["secret-1"] = LiveTokens(1, rotation.clock.now() + 1)
    await rotation.retire("secret-1", CALLER)
    assert isinstance(ledger.events[-1], SecretRetired)
    with nothing_recorded(ledger):
        await rotation.retire("secret-1", CALLER)


async def test_a_secret_that_is_used_but_not_configured_is_missing(rotation):
    rotation.records.under["secret-0"] = 1
    assert [(one.key_id, one.role) for one in await rotation.describe()] == [
        ("secret-1", "seals"),
        ("secret-0", "missing"),
    ]


async def test_an_outage_while_retiring_keeps_the_secret_and_is_raised(rotation, ledger):
    await rotation.rotated()
    ledger.outage = True
    with pytest.raises(Exception, match="the test says so"):
        await rotation.retire("secret-1", CALLER)
    assert "secret-1" in await rotation.keeper.key_ids()
