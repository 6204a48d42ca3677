from grantledger.application.ports import Ledger
from grantledger.domain.authorization_request import AuthorizationRequest
from grantledger.domain.client_registration import CLIENT, ClientRegistration, ClientUnknown


async def asking_client(ledger: Ledger, request: AuthorizationRequest) -> ClientRegistration:
    """Return the client that asks, if it still may. Raises `ClientUnknown`, `ClientIsDisabled`."""
    client = (await ledger.load(CLIENT, request.client_id)).state
    if client is None:
        raise ClientUnknown(request.client_id)
    client.check_usable(request.client_registration)
    return client
