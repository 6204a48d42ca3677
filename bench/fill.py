"""Open grants in a ledger without asking for codes: a million in minutes.

Run by the Python of the checkout whose server is measured, with the environment of that server, while that
runs.
"""

import asyncio
import os
import sys
import time

from grantledger.application.provenance import Caller, by_system
from grantledger.domain.aggregate import Versioned
from grantledger.domain.token_grant import GRANT, GrantOpened
from grantledger.entrypoints.composition import Container, ledger_open
from grantledger.entrypoints.settings_sources import load_settings

AT_ONCE = 1_000
PARTIES = 1_000
"""How many clients and users the grants are spread over."""

_DAY = 86_400


async def main(count: int) -> None:
    container = Container(load_settings(None, os.environ, {}))
    ports, policy = container.ports(), container.settings.policy
    resource, now = policy.resources[0].identifier, int(time.time())
    clients = [ports.randomness.token("glc_", size=20) for _ in range(PARTIES)]
    users = [ports.randomness.token("glu_", size=16) for _ in range(PARTIES)]
    by = by_system(Caller(correlation_id="fill"))

    async def open_one(number: int) -> None:
        event = GrantOpened(
            client_id=clients[number % PARTIES],
            client_registration=1,
            user_id=users[number // PARTIES % PARTIES],
            code_key=ports.randomness.token(size=12),
            resource=resource,
            scopes=("openid", "profile", "offline_access"),
            nonce=ports.randomness.token(),
            key_id=ports.tokens.key_id,
            opened_at=now,
            access_expires_at=now + _DAY,
            refresh_expires_at=now + 7 * _DAY,
        )
        empty = Versioned(kind=GRANT, key=ports.randomness.token(size=16))
        await ports.ledger.record([empty.then([event])], by)

    async with ledger_open(container):
        for first in range(0, count, AT_ONCE):
            await asyncio.gather(*map(open_one, range(first, min(count, first + AT_ONCE))))


asyncio.run(main(int(sys.argv[1])))
