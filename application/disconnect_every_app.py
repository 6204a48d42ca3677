from grantledger.application.disconnect_app import DisconnectApp
from grantledger.application.list_connected_apps import ListConnectedApps
from grantledger.application.provenance import Caller

_MOST_ROUNDS = 50
"""A list shows the newest 2,000 grants; with more there is another round."""


class DisconnectEveryApp:
    """Take back all that a user allowed anybody."""

    def __init__(self, list_apps: ListConnectedApps, disconnect: DisconnectApp) -> None:
        self._list_apps = list_apps
        self._disconnect = disconnect

    async def __call__(self, user_id: str, caller: Caller) -> None:
        for _ in range(_MOST_ROUNDS):
            apps = await self._list_apps(user_id)
            if not apps:
                return
            for app in apps:
                await self._disconnect(user_id, app.client.client_id, caller)
