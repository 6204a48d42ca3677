"""What all machines share over HTTP: one user in a browser, and one client that only this example uses."""

from collections.abc import Sequence
from typing import Any

from support.oauth import returned
from support.stores import asked
from support.timed_server import CALLER, TimedServer
from support.wire import Answer


class OverHttp:
    """The operator's use cases disable clients and users: there are no endpoints for that."""

    def __init__(self, server: TimedServer, **metadata: Any) -> None:
        """`metadata` are the members in which the client differs from the usual one."""
        self.server = server
        self.began = server.begin()
        self._events_before = self._last_position()
        self.person = server.visitor()
        self._metadata = metadata
        self.server.run(self._begin())

    def advance(self, seconds: int) -> None:
        self.server.advance(seconds)

    def disable_client(self) -> None:
        self.server.run(self.server.operator.use_cases().disable_client(self.client_id, CALLER))

    def delete_client_and_register_again(self) -> None:
        self.server.run(self._register_again())

    def disable_user(self) -> None:
        self.server.run(self.server.operator.use_cases().disable_user(self.account.user_id, CALLER))

    def recorded(self, tag: str) -> int:
        """Count the events with that tag which the example caused."""
        query = "SELECT count(*) FROM events WHERE position > ? AND tag = ?"
        ((count,),) = asked(self.server.server.ledger, query, self._events_before, tag)
        return int(count)

    def close(self) -> None:
        self.server.run(self.person.http.aclose())

    def code(self, client_id: str, **parameters: str | None) -> str:
        """Get a code for the client; a user whose session has ended signs in again."""
        return self.server.run(self._code(client_id, **parameters))

    def token(self, *forms: dict[str, str]) -> list[Answer]:
        """Send all forms to the token endpoint at once."""
        wire = self.server.wire
        return wire.at_once([wire.post("/token", form) for form in forms])

    def revoke_token(self, client_id: str, token: str) -> Answer:
        wire = self.server.wire
        (answer,) = wire.at_once([wire.post("/revoke", {"client_id": client_id, "token": token})])
        return answer

    def sessions(self, access_tokens: Sequence[str]) -> list[Answer]:
        wire = self.server.wire
        return wire.in_turn(
            [wire.get("/session", authorization=f"Bearer {token}") for token in access_tokens]
        )

    async def register(self, **metadata: Any) -> str:
        """Register a client under a name that no other example gives one."""
        name = f"{metadata.pop('client_name', 'Client')} of {self.account.email}"
        return str((await self.person.register(client_name=name, **metadata))["client_id"])

    async def _begin(self) -> None:
        self.account = await self.server.open_account()
        self.client_id = await self.register(**self._metadata)

    async def _code(self, client_id: str, **parameters: str | None) -> str:
        page = await self.person.asked(client_id, **parameters)
        if "/sign-in" in page.text:
            page = await self.person.sign_in(page, email=self.account.email)
        if "location" not in page.headers:
            page = await self.person.submit(page, "consent", decision="allow")
        return returned(page)["code"]

    async def _register_again(self) -> None:
        await self.server.operator.use_cases().delete_client(self.client_id, CALLER)
        assert await self.register(**self._metadata) == self.client_id

    def _last_position(self) -> int:
        ((position,),) = asked(self.server.server.ledger, "SELECT max(position) FROM events")
        return int(position)


def refusal(answer: Answer) -> str:
    """Return the error code of a refusal at the token endpoint."""
    code = str(answer.json()["error"])
    assert answer.status == (401 if code == "invalid_client" else 400), answer
    return code
