"""Call the use cases without HTTP, for example from a scheduled job.

Run `python examples/without_http.py`. It registers a client, disables it, and shows that it is then refused.
"""

import asyncio

from grantledger import AuthorizationServer, Caller, Refusal, Settings
from grantledger.domain.client_metadata import RegistrationRequest

CALLER = Caller(correlation_id="nightly-job", operator="nightly-job")
"""Recorded with every event that this program causes, for example the id of a job."""


async def main() -> None:
    async with AuthorizationServer(Settings(database=":memory:")) as server:
        do = server.use_cases
        metadata = RegistrationRequest(
            client_name="Report writer",
            redirect_uris=("https://reports.example/callback",),
            token_endpoint_auth_method="none",
        )
        new = await do.register_client(metadata, CALLER)
        client_id = new.client.client_id
        print(f"registered {client_id}")
        await do.disable_client(client_id, CALLER)
        try:
            await do.register_client(metadata, CALLER)
        except Refusal as refusal:
            print(f"refused: {type(refusal).__name__}")


if __name__ == "__main__":
    asyncio.run(main())
