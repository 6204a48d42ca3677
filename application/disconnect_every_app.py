from grantledger.application.disconnect_app import DisconnectApp
from grantledger.application.ports import Listings
from grantledger.application.provenance import Caller


class DisconnectEveryApp:
    """Take back all that a user allowed anybody, whatever came of it."""

    def __init__(self, listings: Listings, disconnect: DisconnectApp) -> None:
        self._listings = listings
        self._disconnect = disconnect

    async def __call__(self, user_id: str, caller: Caller) -> None:
        after: str | None = None
        while True:
            page = await self._listings.consents(user_id, after=after)
            for consent in page.items:
                if consent.state is not None:
                    await self._disconnect(user_id, consent.state.client_id, caller)
            if page.after is None:
                return
            after = page.after
