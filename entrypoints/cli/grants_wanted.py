"""Which grants a command is about, by client and user."""

from collections.abc import AsyncIterator, Awaitable

from grantledger.application.ports import MAX_PAGE, Page
from grantledger.domain.token_grant import TokenGrant
from grantledger.entrypoints.cli.finding import found_client, user_id_of
from grantledger.entrypoints.cli.listing import Cut, each
from grantledger.entrypoints.cli.records import Record, grant_record
from grantledger.entrypoints.container import Container


async def wanted_grants(
    container: Container, cut: Cut, *, client: str | None, user: str | None, live: bool
) -> AsyncIterator[Record]:
    """Yield grants, the newest first. Raises `ClientNotFound` and `UserNotFound`."""
    if client is not None:
        await found_client(container, client)
    user_id = None if user is None else await user_id_of(container, user)
    now = container.clock().now()

    def fetch(*, after: str | None = None, limit: int = MAX_PAGE) -> Awaitable[Page[TokenGrant]]:
        return container.ledger().grants(client_id=client, user_id=user_id, after=after, limit=limit)

    async for grant_id, found in each(fetch, cut):
        if not live or found.is_usable(now=now):
            yield grant_record(grant_id, found, now=now)
