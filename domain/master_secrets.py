"""The history of the master secrets by key id: added, activated, retired. It never holds a secret."""

from collections.abc import Iterable
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from grantledger.domain.aggregate import Kind
from grantledger.domain.refusal import Refusal

MASTER = "master"
"""The key of the one stream of all master secrets."""

MAX_REMEMBERED = 16
"""How many secrets the state holds, newest last. The log holds all of them."""


class SecretAdded(Struct, frozen=True, kw_only=True, array_like=True, tag="master_secret.added.v1"):
    """A new secret was added. It can unseal, but nothing is sealed under it yet."""

    key_id: str
    added_at: int


class SecretActivated(Struct, frozen=True, kw_only=True, array_like=True, tag="master_secret.activated.v1"):
    """Each server seals under this secret from its next start on."""

    key_id: str
    activated_at: int


class SecretRetired(Struct, frozen=True, kw_only=True, array_like=True, tag="master_secret.retired.v1"):
    """The secret was removed, which ended the tokens of `live_grants` grants that were sealed under it."""

    key_id: str
    retired_at: int
    live_grants: int


Event = SecretAdded | SecretActivated | SecretRetired


class MasterSecretUnknown(Refusal):
    """No master secret has that key id."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"there is no master secret {key_id!r}")


class MasterSecretWaits(Refusal):
    """A secret that was added before is still unused, so no other one is added."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"{key_id} was added before and nothing is sealed under it yet")
        self.key_id = key_id


class MasterSecretSeals(Refusal):
    """The secret that seals cannot be retired."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"{key_id} is the secret that seals: rotate to another one first")


class MasterSecretHoldsRecords(Refusal):
    """Private records are sealed under the secret and would be lost without it."""

    def __init__(self, used: "UsedSecret") -> None:
        super().__init__(f"{used.key_id} seals private records (their number: {used.private_records})")


class MasterSecretNeeded(Refusal):
    """Tokens of live grants are sealed under the secret. Without it, their clients must authorize again."""

    def __init__(self, used: "UsedSecret") -> None:
        super().__init__(f"{used.key_id} seals tokens of live grants (their number: {used.live_grants})")
        self.until = used.live_until


class UsedSecret(Struct, frozen=True, kw_only=True):
    """What a secret is needed for now.

    `role` is `seals`, `opens`, or `missing` if it is used but not configured. The last token sealed under it
    expires at `live_until`, in seconds since 1970, UTC.
    """

    key_id: str
    role: str
    private_records: int = 0
    live_grants: int = 0
    live_until: int | None = None

    @property
    def is_unused(self) -> bool:
        """Whether the secret is configured, but neither seals nor has anything sealed under it."""
        return self.role == "opens" and not self.private_records and not self.live_grants


def check_none_unused(secrets: Iterable[UsedSecret]) -> None:
    """Raise `MasterSecretWaits` if one of them is unused."""
    for secret in secrets:
        if secret.is_unused:
            raise MasterSecretWaits(secret.key_id)


class MasterSecret(Struct, frozen=True, kw_only=True):
    """The recorded history of one secret. The first secret and secrets set by hand have no events."""

    key_id: str
    added_at: int | None = None
    activated_at: int | None = None
    retired_at: int | None = None


class MasterSecretHistory(Struct, frozen=True, kw_only=True):
    """The master secrets in the order of their first events."""

    secrets: tuple[MasterSecret, ...] = ()
    sealing: str | None = None

    def find(self, key_id: str) -> MasterSecret | None:
        return next((secret for secret in self.secrets if secret.key_id == key_id), None)

    def add(self, key_id: str, *, now: int) -> tuple[Event, ...]:
        return (SecretAdded(key_id=key_id, added_at=now),)

    def activate(self, key_id: str, *, now: int) -> tuple[Event, ...]:
        """Make this the secret that seals. Returns no events if it seals already."""
        return () if self.sealing == key_id else (SecretActivated(key_id=key_id, activated_at=now),)

    def retire(self, used: UsedSecret, *, force: bool, now: int) -> tuple[Event, ...]:
        """Retire a secret; with `force` even if live tokens are sealed under it.

        A secret that is already gone (removed by hand or by an interrupted run) is recorded as retired once.

        Raises `MasterSecretSeals`, `MasterSecretHoldsRecords`, `MasterSecretNeeded`, `MasterSecretUnknown`.
        """
        if used.role == "seals":
            raise MasterSecretSeals(used.key_id)
        if used.private_records:
            raise MasterSecretHoldsRecords(used)
        if used.role == "missing":
            known = self.find(used.key_id)
            if known is None and not used.live_grants:
                raise MasterSecretUnknown(used.key_id)
            if known is not None and known.retired_at is not None:
                return ()
        elif used.live_grants and not force:
            raise MasterSecretNeeded(used)
        return (SecretRetired(key_id=used.key_id, retired_at=now, live_grants=used.live_grants),)


def evolve(secrets: MasterSecretHistory | None, event: Event) -> MasterSecretHistory:
    before = secrets if secrets is not None else MasterSecretHistory()
    match event:
        case SecretAdded():
            return _changed(before, event.key_id, added_at=event.added_at, retired_at=None)
        case SecretActivated():
            after = _changed(before, event.key_id, activated_at=event.activated_at)
            return replace(after, sealing=event.key_id)
        case SecretRetired():
            return _changed(before, event.key_id, retired_at=event.retired_at)
        case _:
            assert_never(event)


def _changed(before: MasterSecretHistory, key_id: str, **changes: int | None) -> MasterSecretHistory:
    if before.find(key_id) is None:
        new = MasterSecret(key_id=key_id)
        before = replace(before, secrets=(*before.secrets, new)[-MAX_REMEMBERED:])
    return replace(
        before,
        secrets=tuple(replace(one, **changes) if one.key_id == key_id else one for one in before.secrets),
    )


SECRETS: Kind[MasterSecretHistory] = Kind(
    category="secrets",
    state=MasterSecretHistory,
    events=(SecretAdded, SecretActivated, SecretRetired),
    evolve=evolve,
)
