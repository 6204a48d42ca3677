from msgspec import Struct

from grantledger.application.ports import PastReader
from grantledger.domain.client_metadata import ClientMetadata
from grantledger.domain.client_registration import CLIENT


class PastClient(Struct, frozen=True, kw_only=True):
    """A client as it was registered at a moment; `standing` is registered, disabled or deleted."""

    client_id: str
    version: int
    standing: str
    registration: int
    registered_at: int
    is_public: bool
    metadata: ClientMetadata


class ReadClientAsOf:
    """Tell who a client was at a moment of the past, and whether it could act."""

    def __init__(self, past: PastReader) -> None:
        self._past = past

    async def __call__(self, client_id: str, moment: int) -> PastClient | None:
        """Return the client at `moment`, in microseconds since 1970, None when it was not there yet."""
        found = await self._past.load_as_of(CLIENT, client_id, moment)
        client = found.state
        if client is None:
            return None
        return PastClient(
            client_id=client_id,
            version=found.version,
            standing="deleted" if client.deleted else "disabled" if client.disabled else "registered",
            registration=client.registration,
            registered_at=client.registered_at,
            is_public=client.is_public,
            metadata=client.metadata,
        )
