"""The start of a server, in a process that waits until several others start at the same time."""

import asyncio
from typing import Any

from grantledger.application.ports import PRIVATE_KEY
from grantledger.application.provenance import Caller
from grantledger.domain.signing_keys import KEYS, SIGNING, SigningKeys
from grantledger.entrypoints.composition import Container, ledger_open
from grantledger.entrypoints.settings_sources import load_settings
from support.timeouts import TIMEOUT


def start_once_all_are_there(settings: dict[str, str], barrier: Any, seen: Any) -> None:
    """Put into `seen` the ids of the signing keys after the start. The active one must be readable."""
    seen.put(asyncio.run(_started(settings, barrier)))


async def _started(settings: dict[str, str], barrier: Any) -> tuple[str, ...]:
    container = Container(load_settings(None, {}, settings))
    async with ledger_open(container):
        barrier.wait(TIMEOUT)
        await container.use_cases().make_signing_keys(Caller(correlation_id="start"))
        known = (await container.ledger().load(KEYS, SIGNING)).state or SigningKeys()
        assert await container.ledger().value(known.active.kid, PRIVATE_KEY)
        return tuple(key.kid for key in known.keys)
